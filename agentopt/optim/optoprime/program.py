"""A traced graph as a pseudo-program: named lines in the order in which they ran."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from agentopt.core import Graph, Record
from agentopt.optim.meta import clip, show

__all__ = ["Argument", "Line", "Program", "read_program"]

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
_ITEMS = {"getitem", "item"}


class Argument(NamedTuple):
    """What a line was given as ``role``: the line called ``name``, or (without one) the plain value ``constant``."""

    role: str
    name: str | None
    constant: Any = None


@dataclass(frozen=True, slots=True)
class Line:
    """One node, under the name that the report uses for it.

    ``after`` are the nodes that decided whether it ran at all; ``error`` is the traceback of a node that failed,
    ``printed`` what trained code printed.
    """

    name: str
    op: str
    kind: str
    value: Any
    doc: str = ""
    arguments: tuple[Argument, ...] = ()
    after: tuple[str, ...] = ()
    error: str | None = None
    printed: str = ""

    @property
    def plain(self) -> bool:
        """Whether it is written as an expression (``a + b``, ``x[0]``) that needs no documentation."""
        return self._written({}) is not None

    def code(self) -> str:
        """Its line of the pseudo-program: ``y = a * w``, ``z = solve(question=q)``."""
        return f"{self.name} = {self.right()}" + (f"  (after {', '.join(self.after)})" if self.after else "")

    def right(self, shown: Mapping[str, str] | None = None) -> str:
        """The right-hand side; ``shown`` are texts to write in place of names, such as their values."""
        written = self._written(shown or {})
        if written is not None:
            return written
        given = ", ".join(f"{a.role}={_text(a, shown or {})}" for a in self.arguments)
        return f"{self.op}({given})"

    def _written(self, shown: Mapping[str, str]) -> str | None:
        op, texts = self.op.strip("_"), [_text(a, shown) for a in self.arguments]
        roles = [a.role for a in self.arguments]
        if self.kind not in ("operator", "error") or not texts:
            return None
        if len(texts) == 2 and op in _INFIX:
            return f"{texts[0]} {_INFIX[op]} {texts[1]}"
        if len(texts) == 2 and op in _ITEMS:
            return f"{texts[0]}[{texts[1]}]"
        if len(texts) == 1 and op in _PREFIX:
            return f"{_PREFIX[op]}{texts[0]}"
        if roles == ["of"]:
            return f"{texts[0]}.{self.op}"
        if op == "call" and roles[0] == "function":
            return f"{texts[0]}({', '.join(texts[1:])})"
        return None


def _text(argument: Argument, shown: Mapping[str, str]) -> str:
    return show(argument.constant, 30) if argument.name is None else shown.get(argument.name, argument.name)


@dataclass(frozen=True, slots=True)
class Program:
    """What one run computed, as far as it lies between the parameters and the output."""

    lines: tuple[Line, ...]
    """Computed nodes in topological order."""
    inputs: tuple[Line, ...]
    """Roots that are not parameters of the search."""
    parameters: tuple[Line, ...]
    """The parameters that the output was made from."""
    output: Line | None
    """The node that the feedback is about."""

    @property
    def values(self) -> dict[str, Any]:
        """Value of every node, by name."""
        return {line.name: line.value for line in (*self.lines, *self.inputs, *self.parameters)}

    def documentation(self, tokens: int) -> dict[str, str]:
        """What each operator does, by name; expressions such as ``a + b`` are left out."""
        docs: dict[str, str] = {}
        for line in self.lines:
            if line.doc and not line.plain:
                docs.setdefault(line.op, clip(" ".join(line.doc.split()), tokens))
        return docs


def read_program(graph: Graph, parameters: Collection[str]) -> Program:
    """Read a traced graph.

    Args:
        graph: a trace; only what lies between the parameters and its output is read.
        parameters: names of the parameters of the search.
    """
    if graph.output is None:
        return Program((), (), (), None)
    small = graph.subgraph(params=[r for r in graph.parameters if r.name in parameters])
    records = small.topological()
    names = _names(records, parameters)
    lines = [_line(record, names) for record in records]
    output = names[small.output] if small.output is not None else None
    computed = [line for line in lines if line.arguments or line.after or line.name == output]
    # What was given to the program from outside, or made by something that no parameter had a part in.
    roots = [line for line in lines if not (line.arguments or line.after) and line.name != output]
    return Program(
        lines=tuple(line for line in computed if line.kind != "param"),
        inputs=tuple(line for line in roots if line.kind != "param" or line.name not in parameters),
        parameters=tuple(line for line in lines if line.kind == "param" and line.name in parameters),
        output=next((line for line in lines if line.name == output), None),
    )


def _line(record: Record, names: Mapping[str, str]) -> Line:
    given = [Argument(role, names[id]) for id, role, kind in record.parents if kind != "control"]
    given += [Argument(role, None, value) for role, value in record.constants.items()] if record.parents else []
    if record.kind == "operator":
        order = {"of": 0, "function": 0, "a": 1, "index": 2, "b": 2}
        given.sort(key=lambda a: order.get(a.role, 3))
    after = dict.fromkeys(names[id] for id, _, kind in record.parents if kind == "control")
    return Line(
        names[record.id], record.op, record.kind, record.value, record.doc, tuple(given), tuple(after), record.error,
        str(record.more.get("printed", "")),
    )  # fmt: skip


def _names(records: Sequence[Record], parameters: Collection[str]) -> dict[str, str]:
    """A unique readable name for each node: its own where it has one, else its operator's with a number."""
    taken, used = set(parameters), dict[str, int]()
    names: dict[str, str] = {}
    for record in records:
        name = record.name or record.id
        if record.kind == "param" and record.name in parameters:
            names[record.id] = name
            continue
        stem = name
        while name in taken or (name == record.op and record.kind not in ("param", "value")) or name == "value":
            used[stem] = used.get(stem, 0) + 1
            name = f"{stem}_{used[stem]}"
        taken.add(name)
        names[record.id] = name
    return names
