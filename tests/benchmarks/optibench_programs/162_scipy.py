from scipy.optimize import linprog

land, budget, labor = [1, 1], [90, 120], [50, 40]
limits = [800, 90_000, 36_000]
first = linprog([-42, -35], A_ub=[land, budget, labor], b_ub=limits)
second = linprog([-40, -45], A_ub=[land, budget, labor], b_ub=limits)
values = [*first.x, -first.fun, *second.x, -second.fun]

NAMES = [
    "The number of acres of winter wheat to plant",
    "The number of acres of rye to plant",
    "The maximum profit",
    "New optimal number of acres of winter wheat to plant",
    "New optimal number of acres of rye to plant",
    "New maximum profit",
]
print(dict(zip(NAMES, values)))
