import json

import highspy

h = highspy.Highs()
h.silent()
trains = h.addIntegral(lb=0)
planes = h.addIntegral(lb=0)
h.addConstr(3 * trains + 4 * planes <= 120)
h.addConstr(3 * trains + 2 * planes <= 90)
h.maximize(8 * trains + 10 * planes)
values = [h.val(trains), h.val(planes), h.getObjectiveValue()]

NAMES = ["The number of trains", "The number of planes", "The total profit"]
print(json.dumps(dict(zip(NAMES, values)), indent=2))
