from scipy.optimize import minimize_scalar

# the printed area is width * height = 100; the margins add 2 to the width and 4 to the height
paper = minimize_scalar(lambda w: (w + 2) * (100 / w + 4), bounds=(1, 100), method="bounded", options={"xatol": 1e-10})
values = [paper.x, 100 / paper.x, paper.fun]

NAMES = ["The width of the poster", "The height of the poster", "The area of paper used"]
print(dict(zip(NAMES, values)))
