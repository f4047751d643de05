"""Orders in plain words, to be turned into JSON with typed fields."""

from __future__ import annotations

import random

from pydantic import JsonValue

from agentopt import Example, task
from agentopt.evaluate import SplitSpec, json_fields

ITEMS = (
    *("desk lamps", "office chairs", "blue pens", "paper bags"),
    *("coffee cups", "steel bolts", "phone cases", "wall clocks"),
)
CITIES = ("Oslo", "Lima", "Cairo", "Rome", "Delhi", "Quito", "Turin", "Osaka")
MONTHS = (
    *("January", "February", "March", "April", "May", "June"),
    *("July", "August", "September", "October", "November", "December"),
)
WORDS = {2: "two", 3: "three", 4: "four", 5: "five", 6: "six", 10: "ten", 12: "a dozen"}
HASTE = ("It is urgent.", "We need them as soon as you can.", "Please hurry.")
LEISURE = ("There is no hurry.", "Take your time.", "")


def draw_order(draw: random.Random) -> tuple[str, dict[str, JsonValue]]:
    """The words of an order, and its fields."""
    item, city = draw.choice(ITEMS), draw.choice(CITIES)
    quantity = draw.choice([*WORDS, 7, 8, 15, 20, 24])
    many = WORDS[quantity] if quantity in WORDS and draw.random() < 0.7 else str(quantity)
    day, month = draw.randint(1, 28), draw.randint(1, 12)
    name = MONTHS[month - 1]
    date = draw.choice((f"{name} {day}", f"{day} {name}"))
    urgent = draw.random() < 0.5
    tone = draw.choice(HASTE if urgent else LEISURE)
    text = draw.choice(
        (
            f"Please send {many} {item} to our shop in {city} on {date}. {tone}",
            f"We would like {many} {item}. Delivery to {city}, {date}. {tone}",
            f"{tone} {city} is waiting for {many} {item}; the date is {date}.",
        )
    ).strip()
    fields: dict[str, JsonValue] = {
        "item": item,
        "quantity": quantity,
        "city": city,
        "date": f"{month:02}-{day:02}",
        "urgent": urgent,
    }
    return text, fields


@task(version=1, split=SplitSpec(search=0.25, validation=0.25, test=0.5))
def orders(n: int = 200, seed: int = 0) -> object:
    """Turn an order into JSON: item (text as written), quantity (number), city, date (MM-DD), urgent (true or false).

    The score is the share of the five fields that are right, with their types.
    """
    draw = random.Random(f"orders/{seed}")
    examples: dict[str, Example] = {}
    while len(examples) < n:
        text, fields = draw_order(draw)
        examples[text] = Example(input=text, target=fields)
    return list(examples.values()), json_fields()
