"""A traced graph as a pseudo-program: named lines in the order in which they ran, with loops folded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentopt.optim.meta import clip, show

__all__ = ["Line", "Program", "fold", "read_program"]

_INFIX = {
    "add": "+",
    "sub": "-",
    "mul": "*",
    "truediv": "/",
    "floordiv": "//",
    "mod": "%",
    "pow": "**",
    "matmul": "@",
    "lt": "<",
    "le": "<=",
    "gt": ">",
    "ge": ">=",
    "eq": "==",
    "ne": "!=",
    "and": "&",
    "or": "|",
    "xor": "^",
    "lshift": "<<",
    "rshift": ">>",
}
_PREFIX = {"neg": "-", "pos": "+", "invert": "~"}
_LONGEST_LOOP = 12


@dataclass(frozen=True, slots=True)
class Line:
    """One node, under the name that the report uses for it.

    ``inputs`` are (argument name, name of the node given) of data, in order; ``after`` the nodes that decided whether
    it ran at all. ``error`` is the traceback of a node that failed.
    """

    name: str
    op: str
    kind: str
    value: Any
    doc: str = ""
    inputs: tuple[tuple[str, str], ...] = ()
    after: tuple[str, ...] = ()
    error: str | None = None

    @property
    def infix(self) -> bool:
        """Whether it is written as an expression that needs no documentation."""
        return self.kind == "operator" and _shape(self) is not None

    def code(self, shown: dict[str, str] | None = None) -> str:
        """Its line of the pseudo-program: ``y = a * w``, ``z = solve(question=q)``.

        Args:
            shown: texts to write in place of the names (the values, to show the arithmetic).
        """
        right = self.expression(shown or {})
        when = f"  (after {', '.join(self.after)})" if self.after else ""
        return f"{self.name} = {right}{when}"

    def expression(self, shown: dict[str, str]) -> str:
        """The right-hand side, with names replaced as ``shown`` says."""
        given = [(role, shown.get(name, name)) for role, name in self.inputs]
        shape = _shape(self) if self.kind == "operator" else None
        if shape == "getitem":
            return f"{given[0][1]}[{given[1][1]}]"
        if shape is not None:
            return f"{given[0][1]} {shape} {given[1][1]}" if len(given) == 2 else f"{shape}{given[0][1]}"
        return f"{self.op}({', '.join(f'{role}={text}' if role else text for role, text in given)})"


def _shape(line: Line) -> str | None:
    op, n = line.op.strip("_"), len(line.inputs)
    if n == 2:
        return "getitem" if op == "getitem" else _INFIX.get(op)
    return _PREFIX.get(op) if n == 1 else None


@dataclass(frozen=True, slots=True)
class Program:
    """What one run computed, as far as it lies between the parameters and the output."""

    lines: tuple[Line, ...]
    """Computed nodes in topological order."""
    inputs: tuple[Line, ...]
    """Roots that are not parameters."""
    parameters: tuple[Line, ...]
    """The parameters that the output was made from."""
    output: Line | None
    """The node that the feedback is about."""

    def code(self) -> list[str]:
        """The pseudo-program with its loops folded: one text a line."""
        return fold(self.lines)

    def documentation(self, tokens: int) -> dict[str, str]:
        """What each operator does, by name; expressions such as ``a + b`` are left out."""
        docs: dict[str, str] = {}
        for line in self.lines:
            if line.doc and not line.infix:
                docs.setdefault(line.op, clip(" ".join(line.doc.split()), tokens))
        return docs


def read_program(graph: Any, parameters: Collection[str]) -> Program:
    """Read a traced graph.

    Args:
        graph: an ``agentopt.core.Graph``; only what lies between its output and the parameters is read.
        parameters: names of the parameters of the search.
    """
    small = graph.subgraph(graph.output, None) if graph.output is not None else graph
    records = [small.record(id) for id in small.topological()]
    names = _names(records, parameters)
    lines: list[Line] = []
    for record in records:
        data = tuple((role, names[id]) for id, role, kind in record.parents if kind != "control" and id in names)
        after = tuple(names[id] for id, _, kind in record.parents if kind == "control" and id in names)
        lines.append(
            Line(names[record.id], record.op, record.kind, record.value, record.doc or "", data, after, record.error)
        )
    computed = tuple(line for line in lines if line.inputs or line.after or line.kind not in ("value", "param"))
    roots = [line for line in lines if line not in computed]
    return Program(
        lines=computed,
        inputs=tuple(line for line in roots if line.kind != "param" or line.name not in parameters),
        parameters=tuple(line for line in roots if line.kind == "param" and line.name in parameters),
        output=next((line for line in lines if line.name == names.get(small.output)), None),
    )


def _names(records: Sequence[Any], parameters: Collection[str]) -> dict[str, str]:
    """A unique readable name for each node: its own, numbered where several have the same."""
    count = Counter(record.name for record in records)
    taken = set(parameters)
    seen: Counter[str] = Counter()
    names: dict[str, str] = {}
    for record in records:
        name = record.name or record.id
        if record.kind == "param" and record.name in parameters:
            names[record.id] = name
            continue
        if count[record.name] > 1 or name in taken:
            seen[name] += 1
            while f"{name}_{seen[name]}" in taken:
                seen[name] += 1
            name = f"{name}_{seen[name]}"
        taken.add(name)
        names[record.id] = name
    return names


@dataclass(slots=True)
class _Place:
    at: int
    signature: tuple[object, ...] = field(default_factory=tuple)


def fold(lines: Sequence[Line]) -> list[str]:
    """The code lines, with three or more repeats of the same block written as its first and last one.

    Blocks are the same when they have the same operators over the same pattern of earlier lines, whatever the values.
    Linear in the number of lines.
    """
    place = {line.name: i for i, line in enumerate(lines)}
    signatures = [_signature(line, i, place) for i, line in enumerate(lines)]
    texts: list[str] = []
    i = 0
    while i < len(lines):
        period, repeats = _repeat(signatures, i)
        if repeats < 3:
            texts.append(lines[i].code())
            i += 1
            continue
        end = i + period * repeats
        texts += [line.code() for line in lines[i : i + period]]
        what = "this line" if period == 1 else f"these {period} lines"
        texts.append(f"... ({what} {repeats - 2} more times in the same way, each on the one before) ...")
        texts += [line.code() for line in lines[end - period : end]]
        i = end
    return texts


def folded_away(lines: Sequence[Line]) -> set[str]:
    """Names of the lines that ``fold`` leaves out."""
    shown = {text.partition(" = ")[0] for text in fold(lines)}
    return {line.name for line in lines} - shown


def _signature(line: Line, at: int, place: dict[str, int]) -> tuple[object, ...]:
    pattern = tuple((role, at - place[name] if name in place else "root") for role, name in line.inputs)
    return (line.op, line.kind, pattern, tuple(at - place[name] if name in place else "root" for name in line.after))


def _repeat(signatures: Sequence[tuple[object, ...]], start: int) -> tuple[int, int]:
    """The block at ``start`` that covers most by repeating: (its length, how often it stands there)."""
    best = (1, 1)
    for period in range(1, min(_LONGEST_LOOP, (len(signatures) - start) // 3) + 1):
        repeats = 1
        while _same(signatures, start, start + repeats * period, period):
            repeats += 1
        if repeats >= 3 and period * repeats > best[0] * best[1]:
            best = (period, repeats)
    return best


def _same(signatures: Sequence[tuple[object, ...]], a: int, b: int, n: int) -> bool:
    return b + n <= len(signatures) and all(signatures[a + k] == signatures[b + k] for k in range(n))


def arithmetic(line: Line, values: dict[str, Any], tokens: int) -> str:
    """The line's value, and for an expression of numbers how it came about: ``3 * 2 = 6``."""
    shown = {name: show(values[name], tokens) for _, name in line.inputs if name in values}
    result = show(line.value, tokens)
    if line.infix and all(_is_number(values.get(name)) for _, name in line.inputs):
        return f"{line.expression(shown)} = {result}"
    return result


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def walk(programs: Sequence[Program]) -> Iterator[Line]:
    """Every line of every program."""
    for program in programs:
        yield from program.lines
