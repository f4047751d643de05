import json

from scipy.optimize import minimize

best = minimize(
    lambda v: -v[0] * v[1],
    [10.0, 40.0],
    constraints=[{"type": "eq", "fun": lambda v: 2 * v[0] + 2 * v[1] - 100}],
    bounds=[(0, 50), (0, 50)],
    options={"ftol": 1e-15},
)
values = [round(best.x[0], 5), round(best.x[1], 5), -best.fun]

NAMES = ["The length of the rectangle", "The width of the rectangle", "The maximum area of the rectangle"]
print(json.dumps(dict(zip(NAMES, values))))
