from scipy.optimize import linprog

# maximize x1 + x2, so minimize its negative
found = linprog([-1, -1], A_ub=[[-1, 1], [1, 6], [4, -1]], b_ub=[1, 15, 10], bounds=[(0, None), (0, None)])
values = [found.x[0], found.x[1], -found.fun]

NAMES = ["The value of x1", "The value of x2", "The maximum value of x1 + x2"]
print(dict(zip(NAMES, values)))
