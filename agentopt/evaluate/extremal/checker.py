r"""Whether two closed forms are equal, by Math-Verify in the sandbox: its parsers read what a model wrote.

Math-Verify stops itself by signals, which only a main thread can have, and its parsers can be made to run for ever.
Here each comparison is a job of its own with a limit on processor time, set from outside.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, Literal

from agentopt.errors import MissingDependency, UsageError
from agentopt.evaluate.extremal.latex import NotRead, number_of, read_latex
from agentopt.evaluate.sandboxed import OwnSandbox
from agentopt.sandbox import Job, Limits, Result, Sandbox

__all__ = ["MODULES", "Compared", "compare_forms", "sandbox_with_checker"]

MODULES = ("math_verify",)
"""What the sandbox must have imported."""
LIMITS = Limits(cpu=4.0, wall=60.0, memory=512 << 20, output=64 << 10)
"""Of one comparison. Processor time ends what the answer makes slow, the clock what this machine makes slow."""
_SAME = 1e-6

_SOURCE = r"""
import logging

logging.disable(logging.CRITICAL)


def compare(gold, answer, tolerance):
    import sympy
    from math_verify import LatexExtractionConfig, parse, verify

    def read(text):
        found = parse("\\boxed{" + text + "}", extraction_config=[LatexExtractionConfig()], parsing_timeout=None)
        return [one for one in found if not isinstance(one, str)], found

    wanted, wanted_all = read(gold)
    if not wanted:
        return {"gold": False}
    given, given_all = read(answer)
    if not given:
        return {"gold": True, "read": False}
    same = bool(verify(wanted_all, given_all, timeout_seconds=None))
    value = given[0].rhs if isinstance(given[0], sympy.Equality) else given[0]
    number = isinstance(value, sympy.Expr) and not value.free_symbols
    if not same and tolerance and number:
        goal = wanted[0].rhs if isinstance(wanted[0], sympy.Equality) else wanted[0]
        wide = abs(sympy.N(value, 30) - sympy.N(goal, 30)) <= tolerance * abs(sympy.N(goal, 30))
        same = bool(wide)
    return {"gold": True, "read": True, "number": bool(number), "same": same}
"""


@dataclass(frozen=True, slots=True)
class Compared:
    """What came of comparing an answer with the right one."""

    status: Literal["right", "wrong", "unreadable", "hangs", "undecided", "problem"]
    """``unreadable``: the answer is not one number; ``hangs``: its form makes the checker run for ever and it is not
    shown to be right; ``undecided``: the checker ran out of its limit on an answer whose value is the right one;
    ``problem``: no isolation, a label that cannot be read, a machine too busy. The last two are no wrong answers."""
    why: str = ""
    """In words, where it is neither right nor wrong."""


async def compare_forms(gold: str, answer: str, *, tolerance: float = 0.0, sandbox: Sandbox | None = None) -> Compared:
    r"""Compare two LaTeX expressions by Math-Verify.

    Args:
        gold: the right answer.
        answer: what was answered, one expression (see ``plain_math``).
        tolerance: how far apart the values may be, as a share of the right one; 0 takes equal forms only, so that
            2.828 is not ``2\sqrt{2}``.
        sandbox: one that has imported ``MODULES``; default that of the run, else one of this process.

    What the answer does to the checker is a status, never an exception.
    """
    if gold == answer:
        return Compared("right")
    if _endless(gold, answer):
        return Compared("wrong", "its value is beyond any number that a machine holds")
    try:
        place = sandbox or await sandbox_with_checker()
    except (UsageError, MissingDependency) as error:
        return Compared("problem", str(error))
    job = Job(source=_SOURCE, entry="compare", args=[gold, answer, tolerance], limits=LIMITS)
    result = await place.run(job)
    if result.status == "lost":
        result = await place.run(job)
    return _read(result, gold, answer, tolerance)


def _read(result: Result, gold: str, answer: str, tolerance: float) -> Compared:
    if result.ok and isinstance(result.value, dict):
        said: dict[str, Any] = result.value
        if not said.get("gold"):
            return Compared("problem", f"the label {gold!r:.80} is not read by Math-Verify")
        if said.get("same"):
            return Compared("right")
        return Compared("wrong") if said.get("number") else Compared("unreadable", "the answer is not one number")
    if result.status in ("lost", "timeout"):
        return Compared("problem", f"the checker gave no verdict ({result.status}): the machine is too busy")
    told = f"the checker ended by {result.status}"
    if result.error is not None and result.status == "error":
        if result.error.type in ("ModuleNotFoundError", "ImportError"):
            return Compared("problem", f"{result.error.message}: pip install 'agentopt[evals]'")
        told = f"the checker raised {result.error.type}"
    return _by_value(gold, answer, tolerance, told)


def _endless(gold: str, answer: str) -> bool:
    """Whether an answer such as 10^{10^{10}} overflows where the right one does not."""
    try:
        return math.isfinite(number_of(read_latex(gold))) and math.isinf(number_of(read_latex(answer)))
    except NotRead:
        return False


def _by_value(gold: str, answer: str, tolerance: float, told: str) -> Compared:
    """A checker that broke down on an answer says nothing; its value, where it is read, does."""
    try:
        wanted = number_of(read_latex(gold))
        given = number_of(read_latex(answer))
    except NotRead as error:
        return Compared("hangs", f"{told}, and the answer is not read otherwise: {error}")
    if math.isfinite(wanted) and (
        not math.isfinite(given) or abs(given - wanted) > max(_SAME, tolerance) * abs(wanted)
    ):
        return Compared("wrong", told)
    return Compared("undecided", f"{told}, but the value is that of the right answer")


async def sandbox_with_checker() -> Sandbox:
    """The sandbox of the run, or one of this process that has imported Math-Verify.

    Raises:
        UsageError: full isolation is not to be had here.
        MissingDependency: Math-Verify is not installed.
    """
    try:
        return await _OWN.place()
    except MissingDependency as error:
        raise MissingDependency(f"{error}; Math-Verify comes with pip install 'agentopt[evals]'") from None


_OWN = OwnSandbox(LIMITS, require=MODULES)
