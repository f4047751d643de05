import json

import pyomo.environ as pyo

NPV = {1: 16_000, 2: 22_000, 3: 12_000, 4: 8_000}
CASH = {1: 5_000, 2: 7_000, 3: 4_000, 4: 3_000}


def build():
    m = pyo.ConcreteModel("stockco")
    m.I = pyo.Set(initialize=list(NPV))
    m.x = pyo.Var(m.I, domain=pyo.Binary)
    m.cash = pyo.Constraint(expr=pyo.quicksum(CASH[i] * m.x[i] for i in m.I) <= 14_000)
    m.npv = pyo.Objective(expr=pyo.quicksum(NPV[i] * m.x[i] for i in m.I), sense=pyo.maximize)
    return m


model = build()
result = pyo.SolverFactory("appsi_highs").solve(model)
assert result.solver.termination_condition == pyo.TerminationCondition.optimal
values = [abs(round(pyo.value(model.x[i]))) for i in NPV] + [pyo.value(model.npv)]

NAMES = ["Investment in 1", "Investment in 2", "Investment in 3", "Investment in 4", "Total NPV"]
print(json.dumps(dict(zip(NAMES, values))))
