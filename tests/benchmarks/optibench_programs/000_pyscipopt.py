import json

from pyscipopt import Model

# k: how often the price is lowered by 10 cents
model = Model()
model.hideOutput()
k = model.addVar(vtype="I", name="k", lb=0, ub=15)
profit = model.addVar(name="profit", lb=None)
model.addCons(profit <= (1.5 - 0.1 * k - 0.5) * (5000 + 1000 * k) - 2000)
model.setObjective(profit, "maximize")
model.optimize()
values = [model.getObjVal()]

NAMES = ["The maximum profit you can get"]
print(json.dumps(dict(zip(NAMES, values))))
