import json
import math

from scipy.optimize import minimize_scalar

# half of the base is h = 10 cos t, the other side 10 sin t
found = minimize_scalar(
    lambda t: -200 * math.cos(t) * math.sin(t), bounds=(0, math.pi / 2), method="bounded", options={"xatol": 1e-10}
)
values = [10 * math.sin(found.x), 20 * math.cos(found.x), -found.fun]

NAMES = ["The width of the rectangle", "The height of the rectangle", "The maximum area of the rectangle"]
print(json.dumps(dict(zip(NAMES, values))))
