from pyscipopt import Model

m = Model("diet")
milk = m.addVar("milk", vtype="I", lb=0)
vegetables = m.addVar("vegetables", vtype="I", lb=0)
m.addCons(40 * milk + 15 * vegetables >= 100)
m.addCons(25 * milk + 30 * vegetables >= 50)
m.setObjective(milk + 2 * vegetables, "minimize")
m.optimize()
print("-----------------------------")
print(f"Glasses of milk = {m.getVal(milk):.2f}")
print(f"Plates of vegetables = {m.getVal(vegetables):.2f}")
print(f"Total cost = ${m.getObjVal():,.2f}")
