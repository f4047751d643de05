from scipy.optimize import linprog

# labor costs and brings nothing: one hour an acre, the least that is allowed
income = [500 * 0.20, 700 * 0.15, 400 * 0.25]
wage = [10, 12, 8]
net = [i - w for i, w in zip(income, wage)]
acres = linprog(
    [-n for n in net], A_ub=[[1, 1, 1], [1, 1, 1]], b_ub=[100, 500], bounds=[(30, None), (0, None), (0, None)]
)
values = [*acres.x, 1, 1, 1, -acres.fun]

NAMES = [
    "Number of Wheat Acres",
    "Number of Corn Acres",
    "Number of Soybeans Acres",
    "Hours of Labor per Acre for Wheat",
    "Hours of Labor per Acre for Corn",
    "Hours of Labor per Acre for Soybeans",
    "Total Profit",
]
print(dict(zip(NAMES, values)))
