"""What a node remembers: the record under ``Node`` and ``Parameter``, and the walk over its parents."""

from __future__ import annotations

import os
from types import CodeType
from typing import Any, NamedTuple

__all__ = ["ATOMS", "Cell", "Meta", "Nested", "Op", "Parent", "ancestors"]

ATOMS = frozenset({int, float, str, bool, bytes, complex, type(None)})
"""Types that cannot hold a node."""


class Op:
    """What made a node: shared by all nodes of one operator, or of one function called in one way."""

    __slots__ = ("doc", "kind", "name", "roles")

    def __init__(self, name: str, kind: str, roles: tuple[str, ...] = (), doc: str = "") -> None:
        self.name, self.kind, self.roles, self.doc = name, kind, roles, doc


class Nested:
    """An argument with nodes inside: its plain ``value`` and ``found``, pairs of the place within it and the node."""

    __slots__ = ("found", "value")

    def __init__(self, value: Any, found: tuple[tuple[str, Cell], ...]) -> None:
        self.value, self.found = value, found


class Parent(NamedTuple):
    """An edge into a node: from which node, as which argument, and whether it is ``data``, ``control`` or ``param``."""

    node: Any
    role: str
    kind: str


class Meta(NamedTuple):
    """What ``node.meta`` shows."""

    name: str
    op: str
    kind: str
    parents: tuple[Parent, ...]
    id: str
    where: str
    path: str
    doc: str
    error: str | None
    more: dict[str, Any]


class Cell:
    """The slots of a node. ``args`` are the arguments as they came: nodes, plain values, ``Nested``."""

    __slots__ = (
        "__weakref__",
        "_n_args",
        "_n_code",
        "_n_control",
        "_n_feedback",
        "_n_id",
        "_n_lasti",
        "_n_more",
        "_n_op",
        "_n_path",
        "_n_value",
    )

    _n_args: tuple[Any, ...]
    _n_code: CodeType | None
    _n_control: tuple[Cell, Any] | None
    _n_feedback: list[Any] | None
    _n_id: int
    _n_lasti: int
    _n_more: dict[str, Any] | None
    _n_op: Op
    _n_path: str
    _n_value: Any

    def _n_plain(self) -> Any:
        """The value, to be used as an argument."""
        return self._n_value


def parents(cell: Cell) -> list[Parent]:
    """The edges into ``cell``: arguments, then what its body read, then what was branched on before it was made.

    A branch that the last tested node itself depends on in the same way is not repeated: the path through that node
    says it.
    """
    found: list[Parent] = []
    roles = cell._n_op.roles
    for i, arg in enumerate(cell._n_args):
        if isinstance(arg, Cell):
            found.append(Parent(arg, roles[i] if i < len(roles) else f"arg{i}", _edge(arg)))
        elif type(arg) is Nested:
            role = roles[i] if i < len(roles) else f"arg{i}"
            found.extend(Parent(node, role + place, _edge(node)) for place, node in arg.found)
    if cell._n_more is not None:
        for node in cell._n_more.get("reads", ()):
            found.append(Parent(node, node._n_op.name, _edge(node)))
    link = cell._n_control
    while link is not None:
        tested, rest = link
        found.append(Parent(tested, "branch", "control"))
        link = None if tested._n_control is rest else rest
    return found


def _edge(cell: Cell) -> str:
    return "param" if cell._n_op.kind == "param" else "data"


def ancestors(output: Cell) -> list[Cell]:
    """``output`` and everything that it was made from, each once, in no particular order. Linear and iterative; hot."""
    seen = {id(output)}
    stack: list[Cell] = [output]
    found: list[Cell] = []
    links: set[int] = set()
    while stack:
        cell = stack.pop()
        found.append(cell)
        for arg in cell._n_args:
            kind = type(arg)
            if kind in ATOMS:
                continue
            if kind is Nested:
                for _, node in arg.found:
                    if id(node) not in seen:
                        seen.add(id(node))
                        stack.append(node)
            elif issubclass(kind, Cell) and id(arg) not in seen:
                seen.add(id(arg))
                stack.append(arg)
        if cell._n_more is not None:
            for node in cell._n_more.get("reads", ()):
                if id(node) not in seen:
                    seen.add(id(node))
                    stack.append(node)
        link = cell._n_control
        while link is not None and id(link) not in links:
            links.add(id(link))
            node, link = link
            if id(node) not in seen:
                seen.add(id(node))
                stack.append(node)
    return found


def line_of(code: CodeType, lasti: int) -> int:
    """The source line of an instruction."""
    for start, end, line in code.co_lines():
        if start <= lasti < end and line is not None:
            return line
    return code.co_firstlineno


def place(filename: str, line: int) -> str:
    """``file:line``, the file relative to the working directory where it is below it."""
    here = os.getcwd() + os.sep
    return f"{filename[len(here) :] if filename.startswith(here) else filename}:{line}"


def where(cell: Cell) -> str:
    """``file:line`` of the statement that made the node, or ``""``."""
    code = cell._n_code
    return "" if code is None else place(code.co_filename, line_of(code, cell._n_lasti))
