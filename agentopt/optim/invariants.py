"""What a proposal must keep, checked before any money is spent on it.

Each rule has a name and can be switched off by it, for a run (``RunConfig.invariants_off``) or for one optimizer.
``agentopt.optim.rules`` has those of one value.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from agentopt.core.values import Candidate, Proposal, canonical
from agentopt.errors import UnknownName
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.rules import META_PROMPTS, RULES

__all__ = ["META_PROMPTS", "RULES", "Violation", "check", "check_value", "known"]


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule: which, of which parameter, and why, in words that also a model can act on."""

    rule: str
    parameter: str
    reason: str

    def __str__(self) -> str:
        return f"{self.parameter}: {self.reason}" if self.parameter else self.reason


def check_value(spec: ParameterSpec, value: JsonValue, view: View, *, off: Collection[str] = ()) -> list[Violation]:
    """The rules that a new value of one parameter breaks.

    Args:
        spec: the parameter.
        value: its proposed value.
        view: the run (baseline, examples, prompt files).
        off: names of rules that are switched off, beside those that the run has switched off.
    """
    off = {*off, *view.off}
    known(off)
    return [
        Violation(name, spec.name, reason)
        for name, rule in RULES.items()
        if name not in off
        for reason in rule(spec, value, view)
    ]


def check(
    proposal: Proposal, view: View, *, off: Collection[str] = (), others: Sequence[Candidate] = ()
) -> list[Violation]:
    """The rules that a proposal breaks; an empty list means that it may be evaluated.

    Args:
        proposal: what is suggested; only values that differ from the baseline's are looked at.
        view: the run.
        off: names of rules that are switched off (of ``RULES``, or ``duplicate``), beside those that the run has
            switched off.
        others: further candidates that it must not repeat (accepted in the same step, say).

    Raises:
        UnknownName: ``off`` names no rule.
    """
    off = {*off, *view.off}
    known(off)
    found: list[Violation] = []
    for name, value in proposal.candidate.values.items():
        spec = view.parameters.get(name)
        if spec is None:
            found.append(Violation("constraint", name, "no parameter has this name"))
        elif canonical(value) != canonical(view.baseline.values.get(name)):
            found += check_value(spec, value, view, off=off)
    if "duplicate" not in off:
        mine = _normal(proposal.candidate, view)
        for other in [*(scored.candidate for scored in view.archive), *others]:
            if _normal(other, view) == mine:
                same = "the same as" if other.id == proposal.candidate.id else "but for case and spaces the same as"
                found.append(Violation("duplicate", "", f"{same} candidate {other.id}"))
                break
    return found


def known(off: Collection[str]) -> None:
    """Raise ``UnknownName`` for a name that is no rule."""
    for name in off:
        if name != "duplicate" and name not in RULES:
            raise UnknownName("invariant", name, [*RULES, "duplicate"], "docs/optoprime.md lists them")


def _normal(candidate: Candidate, view: View) -> str:
    """Values without what does not matter: case and spaces of a text, spaces at the end of a line of code."""
    return canonical({name: _essence(name, value, view) for name, value in candidate.values.items()})


def _essence(name: str, value: JsonValue, view: View) -> JsonValue:
    if not isinstance(value, str):
        return value
    spec = view.parameters.get(name)
    if spec is not None and spec.kind == "code":
        return "\n".join(line.rstrip() for line in value.strip().splitlines())
    return " ".join(value.split()).casefold()
