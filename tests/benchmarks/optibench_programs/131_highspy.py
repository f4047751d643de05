import json

import highspy

price, gain = [120, 52, 18], [11, 4, 2]
h = highspy.Highs()
h.silent()
shares = [h.addIntegral(lb=0) for _ in price]
h.addConstr(sum(p * s for p, s in zip(price, shares)) <= 100_000)
for p, s in zip(price, shares):
    h.addConstr(p * s <= 40_000)
h.addConstr(120 * shares[0] >= 10_000)
h.setOptionValue("mip_rel_gap", 0.0)
h.maximize(sum(g * s for g, s in zip(gain, shares)))
values = [h.val(s) for s in shares] + [h.getObjectiveValue()]

NAMES = [
    "The number of oil stock shares",
    "The number of auto stock shares",
    "The number of pharmaceutical stock shares",
    "The maximum annual income",
]
print(json.dumps(dict(zip(NAMES, values))))
