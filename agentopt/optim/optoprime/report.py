"""The OptoPrime report: what ran, on what, with which result, and what was said of it, within a token limit."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pydantic import JsonValue

from agentopt.core.values import Outcome
from agentopt.optim.base import ParameterSpec
from agentopt.optim.frame import split
from agentopt.optim.meta import clip, show
from agentopt.optim.optoprime.fold import fold
from agentopt.optim.optoprime.program import Line, Program, read_program
from agentopt.optim.optoprime.whatif import what_if

__all__ = ["Caps", "Run", "report"]


@dataclass(frozen=True, slots=True)
class Run:
    """One traced run of the current values: its program (None without a trace) and what was said of its output."""

    program: Program | None
    output: JsonValue
    score: float | None
    feedback: str
    example: str | None = None
    error: str | None = None
    weight: float = 1.0

    @classmethod
    def of(cls, outcome: Outcome, graph: Any, parameters: Mapping[str, ParameterSpec], input: Any = None) -> Run:
        """The run that an outcome tells of."""
        said = outcome.feedback
        return cls(
            program=None if graph is None else read_program(graph, parameters),
            output=outcome.output,
            score=outcome.score,
            feedback="" if said is None else said.text,
            example=None if input is None else show(input, 400),
            error=outcome.error,
            weight=outcome.metrics.get("weight", 1.0),
        )


@dataclass(frozen=True, slots=True)
class Caps:
    """How long the pieces of a report may be, in tokens."""

    value: int = 150
    document: int = 60
    feedback: int = 200
    lines: int = 120
    """Most code lines of one program; the middle ones are left out beyond it."""

    def smaller(self) -> Caps:
        """Half of everything."""
        return Caps(
            max(self.value // 2, 8), max(self.document // 2, 8), max(self.feedback // 2, 16), max(self.lines // 2, 6)
        )


def report(
    runs: Sequence[Run],
    specs: Sequence[ParameterSpec],
    current: Mapping[str, JsonValue],
    caps: Caps,
    *,
    mask_graph: bool = False,
) -> dict[str, str]:
    """The sections of the report, by placeholder name; an empty text is a section that has nothing to say.

    Args:
        runs: what happened with the current values; runs of one and the same program share its code.
        specs: the variables that may be changed.
        current: values of all parameters; those that may not be changed now are shown with the inputs.
        caps: how long the pieces may be.
        mask_graph: leave out code, documentation, inputs and intermediate values (for ablations): what is left is the
            variables, each example's input and output, and the feedback.

    Returns:
        ``code, documentation, variables, constraints, inputs, others, outputs, effects, feedback``.
    """
    programs = [run.program for run in runs if run.program is not None and not mask_graph]
    single = len(runs) == 1
    sections = dict.fromkeys(("code", "documentation", "inputs", "others", "effects"), "")
    if programs:
        sections["code"] = _code(runs, caps)
        docs: dict[str, str] = {}
        for program in programs:
            docs |= program.documentation(caps.document)
        sections["documentation"] = "\n".join(f"{op}: {text}" for op, text in docs.items())
    sections["variables"] = "\n".join(_variable(spec, current[spec.name], caps) for spec in specs)
    sections["constraints"] = "\n".join(f"{spec.name}: {spec.constraint}" for spec in specs if spec.constraint)
    used = {line.name for program in programs for line in program.parameters}
    asked = {spec.name for spec in specs}
    fixed = [name for name in current if name not in asked and (name in used or not programs)]
    given = [f"{name} = {show(current[name], caps.value)}" for name in fixed]
    given.append(_per_run(runs, single, lambda run: _inputs(run, mask_graph, caps)))
    sections["inputs"] = "\n".join(filter(None, given))
    sections["others"] = "" if mask_graph else _per_run(runs, single, lambda run: _others(run, caps))
    sections["outputs"] = _per_run(runs, single, lambda run: _output(run, mask_graph, caps))
    sections["effects"] = "" if mask_graph else _per_run(runs, single, lambda run: _effects(run, specs))
    sections["feedback"] = _per_run(runs, single, lambda run: _feedback(run, caps))
    return sections


def _per_run(runs: Sequence[Run], single: bool, text: Any) -> str:
    parts = [(i, text(run)) for i, run in enumerate(runs, 1)]
    if single:
        return parts[0][1] if parts else ""
    return "\n".join(_labelled(i, part) for i, part in parts if part)


def _labelled(i: int, part: str) -> str:
    return f"[run {i}]\n{part}" if "\n" in part else f"[run {i}] {part}"


def _code(runs: Sequence[Run], caps: Caps) -> str:
    same: dict[str, list[int]] = {}
    for i, run in enumerate(runs, 1):
        if run.program is not None and run.program.lines:
            same.setdefault("\n".join(_middle_out(fold(run.program.lines)[0], caps.lines)), []).append(i)
    if len(same) == 1:
        return next(iter(same))
    return "\n".join(f"[run {', '.join(map(str, which))}]\n{code}" for code, which in same.items())


def _middle_out(lines: Sequence[str], most: int) -> list[str]:
    if len(lines) <= most:
        return list(lines)
    head = most // 2
    tail = most - head
    return [*lines[:head], f"... ({len(lines) - most} lines left out) ...", *lines[-tail:]]


def _variable(spec: ParameterSpec, value: JsonValue, caps: Caps) -> str:
    about = [spec.kind if not spec.integer else "whole number"]
    if spec.low is not None and spec.high is not None:
        about.append(f"{show(spec.low)} to {show(spec.high)}")
    elif spec.low is not None:
        about.append(f"at least {show(spec.low)}")
    elif spec.high is not None:
        about.append(f"at most {show(spec.high)}")
    if spec.choices:
        about.append("one of " + ", ".join(show(choice, 20) for choice in spec.choices))
    if spec.kind == "text" and isinstance(value, str):
        frame = split(value)
        value = frame.body
        about += [f"{show(frame.head.strip(), 30)} stands before it"] if frame.head.strip() else []
        about += [f"{show(frame.tail.strip(), 30)} stands after it"] if frame.tail.strip() else []
    tail = f"  # {' '.join(spec.description.split())}" if spec.description else ""
    # What is to be changed is shown as whole as can be: four times the cap of other values, ten times for code.
    cap = (10 if spec.kind == "code" else 4) * caps.value
    if isinstance(value, str) and "\n" in value:
        return f"{spec.name} ({'; '.join(about)}):{tail}\n<<<\n{clip(value, cap)}\n>>>"
    return f"{spec.name} ({'; '.join(about)}) = {show(value, cap)}{tail}"


def _inputs(run: Run, mask_graph: bool, caps: Caps) -> str:
    if run.program is None or mask_graph:
        return clip(run.example or "", caps.value)
    return "\n".join(f"{line.name} = {show(line.value, caps.value)}" for line in run.program.inputs)


def _others(run: Run, caps: Caps) -> str:
    if run.program is None:
        return ""
    _, hidden = fold(run.program.lines)
    values = run.program.values
    # A filled template says nothing that its template and its inputs do not say.
    shown = [
        line
        for line in run.program.lines
        if line.name not in hidden and line.kind != "render" and not _is_output(line, run.program)
    ]
    return "\n".join(_middle_out([f"{line.name} = {_value(line, values, caps)}" for line in shown], caps.lines))


def _output(run: Run, mask_graph: bool, caps: Caps) -> str:
    output = run.program.output if run.program is not None and not mask_graph else None
    if output is None or run.program is None:
        return f"error: {clip(run.error, caps.feedback)}" if run.error else show(run.output, caps.value)
    values = run.program.values
    return f"{output.name} = {_value(output, values, caps)}"


def _effects(run: Run, specs: Sequence[ParameterSpec]) -> str:
    if run.program is None:
        return ""
    return "\n".join(filter(None, (what_if(run.program, spec) for spec in specs)))


def _value(line: Line, values: dict[str, Any], caps: Caps) -> str:
    """The line's value; for an expression of numbers also how it came about: ``3 * 2 = 6``; what code printed below."""
    if line.error:
        return f"error: {clip(line.error, caps.feedback)}"
    if line.printed:
        return f"{show(line.value, caps.value)}\n{clip(line.printed, caps.feedback)}"
    result, names = show(line.value, caps.value), [a.name for a in line.arguments if a.name is not None]
    if line.plain and names and all(_is_number(values.get(name)) for name in names):
        return f"{line.right({name: show(values[name]) for name in names})} = {result}"
    return result


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_output(line: Line, program: Program) -> bool:
    return program.output is not None and line.name == program.output.name


def _feedback(run: Run, caps: Caps) -> str:
    score = "" if run.score is None else f"score {show(run.score)}"
    weight = "" if run.weight == 1 else f"weight {show(run.weight)}"
    text = clip(
        " ".join(run.feedback.split()) if "\n" not in run.feedback.strip() else run.feedback.strip(), caps.feedback
    )
    if run.error and run.program is not None and not text:
        text = "the program failed: " + clip(run.error.strip().splitlines()[-1], caps.feedback)
    return "; ".join(filter(None, (weight, score, text)))
