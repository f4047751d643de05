"""A formulation without its bookkeeping: slack variables, a variable that is the objective, rows that are bounds.

Each step keeps the problem and says how what was taken out comes back (``Core.lift``):

- a row with one variable becomes a bound of it;
- an *objective variable*, continuous, without bounds, alone in the objective and pressed by the optimum against the one
  inequality that it occurs in (``min z`` with ``z >= ...``), gets an equality there; points with slack in it are left
  out, and each of them is dominated by one that stays;
- a continuous variable that occurs in one row only, an equality, is replaced by what the row says of it; its bounds
  become rows. The feasible set that is left is the exact projection, and every point of it lifts to exactly one point.

Where asked for, a *whole* variable that an equality defines by whole variables (``t == t0 + 10 t1``) is replaced
everywhere, however often it occurs: its coefficients keep it whole, so nothing is lost. Which variable an equality
defines is not always plain, so that this is a second way to look at a pair, beside the first.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from functools import cached_property

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.formulation import Constraint, Formulation, Objective, Variable
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.region import Found, Region, Row, best, region_of

__all__ = ["Core", "core_of"]


@dataclass(frozen=True)
class Core:
    """A formulation without its bookkeeping, and the way back."""

    whole: Formulation
    """As it was given."""
    core: Formulation
    """What is left."""
    lift: VariableMap
    """All variables of ``whole`` from those of ``core``."""
    down: VariableMap
    """The variables of ``core`` from those of ``whole``."""
    region: Region
    """The feasible set of ``core``."""
    _found: dict[str, Found] = field(default_factory=dict, compare=False, repr=False)

    @cached_property
    def cost(self) -> Affine:
        """What is to be made small, in the core's variables."""
        return self.core.objective.cost

    def least(self, seconds: float) -> Found:
        """Where the negated cost is largest: the optimum, looked for once."""
        if "" not in self._found:
            self._found[""] = best(self.region, self.cost.times(Fraction(-1)), seconds=seconds)
        return self._found[""]

    @property
    def names(self) -> tuple[str, ...]:
        """The core's variables."""
        return self.region.names


@dataclass
class _Draft:
    variables: dict[str, Variable]
    rows: list[Row]
    cost: Affine
    taken: dict[str, Affine]


def core_of(f: Formulation, *, definitions: bool = False) -> Core:
    """Take the bookkeeping out.

    Args:
        f: as it was given.
        definitions: whether whole variables that an equality defines are taken out, too.

    >>> from agentopt.evaluate.equivalence.formulation import read_formulation
    >>> print(core_of(read_formulation({
    ...     "variables": [{"name": "x", "integer": True, "lower": 0}, {"name": "s", "lower": 0}, {"name": "z"}],
    ...     "constraints": [{"terms": {"x": 2, "s": 1}, "sense": "==", "rhs": 7},
    ...                     {"terms": {"z": 1, "x": -3}, "sense": "<=", "rhs": 0}],
    ...     "objective": {"sense": "max", "terms": {"z": 1}},
    ... })).core)
    max 3 x
      x in [0, 3.5], whole
    """
    rows = [Row(c.gap, c.sense == "==", c.name) for c in f.constraints]
    draft = _Draft(dict(f.by_name), rows, f.objective.cost, {})
    while _to_bounds(draft) or _press(draft) or _take_out(draft) or (definitions and _put_in(draft)):
        pass
    sign = Fraction(1) if f.objective.sense == "min" else Fraction(-1)
    value = draft.cost.times(sign)
    core = Formulation(
        name=f.name,
        variables=tuple(draft.variables.values()),
        constraints=tuple(
            Constraint(name=r.name, terms=dict(r.gap.terms), sense="==" if r.equal else "<=", rhs=-r.gap.constant)
            for r in draft.rows
        ),
        objective=Objective(sense=f.objective.sense, terms=dict(value.terms), constant=value.constant),
    )
    lift = {n: draft.taken.get(n, Affine.variable(n)) for n in f.by_name}
    down = {n: Affine.variable(n) for n in draft.variables}
    return Core(f, core, VariableMap(terms=lift), VariableMap(terms=down), region_of(core))


def _to_bounds(d: _Draft) -> bool:
    """Rows with one variable become bounds."""
    single = [row for row in d.rows if len(row.gap.terms) == 1]
    for row in single:
        ((name, c),) = row.gap.terms.items()
        at, v = -row.gap.constant / c, d.variables[name]
        if row.equal or c > 0:
            v = v.model_copy(update={"upper": at if v.upper is None else min(at, v.upper)})
        if row.equal or c < 0:
            v = v.model_copy(update={"lower": at if v.lower is None else max(at, v.lower)})
        d.variables[name] = v
    d.rows = [row for row in d.rows if len(row.gap.terms) != 1]
    return bool(single)


def _uses(d: _Draft) -> Mapping[str, list[int]]:
    found: dict[str, list[int]] = {name: [] for name in d.variables}
    for i, row in enumerate(d.rows):
        for name in row.gap.terms:
            found[name].append(i)
    return found


def _press(d: _Draft) -> bool:
    """An objective variable meets its one inequality with equality."""
    if len(d.cost.terms) != 1:
        return False
    ((name, c),) = d.cost.terms.items()
    v, at = d.variables[name], _uses(d)[name]
    if v.integer or v.lower is not None or v.upper is not None or len(at) != 1 or d.rows[at[0]].equal:
        return False
    row = d.rows[at[0]]
    if len(row.gap.terms) < 2 or row.gap.terms[name] * c >= 0:  # the optimum moves away from the row
        return False
    d.rows[at[0]] = Row(row.gap, True, row.name)
    return True


def _said(row: Row, name: str) -> Affine:
    rest = Affine({n: c for n, c in row.gap.terms.items() if n != name}, row.gap.constant)
    return rest.times(Fraction(-1) / row.gap.terms[name])


def _take_out(d: _Draft) -> bool:
    """A continuous variable of one equality only is replaced by what it says."""
    if len(d.variables) < 2:
        return False
    able = [
        (bool(d.cost.terms.get(name)), abs(d.rows[at[0]].gap.terms[name]), _order(d.variables[name]), name, at[0])
        for name, at in _uses(d).items()
        if len(at) == 1 and d.rows[at[0]].equal and not d.variables[name].integer and len(d.rows[at[0]].gap.terms) > 1
    ]
    if not able:
        return False
    *_, name, i = min(able, key=lambda a: a[:3])
    _replace(d, name, i)
    return True


def _put_in(d: _Draft) -> bool:
    """A whole variable is replaced by the whole expression that an equality says it is."""
    for i, row in enumerate(d.rows):
        if row.equal and len(row.gap.terms) > 1 and (name := _defined(d, row)):
            _replace(d, name, i)
            return True
    return False


def _defined(d: _Draft, row: Row) -> str:
    """The variable that an equality of whole variables defines: the one that alone stays whole by it, or the one side.

    >>> whole = {n: Variable(name=n, integer=True) for n in ("t", "u", "v")}
    >>> draft = _Draft(whole, [], Affine(), {})
    >>> one, ten = Fraction(1), Fraction(10)
    >>> _defined(draft, Row(Affine({"u": one, "t": -one, "v": ten}), True))  # t == u + 10 v
    't'
    >>> _defined(draft, Row(Affine({"u": one, "v": one}, -ten), True))  # u + v == 10: either could be it
    ''
    """
    if not all(d.variables[name].integer for name in row.gap.terms):
        return ""
    said = {name: _said(row, name) for name in row.gap.terms}
    able = {name: e for name, e in said.items() if all(c.denominator == 1 for c in (*e.terms.values(), e.constant))}
    sides = [name for name, e in able.items() if all(c > 0 for c in e.terms.values())]
    return next(iter(able)) if len(able) == 1 else sides[0] if sides else ""


def _replace(d: _Draft, name: str, i: int) -> None:
    """A variable by what a row says of it; its bounds become rows."""
    row, v = d.rows.pop(i), d.variables.pop(name)
    said = _said(row, name)
    d.rows = [Row(r.gap.put({name: said}), r.equal, r.name) for r in d.rows]
    if v.lower is not None:
        d.rows.append(Row(Affine({}, v.lower).plus(said, Fraction(-1)), name=_free(d, f"{row.name} ({name} low)")))
    if v.upper is not None:
        d.rows.append(Row(said.plus(Affine({}, v.upper), Fraction(-1)), name=_free(d, f"{row.name} ({name} high)")))
    d.cost = d.cost.put({name: said})
    d.taken = {n: e.put({name: said}) for n, e in d.taken.items()} | {name: said}


def _order(v: Variable) -> tuple[bool, Fraction, bool, Fraction]:
    return v.lower is None, v.lower or Fraction(0), v.upper is None, v.upper or Fraction(0)


def _free(d: _Draft, name: str) -> str:
    taken = {row.name for row in d.rows}
    while name in taken:
        name += "'"
    return name
