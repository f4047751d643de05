"""Word problems about prices: a small model can write the calculation, and does it better than it calculates."""

from __future__ import annotations

import random
from collections.abc import Callable

from agentopt import Example, Feedback, task
from agentopt.evaluate import SplitSpec, numeric

Drawn = tuple[str, str]


def taxi(draw: random.Random) -> Drawn:
    start, rate, km = draw.randint(3, 12), draw.randint(2, 4), draw.randint(5, 30)
    return draw.choice(
        (
            f"A taxi ride costs {start} euros to begin with and {rate} euros for each kilometre. "
            f"How much is a ride of {km} kilometres?",
            f"Leo rides {km} kilometres in a taxi. It asks {rate} euros a kilometre and a basic fee of {start} euros. "
            "How much does Leo pay?",
        )
    ), f"{start} + {rate} * {km}"


def cafe(draw: random.Random) -> Drawn:
    tea, cake, cups, pieces = draw.randint(2, 4), draw.randint(5, 7), draw.randint(2, 9), draw.randint(2, 9)
    return draw.choice(
        (
            f"Tea costs {tea} euros a cup and cake {cake} euros a piece. A table takes {cups} cups and {pieces} "
            "pieces. How much is the bill?",
            f"Mia buys {cups} roses at {tea} euros each and {pieces} vases at {cake} euros each. "
            "How much does she pay in all?",
        )
    ), f"{tea} * {cups} + {cake} * {pieces}"


def museum(draw: random.Random) -> Drawn:
    price, less, children = draw.randint(9, 20), draw.randint(2, 7), draw.randint(3, 12)
    return draw.choice(
        (
            f"A museum ticket costs {price} euros, and children pay {less} euros less. "
            f"How much do {children} children pay?",
            f"A lamp that cost {price} euros is {less} euros cheaper today. How much are {children} such lamps today?",
        )
    ), f"({price} - {less}) * {children}"


def hotel(draw: random.Random) -> Drawn:
    price, nights, voucher = draw.randint(40, 90), draw.randint(2, 7), draw.randint(10, 30)
    return draw.choice(
        (
            f"A hotel room costs {price} euros a night. A guest stays {nights} nights and has a voucher of {voucher} "
            "euros. How much is left to pay?",
            f"A gym asks {price} euros a month. Ana joins for {nights} months and gets {voucher} euros off the total. "
            "How much does Ana pay?",
        )
    ), f"{price} * {nights} - {voucher}"


def tour(draw: random.Random) -> Drawn:
    trip, extra, people = draw.randint(8, 25), draw.randint(2, 6), draw.randint(2, 9)
    return draw.choice(
        (
            f"On a boat tour each person pays {trip} euros for the trip and {extra} euros for a life jacket. "
            f"How much does a group of {people} pay?",
            f"{people} friends each buy a film ticket of {trip} euros and popcorn of {extra} euros. "
            "How much do they pay together?",
        )
    ), f"({trip} + {extra}) * {people}"


def share(draw: random.Random) -> Drawn:
    friends, each = draw.randint(2, 6), draw.randint(5, 20)
    total = friends * each
    second = draw.randint(1, total // 2)
    first = total - second
    return draw.choice(
        (
            f"{friends} friends share a gift. The gift costs {first} euros and the wrapping {second} euros. "
            "How much does each friend pay?",
            f"A meal costs {first} euros and the drinks {second} euros. {friends} people split the bill evenly. "
            "How much does one person pay?",
        )
    ), f"({first} + {second}) / {friends}"


def change(draw: random.Random) -> Drawn:
    price, pieces = draw.randint(2, 9), draw.randint(2, 9)
    note = 50 if price * pieces < 50 else 100
    return draw.choice(
        (
            f"A customer buys {pieces} notebooks at {price} euros each and pays with a {note} euro note. "
            "How much change is due?",
            f"Tom has {note} euros. He buys {pieces} tickets for {price} euros each. How much money does he have left?",
        )
    ), f"{note} - {price} * {pieces}"


def rent(draw: random.Random) -> Drawn:
    first, days, later, more = draw.randint(15, 40), draw.randint(1, 4), draw.randint(5, 14), draw.randint(2, 8)
    return draw.choice(
        (
            f"A bike costs {first} euros a day for the first {days} days and {later} euros for each day after that. "
            f"How much are {days + more} days?",
            f"Parking costs {first} euros an hour for the first {days} hours and {later} euros for each hour after "
            f"that. How much are {days + more} hours?",
        )
    ), f"{first} * {days} + {later} * ({days + more} - {days})"


KINDS: dict[str, Callable[[random.Random], Drawn]] = {
    f.__name__: f for f in (taxi, cafe, museum, hotel, tour, share, change, rent)
}


def value_of(working: str) -> int:
    """The value of one of the workings above.

    >>> value_of("(9 - 2) * 3"), value_of("4 + 2 * 5"), value_of("20 * 2 + 9 * (7 - 2)")
    (21, 14, 85)
    """
    tokens = working.replace("(", "( ").replace(")", " )").split()

    def expression() -> int:
        total = term()
        while tokens and tokens[0] in "+-":
            total = total + term() if tokens.pop(0) == "+" else total - term()
        return total

    def term() -> int:
        product = factor()
        while tokens and tokens[0] in "*/":
            product = product * factor() if tokens.pop(0) == "*" else product // factor()
        return product

    def factor() -> int:
        token = tokens.pop(0)
        if token != "(":
            return int(token)
        inside = expression()
        tokens.pop(0)
        return inside

    return expression()


def amount(example: Example, output: object) -> Feedback:
    """1 for the right number, else 0 with the calculation that leads to it."""
    said = numeric()(example, output)
    if said.score:
        return said
    return Feedback(score=0.0, text=f"{said.text}; a right calculation is {example.meta['working']}")


@task(version=1, split=SplitSpec(search=0.24, validation=0.16, test=0.6))
def bills(n: int = 200, seed: int = 0) -> object:
    """Find the amount of money, in euros, that a short text asks for. All amounts are whole numbers.

    Eight kinds of situation in two wordings each; the numbers are drawn. A kind is a group of the splits.
    """
    draw, kinds = random.Random(f"bills/{seed}"), list(KINDS)
    examples: list[Example] = []
    seen: set[str] = set()
    while len(examples) < n:
        kind = kinds[len(examples) % len(kinds)]
        text, working = KINDS[kind](draw)
        if text in seen:
            continue
        seen.add(text)
        examples.append(Example(input=text, target=value_of(working), meta={"working": working}, group=kind))
    return examples, amount
