from pyscipopt import Model

model = Model("food truck")
tacos = model.addVar(vtype="INTEGER", name="tacos", lb=50, ub=80)
burritos = model.addVar(vtype="INTEGER", name="burritos", lb=30, ub=50)
obj = model.addVar("obj", lb=None)
model.setObjective(obj, "maximize")
model.addCons(obj == 3 * tacos + 6 * burritos)
model.addCons(tacos + burritos <= 100)
model.optimize()

print("-" * 10)
if model.getStatus() == "optimal":
    print("The number of tacos to sell: ", model.getVal(tacos))
    print("The number of burritos to sell: ", model.getVal(burritos))
    print("The maximum profit: ", model.getVal(obj))
else:
    print("The problem could not be solved to optimality.")
