import json

import numpy as np
from scipy.optimize import LinearConstraint, milp


def main():
    use = np.array([[2.5, 5.0], [1.5, 3.0]])
    found = milp(c=[-200, -500], constraints=LinearConstraint(use, -np.inf, [30, 20]), integrality=[1, 1])
    return [int(round(v)) for v in found.x] + [float(-found.fun)]


values = main()

NAMES = ["The number of bedside tables produced", "The number of bookcases produced", "The total profit"]
print(json.dumps(dict(zip(NAMES, values))))
