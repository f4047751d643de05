"""The check: two formulations and a level in, a verdict with maps and witness out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import Literal

from agentopt.errors import UsageError
from agentopt.evaluate.equivalence.clock import OutOfTime, Starved, within
from agentopt.evaluate.equivalence.execution import ends, same_value
from agentopt.evaluate.equivalence.formulation import Formulation
from agentopt.evaluate.equivalence.levels import differ, levels_of
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.merge import merged
from agentopt.evaluate.equivalence.optima import optima_to_optima
from agentopt.evaluate.equivalence.rechecking import recheck
from agentopt.evaluate.equivalence.reduce import Core, core_of
from agentopt.evaluate.equivalence.regions import Outcome, extends
from agentopt.evaluate.equivalence.renaming import find_renaming
from agentopt.evaluate.equivalence.section import section_of
from agentopt.evaluate.equivalence.verdict import Equivalence, Limits, Scope, Verdict

__all__ = ["equivalence"]


def equivalence(
    reference: Formulation,
    candidate: Formulation,
    *,
    level: Literal[1, 2, 3] = 3,
    to_reference: VariableMap | None = None,
    to_candidate: VariableMap | None = None,
    limits: Limits | None = None,
) -> Equivalence:
    """Whether two formulations are the same problem.

    Args:
        reference: what is meant.
        candidate: what is judged.
        level: 1 compares optimal values; 2 asks whether maps send optima to optima, in both directions; 3 asks whether
            one feasible set is an exact image of the other and the objectives order points alike.
        to_reference: the reference's variables from the candidate's, affine. Without one, all renamings of variables
            are tried, after slack variables, objective variables, parts and digits were taken out.
        to_candidate: the candidate's variables from the reference's; without one it is made of ``to_reference``.
        limits: tolerance and time; a check that is ended by its ``total`` is undecided, and its reason says so. Where
            the clock ended it and the machine was busy, the result is ``starved``, too.

    Returns:
        The verdict. What each verdict of each level proves is on the page ``docs/equivalence.md``.

    Raises:
        UsageError: a map names a variable that is not there, or leaves one out.

    >>> from agentopt.evaluate.equivalence import read_text
    >>> whole = read_text("max 3 a + 2 b\\n a + b <= 4\\n a, b >= 0\\n int a, b")
    >>> tens = read_text("max 30 x1 + 3 x0 + 2 y\\n 10 x1 + x0 + y <= 4\\n 0 <= x0 <= 9\\n x1, y >= 0\\n int x0, x1, y")
    >>> said = equivalence(whole, tens)
    >>> said.verdict, str(said.to_reference).splitlines()
    ('equivalent', ['a = x0 + 10 x1', 'b = y'])
    >>> loose = read_text("max 3 x + 2 y\\n x + y <= 5\\n x, y >= 0\\n int x, y")
    >>> equivalence(whole, loose).witness.text
    "the candidate's point x=5, y=0 is feasible, but (a=5, b=0 in the reference) breaks c1: a + b <= 4 (5 > 4)"
    """
    began, used = time.perf_counter(), time.thread_time()
    limits = limits or Limits()
    try:
        with within(limits.total):
            pair = _Pair(reference, candidate, to_reference, to_candidate, limits)
            found = {1: pair.execution, 2: pair.optima, 3: pair.regions}[level]()
    except OutOfTime as error:
        starved = isinstance(error, Starved)
        found = Equivalence(verdict="undecided", level=level, reason=str(error), starved=starved)
    spent = {"seconds": time.perf_counter() - began, "processor": time.thread_time() - used}
    return found.model_copy(update=spent)


class _Pair:
    """Two formulations under comparison."""

    def __init__(
        self,
        reference: Formulation,
        candidate: Formulation,
        to_reference: VariableMap | None,
        to_candidate: VariableMap | None,
        limits: Limits,
    ) -> None:
        self.a, self.b, self.limits = core_of(reference), core_of(candidate), limits
        self.down = _on_cores("to_reference", to_reference, self.a, self.b)
        self.up = _on_cores("to_candidate", to_candidate, self.b, self.a)

    def execution(self) -> Equivalence:
        """Level 1."""
        return self._said(1, same_value(self.a, self.b, self.limits), "the optimal values are equal", self.a, self.b)

    def optima(self) -> Equivalence:
        """Level 2."""
        la, lb = ends(self.a, self.limits), ends(self.b, self.limits)
        apart = differ(self.a, self.b, la, lb)
        if apart.status == "broken":
            return self._said(2, apart, "", self.a, self.b, scope="any maps")
        if not (la.bounded and lb.bounded):
            return self._said(2, Outcome("open", _no_optimum(la.feasible, lb.feasible)), "", self.a, self.b)
        a, b, down, up = self._maps()
        if down is None:
            return self._said(2, Outcome("open", "there is no map of the variables to check"), "", a, b)
        there = optima_to_optima(b, a, down, self.limits, side="candidate")
        if there.status != "holds":
            return self._said(2, there, "", a, b, down, up, scope="these maps")
        if up is None:
            reason = "the candidate's optima are mapped to optima, and there is no map back"
            return self._said(2, Outcome("open", reason), "", a, b, down, up)
        back = optima_to_optima(a, b, up, self.limits, side="reference")
        return self._said(2, back, "optima are mapped to optima, both ways", a, b, down, up, scope="these maps")

    def _maps(self) -> tuple[Core, Core, VariableMap | None, VariableMap | None]:
        """The maps that level 2 checks, and between which cores."""
        if self.down is not None:
            return self.a, self.b, self.down, self.up or section_of(self.down, self.a, self.b)
        if self.up is not None:
            return self.a, self.b, section_of(self.up, self.b, self.a), self.up
        a, b, outcome, down, _ = self._search()
        return a, b, down, outcome.up or (section_of(down, a, b) if down is not None else None)

    def regions(self) -> Equivalence:
        """Level 3."""
        empty = [core.least(self.limits.seconds).status == "empty" for core in (self.a, self.b)]
        if all(empty):
            reason = "neither has a feasible point, and of no points everything is true"
            return self._said(3, Outcome("open", reason), "", self.a, self.b)
        return self._found() if self.down is None and self.up is None else self._given()

    def _found(self) -> Equivalence:
        """Level 3 with maps that are looked for; what no map can change is asked first where the likeliest fails."""
        a, b, outcome, down, every = self._search(hopeless=lambda: self.apart.status == "broken")
        if outcome.status == "holds":
            return self._said(3, outcome, _SAME, a, b, down, outcome.up)
        if self.apart.status == "broken":
            return self._said(3, self.apart, "", self.a, self.b, scope="any maps")
        if outcome.status == "broken" and not every:
            outcome = Outcome("open", f"no renaming was found that holds; the likeliest fails: {outcome.reason}")
        return self._said(3, outcome, "", a, b, down, outcome.up, scope="renamings")

    def _given(self) -> Equivalence:
        """Level 3 with maps that are given."""
        a, b = self.a, self.b
        one = self._orient(self.down, self.up, swapped=False)
        if one.status == "holds":
            return self._said(3, one, _SAME, a, b, self.down, one.up)
        two = self._orient(self.up, self.down, swapped=True)
        if two.status == "holds":
            turned = Outcome("holds", "", two.exact, None, 1 / two.factor if two.factor else None)
            return self._said(3, turned, _SAME, a, b, two.up, self.up)
        outcome = next((o for o in (one, two) if o.status == "broken"), one if self.down is not None else two)
        if outcome.status == "open" and self.apart.status == "broken":
            return self._said(3, self.apart, "", a, b, self.down, self.up, scope="any maps")
        return self._said(3, outcome, "", a, b, self.down, self.up or one.up, scope="these maps")

    @cached_property
    def apart(self) -> Outcome:
        """Whether they differ in what no map can change."""
        return differ(self.a, self.b, levels_of(self.a, self.limits), levels_of(self.b, self.limits))

    def _orient(self, down: VariableMap | None, up: VariableMap | None, *, swapped: bool) -> Outcome:
        """Whether the candidate extends the reference, or (swapped) the other way round."""
        if down is None:
            return Outcome("open", "there is no map in this direction")
        if down.parts:
            return Outcome("open", "a map that divides values reaches all points only with the affine map back")
        small, big = (self.b, self.a) if swapped else (self.a, self.b)
        outcome = extends(big, small, down, self.limits, side="reference" if swapped else "candidate", up=up)
        shown = outcome.witness
        unreached = shown is not None and shown.kind == "unrepresented"
        if outcome.status == "broken" and up is None and unreached and len(small.names) > len(big.names):
            return Outcome("open", f"the map reaches a part only, and there is no map back: {outcome.reason}")
        return outcome

    def _search(
        self, hopeless: Callable[[], bool] | None = None
    ) -> tuple[Core, Core, Outcome, VariableMap | None, bool]:
        """Maps without a model, between the cores or the cores with parts put together, also without definitions."""
        first = None
        for a, b in self._views():
            found = find_renaming(a, b, self.limits, hopeless=hopeless)
            said = a, b, found.outcome, found.down, found.complete
            if found.outcome.status == "holds":
                return said
            if first is None or first[2].witness is None:
                first = said
        assert first is not None
        return first

    def _views(self) -> Iterator[tuple[Core, Core]]:
        """Pairs of cores to look for maps between, the plainest first."""
        plain = self.a, self.b
        yield plain
        yield from _merged(plain)
        bare = tuple(core_of(core.whole, definitions=True) for core in plain)
        if any(one.names != core.names for one, core in zip(bare, plain, strict=True)):
            yield bare[0], bare[1]
            yield from _merged((bare[0], bare[1]))

    def _said(
        self,
        level: Literal[1, 2, 3],
        outcome: Outcome,
        holds: str,
        a: Core,
        b: Core,
        down: VariableMap | None = None,
        up: VariableMap | None = None,
        *,
        scope: Scope = "",
    ) -> Equivalence:
        verdicts: dict[str, Verdict] = {"holds": "equivalent", "broken": "not equivalent", "open": "undecided"}
        verdict = verdicts[outcome.status]
        result = Equivalence(
            verdict=verdict,
            level=level,
            reason=holds if verdict == "equivalent" else outcome.reason,
            scope=scope if verdict == "not equivalent" else "",
            proof=("exact" if outcome.exact else "solver") if verdict == "equivalent" else "",
            to_reference=None if down is None else a.lift.after(down).after(b.down),
            to_candidate=None if up is None else b.lift.after(up).after(a.down),
            factor=outcome.factor,
            witness=outcome.witness,
            reference=self.a.whole if outcome.witness else None,
            candidate=self.b.whole if outcome.witness else None,
        )
        if verdict == "not equivalent":
            shows = outcome.witness is not None and outcome.witness.kind in _PROVES
            proved = level == 3 and scope == "these maps" and shows and _rechecked(result)
            return result.model_copy(update={"proof": "exact" if proved else "solver"})
        return result


_PROVES = ("outside", "unrepresented", "order", "factor", "empty")
"""Witnesses of which nothing rests on the solver, once they were checked again."""


def _rechecked(result: Equivalence) -> bool:
    """Whether the witness is shown again; where the time is up, it rests on the solver."""
    try:
        return recheck(result) is True
    except OutOfTime:
        return False


_SAME = "one feasible set is the exact image of the other, and the objectives order points alike"


def _merged(pair: tuple[Core, Core]) -> Iterator[tuple[Core, Core]]:
    """The pair with parts put together, where there are any."""
    together = merged(pair[0]), merged(pair[1])
    if together[0] is not pair[0] or together[1] is not pair[1]:
        yield together


def _no_optimum(a: bool | None, b: bool | None) -> str:
    if a is False and b is False:
        return "neither has a feasible point"
    return "there is no optimum, or it is not known, in one or both"


def _on_cores(name: str, given: VariableMap | None, target: Core, source: Core) -> VariableMap | None:
    """A map between the given formulations as one between their cores."""
    if given is None:
        return None
    whole, read = set(target.whole.by_name), set(source.whole.by_name)
    if unknown := set(given.targets) - whole:
        raise UsageError(f"{name} gives {sorted(unknown)[0]!r}, which the target does not have; it has {sorted(whole)}")
    if unknown := given.sources - read:
        raise UsageError(f"{name} reads {sorted(unknown)[0]!r}, which the source does not have; it has {sorted(read)}")
    if missing := [n for n in target.names if n not in given.targets]:
        raise UsageError(f"{name} says nothing of {missing[0]!r}; give an expression for each of {list(target.names)}")
    terms = {n: given.terms[n].put(source.lift.terms) for n in target.names if n in given.terms}
    parts = tuple(g.model_copy(update={"of": g.of.put(source.lift.terms)}) for g in given.parts)
    return VariableMap(terms=terms, parts=parts)
