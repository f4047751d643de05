"""How often programs pass: pass@1, pass@k, pass@any, and how many tries a problem takes.

A *problem* here is the verdicts on its programs in the order in which they were made.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from agentopt.errors import UsageError

__all__ = ["any_by", "iterations_to_solve", "pass_any", "pass_at_k", "solved_within"]

Verdicts = Sequence[bool]
"""Whether each program of a problem passed, in the order in which they were made."""


def pass_at_k(n: int, passed: int, k: int) -> float:
    """The unbiased estimate of the chance that at least one of ``k`` samples passes, from ``n`` samples of a problem.

    ``1 - C(n - passed, k) / C(n, k)``: Chen et al. 2021, "Evaluating Large Language Models Trained on Code",
    arXiv 2107.03374, section 2.1, equation 1, as a product that does not overflow. It holds for samples drawn alike and
    independently; for programs of a search, which depend on each other, use ``any_by``.

    Args:
        n: samples drawn.
        passed: how many of them passed.
        k: how many would be drawn; at most ``n``.

    Raises:
        UsageError: ``k`` is above ``n``, or a count does not fit.

    >>> pass_at_k(10, 3, 1), round(pass_at_k(10, 3, 5), 4)
    (0.3, 0.9167)
    """
    if not (0 <= passed <= n and 1 <= k <= n):
        raise UsageError(f"pass_at_k: n={n}, passed={passed}, k={k}; 0 <= passed <= n and 1 <= k <= n must hold")
    if n - passed < k:
        return 1.0
    if k == 1:
        return passed / n
    return 1.0 - math.prod(1.0 - k / i for i in range(n - passed + 1, n + 1))


def any_by(verdicts: Verdicts, at: int) -> bool:
    """Whether any of the first ``at`` programs passes: the search found it, whether or not it knew.

    >>> any_by([False, True], 1), any_by([False, True], 2)
    (False, True)
    """
    return any(verdicts[:at])


def pass_any(problems: Sequence[Verdicts], at: int | None = None) -> float:
    """The share of problems of which any program passes, of the first ``at`` ones: choice by an oracle.

    Raises:
        UsageError: there are no problems.

    >>> pass_any([[False, True], [False, False]])
    0.5
    """
    if not problems:
        raise UsageError("pass_any: there are no problems")
    return sum(any(verdicts[:at]) for verdicts in problems) / len(problems)


def iterations_to_solve(problems: Sequence[Verdicts], budget: int) -> tuple[float, float | None]:
    """How many programs were made before the first that passes: on average over all problems, and over the hard ones.

    Counted from 0; a problem that is not solved counts ``budget``. The second number is of the problems that the first
    program does not solve; None when there are none. Light et al. 2024, section 4 ("incl." and "excl.").

    Args:
        problems: verdicts of each.
        budget: programs that a problem gets.

    Raises:
        UsageError: there are no problems, or a problem has more programs than the budget.

    >>> iterations_to_solve([[True], [False, True], [False, False]], budget=2)
    (1.0, 1.5)
    """
    if not problems or budget < 1:
        raise UsageError(f"iterations_to_solve: {len(problems)} problems with a budget of {budget} programs")
    if (longest := max(len(verdicts) for verdicts in problems)) > budget:
        raise UsageError(f"iterations_to_solve: a problem has more programs ({longest}) than the budget of {budget}")
    counts = [list(verdicts).index(True) if any(verdicts) else budget for verdicts in problems]
    hard = [count for count in counts if count > 0]
    return math.fsum(counts) / len(counts), math.fsum(hard) / len(hard) if hard else None


def solved_within(
    costs: Sequence[Sequence[float]], problems: Sequence[Verdicts], limits: Sequence[float]
) -> list[float]:
    """The share of problems of which a passing program was made within each limit of cost.

    Args:
        costs: for each problem, what had been spent (tokens, calls, ...) when each program was there; not falling.
        problems: verdicts of the same programs.
        limits: of the cost, a share of problems for each.

    Raises:
        UsageError: there are no problems, or costs and verdicts do not fit together.

    >>> solved_within([[100, 250], [90, 180]], [[False, True], [True, True]], [90, 100, 300])
    [0.5, 0.5, 1.0]
    """
    if not problems or [len(c) for c in costs] != [len(v) for v in problems]:
        raise UsageError("solved_within: each problem needs as many costs as verdicts, and there must be one")
    first = [
        next((cost for cost, good in zip(spent, verdicts, strict=True) if good), math.inf)
        for spent, verdicts in zip(costs, problems, strict=True)
    ]
    return [sum(cost <= limit for cost in first) / len(first) for limit in limits]
