import json

from pyscipopt import Model

m = Model("devices")
m.hideOutput()
a, b, c = (m.addVar(vtype="I", name=n, lb=0, ub=1000) for n in "abc")
rd = m.addVar(name="rd", lb=0, ub=50_000)
profit = m.addVar(name="profit", lb=None)
m.addCons(profit == (100 - 0.0005 * rd) * a + (150 + 0.0002 * rd) * b + 200 * c - rd)
m.addCons(a + b + c <= 1000)
m.addCons(a >= 2 * b)
m.setObjective(profit, "maximize")
m.optimize()
values = [m.getVal(v) for v in (a, b, c, rd, profit)]

NAMES = [
    "Number of Units of DeviceA",
    "Number of Units of DeviceB",
    "Number of Units of DeviceC",
    "R&D Investment",
    "Total Profit",
]
print(json.dumps(dict(zip(NAMES, values))))
