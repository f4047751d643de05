"""``Graph``: what a trace recorded, as immutable records that are written, drawn and read by optimizers."""

from __future__ import annotations

import inspect
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from agentopt.core.cell import Cell, Nested, parents, where
from agentopt.errors import SchemaTooNew, UnknownName, UsageError

if TYPE_CHECKING:
    import networkx

__all__ = ["Edge", "Graph", "Record", "build"]

SCHEMA = 1
_CLIP = 20_000


class Edge(NamedTuple):
    """From ``source`` to ``target`` as its argument ``role``; ``kind`` is data, control or param."""

    source: str
    target: str
    role: str
    kind: str


@dataclass(frozen=True, slots=True)
class Record:
    """One node of a graph. Everything in it is JSON-able."""

    id: str
    """Unique within the graph: n0, n1, ... in the order of making; x0, ... for what was made before the trace."""
    name: str
    """The parameter's, the value's or the operator's name."""
    op: str
    """The operator."""
    kind: str
    """value, param, call, operator, render, llm or error."""
    doc: str = ""
    """What the operator does, in words."""
    value: Any = None
    """The value as JSON, or its repr where JSON cannot hold it."""
    type: str = "NoneType"
    """Name of the value's type."""
    exact: bool = True
    """Whether ``value`` is the value itself and not its repr."""
    parents: tuple[tuple[str, str, str], ...] = ()
    """``(id, role, kind)`` of every edge into the node."""
    constants: Mapping[str, Any] = field(default_factory=dict)
    """Role to JSON (or repr) of the plain arguments."""
    where: str = ""
    """``file:line`` that made it."""
    path: str = ""
    """Call path: of the call itself for calls, of the call around it for the rest."""
    error: str | None = None
    """For an error node: what went wrong, with the failing line marked."""
    more: Mapping[str, Any] = field(default_factory=dict)
    """Further facts: spans of a rendered prompt, finish reason of an answer, ..."""


class Graph:
    """A directed acyclic graph of records, parents first.

    ``nodes`` is the list of records, ``output`` the id of the output, ``escapes`` the places where a node left the
    graph as ``(id, how, file:line)``. ``graph[id]`` gives a record.
    """

    def __init__(
        self,
        nodes: Sequence[Record],
        output: str | None = None,
        escapes: Sequence[tuple[str, str, str]] = (),
        ids: Mapping[int, str] | None = None,
    ) -> None:
        self.nodes = list(nodes)
        self.output = output
        self.escapes = list(escapes)
        self._ids = dict(ids or {})
        self._by_id = {record.id: record for record in self.nodes}

    @classmethod
    def of(cls, output: Any) -> Graph:
        """The graph of everything that a node was made from, whether or not a trace was open."""
        if not isinstance(output, Cell):
            raise UsageError(f"Graph.of takes a node, not {output!r}")
        return build((), output, {}, ())

    def __getitem__(self, id: str) -> Record:
        try:
            return self._by_id[id]
        except KeyError:
            raise UnknownName("node", id, self._by_id, "graph.nodes has all") from None

    @property
    def printed(self) -> str:
        """What trained code printed in a sandbox, call by call."""
        return "\n".join(str(record.more["printed"]) for record in self.nodes if "printed" in record.more)

    def __contains__(self, id: object) -> bool:
        return id in self._by_id

    def __len__(self) -> int:
        return len(self.nodes)

    def __repr__(self) -> str:
        return f"<Graph of {len(self.nodes)} nodes, output {self.output}>"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Graph) and self.to_json() == other.to_json()

    __hash__ = object.__hash__

    def id_of(self, node: Any) -> str:
        """The id of a live node, a record, a parameter's name or an id.

        Raises:
            UnknownName: it is not in this graph.
        """
        if isinstance(node, Record):
            node = node.id
        if isinstance(node, Cell) and id(node) in self._ids:
            return self._ids[id(node)]
        if isinstance(node, str) and node in self._by_id:
            return node
        name = node._n_op.name if isinstance(node, Cell) else str(node)
        for record in self.nodes:
            if record.kind == "param" and record.name == name:
                return record.id
        raise UnknownName("node", name, [*self._by_id, *(r.name for r in self.parameters)], "graph.nodes has all")

    @property
    def parameters(self) -> list[Record]:
        """The records of the parameters."""
        return [record for record in self.nodes if record.kind == "param"]

    @property
    def edges(self) -> Iterator[Edge]:
        """Every edge, in the order of their targets."""
        return (Edge(p, r.id, role, kind) for r in self.nodes for p, role, kind in r.parents)

    def topological(self) -> list[Record]:
        """The records, parents before children."""
        return list(self.nodes)

    def subgraph(self, output: Any = None, params: Iterable[Any] | None = None) -> Graph:
        """The minimal subgraph: what connects parameters with an output, and the direct inputs of that.

        Args:
            output: a node, record or id; default the graph's output.
            params: parameters, their names or ids; default all of the graph. Those that are not in it do not matter.

        A record that lies on no path from ``params`` but is the input of one that does comes without parents of its
        own. Linear in the size of the graph.
        """
        if output is None and self.output is None:
            raise UsageError("the graph has no output; say subgraph(output)")
        end = self.id_of(self.output if output is None else output)
        wanted = {r.id for r in self.parameters} if params is None else set(self._known(params))
        reached = {end}
        for record in reversed(self.nodes):
            if record.id in reached:
                reached.update(parent for parent, _, _ in record.parents)
        path: set[str] = set()
        for record in self.nodes:
            inside = record.id in wanted or any(p in path for p, _, _ in record.parents)
            if record.id in reached and inside:
                path.add(record.id)
        path.add(end)
        blanket = {parent for id in path for parent, _, _ in self._by_id[id].parents} - path
        nodes = [_rootless(r) if r.id in blanket else r for r in self.nodes if r.id in path or r.id in blanket]
        kept = path | blanket
        ids = {key: id for key, id in self._ids.items() if id in kept}
        return Graph(nodes, end, [e for e in self.escapes if e[0] in kept], ids)

    def _known(self, params: Iterable[Any]) -> Iterator[str]:
        for param in params:
            try:
                yield self.id_of(param)
            except UnknownName:
                continue

    def to_networkx(self) -> networkx.MultiDiGraph[str]:
        """A ``networkx.MultiDiGraph``: node attributes as in ``Record``, edge attributes ``role`` and ``kind``."""
        import networkx

        graph: networkx.MultiDiGraph[str] = networkx.MultiDiGraph(output=self.output)
        graph.add_nodes_from(
            (r.id, {k: v for k, v in _as_dict(r).items() if k not in ("id", "parents")}) for r in self.nodes
        )
        graph.add_edges_from((e.source, e.target, {"role": e.role, "kind": e.kind}) for e in self.edges)
        return graph

    def to_json(self) -> dict[str, Any]:
        """The graph as JSON-able data; ``from_json`` reads it back."""
        nodes = [_as_dict(r) for r in self.nodes]
        return {"schema": SCHEMA, "output": self.output, "nodes": nodes, "escapes": [list(e) for e in self.escapes]}

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> Graph:
        """Read what ``to_json`` gave.

        Raises:
            SchemaTooNew: it was written by a newer version.
            UsageError: it is no graph.
        """
        schema = data.get("schema") if isinstance(data, Mapping) else None
        if not isinstance(schema, int):
            raise UsageError("this is no graph: it has no schema number")
        if schema > SCHEMA:
            raise SchemaTooNew(f"the graph has schema {schema}, this version reads up to {SCHEMA}; update agentopt")
        try:
            nodes = [Record(**{**d, "parents": tuple(tuple(p) for p in d["parents"])}) for d in data["nodes"]]
            return cls(nodes, data["output"], [(id, how, at) for id, how, at in data["escapes"]])
        except (KeyError, TypeError, ValueError) as exc:
            raise UsageError(f"this graph cannot be read: {type(exc).__name__}: {exc}") from None


_FIELDS = tuple(Record.__dataclass_fields__)


def _as_dict(record: Record) -> dict[str, Any]:
    data = {name: getattr(record, name) for name in _FIELDS}
    data["parents"] = [list(parent) for parent in record.parents]
    return data


def _rootless(record: Record) -> Record:
    return Record(**{name: getattr(record, name) for name in _FIELDS if name != "parents"})


def build(nodes: Sequence[Cell], output: Cell | None, values: Mapping[Any, Any], escapes: Sequence[Any]) -> Graph:
    """Records of nodes and of everything that they were made from, parents first."""
    ids: dict[int, str] = {}
    order: list[Cell] = []
    known = {id(node) for node in nodes}
    names: dict[str, int] = {}
    for node in (*nodes, *(() if output is None or id(output) in known else (output,))):
        _visit(node, ids, order, names, known)
    records = [_record(cell, ids, values) for cell in order]
    gone = [(ids[id(e.node)], e.how, e.where) for e in escapes if id(e.node) in ids]
    return Graph(records, None if output is None else ids[id(output)], gone, ids)


def _visit(node: Cell, ids: dict[int, str], order: list[Cell], names: dict[str, int], known: set[int]) -> None:
    """Append ``node`` after its ancestors, iteratively."""
    stack = [(node, False)]
    while stack:
        cell, done = stack.pop()
        if id(cell) in ids:
            continue
        if done:
            ids[id(cell)] = _identify(cell, names, known)
            order.append(cell)
            continue
        stack.append((cell, True))
        stack.extend((parent.node, False) for parent in reversed(parents(cell)) if id(parent.node) not in ids)


def _identify(cell: Cell, names: dict[str, int], known: set[int]) -> str:
    if id(cell) in known:
        return f"n{cell._n_id}"
    stem = f"p:{cell._n_op.name}" if cell._n_op.kind == "param" else "x"
    number = names[stem] = names.get(stem, -1) + 1
    return stem if number == 0 and stem != "x" else f"{stem}{'' if stem == 'x' else '#'}{number}"


def _record(cell: Cell, ids: Mapping[int, str], values: Mapping[Any, Any]) -> Record:
    more = dict(cell._n_more or ())
    name, error = more.pop("name", cell._n_op.name), more.pop("error", None)
    more.pop("reads", None)
    value = cell._n_value
    if cell._n_op.kind == "param":
        parameter: Any = cell
        value = values.get(parameter, parameter.default)
        more.update((k, v) for k, v in parameter.spec_dict().items() if k not in ("name", "value", "description") and v)
    shown, exact = jsonable(value)
    roles = cell._n_op.roles
    constants = {}
    for i, arg in enumerate(cell._n_args):
        if not isinstance(arg, Cell):
            plain = arg.value if type(arg) is Nested else arg
            constants[roles[i] if i < len(roles) else f"arg{i}"] = jsonable(plain)[0]
    return Record(
        id=ids[id(cell)],
        name=name,
        op=cell._n_op.name,
        kind="error" if error is not None else cell._n_op.kind,
        doc=cell._n_op.doc,
        value=shown,
        type=type(value).__name__,
        exact=exact and error is None,
        parents=tuple((ids[id(p.node)], p.role, p.kind) for p in parents(cell)),
        constants=constants,
        where=where(cell),
        path=cell._n_path,
        error=error,
        more=jsonable(more)[0],
    )


def jsonable(value: Any, depth: int = 0) -> tuple[Any, bool]:
    """``value`` as JSON, and whether nothing was lost. What JSON cannot hold becomes its repr, clipped."""
    kind = type(value)
    if kind is float:
        return (value, True) if math.isfinite(value) else (repr(value), False)
    if value is None or kind is bool:
        return value, True
    if kind is str:
        safe = value if value.isascii() else value.encode("utf-8", "backslashreplace").decode()
        return safe, safe == value
    if kind is int:
        return (value, True) if value.bit_length() < 2048 else (hex(value), False)
    if depth < 50 and kind in (list, tuple):
        items = [jsonable(item, depth + 1) for item in value]
        return [item for item, _ in items], kind is list and all(exact for _, exact in items)
    if depth < 50 and kind is dict and all(type(key) is str for key in value):
        pairs = {key: jsonable(item, depth + 1) for key, item in value.items()}
        return {key: item for key, (item, _) in pairs.items()}, all(exact for _, exact in pairs.values())
    try:
        text = f"<{value.__qualname__}>" if inspect.isroutine(value) else repr(value)  # the repr has an address
    except Exception as exc:
        text = f"<{kind.__name__}, whose repr raises {type(exc).__name__}>"
    return text if len(text) <= _CLIP else text[:_CLIP] + "...", False
