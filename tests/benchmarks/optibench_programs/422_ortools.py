import json

from ortools.sat.python import cp_model

model = cp_model.CpModel()
canoes = model.new_int_var(0, 1000, "canoes")
diesel = model.new_int_var(0, 1000, "diesel")
model.add(canoes >= 3 * diesel)
model.add(10 * canoes + 15 * diesel >= 1000)
model.minimize(canoes + diesel)
solver = cp_model.CpSolver()
solver.parameters.num_workers = 1
assert solver.solve(model) == cp_model.OPTIMAL
values = [solver.value(canoes), solver.value(diesel), solver.objective_value]

NAMES = ["The number of canoes", "The number of diesel boats", "The total number of boats used"]
print(json.dumps(dict(zip(NAMES, values))))
