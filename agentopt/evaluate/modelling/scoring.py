"""Scorers of programs that solve: every figure, as OptiBench asks, or the optimal value, as the other sets do."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

from agentopt.core.values import Feedback
from agentopt.errors import UsageError
from agentopt.evaluate.modelling.answers import Reading
from agentopt.evaluate.modelling.endings import PROMISED
from agentopt.evaluate.modelling.judged import read_by_model
from agentopt.evaluate.modelling.lines import LabelledLines
from agentopt.evaluate.modelling.official import official_program
from agentopt.evaluate.modelling.replies import find_program, imports_of
from agentopt.evaluate.modelling.solved import Solved
from agentopt.evaluate.modelling.solving import CUT_OFF, PRELOADED, SECONDS, read_into, solve, solve_reply
from agentopt.evaluate.modelling.tolerances import TOLERANCES, Tolerance, tolerance
from agentopt.evaluate.ran import how_it_ran
from agentopt.evaluate.scoring import ScorerError
from agentopt.evaluate.task import Example

__all__ = ["NO_OPTIMUM", "OBJECTIVE", "all_figures", "optimal_value"]

OBJECTIVE = "objective"
"""The one name that is asked for where only the optimal value counts."""
NO_OPTIMUM = "none"
"""The label of a problem that has no optimum: right is who says so, but not who ran into a limit of the solver."""
_GROUPS = {
    "timeout": ("timeout",),
    "not_optimal": ("not_optimal", "infeasible", "unbounded"),
    "crashed": ("crashed", "memory", "limit", "forbidden"),
    "no_code": ("no_code", "cut_off"),
    "missing_solver": ("missing_solver",),
    "no_answer": ("no_answer", "unreadable", "partial"),
}
_PLAIN, _OFFICIAL, _VARIABLE = (TOLERANCES[name] for name in ("rel 1e-4", "abs 1e-4", "variable"))
_STRICT = TOLERANCES["rel 1e-6"]


@dataclass(frozen=True)
class all_figures:
    """Score a program by every figure of the target, each within 1e-4 of its label: OptiBench's accuracy.

    The output is a reply with a program in it, or a dict with ``program`` (and ``rounds``, how often it was mended, and
    ``cut_off``, true of a program that the cap of output tokens cut off; of a reply the trace tells it). What was cut
    off is not run.
    The target is a dict of labels; ``meta["objective"]`` names the one that is the optimal value. Parts of the
    feedback: ``all_keys`` (absolute 1e-4 on every figure), ``objective_1e-4`` and ``objective_1e-6`` (relative; absent
    without an objective), ``variables`` (every other figure within absolute 1e-4 or relative 1e-3; absent where there
    is none), ``keys`` (the share within 1e-4), ``code_pass``, and how the others ended.

    Args:
        protocol: ``json``: the program prints a JSON object keyed by the names, which it was told; ``official``: it was
            told no names and prints lines; the first Python block is run, and what follows the last ten dashes is read.
        reader: of the official protocol: ``lines`` is a fixed rule, ``model`` asks the judge for each figure.
        headline: the part that is the score.
        seconds: processor time of a program; by the clock ten times as much.

    Raises:
        UsageError: an option with another value.
    """

    protocol: Literal["json", "official"] = "json"
    reader: Literal["lines", "model"] = "lines"
    headline: Literal["all_keys", "objective_1e-4", "objective_1e-6", "keys"] = "all_keys"
    seconds: float = SECONDS
    needs_program_runner: ClassVar[bool] = True
    program_preloads: ClassVar[tuple[str, ...]] = PRELOADED
    program_packages: ClassVar[Mapping[str, str]] = PROMISED

    def __post_init__(self) -> None:
        if self.protocol not in ("json", "official") or self.reader not in ("lines", "model"):
            raise UsageError(f"all_figures: no protocol {self.protocol!r} with the reader {self.reader!r}")
        if self.protocol == "json" and self.reader != "lines":
            raise UsageError("all_figures: the reading model belongs to protocol='official'; a JSON object needs none")

    @property
    def program_seconds(self) -> float:
        """What agents give the programs that they try."""
        return self.seconds

    async def __call__(self, example: Example, output: Any, trace: Any = None) -> Feedback:
        labels, objective = _labels(example)
        names = list(labels)
        solved = await self.solved(example, output, names, objective, truncated=_truncated(trace, output))
        if solved.ours:
            return _ours(solved)
        right = {name: _near(_OFFICIAL, solved, name, labels[name]) for name in names}
        parts = {"all_keys": float(all(right.values())), "keys": sum(right.values()) / len(right)}
        if objective:
            for part, near in (("objective_1e-4", _PLAIN), ("objective_1e-6", _STRICT)):
                parts[part] = float(_near(near, solved, objective, labels[objective]))
        variables = [name for name in names if name != objective]
        if variables:
            parts["variables"] = float(all(_near(_VARIABLE, solved, name, labels[name]) for name in variables))
        parts |= endings(solved, output)
        score = parts.get(self.headline)
        text = _told(solved, labels, right)
        if score is None:
            return Feedback(score=None, text=f"the problem has no objective among its figures; {text}", parts=parts)
        return Feedback(score=score, text=text, parts=parts)

    async def solved(
        self, example: Example, output: Any, names: Sequence[str], objective: str, *, truncated: bool = False
    ) -> Solved:
        """The record of running what the output holds; ``truncated``: the cap of tokens ended a reply."""
        code, reply = _program_of(output)
        if self.protocol == "json" or _is_cut(output) or (not code and reply is None):
            return await _run(output, names, self.seconds, truncated)
        if not code:
            assert reply is not None
            code = official_program(reply)
            if code == reply and find_program(reply, truncated=truncated).form in ("none", "cut_off"):
                return await _run(reply, names, self.seconds, truncated)  # it would crash: this says why
        if self.reader == "lines":
            return await solve(code, names, seconds=self.seconds, reader=LabelledLines(objective))
        ran = await solve(code, names, seconds=self.seconds, reader=lambda _, asked: Reading(missing=tuple(asked)))
        if not ran.ran:
            return ran
        question = example.input["problem"] if isinstance(example.input, dict) else example.input
        return read_into(ran, names, await read_by_model(ran, str(question), names))


@dataclass(frozen=True)
class optimal_value:
    """Score a program by the optimal value that it prints as ``{"objective": ...}``.

    The output is as for ``all_figures``; the target is ``{"objective": label}`` with a number, or ``NO_OPTIMUM``.
    Parts: ``solved`` (LLMOPT's SA, within ``tolerance``), ``executed`` (its ER: it ran and printed a result, or that
    there is none), ``rounds`` (for outputs that say how often they were mended), ``objective_1e-4`` and
    ``objective_1e-6`` for comparison, ``solved_raw`` (by the original label, where ``meta["raw"]`` has one),
    ``code_pass``, and how the others ended. The feedback's text ends with the labels' version and the tolerance, which
    no number means anything without.

    Args:
        tolerance: a name of ``TOLERANCES``.
        seconds: processor time of a program; by the clock ten times as much.

    Raises:
        UnknownName: there is no such tolerance.
    """

    tolerance: str = "rel 1e-6"
    seconds: float = SECONDS
    needs_program_runner: ClassVar[bool] = True
    program_preloads: ClassVar[tuple[str, ...]] = PRELOADED
    program_packages: ClassVar[Mapping[str, str]] = PROMISED

    def __post_init__(self) -> None:
        tolerance(self.tolerance)

    @property
    def program_seconds(self) -> float:
        """What agents give the programs that they try."""
        return self.seconds

    async def __call__(self, example: Example, output: Any, trace: Any = None) -> Feedback:
        target: Any = example.target
        label = target.get(OBJECTIVE) if isinstance(target, Mapping) else None
        if not isinstance(label, int | float) and label != NO_OPTIMUM:
            raise UsageError(
                f"optimal_value: the target of example {example.id} is {target!r}, not {{'objective': ...}}"
            )
        solved = await _run(output, [OBJECTIVE], self.seconds, _truncated(trace, output))
        if solved.ours:
            return _ours(solved)
        printed = str(example.meta.get("printed", ""))
        judged = [("solved", tolerance(self.tolerance)), ("objective_1e-4", _PLAIN), ("objective_1e-6", _STRICT)]
        parts = {part: float(_optimal(solved, label, how, printed)) for part, how in judged}
        if isinstance(raw := example.meta.get("raw"), Mapping):
            how = tolerance(str(raw["tolerance"]))
            parts["solved_raw"] = float(_optimal(solved, raw["label"], how, str(raw["printed"])))
        parts["executed"] = float(solved.ran and (bool(solved.values) or solved.status in _GROUPS["not_optimal"]))
        parts |= endings(solved, output)
        labels = f"labels {example.meta.get('labels', 'of the example')}, tolerance {self.tolerance}"
        if parts["solved"]:
            return Feedback(score=1.0, text=f"correct ({labels})", parts=parts)
        got = solved.values.get(OBJECTIVE)
        said = solved.text if got is None else f"the objective is {got:.10g}, expected {label}"
        return Feedback(score=0.0, text=f"{said} ({labels})", parts=parts)


_READ = ("ok", "partial", "unreadable")
_GAVE_UP = re.compile(r"\b(?:time|iterations?|nodes?)[ _-]?limit|\bdid not converge\b", re.IGNORECASE)


def _optimal(solved: Solved, label: Any, how: Tolerance, printed: str) -> bool:
    """Whether the optimal value is right; of a label that says that there is none, whether the program says so too."""
    if label == NO_OPTIMUM:
        gave_up = solved.status == "not_optimal" and _GAVE_UP.search(f"{solved.text}\n{solved.stdout}\n{solved.stderr}")
        return solved.status in _GROUPS["not_optimal"] and not gave_up
    value = solved.values.get(OBJECTIVE) if solved.status in _READ else None
    return value is not None and how.right(value, float(label), printed)


def endings(solved: Solved, output: Any) -> dict[str, float]:
    """Parts that say how a program ended, each 0 or 1, and how often it was mended where the output tells."""
    parts = {"code_pass": float(solved.ran)}
    parts |= {part: float(solved.status in statuses) for part, statuses in _GROUPS.items()}
    rounds = output.get("rounds") if isinstance(output, Mapping) else None
    if isinstance(rounds, int | float) and not isinstance(rounds, bool):
        parts["rounds"] = float(rounds)
    return parts


def _program_of(output: Any) -> tuple[str, str | None]:
    """The program of an output that is one, and the reply of one that is a text."""
    if isinstance(output, Mapping):
        program = output.get("program")
        return (program, None) if isinstance(program, str) else ("", None)
    return "", output if isinstance(output, str) else None


def _is_cut(output: Any) -> bool:
    """Whether an agent says of its program that it was cut off: it knows why its reply ended, and it gains nothing."""
    return isinstance(output, Mapping) and output.get("cut_off") is True


def _truncated(trace: Any, output: Any) -> bool:
    """Whether the cap of output tokens ended the reply that the output is."""
    return isinstance(output, str) and bool(how_it_ran(trace, output).truncated)


async def _run(output: Any, names: Sequence[str], seconds: float, truncated: bool) -> Solved:
    program, reply = _program_of(output)
    if _is_cut(output):
        return Solved(status="cut_off", text=CUT_OFF, program=program, form="cut_off", imports=imports_of(program))
    if program.strip():
        return await solve(program, names, seconds=seconds)
    if reply is not None:
        return await solve_reply(reply, names, truncated=truncated, seconds=seconds)
    if isinstance(output, Mapping) and "program" in output:
        return Solved(status="no_code", form="none", text="the output holds no program")
    kind = type(output).__name__
    return Solved(status="no_code", form="none", text=f"a text or a dict with 'program' is wanted, not {kind}")


def _labels(example: Example) -> tuple[dict[str, float], str]:
    target = example.target
    if not isinstance(target, dict) or not target:
        raise UsageError(f"all_figures: the target of example {example.id} is {target!r}, not a dict of figures")
    labels: dict[str, float] = {}
    for name, value in target.items():
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise UsageError(f"all_figures: {name!r} of example {example.id} is {value!r}, not a number")
        labels[name] = float(value)
    objective = str(example.meta.get("objective") or "")
    if objective and objective not in labels:
        raise UsageError(f"all_figures: the objective {objective!r} of example {example.id} is none of its figures")
    return labels, objective


def _near(how: Tolerance, solved: Solved, name: str, label: float) -> bool:
    return solved.status in _READ and name in solved.values and how.right(solved.values[name], label)


def _ours(solved: Solved) -> ScorerError:
    return ScorerError(text=f"the program could not be run: {solved.text}")


def _told(solved: Solved, labels: Mapping[str, float], right: Mapping[str, bool]) -> str:
    """What is wrong, by name; how the program failed, where it did."""
    if solved.status not in _READ:
        return solved.text
    wrong = [
        f"{name}: got {solved.values[name]:.10g}, expected {labels[name]:.10g}"
        for name, good in right.items()
        if not good and name in solved.values
    ]
    said = "; ".join([*wrong, *(f"{name}: {why}" for name, why in solved.problems.items())])
    return said or "correct"
