import json

from pyscipopt import Model

m = Model()
m.hideOutput()
p = m.addVar("p", vtype="I", lb=60, ub=150)
revenue = m.addVar("revenue", lb=None)
m.addCons(revenue <= 750 * p - 5 * p * p)
m.setObjective(revenue, "maximize")
m.optimize()
price = round(m.getVal(p))
values = [price, price * (750 - 5 * price)]

NAMES = ["The optimal price per day to maximize revenue", "The maximum revenue"]
print(json.dumps(dict(zip(NAMES, values))))
