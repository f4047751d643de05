import json

import numpy as np
from scipy.optimize import Bounds, LinearConstraint, milp

trips = milp(
    c=[-500, -300],
    constraints=[LinearConstraint([[100, 80]], ub=2000), LinearConstraint([[1, -1]], ub=0)],
    integrality=[1, 1],
    bounds=Bounds(0, np.inf),
)
values = [round(trips.x[0]), round(trips.x[1]), round(-trips.fun)]

NAMES = ["The number of train trips", "The number of truck trips", "The number of chickens transported"]
print(json.dumps(dict(zip(NAMES, values)), indent=2))
