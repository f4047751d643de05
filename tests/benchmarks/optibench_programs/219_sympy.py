import json

from sympy import diff, solve, symbols

x = symbols("x", positive=True)
total = x + 10 * 750 / x
(best,) = solve(diff(total, x), x)
values = [float(best), float(750 / best), float(total.subs(x, best))]

NAMES = ["The first number", "The second number", "The minimized sum"]
print(json.dumps(dict(zip(NAMES, values))))
