import json

from ortools.linear_solver import pywraplp

hours = {"cutting": (0.5, 2, 0.4), "assembling": (0.75, 2, 3), "finishing": (1, 1, 1)}
solver = pywraplp.Solver.CreateSolver("SCIP")
chairs = [solver.IntVar(0, solver.infinity(), name) for name in ("sling", "adirondack", "hammock")]
for each in hours.values():
    solver.Add(sum(h * c for h, c in zip(each, chairs)) <= 50)
solver.Add(sum(sum(each[i] for each in hours.values()) * c for i, c in enumerate(chairs)) <= 120)
solver.Maximize(40 * chairs[0] + 100 * chairs[1] + 90 * chairs[2])
solver.Solve()
values = [c.solution_value() for c in chairs] + [solver.Objective().Value()]

NAMES = [
    "The number of sling chairs to produce",
    "The number of Adirondack chairs to produce",
    "The number of hammocks to produce",
    "The maximum profit",
]
print(json.dumps(dict(zip(NAMES, values))))
