from scipy.optimize import minimize

found = minimize(
    lambda v: 2 * (v[0] + v[1]),
    x0=[5.0, 20.0],
    constraints={"type": "eq", "fun": lambda v: v[0] * v[1] - 100},
    bounds=[(0.1, None)] * 2,
    method="SLSQP",
    options={"ftol": 1e-14},
)
values = [*found.x, found.fun]

NAMES = ["The length of the rectangle", "The width of the rectangle", "The perimeter of the rectangle"]
print(dict(zip(NAMES, values)))
