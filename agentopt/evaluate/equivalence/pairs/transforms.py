"""What is done to a formulation: the transformations c to l of EquivaFormulation, and near misses.

Each takes a formulation and random numbers, and gives the changed one with its map, or None where it cannot be
done. With equal random numbers the same is done to the formulation of every draw of the parameters.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.formulation import Constraint, Formulation, Objective, Variable
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.region import best, region_of

__all__ = ["TRANSFORMS", "Changed", "Transform"]


@dataclass(frozen=True)
class Changed:
    """A changed formulation."""

    formulation: Formulation
    to_reference: VariableMap
    """The old variables from the new ones: of an equivalent one the true map, else what a reader would take for it."""


@dataclass(frozen=True)
class Transform:
    """A transformation by name, what it is, and whether it keeps the problem."""

    name: str
    told: str
    equivalent: bool
    change: Callable[[Formulation, random.Random], Changed | None]


def _same(f: Formulation) -> VariableMap:
    return VariableMap(terms={v.name: Affine.variable(v.name) for v in f.variables})


def _update(f: Formulation, **changes: Any) -> Formulation:
    return Formulation.model_validate({**dict(f), **changes})


def _row(c: Constraint, terms: dict[str, Fraction], rhs: Fraction | None = None) -> Constraint:
    return Constraint(name=c.name, terms=terms, sense=c.sense, rhs=c.rhs if rhs is None else rhs)


def end(f: Formulation, e: Affine, *, largest: bool) -> Fraction | None:
    """The largest (least) value of an expression on the feasible set; None where there is none."""
    found = best(region_of(f), e if largest else e.times(Fraction(-1)))
    return found.value if found.value is None or largest else -found.value


def substituted(
    f: Formulation, values: dict[str, Affine], new: Sequence[Variable], rows: Sequence[Constraint]
) -> Changed:
    """Variables replaced by expressions of new ones, with more rows; bounds of the replaced ones become rows."""
    kept = [v for v in f.variables if v.name not in values]
    changed: list[Constraint] = []
    for c in f.constraints:
        gap = Affine(c.terms, -c.rhs).put(values)
        changed.append(_row(c, dict(gap.terms), -gap.constant))
    goal = f.objective.value.put(values)
    objective = Objective(sense=f.objective.sense, terms=dict(goal.terms), constant=goal.constant)
    made = _update(f, variables=(*kept, *new), constraints=(*changed, *rows), objective=objective)
    terms = {v.name: values.get(v.name, Affine.variable(v.name)) for v in f.variables}
    return Changed(made, VariableMap(terms=terms))


def rename(f: Formulation, draw: random.Random) -> Changed | None:
    """Nothing but the renaming and shuffling that ``renamed`` does to all candidates."""
    return Changed(f, _same(f))


def renamed(changed: Changed, draw: random.Random) -> Changed:
    """Other names, another order, and rows multiplied by numbers, with their sense turned where these are negative."""
    f = changed.formulation
    letters = [a + b for a in "abcdefghjkmnpqrstuvw" for b in ("", "_1", "_2")]
    draw.shuffle(letters)
    names = dict(zip((v.name for v in f.variables), letters, strict=False))
    variables = [v.model_copy(update={"name": names[v.name]}) for v in f.variables]
    rows: list[Constraint] = []
    for c in f.constraints:
        factor = Fraction(draw.choice((1, 1, 1, 2, 10, -1, -1, -3)))
        turned: dict[str, Any] = {"<=": ">=", ">=": "<=", "==": "=="} if factor < 0 else {c.sense: c.sense}
        terms = {names[n]: x * factor for n, x in c.terms.items()}
        rows.append(Constraint(terms=terms, sense=turned[c.sense], rhs=c.rhs * factor))
    draw.shuffle(variables)
    draw.shuffle(rows)
    objective = f.objective.model_copy(update={"terms": {names[n]: x for n, x in f.objective.terms.items()}})
    made = Formulation(variables=tuple(variables), constraints=tuple(rows), objective=objective)
    back = {t: e.put({n: Affine.variable(names[n]) for n in e.terms}) for t, e in changed.to_reference.terms.items()}
    return Changed(made, VariableMap(terms=back))


def digits(f: Formulation, draw: random.Random, *, short: bool = False) -> Changed | None:
    """Whole variables by their decimal digits: one digit more than needed, or (a near miss) one too few."""
    values: dict[str, Affine] = {}
    new: list[Variable] = []
    rows: list[Constraint] = []
    cut = False
    for v in f.variables:
        x = Affine.variable(v.name)
        low, high = end(f, x, largest=False), end(f, x, largest=True)
        if not v.integer or low is None or high is None or low < 0 or (v.lower == 0 and v.upper == 1):
            continue
        count = len(str(int(high)))
        if short and (cut or count < 2):
            continue
        cut = short
        names = [f"{v.name}_{k}" for k in range(count - 1 if short else count + 1)]
        new += [Variable(name=n, integer=True, lower=Fraction(0), upper=Fraction(9)) for n in names]
        values[v.name] = Affine({n: Fraction(10) ** k for k, n in enumerate(names)})
        rows += _bounds(v, values[v.name])
    return substituted(f, values, new, rows) if values else None


def _bounds(v: Variable, e: Affine, *, below: bool = True) -> list[Constraint]:
    """The bounds of a replaced variable as rows; that it is not negative is left out where the parts see to it."""
    rows = []
    if v.lower is not None and not (below and v.lower == 0):
        rows.append(Constraint(name=f"{v.name} low", terms=dict(e.terms), sense=">=", rhs=v.lower - e.constant))
    if v.upper is not None:
        rows.append(Constraint(name=f"{v.name} high", terms=dict(e.terms), sense="<=", rhs=v.upper - e.constant))
    return rows


def cuts(f: Formulation, draw: random.Random) -> Changed | None:
    """Inequalities that follow: sums of rows, and rounded ones where all is whole (Gomory 1958, Chvatal 1973)."""
    rows = [c for c in f.constraints if c.sense != "=="]
    if not rows:
        return None
    added = []
    for i in range(2):
        total = Affine()
        for c in rows:
            total = total.plus(c.gap, Fraction(draw.randint(1, 4), draw.choice((1, 2, 3, 5))))
        sized = all(v.integer and v.lower is not None and v.lower >= 0 for v in f.variables)
        if sized:  # x >= 0, so rounding coefficients down keeps it; then the left side is whole
            terms = {n: Fraction(math.floor(x)) for n, x in total.terms.items()}
            rhs = Fraction(math.floor(-total.constant))
        else:
            terms, rhs = dict(total.terms), -total.constant + draw.randint(0, 2)
        if any(terms.values()):
            added.append(Constraint(name=f"cut{i}", terms=terms, sense="<=", rhs=rhs))
    return Changed(_update(f, constraints=(*f.constraints, *added)), _same(f)) if added else None


def false_cut(f: Formulation, draw: random.Random) -> Changed | None:
    """A near miss: an inequality that the optimum satisfies, and another feasible point does not."""
    optimum = best(region_of(f), f.objective.cost.times(Fraction(-1))).point
    if optimum is None:
        return None
    for v in draw.sample(f.variables, len(f.variables)):
        x, at = Affine.variable(v.name), optimum[v.name]
        high = end(f, x, largest=True)
        reach = at + 10 if high is None else high
        if reach >= at + 1:
            bound = at + Fraction(math.floor((reach - at) / 2)) if reach - at >= 2 else at
            row = Constraint(name="cut", terms={v.name: Fraction(1)}, sense="<=", rhs=bound)
            return Changed(_update(f, constraints=(*f.constraints, row)), _same(f))
    return None


def lifted_objective(f: Formulation, draw: random.Random) -> Changed | None:
    """The objective becomes a variable that a constraint ties to it: an equality, or the inequality that suffices."""
    tie: Any = draw.choice(("==", ">=" if f.objective.sense == "min" else "<="))
    terms = {"zed": Fraction(1)} | {n: -x for n, x in f.objective.terms.items()}
    row = Constraint(name="tie", terms=terms, sense=tie, rhs=f.objective.constant)
    objective = Objective(sense=f.objective.sense, terms={"zed": Fraction(1)})
    variables = (*f.variables, Variable(name="zed"))
    return Changed(_update(f, variables=variables, constraints=(*f.constraints, row), objective=objective), _same(f))


def slacks(f: Formulation, draw: random.Random) -> Changed | None:
    """Inequalities become equalities with a variable that is not negative."""
    new: list[Variable] = []
    rows = []
    for c in f.constraints:
        if c.sense == "==":
            rows.append(c)
            continue
        name = f"slack{len(new)}"
        new.append(Variable(name=name, lower=Fraction(0)))
        sign = Fraction(1) if c.sense == "<=" else Fraction(-1)
        rows.append(Constraint(name=c.name, terms={**c.terms, name: sign}, sense="==", rhs=c.rhs))
    if not new:
        return None
    return Changed(_update(f, variables=(*f.variables, *new), constraints=tuple(rows)), _same(f))


def split(f: Formulation, draw: random.Random, *, tight: bool = False) -> Changed | None:
    """Variables become sums of two parts; (a near miss) parts that cannot make up all values."""
    able = [v for v in f.variables if v.lower is not None]
    chosen = draw.sample(able, draw.randint(1, len(able))) if able else []
    chosen = chosen[:1] if tight else chosen
    values: dict[str, Affine] = {}
    new: list[Variable] = []
    rows: list[Constraint] = []
    for v in chosen:
        names, upper = [f"{v.name}_1", f"{v.name}_2"], None
        if tight:
            x = Affine.variable(v.name)
            high = end(f, x, largest=True)
            reach = Fraction(12) if high is None else high
            if reach < 2:
                return None
            upper = Fraction(max(0, math.floor(reach / 2) - 1))
        new += [Variable(name=n, integer=v.integer, lower=Fraction(0), upper=upper) for n in names]
        values[v.name] = Affine(dict.fromkeys(names, Fraction(1)))
        rows += _bounds(v, values[v.name])
    return substituted(f, values, new, rows) if values else None


def rescale(f: Formulation, draw: random.Random) -> Changed | None:
    """The objective times a number, plus another; or turned round, with the other sense."""
    factor, more = draw.choice((Fraction(2), Fraction(10), Fraction(1, 2), Fraction(1, 3))), draw.choice((0, 0, 7))
    goal, sense = f.objective.value.times(factor).plus(Affine({}, Fraction(more))), f.objective.sense
    if draw.random() < 0.4:
        goal, sense = goal.times(Fraction(-1)), "max" if sense == "min" else "min"
    objective = Objective(sense=sense, terms=dict(goal.terms), constant=goal.constant)
    return Changed(_update(f, objective=objective), _same(f))


def tenths(f: Formulation, draw: random.Random) -> Changed | None:
    """A near miss: whole variables counted in tens and still whole, as some published rescalings do."""
    chosen = [v for v in f.variables if v.integer and not (v.lower == 0 and v.upper == 1)]
    if not chosen:
        return None
    values, new, rows = {}, [], []
    for v in chosen:
        low = None if v.lower is None else v.lower / 10
        new.append(Variable(name=f"{v.name}_tens", integer=True, lower=low))
        values[v.name] = Affine({f"{v.name}_tens": Fraction(10)})
        rows += _bounds(v, values[v.name])
    return substituted(f, values, new, rows)


def loosen(f: Formulation, draw: random.Random) -> Changed | None:
    """A constraint that holds the optimum is dropped or loosened, and the optimum gets better."""
    cost = f.objective.cost
    optimum = best(region_of(f), cost.times(Fraction(-1))).point
    if optimum is None:
        return None
    holding = [c for c in f.constraints if c.sense != "==" and c.gap.value(optimum) == 0]
    dropped = draw.random() < 0.5
    for c in draw.sample(holding, len(holding)):
        made = _loosened(f, c, dropped)
        found = best(region_of(made), cost.times(Fraction(-1)))
        if found.status == "unbounded" or (found.value is not None and -found.value < cost.value(optimum)):
            return Changed(made, _same(f))
    return None


def _loosened(f: Formulation, c: Constraint, dropped: bool) -> Formulation:
    rest = tuple(r for r in f.constraints if r is not c)
    if dropped:
        return _update(f, constraints=rest)
    wider = abs(c.rhs) / 2 + 3
    looser = _row(c, c.terms, c.rhs + (wider if c.sense == "<=" else -wider))
    return _update(f, constraints=(*rest, looser))


def loosen_idle(f: Formulation, draw: random.Random) -> Changed | None:
    """A near miss: a constraint that does not hold the optimum is dropped, and more points become feasible."""
    cost = f.objective.cost
    optimum = best(region_of(f), cost.times(Fraction(-1))).value
    for c in draw.sample(f.constraints, len(f.constraints)):
        made = _update(f, constraints=tuple(r for r in f.constraints if r is not c))
        same = best(region_of(made), cost.times(Fraction(-1))).value
        across = best(region_of(made), c.gap, cap=Fraction(1000)).value
        if optimum is not None and same == optimum and across is not None and across > 0 and c.sense != "==":
            return Changed(made, _same(f))
    return None


TRANSFORMS: dict[str, Transform] = {
    t.name: t
    for t in (
        Transform("c", "other names", True, rename),
        Transform("d", "digits of whole variables", True, digits),
        Transform("e", "valid inequalities", True, cuts),
        Transform("f", "the objective becomes a constraint", True, lifted_objective),
        Transform("g", "slack variables", True, slacks),
        Transform("h", "variables become sums of two parts", True, split),
        Transform("i", "the objective rescaled", True, rescale),
        Transform("l", "a constraint that holds the optimum loosened", False, loosen),
        Transform("d-", "one digit too few", False, lambda f, draw: digits(f, draw, short=True)),
        Transform("e-", "an inequality that cuts off points, not the optimum", False, false_cut),
        Transform("h-", "parts with bounds too tight", False, lambda f, draw: split(f, draw, tight=True)),
        Transform("i-", "whole variables counted in tens", False, tenths),
        Transform("l-", "a constraint dropped that does not hold the optimum", False, loosen_idle),
    )
}
"""By name. ``j`` and ``k``, unrelated formulations, take a second problem and are made by ``make_pair``."""
