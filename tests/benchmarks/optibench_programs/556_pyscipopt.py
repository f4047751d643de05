from pyscipopt import Model

model = Model("watermelons")
extra = model.addVar(vtype="INTEGER", name="extra", lb=0, ub=30)
obj = model.addVar("obj", lb=None)
model.setObjective(obj, "maximize")
model.addCons(obj <= (20 + extra) * (30 - extra))
model.optimize()

print("-" * 10)
if model.getStatus() == "optimal":
    print("The number of extra watermelon plants: ", model.getVal(extra))
    print("The maximum total output: ", model.getVal(obj))
else:
    print("The problem could not be solved to optimality.")
