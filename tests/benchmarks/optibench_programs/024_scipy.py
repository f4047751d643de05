import json

from scipy.optimize import minimize_scalar

found = minimize_scalar(
    lambda h: -h * (1 - 2 * h) * (0.5 - 2 * h), bounds=(0, 0.25), method="bounded", options={"xatol": 1e-12}
)
h = found.x
values = [h, 1 - 2 * h, 0.5 - 2 * h, -found.fun]

NAMES = [
    "The height of the box",
    "The length of the bottom of the box",
    "The width of the bottom of the box",
    "The maximum volume of the box",
]
print(json.dumps(dict(zip(NAMES, values))))
