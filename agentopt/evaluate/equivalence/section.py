"""A map back: from "each variable of the reference as an expression of the candidate's" to the other direction."""

from __future__ import annotations

from fractions import Fraction

from agentopt.evaluate.equivalence.affine import Affine
from agentopt.evaluate.equivalence.exact import solve_rows
from agentopt.evaluate.equivalence.maps import Part, Parts, VariableMap
from agentopt.evaluate.equivalence.reduce import Core

__all__ = ["section_of"]


def section_of(given: VariableMap, small: Core, big: Core) -> VariableMap | None:
    """A map of the small core's points to the big one's that ``given`` takes back: ``given(section(x)) == x``.

    Where as many independent expressions as variables are given, the inverse. Else each expression is divided among its
    variables within their bounds (digits, parts of a sum), as long as no two expressions share one; a variable that no
    expression names gets the admitted value nearest to 0. Nothing is promised but that: whether the image is feasible
    is to be checked.

    Args:
        given: the small core's variables from the big one's; affine.
        small: whose points are mapped.
        big: whose variables are sought.

    Returns:
        The map, or None where there is no such one.
    """
    if given.parts or not set(small.names) <= set(given.terms):
        return None
    expressions = {x: given.terms[x] for x in small.names}
    inverse = _inverse(expressions, big.names)
    if inverse is not None:
        return inverse
    seen: set[str] = set()
    terms: dict[str, Affine] = {}
    groups: list[Parts] = []
    for x, e in expressions.items():
        if not e.terms or seen & set(e.terms):
            return None
        seen |= set(e.terms)
        of = Affine.variable(x).plus(Affine({}, e.constant), Fraction(-1))
        if len(e.terms) == 1:
            ((name, c),) = e.terms.items()
            terms[name] = of.times(1 / c)
        elif (loose := _loose(big, list(e.terms))) is not None:
            rest = of
            for name in e.terms:
                if name != loose:
                    at = _part(big, name, e.terms[name]).start
                    terms[name] = Affine({}, at)
                    rest = rest.plus(Affine({}, at), -e.terms[name])
            terms[loose] = rest.times(1 / e.terms[loose])
        else:
            groups.append(Parts(of=of, parts=tuple(_part(big, name, c) for name, c in e.terms.items())))
    for name in big.names:
        if name not in seen:
            terms[name] = Affine({}, _part(big, name, Fraction(1)).start)
    return VariableMap(terms=terms, parts=tuple(groups))


def _inverse(expressions: dict[str, Affine], names: tuple[str, ...]) -> VariableMap | None:
    if len(expressions) != len(names):
        return None
    rows = [e.plus(Affine.variable(_mark(x)), Fraction(-1)) for x, e in expressions.items()]
    solved = solve_rows(rows, names)
    if len(solved) < len(names):
        return None
    back = {_mark(x): Affine.variable(x) for x in expressions}
    return VariableMap(terms={name: solved[name].put(back) for name in names})


def _mark(name: str) -> str:
    return f"{name}\0"  # the two formulations may use the same names


def _part(big: Core, name: str, ratio: Fraction) -> Part:
    v = big.core.by_name[name]
    return Part(name=name, ratio=ratio, lower=v.lower, upper=v.upper, integer=v.integer)


def _loose(big: Core, names: list[str]) -> str | None:
    """A free variable among parts: it can take what is left, whatever that is."""
    free = [n for n in names if big.core.by_name[n].lower is None and big.core.by_name[n].upper is None]
    whole = [n for n in names if big.core.by_name[n].integer]
    return free[0] if free and not whole else None
