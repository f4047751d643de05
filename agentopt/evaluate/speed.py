"""How fast a program is, beside a reference: in the sandbox, in turns, on inputs that neither has seen.

The figures are the processor time that the sandbox measures from outside of the job, and the outputs are compared here,
so a program that changes the clock, the reference or the comparison in its own process changes nothing of them.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import math
import operator
import statistics
import weakref
from collections.abc import AsyncIterator, Callable, Sequence
from typing import Any

from agentopt._clock import waiting
from agentopt.core.values import Feedback
from agentopt.errors import UsageError
from agentopt.evaluate.programs import NEEDS_RUNNER, current_runner, program_of
from agentopt.evaluate.sandboxed import LIMITS, lasting, sandbox_of
from agentopt.evaluate.scoring import ScorerError
from agentopt.evaluate.stats import t_quantile
from agentopt.sandbox import Job, Result, Sandbox

__all__ = ["Race", "compare_speed", "score_of", "speed_score"]

Cases = Sequence[Sequence[Any]]
_ALL = "agentopt_all_cases"
_SHORTEST = 1e-4  # seconds below which a processor time is not told apart from the job's own
_DECADE = 0.25
_HOPELESS = 200  # times the reference's time, after which a program is given up: it scores 0 from 100 on


@dataclasses.dataclass(frozen=True, slots=True)
class Race:
    """What came of running a program beside a reference.

    ``ratio`` is how many times as fast as the reference it is, the geometric mean over pairs of runs, with a 95 %
    interval (Student's t on logarithms); None where it is wrong. ``wrong`` says for which input, or how it failed.
    ``problem`` is the world's fault, not the program's.
    """

    ratio: float | None = None
    low: float = 0.0
    high: float = math.inf
    pairs: int = 0
    wrong: str = ""
    problem: str = ""

    @property
    def differs(self) -> bool:
        """Whether a difference in speed is shown."""
        return self.ratio is not None and not self.low <= 1.0 <= self.high


async def compare_speed(
    sandbox: Sandbox,
    program: str,
    reference: str,
    entry: str,
    cases: Callable[[int], Cases],
    *,
    pairs: int = 5,
    seconds: float = 10.0,
    same: Callable[[Any, Any], bool] = operator.eq,
) -> Race:
    """Run both on the same inputs, in turns, ``pairs`` times, each time on other inputs and in a process of its own.

    Args:
        sandbox: where.
        program, reference: sources; the reference is right by definition.
        entry: the function that both define.
        cases: the argument lists of a pair, by its number.
        pairs: how many; at least 2.
        seconds: processor time of one run over all cases of a pair; on the clock ten times as much.
        same: whether an output is right, given the reference's.

    Raises:
        UsageError: the reference itself fails, or fewer than 2 pairs.
    """
    if pairs < 2:
        raise UsageError(f"pairs is {pairs}: an interval needs at least 2")
    logs, patience = [], seconds
    for number in range(pairs):
        given = [list(case) for case in cases(number)]
        done: dict[str, Result] = {}
        for who in ("program", "reference") if number % 2 else ("reference", "program"):
            if who == "program":
                done[who] = await _timed(sandbox, program, entry, given, patience)
            else:
                done[who] = await _timed(sandbox, reference, entry, given, seconds)
                patience = min(seconds, max(1.0, _HOPELESS * done[who].cpu))
        right, got = done["reference"], done["program"]
        lost = next((r for r in (right, got) if r.status == "lost"), None)
        if lost is not None:
            return Race(problem=lost.error.message if lost.error else "the sandbox broke down")
        if not right.ok and right.status not in ("error", "refused", "uncarriable"):
            return Race(problem=f"the reference of {entry} ended by {right.status}: the machine is too busy for it")
        if not right.ok:
            said = right.error.text if right.error else right.status
            raise UsageError(f"the reference of {entry} fails on its own cases ({right.status}): {said}")
        if (wrong := _wrong(got, right.value, given, entry, same)) is not None:
            return Race(wrong=wrong)
        logs.append(math.log(max(right.cpu, _SHORTEST) / max(got.cpu, _SHORTEST)))
    middle = statistics.fmean(logs)
    half = t_quantile(0.975, len(logs) - 1) * statistics.stdev(logs) / math.sqrt(len(logs))
    return Race(math.exp(middle), math.exp(middle - half), math.exp(middle + half), len(logs))


async def _timed(sandbox: Sandbox, source: str, entry: str, cases: list[list[Any]], seconds: float) -> Result:
    driver = f"def {_ALL}(cases):\n    return [{entry}(*case) for case in cases]"
    limits = dataclasses.replace(lasting(LIMITS, seconds), processes=0)
    return await sandbox.run(Job(source=f"{source}\n\n{driver}", entry=_ALL, args=[cases], limits=limits, seed=0))


def _wrong(
    got: Result, expected: Any, cases: list[list[Any]], entry: str, same: Callable[[Any, Any], bool]
) -> str | None:
    """Why a run is not right, or None."""
    if not got.ok:
        said = got.error.text if got.error else got.status
        return said if got.status in ("error", "refused") else f"{got.status}: {said}"
    found = got.value
    if not isinstance(found, list) or len(found) != len(cases):
        return "it did not return a value for each input"
    for case, one, right in zip(cases, found, expected, strict=True):
        if not _is_same(same, one, right):
            call = f"{entry}({', '.join(_short(a) for a in case)})"
            return f"{call} returned {_short(one)}, expected {_short(right)}"
    return None


def _is_same(same: Callable[[Any, Any], bool], got: Any, expected: Any) -> bool:
    """What cannot be compared, or gives something else than yes or no, is not the same."""
    try:
        return same(got, expected) is True
    except Exception:  # a value of the candidate's, whatever it is
        return False


def _short(value: Any) -> str:
    try:
        text = repr(value)
    except Exception as error:  # an integer of thousands of digits, say
        text = f"a {type(value).__name__} that cannot be shown ({type(error).__name__})"
    return text if len(text) <= 120 else f"{text[:117]}..."


def score_of(race: Race) -> Feedback:
    """0 where it is wrong; 0.5 as fast as the reference, a quarter more or less for every factor of ten.

    A difference that is not shown is none: noise moves nobody from 0.5.

    >>> [score_of(race).score for race in (Race(10.0, low=8.0, high=12.0), Race(1.1, low=0.9, high=1.3))]
    [0.75, 0.5]
    """
    if race.ratio is None:
        return Feedback(score=0.0, text=f"wrong: {race.wrong}")
    score = min(1.0, max(0.0, 0.5 + _DECADE * math.log10(race.ratio))) if race.differs else 0.5
    told = f"{race.ratio:.3g} times as fast as an expert's program [{race.low:.3g}, {race.high:.3g}]"
    return Feedback(score=score, text=f"right on all inputs; {told}, {race.pairs} runs of each in turns",
                    parts={"right": 1.0, "times_as_fast": race.ratio})  # fmt: skip


def speed_score(
    reference: str, entry: str, cases: Callable[[Any, int], Cases], *, pairs: int = 5, seconds: float = 10.0
) -> Callable[[Any, Any], Any]:
    """A scorer of programs by correctness and speed; see ``score_of``. Runs in the sandbox of the run.

    Args:
        reference: source of a right and fast program, which no optimizer sees.
        entry: the function that is called.
        cases: the argument lists of an example, and of the pair of that number.
        pairs, seconds: as for ``compare_speed``.
    """

    async def right_and_fast(example: Any, output: Any) -> Feedback:
        if not isinstance(output, str):
            return Feedback(score=0.0, text=f"a program is a text, not {type(output).__name__}")
        async with _turn():
            race = await compare_speed(
                await sandbox_of(current_runner()), program_of(output), reference, entry,
                lambda number: cases(example, number), pairs=pairs, seconds=seconds,
            )  # fmt: skip
        return ScorerError(text=f"the program could not be run: {race.problem}") if race.problem else score_of(race)

    setattr(right_and_fast, NEEDS_RUNNER, True)
    return right_and_fast


_locks: weakref.WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = weakref.WeakKeyDictionary()


@contextlib.asynccontextmanager
async def _turn() -> AsyncIterator[None]:
    """One race at a time in an event loop: what else a run does is nobody's speed."""
    lock = _locks.setdefault(asyncio.get_running_loop(), asyncio.Lock())
    with waiting():
        await lock.acquire()
    try:
        yield
    finally:
        lock.release()
