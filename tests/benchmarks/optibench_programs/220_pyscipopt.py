import json

from pyscipopt import Model, quicksum

kinds = ["compact", "midsize", "large"]
steel = {"compact": 1.5, "midsize": 3, "large": 5}
labor = {"compact": 30, "midsize": 40, "large": 25}
profit = {"compact": 2000, "midsize": 3000, "large": 4000}

m = Model()
m.hideOutput()
cars = {k: m.addVar(vtype="I", name=k) for k in kinds}
made = {k: m.addVar(vtype="B", name=f"made_{k}") for k in kinds}
m.addCons(quicksum(steel[k] * cars[k] for k in kinds) <= 10_000)
m.addCons(quicksum(labor[k] * cars[k] for k in kinds) <= 120_000)
for k in kinds:  # none, or a thousand at least
    m.addCons(cars[k] >= 1000 * made[k])
    m.addCons(cars[k] <= 6000 * made[k])
m.setObjective(quicksum(profit[k] * cars[k] for k in kinds), "maximize")
m.optimize()
values = [m.getVal(cars[k]) for k in kinds] + [m.getObjVal()]

NAMES = [
    "The number of compact cars to produce",
    "The number of midsize cars to produce",
    "The number of large cars to produce",
    "The maximum profit",
]
print(json.dumps(dict(zip(NAMES, values))))
