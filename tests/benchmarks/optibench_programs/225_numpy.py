import numpy as np

# area = x (30 - 2 x): the vertex of a parabola
a = np.polynomial.Polynomial([0, 30, -2])
x = float(a.deriv().roots()[0].real)
values = [30 - 2 * x, x, a(x)]

NAMES = ["The length of the rectangle", "The width of the rectangle", "The area of the garden"]
print(dict(zip(NAMES, values)))
