import itertools
import json

rates = [(20, 30, 40), (50, 35, 45), (30, 40, 50), (40, 45, 50), (25, 35, 45)]
need = (120, 150, 200)
best = None
for put in itertools.product(range(0, 21, 5), repeat=5):
    if 0 < sum(put) <= 80:
        made = [sum(r[g] * w for r, w in zip(rates, put)) for g in range(3)]
        time = max(n / m for n, m in zip(need, made))
        if best is None or time < best[0]:
            best = (time, put)
values = [*best[1], best[0]]

NAMES = [
    "Number of Workers on Production Line 1",
    "Number of Workers on Production Line 2",
    "Number of Workers on Production Line 3",
    "Number of Workers on Production Line 4",
    "Number of Workers on Production Line 5",
    "Minimum Time to Meet Weekly Demand",
]
print(json.dumps(dict(zip(NAMES, values))))
