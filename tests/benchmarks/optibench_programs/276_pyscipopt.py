import json

from pyscipopt import Model

m = Model()
m.hideOutput()
x1, x2 = m.addVar("x1", vtype="I"), m.addVar("x2", vtype="I")
y1, y2 = m.addVar("y1", vtype="B"), m.addVar("y2", vtype="B")
m.addCons(3 * x1 + 6 * x2 <= 120)
m.addCons(x1 <= 40 * y1)
m.addCons(x2 <= 20 * y2)
m.setObjective(2 * x1 + 5 * x2 - 10 * y1 - 20 * y2, "maximize")
m.optimize()
values = [m.getVal(x1), m.getVal(x2), m.getObjVal()]

NAMES = [
    "The number of units of product 1 to produce",
    "The number of units of product 2 to produce",
    "The total profit",
]
print("solved {1 of 1}")
print("answer:", json.dumps(dict(zip(NAMES, values))), "(end)")
