"""What to take and whom to call: projects under a budget, sites that cover districts, workers on shifts."""

from __future__ import annotations

import random

from agentopt.problems.expressions import total
from agentopt.problems.formulation import Variable
from agentopt.problems.scenarios.words import CITIES
from agentopt.problems.story import Level, Step, Story, Table, each, listing, slug, told

__all__ = ["covering", "knapsack", "shifts"]


def knapsack(draw: random.Random, level: Level) -> Story:
    """Projects that are done or not, a budget, and rules of what goes with what."""
    n = level.count(draw) + 2
    projects = draw.sample(
        ("new website", "solar roof", "staff canteen", "delivery van", "loyalty program", "robot arm", "mobile app",
         "training center"), n)  # fmt: skip
    names = [slug(p) for p in projects]
    gains = draw.sample(range(20, 120), n)
    costs = [draw.randint(8, 60) for _ in projects]
    people = [draw.randint(1, 8) for _ in projects]
    budget, staff = round(sum(costs) * draw.uniform(0.45, 0.65)), round(sum(people) * draw.uniform(0.5, 0.75))
    first, second, third = draw.sample(range(n), 3)
    limits = [
        Step(f"{each(projects, 'the {} costs {} thousand dollars', costs)} The budget is {budget} thousand dollars.",
             (f"{total(zip(costs, names, strict=True))} <= {budget}",), f"The budget is {budget} thousand dollars."),
        Step(f"{each(projects, 'the {} needs {} people', people)} There are {staff} people, and nobody can work on "
             f"two.",
             (f"{total(zip(people, names, strict=True))} <= {staff}",),
             f"There are {staff} people, and nobody can work on two."),
        Step(f"The {projects[first]} can only be done if the {projects[second]} is done.",
             (f"{names[first]} <= {names[second]}",)),
        Step(f"The {projects[second]} and the {projects[third]} cannot both be done.",
             (f"{names[second]} + {names[third]} <= 1",)),
    ]  # fmt: skip
    objective = total(zip(gains, names, strict=True))
    ask = "Which projects should be done for the largest total gain?"
    return Story(
        f"A company chooses among {n} projects: {listing([f'the {p}' for p in projects])}. A project is done as a "
        f"whole or "
        "not at all.",
        tuple(Variable(name=v, meaning=f"Whether the {p} is done", kind="binary")
              for v, p in zip(names, projects, strict=True)),
        "maximize", objective, "The total gain in thousands of dollars",
        Step(f"{each(projects, 'the {} brings {} thousand dollars', gains)} {ask}", (f"Maximize {objective}",),
             f"The table has the gain and the needs of each. {ask}"),
        tuple(limits[: max(2, draw.randint(*level.limits))]),
        Table("Projects", ("Project", "Gain (thousand $)", "Cost (thousand $)", "People"),
              tuple(tuple(map(told, row)) for row in zip(projects, gains, costs, people, strict=True))),
    )  # fmt: skip


def covering(draw: random.Random, level: Level) -> Story:
    """Sites such that every district is within reach of one, at the lowest cost."""
    sites = list(draw.sample(CITIES, level.count(draw) + 2))
    names = [f"build_{slug(s)}" for s in sites]
    districts = [f"district {i}" for i in range(1, len(sites) + draw.randint(0, 2))]
    reach = [draw.sample(range(len(sites)), draw.randint(2, max(2, len(sites) - 2))) for _ in districts]
    costs = draw.sample(range(12, 70), len(sites))
    what = draw.choice(("fire stations", "clinics", "charging stations", "libraries"))
    served = [sorted(r) for r in reach]
    objective = total(zip(costs, names, strict=True))
    ask = f"Where should {what} be built so that every district is served at the smallest total cost?"
    yes = tuple(
        (d, *("yes" if i in r else "no" for i in range(len(sites)))) for d, r in zip(districts, served, strict=True)
    )
    return Story(
        f"A county may build {what} in {listing(sites)}.",
        tuple(Variable(name=v, meaning=f"Whether there is one in {s}", kind="binary")
              for v, s in zip(names, sites, strict=True)),
        "minimize", objective, "The total cost in thousands of dollars",
        Step(f"{each(sites, 'one in {} costs {} thousand dollars', costs)} {ask}", (f"Minimize {objective}",)),
        (
            Step(each(districts, "{} can be served from {}", [listing([sites[i] for i in r], "or") for r in served]),
                 tuple(f"{total((1, names[i]) for i in r)} >= 1" for r in served),
                 "The table says from where each district can be served."),
        ),
        Table("Districts that can be served", ("District", *sites), yes),
    )  # fmt: skip


def shifts(draw: random.Random, level: Level) -> Story:
    """Workers who begin at one of several times and stay for a number of periods in a row, around the clock."""
    periods = max(4, min(6, level.count(draw) + 2))
    hours = 24 // periods
    length = draw.choice((2, 3)) if periods > 4 else 2
    starts = [f"{hours * i}:00" for i in range(periods)]
    needs = draw.sample(range(4, 40), periods)
    wages = draw.sample(range(90, 190), periods)
    names = [f"begin_{hours * i}" for i in range(periods)]
    objective = total(zip(wages, names, strict=True))
    ask = "How many workers should begin at each time so that the wages of a day are lowest?"
    at = [[names[(i - k) % periods] for k in range(length)] for i in range(periods)]
    return Story(
        f"A hospital works around the clock. A worker begins at one of {periods} times, {listing(starts, 'or')}, and "
        f"stays "
        f"for {length * hours} hours; the shifts repeat every day.",
        tuple(Variable(name=v, meaning=f"The number of workers who begin at {s}", kind="integer")
              for v, s in zip(names, starts, strict=True)),
        "minimize", objective, "The wages of a day",
        Step(f"{each(starts, 'a worker who begins at {} is paid ${}', wages)} {ask}", (f"Minimize {objective}",),
             f"The table has the wage of a worker who begins at each time. {ask}"),
        (
            Step(f"{each(starts, f'in the {hours} hours from {{}} on at least {{}} workers must be there', needs)}",
                 tuple(f"{total((1, v) for v in sorted(v, key=names.index))} >= {k}"
                       for v, k in zip(at, needs, strict=True)),
                 f"The table also has how many workers must at least be there in the {hours} hours from that time on."),
        ),
        Table("Times", ("Time", "Wage of who begins then ($)", "Workers needed from then on"),
              tuple(tuple(map(told, row)) for row in zip(starts, wages, needs, strict=True))),
    )  # fmt: skip
