import json

from scipy.optimize import linprog

# tons of each grade; ratings are weighted averages, so that the total of 500 tons takes them to sums
res = linprog(
    c=[150, 110, 90, 50],
    A_ub=[[-8, -6, -5, -3], [-9, -7, -5, -4], [-8, -5, -6, -5]],
    b_ub=[-7 * 500, -5 * 500, -6 * 500],
    A_eq=[[1, 1, 1, 1]],
    b_eq=[500],
)
values = [*map(float, res.x), res.fun]

NAMES = [
    "The quantity of paper stock 1",
    "The quantity of paper stock 2",
    "The quantity of paper stock 3",
    "The quantity of paper stock 4",
    "The minimum cost",
]
print(json.dumps(dict(zip(NAMES, values))))
