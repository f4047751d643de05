import json

from pyscipopt import Model

m = Model("transport")
m.hideOutput()
cost, most = [100, 80, 120], [5, 6, 4]
vehicles = [m.addVar(f"v{i}", vtype="I", ub=20) for i in range(3)]
trips = [m.addVar(f"t{i}", vtype="I", ub=most[i]) for i in range(3)]
profit = m.addVar("profit", lb=None)
m.addCons(profit == sum(c * v * t for c, v, t in zip(cost, vehicles, trips)))  # revenue is twice the cost
m.addCons(profit <= 1500)
m.addCons(vehicles[0] + vehicles[1] + vehicles[2] <= 20)
m.addCons(sum(v * t for v, t in zip(vehicles, trips)) <= 100)
m.setObjective(profit, "maximize")
m.optimize()
values = [m.getObjVal()]

NAMES = ["Total Profit per day"]
print(json.dumps(dict(zip(NAMES, values))))
