"""Things that go from places to places: transport, assignment, facilities to open."""

from __future__ import annotations

import random

from agentopt.problems.expressions import total
from agentopt.problems.formulation import Variable
from agentopt.problems.scenarios.words import CITIES, PEOPLE
from agentopt.problems.story import Level, Step, Story, Table, each, listing, slug

__all__ = ["assignment", "facility_location", "transport"]


def _matrix(title: str, corner: str, rows: list[str], columns: list[str], cells: list[list[int]]) -> Table:
    return Table(title, (corner, *columns), tuple((r, *map(str, c)) for r, c in zip(rows, cells, strict=True)))


def _routes(rows: list[str], columns: list[str], cells: list[list[int]], pattern: str) -> str:
    sentences = []
    for row, costs in zip(rows, cells, strict=True):
        sentences.append(f"From {row}, {listing([pattern.format(c, k) for c, k in zip(columns, costs, strict=True)])}.")
    return " ".join(sentences)


def transport(draw: random.Random, level: Level) -> Story:
    """Supplies to demands over routes with costs."""
    n, m = level.count(draw, 2, 3), level.count(draw, 2, 4)
    cities = draw.sample(CITIES, n + m)
    plants, shops = cities[:n], cities[n:]
    costs = [[draw.randint(2, 19) for _ in shops] for _ in plants]
    demands = [draw.randint(10, 60) for _ in shops]
    share = -(-sum(demands) // n)
    supplies = [share + draw.randint(0, 15) for _ in plants]
    name = {(p, s): f"{slug(p)}_to_{slug(s)}" for p in plants for s in shops}
    thing = draw.choice(("pallets", "crates", "containers", "barrels"))
    objective = total((costs[i][j], name[p, s]) for i, p in enumerate(plants) for j, s in enumerate(shops))
    ask = f"How many {thing} should be sent on each route so that the total cost is smallest?"
    return Story(
        f"A company ships {thing} from its plants in {listing(plants)} to its warehouses in {listing(shops)}.",
        tuple(Variable(name=name[p, s], meaning=f"The number of {thing} from {p} to {s}", kind="integer")
              for p in plants for s in shops),
        "minimize", objective, "The total cost",
        Step(f"{_routes(plants, shops, costs, f'one of the {thing} to {{}} costs ${{}}')} {ask}",
             (f"Minimize "
              f"{objective}",), f"The table has the cost of one of the {thing} on each route, in dollars. {ask}"),
        (
            Step(f"{each(plants, f'the plant in {{}} has {{}} {thing}', supplies)}",
                 tuple(f"{total((1, name[p, s]) for s in shops)} <= "
                       f"{k}" for p, k in zip(plants, supplies, strict=True))),
            Step(f"{each(shops, f'the warehouse in {{}} needs at least {{}} {thing}', demands)}",
                 tuple(f"{total((1, name[p, s]) for p in plants)} >= "
                       f"{k}" for s, k in zip(shops, demands, strict=True))),
        ),
        _matrix("Cost of each route ($)", "From / to", plants, shops, costs),
    )  # fmt: skip


def assignment(draw: random.Random, level: Level) -> Story:
    """People to jobs, one each."""
    n = max(3, min(4, level.count(draw)))
    people = draw.sample(PEOPLE, n)
    jobs = draw.sample(("audit", "design", "repair", "training", "delivery", "inspection"), n)
    hours = [[draw.randint(3, 29) for _ in jobs] for _ in people]
    name = {(p, j): f"{slug(p)}_{j}" for p in people for j in jobs}
    cells = [(hours[a][b], name[p, j]) for a, p in enumerate(people) for b, j in enumerate(jobs)]
    barred = name[draw.choice(people), draw.choice(jobs)]
    who, what = next(key for key, v in name.items() if v == barred)
    told = " ".join(
        f"{p} needs {listing([f'{k} hours for the {j}' for j, k in zip(jobs, row, strict=True)])}."
        for p, row in zip(people, hours, strict=True)
    )
    ask = "Who should do which job so that the sum of the hours is smallest?"
    return Story(
        f"Each of {listing(people)} is to do one of these jobs, and each job is done by one of them: {listing(jobs)}.",
        tuple(Variable(name=v, meaning=f"Whether {p} does the {j}", kind="binary") for (p, j), v in name.items()),
        "minimize", total(cells), "The total number of hours",
        Step(f"{told} {ask}", (f"Minimize {total(cells)}",), f"The table has the hours that each needs. {ask}"),
        (
            Step("Each of them does exactly one job.",
                 tuple(f"{total((1, name[p, j]) for j in jobs)} == 1" for p in people)),
            Step("Each job is done by exactly one of them.",
                 tuple(f"{total((1, name[p, j]) for p in people)} == 1" for j in jobs)),
            Step(f"{who} cannot do the {what}.", (f"{barred} == 0",)),
        ),
        _matrix("Hours", "Person / job", people, [f"The {j}" for j in jobs], hours),
    )  # fmt: skip


def facility_location(draw: random.Random, level: Level) -> Story:
    """Warehouses that cost something to open, and customers that they serve."""
    n, m = level.count(draw, 2, 3), level.count(draw, 2, 4)
    cities = draw.sample(CITIES, n + m)
    sites, shops = cities[:n], cities[n:]
    demands = [draw.randint(10, 40) for _ in shops]
    rooms = [draw.randint(sum(demands) // 2 + 5, sum(demands)) for _ in sites]
    rents = [draw.randint(10, 60) * 10 for _ in sites]
    costs = [[draw.randint(2, 19) for _ in shops] for _ in sites]
    opened = [f"open_{slug(s)}" for s in sites]
    name = {(s, t): f"{slug(s)}_to_{slug(t)}" for s in sites for t in shops}
    objective = total([
        *zip(rents, opened, strict=True),
        *((costs[i][j], name[s, t]) for i, s in enumerate(sites) for j, t in enumerate(shops)),
    ])  # fmt: skip
    ask = "Which warehouses should be opened, and how much should each send to each shop, for the smallest total cost?"
    rent = each(sites, "a warehouse in {} costs ${} to open", rents)
    return Story(
        f"A retailer may open warehouses in {listing(sites)} to supply its shops in {listing(shops)}.",
        (
            *(Variable(name=v, meaning=f"Whether the warehouse in {s} is opened", kind="binary")
              for v, s in zip(opened, sites, strict=True)),
            *(Variable(name=v, meaning=f"The number of loads from {s} to {t}", kind="integer")
              for (s, t), v in name.items()),
        ),
        "minimize", objective, "The total cost",
        Step(f"{rent} {_routes(sites, shops, costs, 'a load to {} costs ${}')} {ask}", (f"Minimize {objective}",),
             f"{rent} The table has the cost of a load on each route, in dollars. {ask}"),
        (
            Step(f"{each(shops, 'the shop in {} needs {} loads', demands)}",
                 tuple(f"{total((1, name[s, t]) for s in sites)} == {d}" for t, d in zip(shops, demands, strict=True))),
            Step(f"{each(sites, 'if it is opened, the warehouse in {} can send at most {} loads', rooms)} A warehouse "
                 "that is not opened sends nothing.",
                 tuple(f"{total((1, name[s, t]) for t in shops)} <= {r}*{v}"
                       for s, r, v in zip(sites, rooms, opened, strict=True))),
        ),
        _matrix("Cost of a load ($)", "From / to", sites, shops, costs),
    )  # fmt: skip
