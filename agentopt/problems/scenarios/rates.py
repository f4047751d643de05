"""Nonlinear problems in whole numbers: products of decisions, ratios, prices that move demand, costs of stock."""

from __future__ import annotations

import random

from agentopt.problems.expressions import total
from agentopt.problems.formulation import Variable
from agentopt.problems.scenarios.words import theme
from agentopt.problems.story import Level, Step, Story, Table, each, listing, money, slug, told

__all__ = ["fleet", "pricing", "rate_of_profit", "scale_effects", "staffing", "stock"]


def fleet(draw: random.Random, level: Level) -> Story:
    """Vehicles times trips: bilinear."""
    n = level.count(draw, 2, 3)
    cargos = draw.sample(("mail", "food", "furniture", "medicine", "machinery"), n)
    vehicles, trips = [f"{c}_vans" for c in cargos], [f"{c}_trips" for c in cargos]
    earns = draw.sample(range(40, 160), n)
    keeps = [draw.randint(2, 9) * 15 for _ in cargos]
    fuel = draw.sample(range(5, 24), n)
    most = [draw.randint(3, 7) for _ in cargos]
    drivers = draw.randint(n + 2, 3 * n + 2)
    there = round(sum(f * m * drivers / n for f, m in zip(fuel, most, strict=True)) * draw.uniform(0.4, 0.7))
    cap = min(8, drivers - n + 1)
    rounds = [f"{v}*{t}" for v, t in zip(vehicles, trips, strict=True)]
    objective = total([*zip(earns, rounds, strict=True), *((-k, v) for k, v in zip(keeps, vehicles, strict=True))])
    ask = (
        "How many vans should serve each cargo, and how many trips should each of these vans make, for the largest "
        "profit?"
    )
    return Story(
        f"A carrier plans one day of its services for {listing(cargos)}. All vans of one service make the same number "
        f"of "
        "trips. Every service runs at least one van and one trip.",
        (
            *(Variable(name=v, meaning=f"The number of vans for {c}", kind="integer", low=1, high=cap)
              for v, c in zip(vehicles, cargos, strict=True)),
            *(Variable(name=t, meaning=f"The number of trips of each van for {c}", kind="integer", low=1, high=m)
              for t, c, m in zip(trips, cargos, most, strict=True)),
        ),
        "maximize", objective, "The profit of the day",
        Step(f"{each(cargos, 'a trip for {} earns ${}, and each of its vans costs ${} for the day', earns, keeps)} "
             f"{ask}",
             (f"Maximize {objective}",),
             f"The table has what a trip earns and what each van costs for the day. {ask}"),
        (
            Step(f"{each(cargos, 'a trip for {} burns {} liters of fuel', fuel)} There are {there} liters of fuel.",
                 (f"{total(zip(fuel, rounds, strict=True))} <= {there}",), f"There are {there} liters of fuel."),
            Step(f"There are {drivers} drivers, one for each van that is used, and no service can use more than {cap} "
                 f"vans.",
                 (f"{total((1, v) for v in vehicles)} <= {drivers}",)),
            Step(f"{each(cargos, 'a van for {} can make at most {} trips', most)}", (),
                 "The table also has the most trips that a van can make."),
        ),
        Table("Services", ("Cargo", "Earns a trip ($)", "Cost of a van ($)", "Fuel a trip (liters)", "Most trips"),
              tuple(tuple(map(told, row)) for row in zip(cargos, earns, keeps, fuel, most, strict=True))),
    )  # fmt: skip


def rate_of_profit(draw: random.Random, level: Level) -> Story:
    """Profit per hour: a ratio of two sums."""
    about, n = theme(draw), level.count(draw, 2, 3)
    items = draw.sample(about.items, n)
    ones, many = [o for o, _ in items], [m for _, m in items]
    names = [slug(m) for m in many]
    profits, hours = draw.sample(range(8, 50), n), [level.number(draw, 1, 6) for _ in items]
    material = draw.sample(range(3, 15), n)
    least, most = [draw.randint(1, 6) for _ in items], [draw.randint(14, 28) for _ in items]
    setup, rent = draw.randint(5, 40), draw.randint(2, 30) * 5
    budget = round(sum(m * (a + b) / 2 for m, a, b in zip(material, least, most, strict=True)) * draw.uniform(0.7, 1.1))
    earned, spent = total(zip(profits, names, strict=True)), total(zip(hours, names, strict=True))
    objective = f"({earned} - {rent})/({spent} + {setup})"
    ask = (
        "How many of each should it make for the largest profit per hour, which is the profit of all pieces less the "
        "rent, "
        "divided by all hours, those of setting up included?"
    )
    return Story(
        f"{about.maker} makes {listing(many)} on one line, in whole pieces. Setting the line up takes {setup} hours, "
        f"and its "
        f"rent is {money(rent)}.",
        tuple(Variable(name=v, meaning=f"The number of {m}", kind="integer", low=a, high=b)
              for v, m, a, b in zip(names, many, least, most, strict=True)),
        "maximize", objective, "The profit per hour",
        Step(f"{each(ones, 'each {} brings a profit of ${} and takes {} hours', profits, hours)} {ask}",
             (f"Maximize {objective}",), f"The table has the profit and the hours of each piece. {ask}"),
        (
            Step(f"{each(ones, 'each {} needs material for ${}', material)} There is {money(budget)} for material.",
                 (f"{total(zip(material, names, strict=True))} <= {budget}",),
                 f"There is {money(budget)} for material, and the table has what each piece needs of it."),
            Step(f"{each(many, 'at least {1} and at most {2} {0} must be made', least, most)}", (),
                 "The table also has the least and the most of each that must be made."),
        ),
        Table("Pieces", ("Product", "Profit ($)", "Hours", "Material ($)", "Least", "Most"),
              tuple(tuple(map(told, row)) for row in zip(many, profits, hours, material, least, most, strict=True))),
    )  # fmt: skip


def staffing(draw: random.Random, level: Level) -> Story:
    """Workers on lines; orders are made one after the other, so the times, which are ratios, add up."""
    n, k = level.count(draw, 2, 3), 2
    lines = [f"line {i}" for i in range(1, n + 1)]
    names = [f"workers_{i}" for i in range(1, n + 1)]
    goods = draw.sample(("smartphones", "tablets", "watches", "speakers"), k)
    rates = [draw.sample(range(4, 30), n) for _ in goods]
    orders = [draw.randint(20, 90) * 20 for _ in goods]
    wages = draw.sample(range(10, 40), n)
    most = draw.randint(12, 22)
    workers = round(n * most * draw.uniform(0.45, 0.75))
    budget = round(sum(wages) / n * workers * draw.uniform(0.75, 1.0))
    times = [f"{d}/({total(zip(r, names, strict=True))})" for d, r in zip(orders, rates, strict=True)]
    objective = " + ".join(times)
    ask = "How many workers should be on each line so that the orders are done in the fewest hours?"
    sentence = "on {} a worker makes {} " + goods[0] + " or {} " + goods[1] + " an hour"
    order = listing([f"{d} {g}" for d, g in zip(orders, goods, strict=True)])
    return Story(
        f"A factory has an order of {order}. All lines first work together on the {goods[0]}, and after that on the "
        f"{goods[1]}; workers stay on their line. Each line has at least one worker.",
        tuple(Variable(name=v, meaning=f"The number of workers on {s}", kind="integer", low=1, high=most)
              for v, s in zip(names, lines, strict=True)),
        "minimize", objective, "The number of hours",
        Step(f"{each(lines, sentence, *rates)} {ask}", (f"Minimize {objective}",),
             f"The table has what a worker makes in an hour on each line. {ask}"),
        (
            Step(f"There are {workers} workers, and a line has room for {most}.",
                 (f"{total((1, v) for v in names)} <= {workers}",)),
            Step(f"{each(lines, 'a worker on {} is paid ${} an hour', wages)} No more than {money(budget)} an hour "
                 f"may be "
                 "paid in all.", (f"{total(zip(wages, names, strict=True))} <= {budget}",),
                 f"The table also has the hourly wage; no more than {money(budget)} an hour may be paid in all."),
        ),
        Table("Lines", ("Line", *(f"{g.capitalize()} an hour" for g in goods), "Wage ($ an hour)"),
              tuple(tuple(map(told, row)) for row in zip(lines, *rates, wages, strict=True))),
    )  # fmt: skip


def scale_effects(draw: random.Random, level: Level) -> Story:
    """Unit profits that fall with the amount: quadratic."""
    about, n = theme(draw), level.count(draw, 2, 3)
    items = draw.sample(about.items, n)
    many = [m for _, m in items]
    names = [slug(m) for m in many]
    first, fall = draw.sample(range(20, 90), n), [draw.choice((0.2, 0.4, 0.5, 0.8, 1, 1.5, 2)) for _ in items]
    hours, most = [level.number(draw, 1, 5) for _ in items], [draw.randint(20, 40) for _ in items]
    there = round(sum(h * m for h, m in zip(hours, most, strict=True)) * draw.uniform(0.35, 0.65))
    objective = total([*zip(first, names, strict=True), *((-f, f"{v}**2") for f, v in zip(fall, names, strict=True))])
    ask = "How many of each should it make for the largest total profit?"
    rule = "the profit on every piece of that kind is lower by a fixed amount for each piece that is made of it"
    sentence = "for {} the profit is ${} a piece less ${} times the number made"
    return Story(
        f"{about.maker} makes {listing(many)}, in whole pieces. The more it makes of one kind, the lower the price: "
        f"{rule}.",
        tuple(Variable(name=v, meaning=f"The number of {m}", kind="integer", high=k)
              for v, m, k in zip(names, many, most, strict=True)),
        "maximize", objective, "The total profit",
        Step(f"{each(many, sentence, first, fall)} {ask}", (f"Maximize {objective}",),
             f"The profit on a piece is the first number of the table less the second times the number made. {ask}"),
        (
            Step(f"{each(many, '{} take {} hours apiece', hours)} There are {there} hours.",
                 (f"{total(zip(hours, names, strict=True))} <= {there}",),
                 f"There are {there} hours, and the table has those of a piece."),
            Step(f"{each(many, 'at most {1} {0} can be made', most)}", (), "The table also has the most that can be "
                                                                           "made."),
        ),
        Table("Products", ("Product", "Profit at first ($)", "Falls by ($)", "Hours", "Most"),
              tuple(tuple(map(told, row)) for row in zip(many, first, fall, hours, most, strict=True))),
    )  # fmt: skip


def pricing(draw: random.Random, level: Level) -> Story:
    """Prices in whole dollars; each product sells less when it is dearer and more when the other is."""
    about = theme(draw)
    (_, a), (_, b) = draw.sample(about.items, 2)
    names = [f"price_of_{slug(a)}", f"price_of_{slug(b)}"]
    base, fall = [draw.randint(12, 40) * 10 for _ in names], [draw.randint(3, 8) for _ in names]
    help_ = [draw.randint(1, 2) for _ in names]
    cost = [draw.randint(4, 20) for _ in names]
    high = [min(90, (k - 1) // f + 15) for k, f in zip(base, fall, strict=True)]
    low = [c + 1 for c in cost]
    sales = [
        f"({base[i]} - {fall[i]}*{names[i]} + "
        f"{help_[i] if help_[i] > 1 else ''}{'*' if help_[i] > 1 else ''}{names[1 - i]})"
        for i in (0, 1)
    ]
    objective = " + ".join(f"({n} - {c})*{s}" for n, c, s in zip(names, cost, sales, strict=True))
    room = round(sum(base) * draw.uniform(0.25, 0.45))
    ask = (
        "Which whole prices in dollars bring the largest profit, which is the sum over both of (price - cost) times "
        "sales?"
    )
    sentence = (
        "the sales of {} in a month are {} less {} for each dollar of their own price, plus {} for each dollar "
        "of the other's price"
    )
    return Story(
        f"{about.maker} sells {a} and {b} and sets their prices. Whoever finds one of them dear buys the other.",
        tuple(Variable(name=v, meaning=f"The price of {m} in dollars", kind="integer", low=lo, high=hi)
              for v, m, lo, hi in zip(names, (a, b), low, high, strict=True)),
        "maximize", objective, "The profit of a month",
        Step(f"{each([a, b], sentence, base, fall, help_)} {each([a, b], '{} cost ${} apiece to make', cost)} {ask}",
             (f"Maximize {objective}",),
             f"The sales of each in a month are the first number of the table, less the second for each dollar of its "
             f"own "
             f"price, plus the third for each dollar of the other's price. The table also has what a piece costs to "
             f"make. {ask}"),
        (
            Step("Sales cannot be negative.", tuple(f"{s} >= 0" for s in sales)),
            Step(f"At most {room} pieces in all can be made in a month, and as many are made as are sold.",
                 (f"{sales[0]} + {sales[1]} <= {room}",)),
            Step(f"{each([a, b], 'a price of {} below ${} or above ${} is out of the question', low, high)}", (),
                 "The table also has the lowest and the highest price that is possible."),
        ),
        Table("Products", ("Product", "First number", "Own price", "Other's "
                                                                   "price", "Cost ($)", "Lowest ($)", "Highest ($)"),
              tuple(tuple(map(told, row)) for row in zip((a, b), base, fall, help_, cost, low, high, strict=True))),
    )  # fmt: skip


def stock(draw: random.Random, level: Level) -> Story:
    """Order quantities that weigh the cost of ordering against that of holding, in a shared store."""
    n = level.count(draw, 2, 3)
    goods = draw.sample(("printers", "monitors", "keyboards", "scanners", "chargers"), n)
    names = [f"order_{g}" for g in goods]
    demands = [draw.randint(10, 60) * 20 for _ in goods]
    fees, holds = [draw.randint(2, 12) * 5 for _ in goods], [draw.choice((2, 3, 4, 5, 6, 8)) for _ in goods]
    space = [draw.randint(1, 4) for _ in goods]
    most = 100
    best = [min(most, (2 * d * f / h) ** 0.5) for d, f, h in zip(demands, fees, holds, strict=True)]
    room = round(sum(s * q for s, q in zip(space, best, strict=True)) * draw.uniform(0.6, 1.1))
    objective = " + ".join(
        f"{d * f}/{v} + {told(h / 2)}*{v}" for d, f, h, v in zip(demands, fees, holds, names, strict=True)
    )
    ask = (
        "How many of each should be in one order so that the yearly cost is lowest? It is the sum, over all goods, of "
        "the fee "
        "times the number of orders in a year (the demand divided by the size of an order, which need not be whole) "
        "and the "
        "cost of holding times half the size of an order."
    )
    sentence = "of {} {} are sold in a year, each order costs a fee of ${}, and holding one for a year costs ${}"
    return Story(
        f"A shop orders {listing(goods)}. An order of one kind is always of the same size, a whole number of at most "
        f"{most}.",
        tuple(Variable(name=v, meaning=f"The number of {g} in one order", kind="integer", low=1, high=most)
              for v, g in zip(names, goods, strict=True)),
        "minimize", objective, "The yearly cost",
        Step(f"{each(goods, sentence, demands, fees, holds)} {ask}", (f"Minimize {objective}",),
             f"The table has the yearly demand, the fee of an order, and the cost of holding one for a year. {ask}"),
        (
            Step(f"{each(goods, 'one of the {} needs {} units of space', space)} There are {room} units of space, and "
                 f"an order "
                 "of each kind must fit at the same time.", (f"{total(zip(space, names, strict=True))} <= {room}",),
                 f"The table also has the space that one needs. There are {room} units of space, and an order of each "
                 f"kind "
                 "must fit at the same time."),
        ),
        Table("Goods", ("Good", "Sold in a year", "Fee of an order ($)", "Holding ($ a year)", "Space"),
              tuple(tuple(map(told, row)) for row in zip(goods, demands, fees, holds, space, strict=True))),
    )  # fmt: skip
