import json

import pyomo.environ as pe

need = {"A": (20, 10), "B": (10, 20), "C": (10, 30)}
stock = {"A": 200, "B": 120, "C": 150}
m = pe.ConcreteModel()
m.one = pe.Var(domain=pe.NonNegativeIntegers)
m.two = pe.Var(domain=pe.NonNegativeIntegers)
m.stock = pe.Constraint(list(need), rule=lambda m, k: need[k][0] * m.one + need[k][1] * m.two <= stock[k])
m.gain = pe.Objective(expr=5 * m.one + 12 * m.two, sense=pe.maximize)
pe.SolverFactory("scip_direct").solve(m)
values = [pe.value(m.one), pe.value(m.two), pe.value(m.gain)]

NAMES = [
    "The number of type 1 circuits to produce",
    "The number of type 2 circuits to produce",
    "The maximum financial returns",
]
print(json.dumps(dict(zip(NAMES, values))))
