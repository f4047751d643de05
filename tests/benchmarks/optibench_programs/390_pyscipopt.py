import json

from pyscipopt import Model

m = Model("automation")
m.hideOutput()
a = m.addVar("a", vtype="I", lb=100, ub=1000)
b = m.addVar("b", vtype="I", lb=150, ub=1000)
c = m.addVar("c", vtype="I", lb=0, ub=1000)
ia, ib, ic = (m.addVar(f"i{n}", lb=0, ub=50_000) for n in "abc")
profit = m.addVar("profit", lb=None)
m.addCons(profit == (50 + 0.05 * ia) * a + (70 + 0.07 * ib) * b + (60 + 0.06 * ic) * c)
m.addCons(10 * a + 15 * b + 20 * c + ia + ib + ic <= 50_000)
m.addCons(a + b + c <= 1000)
m.setObjective(profit, "maximize")
m.optimize()
values = [round(m.getVal(v), 4) for v in (a, b, c, ia, ib, ic)] + [round(m.getObjVal(), 2)]

NAMES = [
    "Number of Units of ProductA",
    "Number of Units of ProductB",
    "Number of Units of ProductC",
    "Investment in Automation for ProductA",
    "Investment in Automation for ProductB",
    "Investment in Automation for ProductC",
    "Total Profit",
]
print(json.dumps(dict(zip(NAMES, values))))
