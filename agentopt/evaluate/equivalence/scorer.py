"""A scorer of formulations: 1 when the output is shown to be the reference's problem, else 0 and where it differs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import ValidationError

from agentopt._aio import in_thread
from agentopt._blocks import code_blocks
from agentopt.core.values import Feedback
from agentopt.errors import MalformedAnswer, UsageError
from agentopt.evaluate.equivalence.asking import ask_equivalence
from agentopt.evaluate.equivalence.draws import Draw, Template, equivalence_on_draws, said_draw
from agentopt.evaluate.equivalence.formulation import Formulation, read_formulation
from agentopt.evaluate.equivalence.notation import read_text
from agentopt.evaluate.equivalence.verdict import Equivalence, Limits
from agentopt.evaluate.scoring import ScorerError
from agentopt.evaluate.task import Example
from agentopt.llm.structured import parse_json

__all__ = ["equivalent_to", "stated_formulation"]

_GOAL = re.compile(r"(?im)^\s*(?:min|max)(?:imi[sz]e)?\b")
_LARGEST = 60
_LEVELS = (1, 2, 3)


def stated_formulation(output: Any, parameters: Mapping[str, Any] | None = None) -> Formulation:
    """The formulation in an answer: JSON in the fields of ``Formulation``, or lines as ``read_text`` takes them.

    Of a text with code blocks the last block that holds an objective is read; of one without, what follows from the
    last line that begins with ``min`` or ``max``. In lines, the names of ``parameters`` stand for their numbers.

    Raises:
        UsageError: there is none, or it cannot be read; the message says why.

    >>> print(stated_formulation("So we write:\\n```\\nmax 2 a\\na <= 4\\n```\\nDone."))
    max 2 a
      a in [-inf, 4]
    """
    if isinstance(output, Formulation):
        return output
    if isinstance(output, Mapping):
        return read_formulation(output)
    if not isinstance(output, str):
        raise UsageError(f"a formulation is a text or a JSON object, not {type(output).__name__}")
    blocks = [block.code for block in code_blocks(output) if _GOAL.search(block.code)]
    if not blocks and '"objective"' in output:
        try:
            found = parse_json(output)
        except MalformedAnswer as error:
            raise UsageError(str(error)) from None
        if isinstance(found, Mapping):
            return read_formulation(found)
    if blocks:
        return read_text(blocks[-1], parameters)
    goals = list(_GOAL.finditer(output))
    if not goals:
        raise UsageError("there is no formulation: no line begins with 'min' or 'max'")
    return read_text(output[goals[-1].start() :], parameters)


@dataclass(frozen=True)
class equivalent_to:
    """Whether the output is a formulation of the reference's problem, whatever its variables are called.

    Args:
        reference: the formulation, its text, its JSON, or a ``Template`` (also as JSON); None takes each example's
            target.
        level: 1 compares optimal values, 2 optima under maps, 3 feasible sets and objectives.
        ask: whether the judge's model is asked for maps where none is found without one.
        limits: tolerance, seconds for each solve, and ``total`` seconds of processor time for all checks of one output
            together; what is not decided by then is undecided, long before a scorer is cut off.
        draws: on how many draws of a template's parameters the two are compared: its own numbers, and others of its
            ranges. An output may use the parameters by name, and one map has to hold on all of them.

    What is not shown to be equivalent scores 0, undecided cases too (``parts`` tells them apart): a candidate gains
    nothing by being hard to judge. Where the machine was busy, so that a check was ended by the clock with little
    processor time, there is no score (``ScorerError``), and a run tries again. The text names the witness.
    ``parts["value"]`` is whether the optimal values agree.

    Raises:
        UsageError: a level that there is none of, ``ask`` at level 1, which has no maps, less than one draw; and, when
            an output is scored, a reference that cannot be read, or one without ranges to draw from.

    >>> score = equivalent_to("max 3 a + 2 b\\n a + b <= 4\\n a, b >= 0")
    >>> score(Example(input=""), "max 3 x + 2 y\\n x + y <= 4\\n x >= 0\\n y >= 0").score
    1.0
    >>> print(score(Example(input=""), "max 3 x + 2 y\\n x + y <= 5\\n x >= 0\\n y >= 0").text)
    not the same problem: the candidate's point x=5, y=0 is feasible, but (a=5, b=0 in the reference) breaks c1: ...
    """

    reference: Formulation | Template | Mapping[str, Any] | str | None = None
    level: Literal[1, 2, 3] = 3
    ask: bool = False
    limits: Limits = field(default_factory=lambda: Limits(seconds=2.0))
    draws: int = 1

    def __post_init__(self) -> None:
        if self.level not in _LEVELS:
            raise UsageError(
                f"equivalent_to: there is no level {self.level}; 1 compares optimal values, 2 optima under maps, 3 "
                "feasible sets and objectives"
            )
        if self.ask and self.level == 1:
            raise UsageError(
                "equivalent_to: level 1 compares optimal values and has no maps to ask for; use level 2 or 3"
            )
        if self.draws < 1:
            raise UsageError(f"equivalent_to: {self.draws} draws compare nothing; give 1 or more")

    def __call__(self, example: Example, output: Any) -> Any:
        """The feedback; with ``ask`` a coroutine of it."""
        given = example.target if self.reference is None else self.reference
        if given is None:
            raise UsageError(f"equivalent_to: example {example.id} has no target; give the scorer a reference")
        try:
            pair = _Pair(_reference(given, self.draws), output, self)
        except UsageError as error:
            raise UsageError(f"equivalent_to: the reference of example {example.id}: {error}") from None
        return pair.asked() if self.ask else pair.scored()[0]


class _Pair:
    """An output beside the reference, on all draws."""

    def __init__(self, instances: list[tuple[Draw, Formulation]], output: Any, by: equivalent_to) -> None:
        self.draws = [draw for draw, _ in instances]
        self.references = {_key(draw): formulation for draw, formulation in instances}
        self.candidates: dict[tuple[tuple[str, Any], ...], Formulation] = {}
        self.output, self.by = output, by

    def reference(self, draw: Draw) -> Formulation:
        return self.references[_key(draw)]

    def candidate(self, draw: Draw) -> Formulation:
        return self.candidates[_key(draw)]

    def check(self, level: Literal[1, 2, 3], limits: Limits) -> Equivalence:
        try:
            return equivalence_on_draws(self.reference, self.candidate, self.draws, level=level, limits=limits)
        except UsageError as error:  # the variables of one draw are not those of another
            return Equivalence(verdict="undecided", level=level, reason=f"the draws cannot be compared: {error}")

    def scored(self) -> tuple[Feedback, Equivalence | None]:
        """Without a model."""
        try:
            self.candidates = {_key(draw): stated_formulation(self.output, draw) for draw in self.draws}
        except UsageError as error:
            return _wrong(f"the formulation cannot be read: {error}", {"read": 0.0}), None
        candidate = self.candidate(self.draws[0])
        if max(len(candidate.variables), len(candidate.constraints) / 3) > _LARGEST:
            told = f"a formulation of {len(candidate.variables)} variables and {len(candidate.constraints)} constraints"
            return _wrong(f"{told} is too large to be judged", {"read": 0.0}), None
        found = value = self.check(1, self.by.limits)
        spent = value.processor
        if self.by.level > 1:
            found = self.check(self.by.level, self.by.limits.after(value))
            spent += found.processor
        if found.starved:
            return _starved(found), None
        return _said(found, None if value.starved else value), found.model_copy(update={"processor": spent})

    async def asked(self) -> Feedback:
        """With a model, where no map is found without one."""
        feedback, found = await in_thread(self.scored)
        if found is None or found.verdict == "equivalent" or found.scope == "any maps" or self.by.level == 1:
            return feedback
        asked = await ask_equivalence(
            self.reference, self.candidate, draws=self.draws, level=self.by.level, limits=self.by.limits.after(found)
        )
        if asked.result.starved:
            return _starved(asked.result)
        told = _said(asked.result, None)
        return told.model_copy(update={"parts": {**feedback.parts, **told.parts}})


def _reference(given: Any, draws: int) -> list[tuple[Draw, Formulation]]:
    """The reference on each draw."""
    if isinstance(given, Mapping) and "text" in given:
        try:
            given = Template.model_validate(dict(given))
        except ValidationError as error:
            first = error.errors()[0]
            where = ".".join(map(str, first["loc"])) or "template"
            raise UsageError(f"this is not a template: {where}: {first['msg']}") from None
    if isinstance(given, Template):
        if draws > 1 and not given.ranges:
            raise UsageError(f"there are no {draws} draws of a template without ranges; give it ranges, or draws=1")
        return [(draw, given.at(draw)) for draw in given.draws(draws)]
    if draws > 1:
        raise UsageError(f"there are no {draws} draws of a formulation without parameters; give a Template, or draws=1")
    return [({}, stated_formulation(given))]


def _key(draw: Draw) -> tuple[tuple[str, Any], ...]:
    return tuple(sorted(draw.items()))


def _said(found: Equivalence, value: Equivalence | None) -> Feedback:
    parts = {"read": 1.0, "undecided": float(found.verdict == "undecided")}
    if value is not None:
        parts["value"] = float(value.verdict == "equivalent")
    if found.verdict == "equivalent":
        return Feedback(score=1.0, text=f"the same problem: {found.reason}", parts=parts)
    where = f" with {said_draw(found.draw)}" if found.draw else ""
    if found.verdict == "undecided":
        return _wrong(f"not shown to be the same problem{where}: {found.reason}", parts)
    shown = found.witness.text if found.witness is not None else ""
    more = f" ({shown})" if shown and shown not in found.reason else ""
    hint = ""
    if value is not None and value.verdict == "equivalent":
        hint = "; the optimal values agree, so something that the optimum does not show is wrong"
    return _wrong(f"not the same problem{where}: {found.reason}{more}{hint}", parts)


def _starved(found: Equivalence) -> ScorerError:
    return ScorerError(text=f"the formulation could not be judged: {found.reason}")


def _wrong(text: str, parts: dict[str, float]) -> Feedback:
    return Feedback(score=0.0, text=text, parts=parts)
