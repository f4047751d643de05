import json

from pyscipopt import Model

m = Model("trucks")
m.hideOutput()
x, y, z = m.addVar("x", vtype="I", lb=10), m.addVar("y", vtype="I", lb=15), m.addVar("z", vtype="I")
ix, iy, iz = (m.addVar(f"i{n}", ub=10_000) for n in "xyz")
cost = m.addVar("cost", lb=None)
savings = 0.10 * ix * x + 0.12 * iy * y + 0.15 * iz * z
m.addCons(cost == 1000 * x + 1200 * y + 1500 * z - savings)
m.addCons(x + y + z <= 50)
m.addCons(ix + iy + iz <= 10_000)
m.addCons(ix + iy + iz <= savings)
for part, initial, rate in ((ix, 1000, 0.10), (iy, 1200, 0.12), (iz, 1500, 0.15)):
    m.addCons(initial - rate * part >= 0)  # no truck costs less than nothing
m.setObjective(cost, "minimize")
m.optimize()
values = [round(m.getVal(v), 3) for v in (x, y, z, ix, iy, iz)] + [round(m.getObjVal(), 2)]

NAMES = [
    "Number of Trucks for GoodsX",
    "Number of Trucks for GoodsY",
    "Number of Trucks for GoodsZ",
    "Investment in Optimization for GoodsX",
    "Investment in Optimization for GoodsY",
    "Investment in Optimization for GoodsZ",
    "Total Cost",
]
print(json.dumps(dict(zip(NAMES, values))))
