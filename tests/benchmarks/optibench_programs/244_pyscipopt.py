import json

from pyscipopt import Model

model = Model("play area")
model.hideOutput()
model.setParam("numerics/feastol", 1e-9)
width = model.addVar("width", lb=0, ub=50)
area = model.addVar("area", lb=None)
# length = 100 - 2 * width, so that area = 100 w - 2 w^2, and 1250 - area is a square
square = model.addVar("square", lb=0)
shift = model.addVar("shift", lb=None)
model.addCons(shift == width - 25)
model.addCons(square >= 2 * shift * shift)
model.addCons(area == 1250 - square)
model.setObjective(area, "maximize")
model.optimize()
w = round(model.getVal(width), 3)
values = [100 - 2 * w, w, (100 - 2 * w) * w]

NAMES = ["The length of the play area", "The width of the play area", "The maximum area of the play area"]
print(json.dumps(dict(zip(NAMES, values))))
