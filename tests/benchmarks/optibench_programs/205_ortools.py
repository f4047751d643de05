import json

from ortools.linear_solver import pywraplp

solver = pywraplp.Solver.CreateSolver("GLOP")
pineapples = solver.NumVar(40, solver.infinity(), "pineapples")
bananas = solver.NumVar(60, solver.infinity(), "bananas")
solver.Add(pineapples + bananas <= 200)
solver.Add(bananas <= 4 * pineapples)
solver.Maximize(200 * pineapples + 150 * bananas)
assert solver.Solve() == pywraplp.Solver.OPTIMAL
values = [pineapples.solution_value(), bananas.solution_value(), solver.Objective().Value()]

NAMES = ["The number of acres of pineapples", "The number of acres of bananas", "The maximum profit"]
print(json.dumps(dict(zip(NAMES, values))))
