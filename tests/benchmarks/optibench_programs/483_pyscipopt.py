import json

from pyscipopt import Model

m = Model()
m.hideOutput()
tables = m.addVar("tables", vtype="I")
chairs = m.addVar("chairs", vtype="I")
m.addCons(chairs == 4 * tables)
m.addCons(3 * tables + chairs <= 300)
m.addCons(2 * tables + 4 * chairs <= 500)
m.setObjective(35 * tables + 29 * chairs, "maximize")
m.optimize()
values = [f"{m.getVal(tables):.0f} tables", f"{m.getVal(chairs):.0f} chairs", f"${m.getObjVal():,.2f}"]

NAMES = [
    "The number of tables to produce",
    "The number of chairs to produce",
    "The total revenue generated",
]
print(json.dumps(dict(zip(NAMES, values))))
