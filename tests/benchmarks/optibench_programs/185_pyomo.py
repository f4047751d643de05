import json

import pyomo.environ as pyo

m = pyo.ConcreteModel()
m.kinds = pyo.Set(initialize=["apartments", "townhouses"])
m.money = pyo.Var(m.kinds, domain=pyo.NonNegativeReals)
m.all = pyo.Constraint(expr=sum(m.money[k] for k in m.kinds) <= 600_000)
m.most = pyo.Constraint(expr=m.money["apartments"] <= 200_000)
m.share = pyo.Constraint(expr=m.money["apartments"] >= 0.5 * m.money["townhouses"])
m.profit = pyo.Objective(expr=0.10 * m.money["apartments"] + 0.15 * m.money["townhouses"], sense=pyo.maximize)
pyo.SolverFactory("highs").solve(m)
values = [pyo.value(m.money["apartments"]), pyo.value(m.money["townhouses"]), pyo.value(m.profit)]

NAMES = ["The money invested in apartments", "The money invested in townhouses", "The maximum profit"]
print(json.dumps(dict(zip(NAMES, values))))
