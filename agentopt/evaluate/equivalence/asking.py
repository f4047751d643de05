"""Maps by a language model: it proposes which variable is which, the check verifies, and a witness repairs once.

A model's word is never taken: a map that it names is checked like any other, on every draw of the parameters that is
given, and "not equivalent" then holds for that map. The request is ``prompts/judges/equivalence.md``; the answer is
JSON.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from functools import partial
from typing import Literal

from pydantic import BaseModel

from agentopt._aio import in_thread
from agentopt.core import render
from agentopt.core.values import Frozen
from agentopt.errors import UnusableAnswer, UsageError
from agentopt.evaluate.equivalence.affine import Affine, rational
from agentopt.evaluate.equivalence.draws import Draw, equivalence_on_draws, said_draw
from agentopt.evaluate.equivalence.formulation import Formulation
from agentopt.evaluate.equivalence.maps import VariableMap
from agentopt.evaluate.equivalence.verdict import Equivalence, Limits
from agentopt.llm.call import prepare
from agentopt.llm.context import Session, current_session
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
    reference: Formulation | Callable[[Draw], Formulation],
    candidate: Formulation | Callable[[Draw], Formulation],
    *,
    draws: Sequence[Draw] = (),
    level: Literal[2, 3] = 3,
    repairs: int = 1,
    limits: Limits | None = None,
    model: str | None = None,
    max_tokens: int = 1024,
) -> Asked:
    """Ask the session's model for maps, and check them.

    Args:
        reference, candidate: as in ``equivalence``; with ``draws``, functions from a draw (``Template.at`` is one), or
            a formulation that is the same on all draws.
        draws: numbers for the parameters of both. The model is shown the formulations of the first, and one map of its
            has to hold on all of them.
        level: of the check.
        repairs: how often the model is told the witness and asked again; on several draws, that of the first one on
            which its map fails, with the numbers and the formulations of this draw.
        limits: of the checks, which share ``total``.
        model: in place of the session's; in a run, a scorer's session is that of the judge.
        max_tokens: cap of an answer.

    Returns:
        The verdict and the rounds; on draws, as in ``equivalence_on_draws``. A model that brings nothing usable leaves
        it undecided.

    Raises:
        UsageError: functions without draws to call them with, or draws on which nothing depends.
        LLMError, BudgetExhausted: the model could not be asked.
    """
    at = _Instances(reference, candidate, draws)
    session, limits = current_session(), limits or Limits()
    first = at.reference(at.draws[0]), at.candidate(at.draws[0])
    names = {v.name for v in first[0].variables}, {v.name for v in first[1].variables}
    turns: list[Message] = [Message(role="user", content=at.request(session, *first))]
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
            result = await in_thread(partial(at.checked, down, up, level, limits))
            limits = limits.after(result)
        except UsageError as error:
            result = Equivalence(verdict="undecided", level=level, reason=f"the model's map cannot be used: {error}")
        where = f" with {said_draw(result.draw)}" if result.draw else ""
        rounds.append(f"{result.verdict}{where}: {result.reason}")
        if result.verdict == "equivalent" or result.scope == "any maps" or result.starved:
            break
        answer = Message(role="assistant", content=proposal.model_dump_json())
        turns = [*turns, answer, Message(role="user", content=at.repair(session, result))]
    return Asked(result=result, rounds=tuple(rounds))


class _Instances:
    """The two formulations on all draws, and how a model is told of them; without draws there is the one instance."""

    def __init__(
        self,
        reference: Formulation | Callable[[Draw], Formulation],
        candidate: Formulation | Callable[[Draw], Formulation],
        draws: Sequence[Draw],
    ) -> None:
        fixed = [isinstance(one, Formulation) for one in (reference, candidate)]
        if not draws and not all(fixed):
            side = "candidate" if fixed[0] else "reference"
            raise UsageError(
                f"ask_equivalence: the {side} is a function of a draw, and there are no draws; give draws=..."
            )
        if draws and all(fixed):
            raise UsageError(
                f"ask_equivalence: there are {len(draws)} draws, and neither formulation depends on them; give "
                "functions from a draw, such as Template.at"
            )
        self.reference, self.candidate = _function(reference), _function(candidate)
        self.draws: Sequence[Draw] = draws or ({},)

    def request(self, session: Session, reference: Formulation, candidate: Formulation) -> str:
        """What the model is asked at first."""
        asked = render(session.prompt("judges/equivalence"), reference=str(reference), candidate=str(candidate))
        if len(self.draws) < 2:
            return str(asked)
        told = render(session.prompt("judges/equivalence_draws"), draw=said_draw(self.draws[0]))
        return f"{told}\n\n{asked}"

    def repair(self, session: Session, result: Equivalence) -> str:
        """What the model is told of a map that fails."""
        problem = result.reason.rstrip(".")
        if not result.draw or len(self.draws) < 2:
            return str(render(session.prompt("judges/equivalence_repair"), problem=problem))
        a, b = str(self.reference(result.draw)), str(self.candidate(result.draw))
        words = session.prompt("judges/equivalence_repair_draw")
        return str(render(words, draw=said_draw(result.draw), reference=a, candidate=b, problem=problem))

    def checked(self, down: VariableMap, up: VariableMap, level: Literal[2, 3], limits: Limits) -> Equivalence:
        """The check under both maps; the map back is optional, and one that cannot be used is left out."""
        check = partial(
            equivalence_on_draws, self.reference, self.candidate, self.draws, level=level, to_reference=down
        )
        result: Equivalence | None = None
        if up.terms:
            with suppress(UsageError):
                result = check(to_candidate=up, limits=limits)
        result = result or check(limits=limits)
        return result if result.draw else result.model_copy(update={"draw": None})


def _function(given: Formulation | Callable[[Draw], Formulation]) -> Callable[[Draw], Formulation]:
    if not isinstance(given, Formulation):
        return given
    fixed = given
    return lambda draw: fixed
