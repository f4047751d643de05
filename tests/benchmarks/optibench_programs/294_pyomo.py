import json

import pyomo.environ as pyo

model = pyo.ConcreteModel()
model.perfume = pyo.Var(domain=pyo.NonNegativeIntegers, bounds=(60, None))
model.cologne = pyo.Var(domain=pyo.NonNegativeIntegers, bounds=(40, None))
model.time = pyo.Constraint(expr=2 * model.perfume + 2.5 * model.cologne <= 700)
model.profit = pyo.Objective(expr=50 * model.perfume + 60 * model.cologne, sense=pyo.maximize)
pyo.SolverFactory("scip_direct").solve(model)
values = [pyo.value(model.perfume), pyo.value(model.cologne), pyo.value(model.profit)]

NAMES = ["The number of perfume bottles filled", "The number of cologne bottles filled", "Total profit"]
print(json.dumps(dict(zip(NAMES, values))))
