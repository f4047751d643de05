import json

from pyscipopt import Model, quicksum

weights, worth = [3, 6, 5, 5], [15, 25, 12, 10]
model = Model()
model.hideOutput()
take = [model.addVar(vtype="B", name=f"take{i}") for i in range(4)]
model.addCons(quicksum(w * t for w, t in zip(weights, take)) <= 12)
model.setObjective(quicksum(v * t for v, t in zip(worth, take)), "maximize")
model.optimize()
values = [*(round(model.getVal(t)) for t in take), model.getObjVal()]

NAMES = [
    "The decision to put item 1 in the knapsack",
    "The decision to put item 2 in the knapsack",
    "The decision to put item 3 in the knapsack",
    "The decision to put item 4 in the knapsack",
    "The maximum total value of the knapsack",
]
print(json.dumps(dict(zip(NAMES, values))))
