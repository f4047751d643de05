import json

from pyscipopt import Model

m = Model("trips")
m.hideOutput()
x, y, z = m.addVar("x", vtype="I", ub=50), m.addVar("y", vtype="I", ub=70), m.addVar("z", vtype="I", ub=200)
ux, uy, uz = (m.addVar(f"u{n}", ub=100_000) for n in "xyz")
revenue = m.addVar("revenue", lb=None)
m.addCons(revenue == (1000 + 0.2 * ux) * x + (1500 + 0.3 * uy) * y + (2000 + 0.4 * uz) * z)
m.addCons(500 * x + 750 * y + 1000 * z + ux + uy + uz <= 100_000)
m.addCons(x + y + z <= 200)
m.setObjective(revenue, "maximize")
m.optimize()
values = [round(m.getVal(v), 3) for v in (x, y, z, ux, uy, uz)] + [round(m.getObjVal(), 2)]

NAMES = [
    "Number of Trips for TruckX",
    "Number of Trips for TruckY",
    "Number of Trips for TruckZ",
    "Investment in Upgrading TruckX",
    "Investment in Upgrading TruckY",
    "Investment in Upgrading TruckZ",
    "Total Revenue",
]
print(json.dumps(dict(zip(NAMES, values))))
