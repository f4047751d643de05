"""Problems of optimization: as data, generated with known answers, and as the stepwise demonstrations of ReSocratic.

::

    from agentopt.problems import generate

    for problem in generate(3, seed=7):
        print(problem.question, problem.answers, problem.formulation)
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentopt._lazy import lazy

if TYPE_CHECKING:
    from agentopt.problems.formulation import Formulation, Variable
    from agentopt.problems.generating import Problem, generate
    from agentopt.problems.scenarios import LINEAR, NONLINEAR, SCENARIOS
    from agentopt.problems.solving import Optimum, find_optimum
    from agentopt.problems.steps import Demonstration, read_demonstration

__all__ = [
    "LINEAR",
    "NONLINEAR",
    "SCENARIOS",
    "Demonstration",
    "Formulation",
    "Optimum",
    "Problem",
    "Variable",
    "find_optimum",
    "generate",
    "read_demonstration",
]

_HOMES = {
    "formulation": "Formulation Variable",
    "generating": "Problem generate",
    "scenarios": "LINEAR NONLINEAR SCENARIOS",
    "solving": "Optimum find_optimum",
    "steps": "Demonstration read_demonstration",
}

__getattr__ = lazy(__name__, _HOMES)
