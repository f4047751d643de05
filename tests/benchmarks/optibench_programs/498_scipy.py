import numpy as np
from scipy.optimize import LinearConstraint, milp

found = milp(
    c=np.array([-2.0, -2.5]),
    constraints=LinearConstraint(np.array([[15, 12], [3, 4]]), ub=np.array([620, 120])),
    integrality=np.ones(2),
)
values = [*found.x, -found.fun]

NAMES = ["The number of glass jars to package", "The number of plates to package", "The maximum profit"]
print(dict(zip(NAMES, values)))
