import json

from scipy.optimize import linprog

found = linprog([3, 5], A_ub=[[-2, -4], [-3, -1]], b_ub=[-20, -30], integrality=[1, 1], method="highs")
assert found.status == 0
values = [float(found.x[0]), float(found.x[1]), float(found.fun)]

NAMES = ["The number of vegetable servings", "The number of fruit servings", "The total cost"]
print(json.dumps(dict(zip(NAMES, values))))
