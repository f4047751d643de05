"""Names of things that problems are about."""

from __future__ import annotations

import random
from dataclasses import dataclass

__all__ = ["CITIES", "PEOPLE", "Theme", "aside", "theme"]


@dataclass(frozen=True, slots=True)
class Theme:
    """A maker, what it makes (one, several), and what that takes (what, in which unit)."""

    maker: str
    items: tuple[tuple[str, str], ...]
    resources: tuple[tuple[str, str], ...]


THEMES = (
    Theme(
        "A furniture workshop",
        (("chair", "chairs"), ("table", "tables"), ("shelf", "shelves"), ("desk", "desks"), ("bench", "benches"),
         ("cabinet", "cabinets")),
        (("carpentry", "hours"), ("wood", "boards"), ("varnish", "liters"), ("storage space", "square meters")),
    ),
    Theme(
        "A bakery",
        (("baguette", "baguettes"), ("cake", "cakes"), ("tart", "tarts"), ("loaf of rye bread", "loaves of rye bread"),
         ("tray of muffins", "trays of muffins"), ("pie", "pies")),
        (("flour", "kilograms"), ("oven time", "minutes"), ("sugar", "cups"), ("kneading", "minutes")),
    ),
    Theme(
        "An electronics company",
        (("phone", "phones"), ("tablet", "tablets"), ("laptop", "laptops"), ("camera", "cameras"),
         ("headset", "headsets"), ("router", "routers")),
        (("assembly", "hours"), ("testing", "hours"), ("copper", "grams"), ("packaging", "boxes")),
    ),
    Theme(
        "A garden centre",
        (("rose bush", "rose bushes"), ("fern", "ferns"), ("lemon tree", "lemon trees"), ("orchid", "orchids"),
         ("lavender pot", "lavender pots"), ("hedge plant", "hedge plants")),
        (("soil", "liters"), ("greenhouse space", "square meters"), ("care", "minutes"), ("fertilizer", "grams")),
    ),
    Theme(
        "A pottery",
        (("vase", "vases"), ("bowl", "bowls"), ("teapot", "teapots"), ("tile panel", "tile panels"),
         ("jug", "jugs"), ("lamp base", "lamp bases")),
        (("clay", "kilograms"), ("glaze", "deciliters"), ("kiln time", "hours"), ("wheel time", "hours")),
    ),
    Theme(
        "A toy maker",
        (("puzzle", "puzzles"), ("doll", "dolls"), ("train set", "train sets"), ("kite", "kites"),
         ("board game", "board games"), ("rocking horse", "rocking horses")),
        (("wood", "pieces"), ("paint", "tubes"), ("labor", "hours"), ("machine time", "hours")),
    ),
)  # fmt: skip
CITIES = ("Arden", "Belmont", "Cresta", "Dunmore", "Elwood", "Fairview", "Granby", "Hartley", "Ivydale", "Juniper Bay")
PEOPLE = ("Ana", "Boris", "Chloe", "Dario", "Elena", "Farid", "Grace", "Hugo")
_ASIDES = (
    "The plan before this one was made {} days ago.",
    "A report about it has {} pages.",
    "Last year {} people worked on a plan like this one.",
    "The nearest airport is {} kilometers away.",
    "Somebody did this with pencil and paper {} years ago.",
)


def theme(draw: random.Random) -> Theme:
    """One of the themes."""
    return draw.choice(THEMES)


def aside(draw: random.Random) -> str:
    """A fact that has nothing to do with any question."""
    return draw.choice(_ASIDES).format(draw.randint(7, 39))
