import json

from pyomo.environ import *

m = ConcreteModel()
m.circular = Var(within=NonNegativeIntegers)
m.rectangular = Var(within=NonNegativeIntegers)
m.participants = Constraint(expr=5 * m.circular + 4 * m.rectangular >= 500)
m.posters = Constraint(expr=4 * m.circular + 4 * m.rectangular >= 300)
m.space = Constraint(expr=15 * m.circular + 20 * m.rectangular <= 1900)
m.guests = Objective(expr=8 * m.circular + 12 * m.rectangular, sense=maximize)
SolverFactory("appsi_highs").solve(m)
values = [value(m.circular), value(m.rectangular), value(m.guests)]

NAMES = [
    "The number of circular tables",
    "The number of rectangular tables",
    "The total number of catered guests",
]
print(json.dumps(dict(zip(NAMES, values))))
