import json

from pyscipopt import Model, quicksum

first, second = [15, 20, 25, 30, 35], [20, 25, 30, 35, 40]
m = Model()
m.hideOutput()
workers = [m.addVar(vtype="I", name=f"w{i}", ub=15) for i in range(5)]
time = m.addVar(name="time", lb=0.01, ub=20)
m.addCons(quicksum(workers) <= 40)
m.addCons(time * quicksum(r * w for r, w in zip(first, workers)) >= 200)
m.addCons(time * quicksum(r * w for r, w in zip(second, workers)) >= 300)
m.setObjective(time, "minimize")
m.optimize()
put = [round(m.getVal(w)) for w in workers]
least = max(200 / sum(r * w for r, w in zip(first, put)), 300 / sum(r * w for r, w in zip(second, put)))
values = [*put, least]

NAMES = [
    "Number of Workers on Oven 1",
    "Number of Workers on Oven 2",
    "Number of Workers on Oven 3",
    "Number of Workers on Oven 4",
    "Number of Workers on Oven 5",
    "Minimum Production Time",
]
print(json.dumps(dict(zip(NAMES, values))))
