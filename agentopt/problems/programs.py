"""A formulation as a program: PySCIPOpt, which prints the answer as a JSON object."""

from __future__ import annotations

import ast
import json

from agentopt.problems.expressions import parse
from agentopt.problems.formulation import Formulation, split_relation

__all__ = ["program"]

_SIGNS: dict[type[ast.operator], str] = {ast.Add: "+", ast.Sub: "-", ast.Mult: "*", ast.Div: "/", ast.Pow: "**"}
_KINDS = {"continuous": "C", "integer": "I", "binary": "B"}
_PRECISE = '{model}.setParam("numerics/feastol", 1e-7)'
"""SCIP's own 1e-6 leaves large objectives at 1e-4; with 1e-8 its LP solver gives up on some cubics."""


def program(formulation: Formulation) -> str:
    """A Python program that solves a formulation with SCIP and prints ``{meaning: value}``, the objective last.

    Where there is no optimum it prints SCIP's word for that. The objective is a variable of its own, tied by a
    constraint, because SCIP takes linear objectives only; divisions are multiplied out, because SCIP 10 calls points
    optimal that are not where it divides by whole-number variables.

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
    ratios: list[str] = []
    objective = _without_ratios(parse(formulation.objective), ratios, model, taken)
    limits = []
    for constraint in formulation.constraints:
        left, relation, right = split_relation(constraint)
        sides = [_without_ratios(parse(side), ratios, model, taken) for side in (left, right)]
        limits.append(f"{model}.addCons({sides[0]} {relation} {sides[1]})")
    lines += [
        *ratios,
        f'{goal} = {model}.addVar(name="{goal}", lb=None, ub=None)',
        f"{model}.addCons({goal} == {objective})",
        *limits,
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


def _without_ratios(tree: ast.expr, made: list[str], model: str, taken: set[str]) -> str:
    """An expression in which a variable stands for each division by what is not constant.

    ``made`` gets the lines that make these variables and tie them: ``ratio * divisor == dividend``.
    """
    match tree:
        case ast.BinOp(left=left, op=ast.Div(), right=right) if any(isinstance(n, ast.Name) for n in ast.walk(right)):
            top, bottom = (_without_ratios(side, made, model, taken) for side in (left, right))
            ratio = _free("ratio", taken)
            made.append(f'{ratio} = {model}.addVar(name="{ratio}", lb=None, ub=None)')
            made.append(f"{model}.addCons({ratio}*({bottom}) == {top})")
            return ratio
        case ast.BinOp(left=left, op=op, right=right):
            sides = [_without_ratios(side, made, model, taken) for side in (left, right)]
            return f"({sides[0]} {_SIGNS[type(op)]} {sides[1]})"
        case ast.UnaryOp(op=ast.USub(), operand=inner):
            return f"(-{_without_ratios(inner, made, model, taken)})"
    return ast.unparse(tree)


def _free(name: str, taken: set[str]) -> str:
    while name in taken:
        name += "_"
    taken.add(name)
    return name
