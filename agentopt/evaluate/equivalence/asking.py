"""Maps by a language model: it proposes which variable is which, the check verifies, and a witness repairs once.

A model's word is never taken: a map that it names is checked like any other, and "not equivalent" then holds for that
map. The request is ``prompts/judges/equivalence.md``; the answer is JSON.
"""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from functools import partial
from typing import Literal

from pydantic import BaseModel

from agentopt._aio import in_thread
from agentopt.core import render
from agentopt.core.values import Frozen
from agentopt.errors import UnusableAnswer, UsageError
from agentopt.evaluate.equivalence.affine import Affine, rational
from agentopt.evaluate.equivalence.check import equivalence
from agentopt.evaluate.equivalence.formulation import Formulation
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.verdict import Equivalence, Limits
from agentopt.llm.call import prepare
from agentopt.llm.context import current_session
from agentopt.llm.types import Message

__all__ = ["Asked", "ask_equivalence", "read_proposal"]


class Term(BaseModel):
    """Coefficient times variable."""

    variable: str
    coefficient: float


class Expression(BaseModel):
    """One target variable as a linear expression."""

    variable: str
    terms: list[Term]
    constant: float = 0.0


class Proposal(BaseModel):
    """What a model answers."""

    to_reference: list[Expression]
    to_candidate: list[Expression]


class Asked(Frozen):
    """What came of asking a model."""

    result: Equivalence
    """The verdict under the model's map, the last one where none holds."""
    rounds: tuple[str, ...]
    """Of each round: what its map came to, in words."""


def read_proposal(given: Sequence[Expression], targets: set[str], sources: set[str]) -> VariableMap:
    """A model's list as a map; what names no target is passed over.

    Raises:
        UsageError: an expression names a variable that the source does not have, or a target comes twice.
    """
    terms: dict[str, Affine] = {}
    for e in given:
        if e.variable not in targets:
            continue
        if e.variable in terms:
            raise UsageError(f"{e.variable!r} is given twice")
        total = Affine({}, _number(e.constant))
        for term in e.terms:
            if term.variable not in sources:
                raise UsageError(f"{e.variable!r} is made of {term.variable!r}, which is no variable of the other side")
            total = total.plus(Affine.variable(term.variable), _number(term.coefficient))
        terms[e.variable] = total
    return VariableMap(terms=terms)


def _number(value: float) -> Fraction:
    """What a model means by a float: a fraction with a small denominator, where that is it up to rounding."""
    near = Fraction(value).limit_denominator(1000)
    return near if abs(near - Fraction(value)) <= abs(Fraction(value)) * Fraction(1, 10**9) else rational(value)


async def ask_equivalence(
    reference: Formulation,
    candidate: Formulation,
    *,
    level: Literal[2, 3] = 3,
    repairs: int = 1,
    limits: Limits | None = None,
    model: str | None = None,
    max_tokens: int = 1024,
) -> Asked:
    """Ask the session's model for maps, and check them.

    Args:
        reference, candidate: as in ``equivalence``.
        level: of the check.
        repairs: how often the model is told the witness and asked again.
        limits: of the checks, which share ``total``.
        model: in place of the session's; in a run, a scorer's session is that of the judge.
        max_tokens: cap of an answer.

    Returns:
        The verdict and the rounds. A model that brings nothing usable leaves it undecided.

    Raises:
        LLMError, BudgetExhausted: the model could not be asked.
    """
    session, limits = current_session(), limits or Limits()
    names = {v.name for v in reference.variables}, {v.name for v in candidate.variables}
    text = str(render(session.prompt("judges/equivalence"), reference=str(reference), candidate=str(candidate)))
    turns: list[Message] = [Message(role="user", content=text)]
    rounds: list[str] = []
    result = Equivalence(verdict="undecided", level=level, reason="no model was asked")
    for _ in range(1 + repairs):
        call = prepare(session, None, messages=turns, schema=Proposal, model=model, max_tokens=max_tokens, name="maps")
        try:
            proposal, _response = await call.ask()
        except UnusableAnswer as error:
            result = Equivalence(verdict="undecided", level=level, reason=f"the model gave no map: {error}")
            rounds.append(result.reason)
            continue
        try:
            down = read_proposal(proposal.to_reference, *names)
            up = read_proposal(proposal.to_candidate, names[1], names[0])
            result = await in_thread(partial(_checked, reference, candidate, down, up, level, limits))
            limits = limits.after(result)
        except UsageError as error:
            result = Equivalence(verdict="undecided", level=level, reason=f"the model's map cannot be used: {error}")
        rounds.append(f"{result.verdict}: {result.reason}")
        if result.verdict == "equivalent" or result.scope == "any maps":
            break
        told = str(render(session.prompt("judges/equivalence_repair"), problem=result.reason.rstrip(".")))
        answer = Message(role="assistant", content=proposal.model_dump_json())
        turns = [*turns, answer, Message(role="user", content=told)]
    return Asked(result=result, rounds=tuple(rounds))


def _checked(
    reference: Formulation,
    candidate: Formulation,
    down: VariableMap,
    up: VariableMap,
    level: Literal[2, 3],
    limits: Limits,
) -> Equivalence:
    """The check under both maps; the map back is optional, and one that cannot be used is left out."""
    if up.terms:
        try:
            return equivalence(reference, candidate, level=level, to_reference=down, to_candidate=up, limits=limits)
        except UsageError:
            pass
    return equivalence(reference, candidate, level=level, to_reference=down, limits=limits)
