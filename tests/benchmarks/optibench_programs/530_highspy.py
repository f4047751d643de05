import json

import highspy

h = highspy.Highs()
regular = h.addVariable(lb=0, type=highspy.HighsVarType.kInteger)
special = h.addVariable(lb=0, type=highspy.HighsVarType.kInteger)
h.addConstr(2 * regular + 3 * special <= 40)
h.addConstr(3 * regular + 5 * special <= 70)
h.maximize(3 * regular + 4 * special)
values = [h.val(regular), h.val(special), h.getObjectiveValue()]

NAMES = ["The number of regular sandwiches", "The number of special sandwiches", "Total profit"]
print(json.dumps(dict(zip(NAMES, values))))
