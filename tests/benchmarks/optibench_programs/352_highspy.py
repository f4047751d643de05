import json

import highspy
import numpy as np

h = highspy.Highs()
h.setOptionValue("output_flag", False)
inf = highspy.kHighsInf
h.addVars(2, np.zeros(2), np.full(2, inf))
h.changeColsCost(2, np.array([0, 1]), np.array([200.0, 100.0]))
h.changeColsIntegrality(2, np.array([0, 1]), np.array([highspy.HighsVarType.kInteger] * 2))
h.changeObjectiveSense(highspy.ObjSense.kMaximize)
h.addRow(-inf, 200.0, 2, np.array([0, 1]), np.array([1.0, 1.0]))
h.addRow(-inf, 20000.0, 2, np.array([0, 1]), np.array([250.0, 150.0]))
h.run()
values = [*h.getSolution().col_value, h.getInfo().objective_function_value]

NAMES = ["The number of dining tables", "The number of coffee tables", "The total profit"]
print(json.dumps(dict(zip(NAMES, values))))
