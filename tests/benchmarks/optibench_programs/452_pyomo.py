import json

import pyomo.environ as pyo

model = pyo.ConcreteModel()
model.students = pyo.Var(domain=pyo.NonNegativeIntegers)
model.full_time = pyo.Var(domain=pyo.NonNegativeIntegers)
model.enough = pyo.Constraint(expr=model.students + model.full_time >= 100)
model.needed = pyo.Constraint(expr=model.full_time >= 30)
model.experience = pyo.Constraint(expr=2 * model.full_time >= model.students)
model.wages = pyo.Objective(expr=200 * model.students + 500 * model.full_time, sense=pyo.minimize)
pyo.SolverFactory("appsi_highs").solve(model)
values = [pyo.value(model.students), pyo.value(model.full_time), pyo.value(model.wages)]

NAMES = ["The number of student painters", "The number of full-time painters", "The total wage bill"]
print(json.dumps(dict(zip(NAMES, values))))
