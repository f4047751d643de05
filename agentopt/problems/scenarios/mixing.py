"""Amounts that are mixed: meals, blends, investments. They need not be whole, unless they are servings."""

from __future__ import annotations

import random

from agentopt.problems.expressions import total
from agentopt.problems.formulation import Variable
from agentopt.problems.story import Level, Step, Story, Table, each, listing, slug, told

__all__ = ["blending", "diet", "investment"]


def diet(draw: random.Random, level: Level) -> Story:
    """Servings of foods that cover needs at the lowest cost."""
    foods = draw.sample(
        ("oatmeal", "lentils", "yogurt", "spinach", "rice", "salmon", "almonds", "eggs"), level.count(draw)
    )
    known = (("protein", "grams"), ("iron", "milligrams"), ("fiber", "grams"), ("calcium", "milligrams"))
    nutrients = draw.sample(known, min(len(known), max(2, draw.randint(*level.limits))))
    whole = draw.random() < 0.6
    prices = [draw.randint(5, 40) / 10 for _ in foods]
    names = [slug(f) for f in foods]
    eaten = [draw.randint(1, 5) for _ in foods]
    limits, columns = [], []
    for what, unit in nutrients:
        has = [level.number(draw, 1, 12) for _ in foods]
        need = round(sum(h * e for h, e in zip(has, eaten, strict=True)) * draw.uniform(0.7, 1.0))
        limits.append(
            Step(
                f"{each(foods, f'a serving of {{}} has {{}} {unit} of {what}', has)} "
                f"At least {need} {unit} of {what} are needed.",
                (f"{total(zip(has, names, strict=True))} >= {need}",),
                f"At least {need} {unit} of {what} are needed.",
            )
        )
        columns.append((f"{what.capitalize()} ({unit})", has))
    most, which = draw.randint(4, 9), draw.randrange(len(foods))
    limits.append(Step(f"At most {most} servings may be {foods[which]}.", (f"{names[which]} <= {most}",)))
    manner = "Only whole servings can be had." if whole else "Parts of a serving are possible."
    objective = total(zip(prices, names, strict=True))
    ask = "How many servings of each make the cheapest meal plan?"
    return Story(
        f"A canteen plans a day's food from {listing(foods)}. {manner}",
        tuple(Variable(name=v, meaning=f"The number of servings of {f}", kind="integer" if whole else "continuous")
              for v, f in zip(names, foods, strict=True)),
        "minimize", objective, "The total cost",
        Step(f"{each(foods, 'a serving of {} costs ${}', prices)} {ask}", (f"Minimize {objective}",),
             f"The table has the cost of a serving of each and what is in it. {ask}"),
        tuple(limits),
        Table("A serving of each food", ("Food", "Cost ($)", *(c for c, _ in columns)),
              tuple((f, told(p), *(told(c[i]) for _, c in columns))
                    for i, (f, p) in enumerate(zip(foods, prices, strict=True)))),
    )  # fmt: skip


def blending(draw: random.Random, level: Level) -> Story:
    """A blend of a given amount from sources of different quality and price."""
    kind, unit, quality = draw.choice(
        (("fuel", "barrels", "octane number"), ("animal feed", "tons", "percentage of protein"),
         ("juice", "liters", "percentage of sugar"), ("an alloy", "tons", "percentage of copper"))
    )  # fmt: skip
    n = max(3, level.count(draw))
    sources = [f"source {letter}" for letter in "ABCDEF"[:n]]
    names = [slug(s) for s in sources]
    grades = sorted(draw.sample(range(20, 96, 4), n))
    prices = sorted(draw.sample(range(15, 95), n))  # the better, the dearer
    amount = draw.randint(5, 20) * 20
    wanted = draw.randint(grades[0] + 3, grades[-1] - 3)
    there = [draw.randint(amount // 4, amount * 3 // 4) for _ in sources]
    there[-1] = max(there[-1], amount - sum(there[:-1]) + amount // 5)
    objective = total(zip(prices, names, strict=True))
    ask = f"How many {unit} of each source should it use so that the blend is cheapest?"
    limits = [
        Step(f"The blend must be {amount} {unit} in all.", (f"{total((1, v) for v in names)} == {amount}",)),
        Step(
            f"The {quality} of a blend is the average of what is in it, by amount. "
            f"{each(sources, f'{{}} has a {quality} of {{}}', grades)} That of the blend must be at least {wanted}.",
            (f"{total(zip(grades, names, strict=True))} >= {wanted}*({total((1, v) for v in names)})",),
            f"The {quality} of a blend is the average of what is in it, by amount; it must be at least {wanted}.",
        ),
        Step(
            f"{each(sources, f'of {{}} there are at most {{}} {unit}', there)}",
            tuple(f"{v} <= {t}" for v, t in zip(names, there, strict=True)),
            "No more of a source can be used than the table says.",
        ),
    ]
    return Story(
        f"A plant makes {kind} by blending {n} sources. Any part of a unit can be used.",
        tuple(Variable(name=v, meaning=f"The {unit} of {s}") for v, s in zip(names, sources, strict=True)),
        "minimize", objective, "The total cost",
        Step(f"{each(sources, f'{{}} costs ${{}} for each of its {unit}', prices)} {ask}", (f"Minimize {objective}",),
             f"The table has the price of each source. {ask}"),
        tuple(limits),
        Table("Sources", ("Source", "Price ($)", quality.capitalize(), f"There are ({unit})"),
              tuple(tuple(map(told, row)) for row in zip(sources, prices, grades, there, strict=True))),
    )  # fmt: skip


def investment(draw: random.Random, level: Level) -> Story:
    """Money put into funds under limits of risk and spread."""
    n = max(3, level.count(draw))
    funds = draw.sample(("bonds", "property", "shares", "gold", "green energy", "treasury bills"), n)
    names = [slug(f) for f in funds]
    returns = [r / 2 for r in draw.sample(range(3, 25), n)]
    risks = [draw.randint(1, 9) for _ in funds]
    money = draw.randint(4, 40) * 5
    most = draw.choice((40, 45, 50, 55, 60))
    low = draw.choice((5, 10, 15))
    safe = min(risks)
    average = round(draw.uniform(safe + 1, max(risks)), 1)
    average = max(average, safe + 1.0)
    shares = [r / 100 for r in returns]
    objective = total(zip(shares, names, strict=True))
    least = draw.randrange(n)
    ask = "How much should go into each so that the yearly return is largest?"
    whole = total((1, v) for v in names)
    return Story(
        f"A fund manager invests {money} million dollars, all of it, in {listing(funds)}.",
        tuple(Variable(name=v, meaning=f"The millions of dollars in {f}") for v, f in zip(names, funds, strict=True)),
        "maximize", objective, "The yearly return in millions of dollars",
        Step(f"{each(funds, 'what is put into {} returns {} percent a year', returns)} "
             f"{ask}", (f"Maximize {objective}",),
             f"The table has the return of each. {ask}"),
        (
            Step("All of the money is invested.", (f"{whole} == {money}",)),
            Step(f"No more than {most} percent of the money may go into any one of them.",
                 tuple(f"{v} <= {most * money / 100:g}" for v in names)),
            Step(
                f"{each(funds, 'the risk rating of {} is {}', risks)} The average rating of the money, by amount, may "
                f"be at "
                f"most {told(average)}.",
                (f"{total(zip(risks, names, strict=True))} <= {average * money:.10g}",),
                f"The average risk rating of the money, by amount, may be at most {told(average)}.",
            ),
            Step(f"At least {low} percent of the money must go into {funds[least]}.",
                 (f"{names[least]} >= {low * money / 100:g}",)),
        ),
        Table("Investments", ("Investment", "Return (% a year)", "Risk rating"),
              tuple(tuple(map(told, row)) for row in zip(funds, returns, risks, strict=True))),
    )  # fmt: skip
