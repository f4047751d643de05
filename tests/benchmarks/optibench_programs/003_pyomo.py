import json

import pyomo.environ as pyo

m = pyo.ConcreteModel()
m.w = pyo.Var(bounds=(0, 50))
m.area = pyo.Objective(expr=100 * m.w - 2 * m.w**2, sense=pyo.maximize)
pyo.SolverFactory("scip_direct").solve(m)
w = round(pyo.value(m.w), 2)
values = [100 - 2 * w, w, w * (100 - 2 * w)]

NAMES = ["The length of the garden", "The width of the garden", "The maximum area of the garden"]
print(json.dumps(dict(zip(NAMES, values))))
