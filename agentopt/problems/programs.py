"""A formulation as a program: PySCIPOpt, which prints the answer as a JSON object."""

from __future__ import annotations

import json

from agentopt.problems.formulation import Formulation

__all__ = ["program"]

_KINDS = {"continuous": "C", "integer": "I", "binary": "B"}
_PRECISE = '{model}.setParam("numerics/feastol", 1e-7)'
"""SCIP's own 1e-6 leaves large objectives at 1e-4; with 1e-8 its LP solver gives up on some cubics."""


def program(formulation: Formulation) -> str:
    """A Python program that solves a formulation with SCIP and prints ``{meaning: value}``, the objective last.

    Where there is no optimum it prints SCIP's word for that. The objective is a variable of its own, tied by a
    constraint, because SCIP takes linear objectives only.

    >>> from agentopt.problems.formulation import Variable
    >>> x = Variable(name="x", meaning="chairs", kind="integer", high=9)
    >>> f = Formulation(variables=(x,), sense="maximize", objective="x**2", objective_meaning="profit")
    >>> print(program(f).splitlines()[7])
    x = model.addVar(name="x", vtype="I", lb=0, ub=9)
    """
    taken = {v.name for v in formulation.variables}
    model, goal = (_free(name, taken) for name in ("model", "goal"))
    shown = [*((v.meaning, v.name) for v in formulation.variables), (formulation.objective_meaning, goal)]
    lines = [
        "import json",
        "",
        "from pyscipopt import Model",
        "",
        f"{model} = Model()",
        f"{model}.hideOutput()",
        *([] if formulation.is_linear else [_PRECISE.format(model=model)]),
    ]
    for variable in formulation.variables:
        low, high = ("None" if b is None else f"{b:.15g}" for b in variable.bounds)
        lines.append(
            f'{variable.name} = {model}.addVar(name="{variable.name}", vtype="{_KINDS[variable.kind]}", '
            f"lb={low}, ub={high})"
        )
    lines += [
        f'{goal} = {model}.addVar(name="{goal}", lb=None, ub=None)',
        f"{model}.addCons({goal} == {_side(formulation.objective)})",
        *(f"{model}.addCons({constraint})" for constraint in formulation.constraints),
        f'{model}.setObjective({goal}, "{formulation.sense}")',
        f"{model}.optimize()",
        f'if {model}.getStatus() == "optimal":',
        "    answer = {",
        *(f"        {json.dumps(key, ensure_ascii=False)}: {model}.getVal({name})," for key, name in shown),
        "    }",
        "    print(json.dumps(answer))",
        "else:",
        f"    print({model}.getStatus())",
    ]
    return "\n".join(lines) + "\n"


def _side(text: str) -> str:
    return f"({text})" if any(sign in text for sign in "+-") else text


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
