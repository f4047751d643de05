from scipy.optimize import minimize_scalar

found = minimize_scalar(lambda x: -x * (300 - x), bounds=(0, 300), method="bounded", options={"xatol": 1e-9})
values = [found.x, 300 - found.x, -found.fun]

NAMES = ["The first number", "The second number", "The product of the two numbers"]
print(dict(zip(NAMES, values)))
