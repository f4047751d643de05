"""A scorer of formulations: 1 when the output is shown to be the reference's problem, else 0 and where it differs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from agentopt._aio import in_thread
from agentopt.core.values import Feedback
from agentopt.errors import MalformedAnswer, UsageError
from agentopt.evaluate.equivalence.asking import ask_equivalence
from agentopt.evaluate.equivalence.check import equivalence
from agentopt.evaluate.equivalence.formulation import Formulation, read_formulation
from agentopt.evaluate.equivalence.notation import read_text
from agentopt.evaluate.equivalence.verdict import Equivalence, Limits
from agentopt.evaluate.task import Example
from agentopt.llm.structured import parse_json

__all__ = ["equivalent_to", "stated_formulation"]

_FENCE = re.compile(r"```[\w-]*[ \t]*\n(.*?)(?:\n[ \t]*```|\Z)", re.DOTALL)
_GOAL = re.compile(r"(?im)^\s*(?:min|max)(?:imi[sz]e)?\b")
_LARGEST = 60


def stated_formulation(output: Any) -> Formulation:
    """The formulation in an answer: JSON in the fields of ``Formulation``, or lines as ``read_text`` takes them.

    Of a text with code blocks the last block that holds an objective is read; of one without, what follows from the
    last line that begins with ``min`` or ``max``.

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
    blocks = [block for block in _FENCE.findall(output) if _GOAL.search(block)]
    if not blocks and '"objective"' in output:
        try:
            found = parse_json(output)
        except MalformedAnswer as error:
            raise UsageError(str(error)) from None
        if isinstance(found, Mapping):
            return read_formulation(found)
    if blocks:
        return read_text(blocks[-1])
    goals = list(_GOAL.finditer(output))
    if not goals:
        raise UsageError("there is no formulation: no line begins with 'min' or 'max'")
    return read_text(output[goals[-1].start() :])


@dataclass(frozen=True)
class equivalent_to:
    """Whether the output is a formulation of the reference's problem, whatever its variables are called.

    Args:
        reference: the formulation, its text, or its JSON; None takes each example's target.
        level: 1 compares optimal values, 2 optima under maps, 3 feasible sets and objectives.
        ask: whether the judge's model is asked for maps where none is found without one.
        limits: tolerance, seconds for each solve, and ``total`` seconds for all checks of one output together; what
            is not decided by then is undecided, long before a scorer is cut off.

    What is not shown to be equivalent scores 0, undecided cases too (``parts`` tells them apart): a candidate gains
    nothing by being hard to judge. The text names the witness. ``parts["value"]`` is whether the optimal values agree.

    >>> score = equivalent_to("max 3 a + 2 b\\n a + b <= 4\\n a, b >= 0")
    >>> score(Example(input=""), "max 3 x + 2 y\\n x + y <= 4\\n x >= 0\\n y >= 0").score
    1.0
    >>> print(score(Example(input=""), "max 3 x + 2 y\\n x + y <= 5\\n x >= 0\\n y >= 0").text)
    not the same problem: the candidate's point x=5, y=0 is feasible, but (a=5, b=0 in the reference) breaks c1: ...
    """

    reference: Formulation | Mapping[str, Any] | str | None = None
    level: Literal[1, 2, 3] = 3
    ask: bool = False
    limits: Limits = field(default_factory=lambda: Limits(seconds=2.0))

    def __call__(self, example: Example, output: Any) -> Any:
        """The feedback; with ``ask`` a coroutine of it."""
        given = example.target if self.reference is None else self.reference
        if given is None:
            raise UsageError(f"equivalent_to: example {example.id} has no target; give the scorer a reference")
        try:
            reference = stated_formulation(given)
        except UsageError as error:
            raise UsageError(f"equivalent_to: the reference of example {example.id}: {error}") from None
        return self._asked(reference, output) if self.ask else self._scored(reference, output)[0]

    def _scored(self, reference: Formulation, output: Any) -> tuple[Feedback, Formulation | None, Equivalence | None]:
        try:
            candidate = stated_formulation(output)
        except UsageError as error:
            return _wrong(f"the formulation cannot be read: {error}", {"read": 0.0}), None, None
        if max(len(candidate.variables), len(candidate.constraints) / 3) > _LARGEST:
            told = f"a formulation of {len(candidate.variables)} variables and {len(candidate.constraints)} constraints"
            return _wrong(f"{told} is too large to be judged", {"read": 0.0}), None, None
        value = equivalence(reference, candidate, level=1, limits=self.limits)
        if self.level == 1:
            return _said(value, value), candidate, value
        left = self.limits.after(value)
        found = equivalence(reference, candidate, level=self.level, limits=left)
        return _said(found, value), candidate, found.model_copy(update={"seconds": value.seconds + found.seconds})

    async def _asked(self, reference: Formulation, output: Any) -> Feedback:
        feedback, candidate, found = await in_thread(lambda: self._scored(reference, output))
        if candidate is None or found is None or found.verdict == "equivalent" or found.scope == "any maps":
            return feedback
        if self.level == 1:
            return feedback
        asked = await ask_equivalence(reference, candidate, level=self.level, limits=self.limits.after(found))
        told = _said(asked.result, None)
        return told.model_copy(update={"parts": {**feedback.parts, **told.parts}})


def _said(found: Equivalence, value: Equivalence | None) -> Feedback:
    parts = {"read": 1.0, "undecided": float(found.verdict == "undecided")}
    if value is not None:
        parts["value"] = float(value.verdict == "equivalent")
    if found.verdict == "equivalent":
        return Feedback(score=1.0, text=f"the same problem: {found.reason}", parts=parts)
    if found.verdict == "undecided":
        return _wrong(f"not shown to be the same problem: {found.reason}", parts)
    shown = found.witness.text if found.witness is not None else ""
    more = f" ({shown})" if shown and shown not in found.reason else ""
    hint = ""
    if value is not None and value.verdict == "equivalent":
        hint = "; the optimal values agree, so something that the optimum does not show is wrong"
    return _wrong(f"not the same problem: {found.reason}{more}{hint}", parts)


def _wrong(text: str, parts: dict[str, float]) -> Feedback:
    return Feedback(score=0.0, text=text, parts=parts)
