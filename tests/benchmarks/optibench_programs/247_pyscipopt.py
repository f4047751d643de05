import json

from pyscipopt import Model

m = Model()
m.hideOutput()
seasonal = m.addVar(vtype="I", name="seasonal")
full_time = m.addVar(vtype="I", name="full_time", lb=10)
m.addCons(2 * seasonal + 5 * full_time <= 200)
m.addCons(seasonal <= 0.3 * (seasonal + full_time))
m.setObjective(5 * seasonal + 8 * full_time, "maximize")
m.optimize()
values = [m.getVal(seasonal), m.getVal(full_time), m.getObjVal()]

NAMES = [
    "The number of seasonal volunteers",
    "The number of full-time volunteers",
    "The total number of gifts delivered",
]
answer = dict(zip(NAMES, values))
last = NAMES[-1]
print(json.dumps({"status": "optimal", last: answer.pop(last), "variables": answer}))
