"""From how a job of the sandbox ended to how a program that solves something ended."""

from __future__ import annotations

import re

from agentopt.evaluate.modelling.claims import claimed
from agentopt.evaluate.modelling.solved import SolveStatus
from agentopt.sandbox import Result

__all__ = ["PACKAGES", "PROMISED", "ending", "lacks"]

PROMISED = {
    "numpy": "agentopt", "scipy": "agentopt", "pyscipopt": "agentopt[evals]", "highspy": "agentopt[evals]",
    "pyomo": "agentopt[evals]", "ortools": "agentopt[evals]", "sympy": "agentopt[evals]",
}  # fmt: skip
"""Packages that programs are told they may use, and what installs them: one that is not here is our fault."""
_FIELD = (
    "amplpy casadi cbcpy clarabel coptpy cplex cvxopt cvxpy deap docplex ecos gams gamspy gekko glpk gurobipy"
    " gurobipy_pandas highspy hexaly ipopt cyipopt jax knitro linopy localsolver lpsolve matplotlib minizinc mip"
    " mosek networkx nlopt optuna ortools osqp pandas picos pulp pycosat pygad pymoo pyomo pyoptsparse pyscipopt"
    " pysat pyswarm python_mip qpsolvers scs seaborn sklearn statsmodels swiglpk sympy tabulate torch xpress z3"
)
PACKAGES = frozenset(_FIELD.split())
"""Packages of the field: importing one that is not installed is ``missing_solver``. Any other name is a crash."""
_LIMITS: dict[str, SolveStatus] = {
    "timeout": "timeout", "cpu": "timeout", "memory": "memory", "forbidden": "forbidden", "processes": "limit",
    "output": "limit", "file_size": "limit", "disk": "limit", "calls": "limit", "items": "limit",
    "lost": "infra",
}  # fmt: skip
_NO_MODULE = re.compile(r"No module named '([\w.]+)'")
_CLEAN_EXIT = ("", "0", "None", "False")
_PROGRAMMING = (
    "ArithmeticError AttributeError FileNotFoundError ImportError IndexError KeyError ModuleNotFoundError NameError"
    " RecursionError TypeError UnboundLocalError ZeroDivisionError"
)
_MISTAKES = frozenset(_PROGRAMMING.split())
"""Exceptions of programming; in any other one a library (or the program itself) may say that there is no optimum."""


def ending(result: Result) -> tuple[SolveStatus | None, str]:
    """The status of a program that did not come to its end, and why; None for one that did.

    ``sys.exit(0)`` is an end like any other. An exception with which a library says that there is no optimum
    counts as that claim.

    >>> from agentopt.sandbox import Failure
    >>> ending(Result("error", error=Failure("ModuleNotFoundError", "No module named 'gurobipy'", 1, "")))[0]
    'missing_solver'
    >>> ending(Result("error", error=Failure("SystemExit", "0", 1, "")))
    (None, '')
    """
    if result.status == "ok":
        return None, ""
    kind, message = (result.error.type, result.error.message) if result.error else ("", "")
    if kind == "SystemExit" and message.strip() in _CLEAN_EXIT:
        return None, ""
    told = result.error.text if result.error else result.status
    if kind in ("ModuleNotFoundError", "ImportError") and (missing := _missing(message)):
        return missing
    if result.status in _LIMITS:
        return _LIMITS[result.status], told
    if result.status == "error" and kind not in _MISTAKES and (claim := claimed(message)):
        seen = claimed(result.stdout) if claim == "not_optimal" else None  # a solver's log knows why
        return seen or claim, told
    return "crashed", told


def lacks(result: Result) -> str:
    """The promised package that a program says is not there; empty when it says so of none.

    What a program says is not yet so: it can raise that exception itself.

    >>> from agentopt.sandbox import Failure
    >>> lacks(Result("error", error=Failure("ModuleNotFoundError", "No module named 'pyomo'", 1, "")))
    'pyomo'
    """
    if result.error is None or result.error.type not in ("ModuleNotFoundError", "ImportError"):
        return ""
    named = _NO_MODULE.search(result.error.message)
    return named[1] if named and named[1] in PROMISED else ""


def _missing(message: str) -> tuple[SolveStatus, str] | None:
    named = _NO_MODULE.search(message)
    package = named[1].partition(".")[0] if named else ""
    if package in PROMISED:
        if named and "." in named[1]:
            return None  # the package is there, and has no such part
        return "infra", f"{package} is not installed here; `pip install '{PROMISED[package]}'` brings it"
    if package in PACKAGES:
        return "missing_solver", f"{package} is not installed here; there are {', '.join(PROMISED)}"
    return None
