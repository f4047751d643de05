"""Variables that only ever occur as one sum become that sum: two parts of a variable, or the digits of a number."""

from __future__ import annotations

from fractions import Fraction

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.formulation import Formulation, Variable
from agentopt.evaluate.equivalence.maps import Part, Parts, VariableMap
from agentopt.evaluate.equivalence.reduce import Core
from agentopt.evaluate.equivalence.region import region_of

__all__ = ["merged"]


def merged(core: Core) -> Core:
    """The core with proportional columns put together, where the values that their sum takes are known exactly.

    Variables whose coefficients are proportional in the objective and in every row occur in them as one weighted sum.
    That sum takes the values that ``Parts.covers`` says, no more and no fewer, so the core that has it in their place
    is an exact projection, and every point of it lifts.

    Returns:
        The same core when there is nothing to put together.
    """
    groups = _groups(core)
    f = core.core
    terms: dict[str, Affine] = {}
    parts: list[Parts] = []
    variables = [v for v in f.variables if not any(v.name in (p.name for p in g) for g in groups)]
    taken = {v.name for v in f.variables}
    down = {v.name: Affine.variable(v.name) for v in variables}
    terms |= down
    for group in groups:
        name = "+".join(p.name for p in group)
        while name in taken:
            name += "'"
        made = Parts(of=Affine.variable(name), parts=tuple(group))
        covers = made.covers()
        if covers is None:  # _groups has made sure of it
            continue
        unit, low, high = covers
        variables.append(Variable(name=name, integer=unit is not None, lower=low, upper=high))
        parts.append(made)
        down[name] = Affine.of({p.name: p.ratio for p in group})
    if not parts:
        return core
    up = VariableMap(terms=terms, parts=tuple(parts))
    small = Formulation(
        name=f.name,
        variables=tuple(variables),
        constraints=tuple(c.model_copy(update={"terms": _put(c.terms, parts)}) for c in f.constraints),
        objective=f.objective.model_copy(update={"terms": _put(f.objective.terms, parts)}),
    )
    return Core(core.whole, small, core.lift.after(up), VariableMap(terms=down).after(core.down), region_of(small))


def _put(terms: dict[str, Fraction], groups: list[Parts]) -> dict[str, Fraction]:
    out = dict(terms)
    for group in groups:
        first = group.parts[0]
        c = out.get(first.name, Fraction(0)) / first.ratio
        for p in group.parts:
            out.pop(p.name, None)
        if c:
            out[next(iter(group.of.terms))] = c
    return out


def _groups(core: Core) -> list[list[Part]]:
    """Variables with proportional columns, the one with the smallest coefficients first, of which sums are known."""
    columns: dict[str, dict[str, Fraction]] = {n: {} for n in core.names}
    for c in core.core.constraints:
        for name, x in c.terms.items():
            columns[name][c.name] = x
    for name, x in core.core.objective.terms.items():
        columns[name][""] = x
    groups: list[list[str]] = []
    for name, column in columns.items():
        if not column:
            continue
        home = next((g for g in groups if _ratio(columns[g[0]], column) is not None), None)
        if home is None:
            groups.append([name])
        else:
            home.append(name)
    found: list[list[Part]] = []
    for names in groups:
        names.sort(key=lambda n: abs(next(iter(columns[n].values()))))
        parts = []
        for name in names:
            v = core.core.by_name[name]
            ratio = _ratio(columns[names[0]], columns[name]) or Fraction(1)
            parts.append(Part(name=name, ratio=ratio, lower=v.lower, upper=v.upper, integer=v.integer))
        if len(parts) < 2:
            continue
        covers = Parts(of=Affine(), parts=tuple(parts)).covers()
        if covers is not None and covers[0] in (None, 1):
            found.append(parts)
    return found


def _ratio(a: dict[str, Fraction], b: dict[str, Fraction]) -> Fraction | None:
    """``b`` as a multiple of ``a``."""
    if a.keys() != b.keys():
        return None
    first = next(iter(a))
    ratio = b[first] / a[first]
    return ratio if all(b[k] == ratio * a[k] for k in a) else None
