import json

import pyomo.environ as pyo

output, cost = {"s": 500, "w": 700, "h": 1000}, {"s": 10_000, "w": 15_000, "h": 20_000}
m = pyo.ConcreteModel()
m.n = pyo.Var(list(output), domain=pyo.NonNegativeIntegers)
m.budget = pyo.Constraint(expr=sum(cost[k] * m.n[k] for k in cost) <= 1_000_000)
m.least = pyo.Constraint(expr=sum(m.n[k] for k in cost) >= 100)
m.energy = pyo.Constraint(expr=sum(output[k] * m.n[k] for k in cost) >= 10_000)
m.total = pyo.Objective(expr=sum(output[k] * m.n[k] for k in output), sense=pyo.maximize)
pyo.SolverFactory("appsi_highs").solve(m)
values = [pyo.value(m.total)]

NAMES = ["Total daily Energy Output"]
print(json.dumps(dict(zip(NAMES, values))))
