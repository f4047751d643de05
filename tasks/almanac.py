"""A small invented encyclopaedia, and questions that can be answered only by looking things up in it.

Towns, rivers, mountains and people are drawn, so no model has read of them. Some questions need one entry, some lead
from one entry to the next, some compare two. Names repeat with another word before them (Corton, New Corton), and
entries name their neighbours, so that the first entry found is not always the right one.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from agentopt import Example, Feedback, task
from agentopt.evaluate import SplitSpec, numeric

STARTS = (
    *("Bal", "Bre", "Cla", "Cor", "Dro", "Dun", "Fen", "Fro", "Gar", "Hol", "Ist", "Kel", "Lor", "Mer", "Nor", "Ost"),
    *("Pel", "Quin", "Ras", "Sel", "Tor", "Ulm", "Ver", "Wex", "Yar", "Zim"),
)
MIDDLES = ("a", "ar", "e", "en", "i", "il", "in", "o", "or", "ov", "u", "ul", "um")
ENDS = {
    "town": ("burg", "by", "ford", "gate", "ham", "holm", "mouth", "stad", "ton", "wick"),
    "river": ("dda", "ge", "lle", "mba", "na", "ra", "sk", "sse", "thra", "ve"),
    "mountain": ("crag", "fell", "horn", "peak", "spitz", "tind"),
    "person": ("mann", "rup", "sen", "wald"),
}
TWINS = ("New", "Upper", "Lower", "Great")
GIVEN = ("Ada", "Bo", "Cleo", "Dirk", "Edda", "Hugo", "Ilka", "Jory", "Leif", "Mona", "Nils", "Olga", "Piet", "Runa")
TRADES = ("baker", "carpenter", "doctor", "farmer", "lawyer", "mason", "nurse", "printer", "sailor", "weaver")
MOUNTAINS, RIVERS, TOWNS = 30, 40, 110

World = dict[str, dict[str, dict[str, Any]]]
Question = tuple[str, int, list[str]]
"""A question, its answer, and the titles of the entries that it follows from."""


@lru_cache(maxsize=8)
def world(seed: int = 0) -> World:
    """Everything there is, by kind and name: a function of the seed."""
    draw = random.Random(f"almanac/{seed}")
    taken: set[str] = set()

    def name(kind: str, before: str = "") -> str:
        while True:
            made = before + draw.choice(STARTS) + draw.choice(MIDDLES) + draw.choice(ENDS[kind])
            if made not in taken:
                taken.add(made)
                return made

    mountains = {
        name("mountain"): {"height": draw.randint(900, 4800), "climbed": draw.randint(1780, 1950)}
        for _ in range(MOUNTAINS)
    }
    rivers = {
        name("river"): {"length": draw.randint(40, 900), "source": draw.choice(list(mountains))} for _ in range(RIVERS)
    }
    plain = [name("town") for _ in range(TOWNS * 2 // 3)]
    names = [*plain, *(f"{draw.choice(TWINS)} {town}" for town in draw.sample(plain, TOWNS - len(plain)))]
    towns: dict[str, dict[str, Any]] = {}
    people: dict[str, dict[str, Any]] = {}
    for town in names:
        mayor = name("person", f"{draw.choice(GIVEN)} ")
        towns[town] = {
            "inhabitants": draw.randint(1200, 98000),
            "founded": draw.randint(900, 1890),
            "bridges": draw.randint(2, 40),
            "river": draw.choice(list(rivers)),
            "mayor": mayor,
            "roads": draw.sample([other for other in names if other != town], draw.randint(1, 5)),
        }
        people[mayor] = {
            "born": draw.randint(1935, 1985),
            "birthplace": draw.choice(names),
            "trade": draw.choice(TRADES),
            "town": town,
            "elected": draw.randint(2008, 2024),
        }
    return {"mountain": mountains, "river": rivers, "town": towns, "person": people}


def corpus(seed: int = 0) -> list[tuple[str, str]]:
    """The encyclopaedia: title and text of each entry, in alphabetical order."""
    made = world(seed)
    entries = {}
    for name, m in made["mountain"].items():
        entries[f"Mount {name}"] = f"Mount {name} is {m['height']} metres high. It was first climbed in {m['climbed']}."
    for name, r in made["river"].items():
        towns = [town for town, t in made["town"].items() if t["river"] == name]
        past = f" and flows past {', '.join(towns)}" if towns else ""
        entries[f"River {name}"] = (
            f"The {name} is {r['length']} kilometres long. It rises on Mount {r['source']}{past}."
        )
    for name, t in made["town"].items():
        entries[name] = (
            f"{name} lies on the river {t['river']}. It was founded in {t['founded']} and has {t['inhabitants']} "
            f"inhabitants and {t['bridges']} bridges. Its mayor is {t['mayor']}. Roads lead to {', '.join(t['roads'])}."
        )
    for name, p in made["person"].items():
        entries[name] = (
            f"{name}, by trade a {p['trade']}, was born in {p['birthplace']} in the year {p['born']} and elected mayor "
            f"of {p['town']} in {p['elected']}."
        )
    return sorted(entries.items())


def one_entry(draw: random.Random, made: World) -> Question:
    """A question that one entry answers."""
    town, river, mountain, person = (draw.choice(list(made[kind])) for kind in ("town", "river", "mountain", "person"))
    facts = made["town"][town]
    asked: list[Question] = [
        (f"How many inhabitants does {town} have?", facts["inhabitants"], [town]),
        (f"In which year was {town} founded?", facts["founded"], [town]),
        (f"How many bridges does {town} have?", facts["bridges"], [town]),
        (f"How long is the {river}, in kilometres?", made["river"][river]["length"], [f"River {river}"]),
        (f"How high is Mount {mountain}, in metres?", made["mountain"][mountain]["height"], [f"Mount {mountain}"]),
        (f"In which year was {person} born?", made["person"][person]["born"], [person]),
    ]
    return draw.choice(asked)


def two_entries(draw: random.Random, made: World) -> Question:
    """A question whose second entry is named in the first."""
    town, river, person = (draw.choice(list(made[kind])) for kind in ("town", "river", "person"))
    on, mayor = made["town"][town]["river"], made["town"][town]["mayor"]
    source, home = made["river"][river]["source"], made["person"][person]["birthplace"]
    length, height = made["river"][on]["length"], made["mountain"][source]["height"]
    born, inhabitants = made["person"][mayor]["born"], made["town"][home]["inhabitants"]
    asked: list[Question] = [
        (f"How long, in kilometres, is the river on which {town} lies?", length, [town, f"River {on}"]),
        (f"In which year was the mayor of {town} born?", born, [town, mayor]),
        (
            f"How high, in metres, is the mountain on which the {river} rises?",
            height,
            [f"River {river}", f"Mount {source}"],
        ),
        (f"How many inhabitants does the town have in which {person} was born?", inhabitants, [person, home]),
    ]
    return draw.choice(asked)


def comparison(draw: random.Random, made: World) -> Question:
    """A question about the difference between two entries."""
    ask, kind, fact, title = draw.choice(COMPARISONS)
    less, more = sorted(draw.sample(list(made[kind]), 2), key=lambda name: made[kind][name][fact])
    difference = made[kind][more][fact] - made[kind][less][fact]
    return ask.format(more=more, less=less), difference, [title + more, title + less]


COMPARISONS = (
    ("How many more inhabitants does {more} have than {less}?", "town", "inhabitants", ""),
    ("How many years after {less} was {more} founded?", "town", "founded", ""),
    ("By how many metres is Mount {more} higher than Mount {less}?", "mountain", "height", "Mount "),
    ("By how many kilometres is the {more} longer than the {less}?", "river", "length", "River "),
)
KINDS: dict[str, Callable[[random.Random, World], Question]] = {
    f.__name__: f for f in (one_entry, two_entries, comparison)
}


def number(example: Example, output: object) -> Feedback:
    """1 for the right number, else 0 with the entries that it follows from."""
    said = numeric()(example, output)
    if said.score:
        return said
    entries = example.meta["entries"]
    assert isinstance(entries, list)
    return Feedback(score=0.0, text=f"{said.text}; it follows from the entries {' and '.join(map(str, entries))}")


@task(version=1, split=SplitSpec(search=0.3, validation=0.2, test=0.5))
def almanac(n: int = 150, seed: int = 0) -> object:
    """Answer a question about an invented country with a number that follows from entries of its encyclopaedia.

    A third of the questions need one entry, a third lead from one to another, a third compare two.
    """
    draw, made, kinds = random.Random(f"almanac questions/{seed}"), world(seed), list(KINDS)
    corpus_name = {"corpus": f"almanac?seed={seed}"} if seed else {}  # the graphs' default is that of seed 0
    examples: dict[str, Example] = {}
    while len(examples) < n:
        kind = kinds[len(examples) % len(kinds)]
        problem, answer, entries = KINDS[kind](draw, made)
        given: dict[str, Any] = {"problem": problem, **corpus_name}
        examples.setdefault(problem, Example(input=given, target=answer, meta={"entries": entries}, group=kind))
    return list(examples.values()), number
