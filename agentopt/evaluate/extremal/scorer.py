r"""The scorer of problems whose answer is one closed form: Math-Verify on the final answer alone.

A reply has one of these statuses, told at the beginning of its feedback:

- ``right``, ``wrong``
- ``no answer``: neither a box nor a line that states one
- ``cut off``: the cap of output tokens ended the reply before it gave an answer
- ``unreadable``: what it gives is not one number

Where the checker itself fails there is no score (``ScorerError``), which is not a wrong answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, ClassVar

from agentopt.core.values import Feedback
from agentopt.errors import UsageError
from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.extremal.checker import MODULES, compare_forms
from agentopt.evaluate.extremal.notation import plain_math
from agentopt.evaluate.extremal.reply import final_answer
from agentopt.evaluate.ran import Run, how_it_ran
from agentopt.evaluate.scoring import ScorerError
from agentopt.evaluate.task import Example

__all__ = ["closed_form"]


@dataclass(frozen=True)
class closed_form:
    r"""The final answer of a reply equals the target, as Math-Verify compares.

    The final answer is the last ``\boxed{...}`` after the thoughts, else the line that states it. Parts of the
    feedback: ``answered`` (an answer is stated), ``readable`` (it is one number), and with a trace ``truncated`` and
    ``tools`` (the run used some: such scores stand beside those of text alone, never among them).

    Args:
        tolerance: how far apart the values may be, as a share of the target; 0 takes equal forms only.

    >>> import asyncio
    >>> score = closed_form()
    >>> said = asyncio.run(score(Example(input="q", target=r"2\sqrt{2}"), r"It is \boxed{\sqrt{8}}."))
    >>> said.score, said.text
    (1.0, 'right')
    """

    needs_program_runner: ClassVar[bool] = True
    """A run opens its sandbox for this scorer before anything is paid."""
    runner_modules: ClassVar[tuple[str, ...]] = MODULES
    """What that sandbox imports."""
    tolerance: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.tolerance < 1:
            raise UsageError(f"closed_form: tolerance={self.tolerance} is a share of the target, from 0 to below 1")

    async def __call__(self, example: Example, output: Any, trace: Any = None) -> Feedback:
        ran = how_it_ran(trace, output)
        if not isinstance(output, str):
            return _said(0.0, f"unreadable: the output is {type(output).__name__}, not a text", ran)
        answer = final_answer(output)
        if ran.truncated and (answer.status in ("none", "unclosed") or not answer.boxed):
            why = answer.why or "its last line is no box"
            return _said(0.0, f"cut off: the cap of output tokens ended the reply before its answer; {why}", ran)
        if answer.status == "none":
            return _said(0.0, f"no answer: {answer.why}; end with the value in \\boxed{{}}", ran)
        if answer.status != "stated":
            return _said(0.0, f"unreadable: {answer.why}", ran)
        try:
            given = plain_math(answer.text)
        except Unreadable as error:
            return _said(0.0, f"unreadable: {error}; give one value in \\boxed{{}}", ran, answered=1.0)
        try:
            wanted = plain_math(_target(example))
        except Unreadable as error:
            return ScorerError(text=f"the target of example {example.id} is no closed form: {error}")
        compared = await compare_forms(wanted, given, tolerance=self.tolerance)
        match compared.status:
            case "right" | "wrong":
                more = "" if compared.status == "right" else f": the answer read is {given}, expected {wanted}"
                return _said(float(compared.status == "right"), compared.status + more, ran, answered=1.0, readable=1.0)
            case "unreadable" | "hangs":
                return _said(0.0, f"unreadable: {compared.why} ({given[:80]})", ran, answered=1.0)
        return ScorerError(text=f"the answer {given[:80]!r} could not be checked: {compared.why}")


def _target(example: Example) -> str:
    target = example.target
    if isinstance(target, bool) or not isinstance(target, str | int | float):
        raise UsageError(f"closed_form: the target of example {example.id} is {target!r:.60}, not a closed form")
    return str(target)


def _said(score: float, text: str, ran: Run, *, answered: float = 0.0, readable: float = 0.0) -> Feedback:
    return Feedback(score=score, text=text, parts={"answered": answered, "readable": readable, **ran.parts})
