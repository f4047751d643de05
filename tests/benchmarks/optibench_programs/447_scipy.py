import json

from scipy.optimize import linprog

res = linprog(
    c=[-3, -4],
    A_ub=[[6, 12], [7.5, 4.5], [9, 6]],
    b_ub=[900, 675, 1200],
    bounds=[(0, None)] * 2,
    integrality=1,
)
values = [res.x[0].item(), res.x[1].item(), -res.fun]

NAMES = [
    "The number of units of product A to produce",
    "The number of units of product B to produce",
    "The maximum profit",
]
print(json.dumps(dict(zip(NAMES, values))))
