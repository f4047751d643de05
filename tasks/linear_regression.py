"""Linear regression in two whole numbers, as a test of optimizers that see function values alone.

After Yang et al. 2024, "Large Language Models as Optimizers" (https://arxiv.org/abs/2309.03409), section 3.1: 50 points
on a line with noise, the squared residuals as the value to minimise, and success when the true pair is proposed.
"""

from __future__ import annotations

import math
import random

from agentopt import Example, Feedback, UsageError, task
from agentopt.evaluate import SplitSpec

BOUND = 50
"""w and b of ``graphs/line.py`` are whole numbers from -50 to 50."""


def loss_of(y: list[float], output: list[float]) -> float:
    """The sum of squared residuals.

    >>> loss_of([1.0, 2.0], [1.0, 4.0])
    4.0
    """
    return math.fsum((a - b) ** 2 for a, b in zip(y, output, strict=True))


def least_squares(x: list[float], y: list[float]) -> tuple[float, float]:
    """Slope and intercept of the line with the smallest sum of squared residuals.

    >>> least_squares([0.0, 1.0, 2.0], [1.0, 3.0, 5.0])
    (2.0, 1.0)
    """
    mean_x, mean_y = math.fsum(x) / len(x), math.fsum(y) / len(y)
    slope = math.fsum((a - mean_x) * (b - mean_y) for a, b in zip(x, y, strict=True))
    slope /= math.fsum((a - mean_x) ** 2 for a in x)
    return slope, mean_y - slope * mean_x


def fit(example: Example, output: object) -> Feedback:
    """``1 / (1 + ln(loss / loss of the true pair))``, 1 from there on; says the loss."""
    y = example.target
    assert isinstance(y, list)
    good = isinstance(output, list) and len(output) == len(y)
    if not good or not all(isinstance(v, int | float) and math.isfinite(v) for v in output):  # type: ignore[attr-defined]
        return Feedback(score=0.0, text=f"The output should be {len(y)} numbers; it is {output!r:.80}.")
    loss = loss_of(y, output)  # type: ignore[arg-type]
    least = example.meta["loss"]
    assert isinstance(least, float)
    score = 1.0 if loss <= least * (1 + 1e-12) else 1 / (1 + math.log(loss / least))
    return Feedback(score=score, text=f"The loss is {loss:.0f}.", parts={"loss": loss})


@task(version=1, split=SplitSpec(search=1, validation=0, test=0))
def linear_regression(w: int = 15, b: int = 14, seed: int = 0, points: int = 50) -> object:
    """Find the two whole numbers at which a function is smallest. Nothing is known of it but its values.

    One problem is one example: there is nothing to generalise to, so there is no test split.

    Args:
        w: the true slope.
        b: the true intercept.
        seed: of the noise, normal with standard deviation 1.
        points: how many, at x = 1, 2, ...
    """
    if points < 2 or not max(abs(w), abs(b)) <= BOUND:
        raise UsageError(
            f"task linear_regression: w={w}, b={b}, points={points}; w and b lie within {BOUND} of 0, "
            "and there are at least 2 points"
        )
    draw = random.Random(f"linear_regression/{seed}")
    x = [float(i + 1) for i in range(points)]
    y = [w * at + b + draw.gauss(0, 1) for at in x]
    slope, intercept = least_squares(x, y)
    meta = {
        "w": w,
        "b": b,
        "loss": loss_of(y, [w * at + b for at in x]),
        "least_squares": [slope, intercept, loss_of(y, [slope * at + intercept for at in x])],
    }
    return [Example(input={"x": x}, target=y, meta=meta)], fit
