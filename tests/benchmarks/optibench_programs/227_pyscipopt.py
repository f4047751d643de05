import json

from pyscipopt import Model, quicksum

rate, most = [5, 4, 3, 2], [10, 8, 6, 4]
m = Model()
m.hideOutput()
hours = [m.addVar(vtype="I", name=f"t{i}", lb=1, ub=u) for i, u in enumerate(most)]
revenue = m.addVar(name="revenue", lb=None)
m.addCons(quicksum(hours) <= 24)
m.addCons(revenue == quicksum(r * t * t for r, t in zip(rate, hours)))
m.setObjective(revenue, "maximize")
m.optimize()
values = [round(m.getVal(t)) for t in hours] + [round(m.getObjVal())]

NAMES = [
    "Baking time for Chocolate cake",
    "Baking time for Vanilla cake",
    "Baking time for Strawberry cake",
    "Baking time for Lemon cake",
    "Total Revenue",
]
print(json.dumps(dict(zip(NAMES, values))))
