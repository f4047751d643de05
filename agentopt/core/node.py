"""``Node``: a value with a history. Operators, attributes, items and calls on it are traced."""

from __future__ import annotations

import copy
import functools
import operator as op
import os
import sys
from collections.abc import Callable, Iterator, Mapping
from types import FrameType
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from agentopt.core import failure
from agentopt.core.cell import ATOMS, Cell, Meta, Op, parents, place, where
from agentopt.core.nest import cells_in, split, unwrap
from agentopt.core.operators import Operators
from agentopt.core.scope import BODY, SCOPE, Env, Frame
from agentopt.errors import UsageError

if TYPE_CHECKING:
    from agentopt.core.feedback import Given
    from agentopt.core.values import Feedback

__all__ = ["Node", "add_op", "attr", "wants_node"]

T = TypeVar("T")
_new = object.__new__
_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


class Node(Operators, Cell, Generic[T]):
    """A value with a history, immutable once made.

    It owns four public names: ``value``, ``backward``, ``feedback`` and ``meta``. Every other attribute is a traced
    read of the value's (``attr`` reaches one that has one of the four names). Operators are traced. ``==`` compares
    values and gives a plain bool (``eq`` is the traced one); ``hash`` is identity. ``bool(node)`` records a control
    edge to every node made later in the same graph call.

    Args:
        value: anything; kept by reference, so do not change it in place.
        name: how the node is called in reports.

    >>> x = Node(3, name="x")
    >>> y = (x + 1) * 2
    >>> y.value, y.meta.op, [parent.role for parent in y.meta.parents]
    (8, 'mul', ['a'])
    """

    __slots__ = ()
    __array_ufunc__ = None

    def __new__(cls, value: T, *, name: str | None = None) -> Node[T]:
        value, kept = unwrap(value)
        made = _VALUE if name is None else Op(name, "value", ("value",))
        env, frame = SCOPE.get()
        return _make(made, value, () if kept is value else (kept,), env, frame, sys._getframe(1))  # type: ignore[no-any-return]

    @property
    def value(self) -> T:
        """The plain value."""
        return self._n_value  # type: ignore[no-any-return]

    @property
    def feedback(self) -> list[Given]:
        """What was said of this node: a new list of ``(output, feedback, weight)``."""
        from agentopt.core.feedback import given

        return given(self)

    @property
    def meta(self) -> Meta:
        """Name, operator, kind, parents, id within its trace, place in the source, call path, documentation, error."""
        more = dict(self._n_more or ())
        name, error = more.pop("name", self._n_op.name), more.pop("error", None)
        more.pop("reads", None)
        id = f"n{self._n_id}" if self._n_id >= 0 else ""
        kind = "error" if error is not None else self._n_op.kind
        edges = tuple(parents(self))
        return Meta(name, self._n_op.name, kind, edges, id, where(self), self._n_path, self._n_op.doc, error, more)

    def backward(self, feedback: str | float | Feedback, *, weight: float = 1.0) -> None:
        """Give feedback on this node: it reaches every parameter that the node depends on. Linear in the graph.

        Args:
            feedback: words, a score, or a ``Feedback``. May be called several times, on several nodes.
            weight: how much it counts beside other feedback of the same step.
        """
        from agentopt.core.feedback import backward

        backward(self, feedback, weight)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name.endswith("__"):
            raise AttributeError(name)
        return attr(self, name)

    def __eq__(self, other: object) -> bool:
        return _same(self._n_plain(), other._n_plain() if isinstance(other, Cell) else other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    __hash__ = object.__hash__

    def __bool__(self) -> bool:
        _branch(self)
        return bool(self._n_plain())

    def __len__(self) -> int:
        _branch(self)
        return len(self._n_plain())

    def __iter__(self) -> Iterator[Any]:
        for i, item in enumerate(self._n_plain()):
            yield _apply(_ITEM, functools.partial(_identity, item), (self, i), sys._getframe(1))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        fn = self._n_plain()
        plain, record, _ = split((*args, *kwargs.values()))
        n = len(args)
        named = dict(zip(kwargs, plain[n:], strict=True))
        return _apply(_call_op(n, tuple(kwargs)), lambda: fn(*plain[:n], **named), (self, *record), sys._getframe(1))

    def __str__(self) -> str:
        _escape(self, "str()")
        return str(self._n_plain())

    def __format__(self, spec: str) -> str:
        frame = SCOPE.get()[1]
        if frame is not None and frame.kind is not BODY:
            raise UsageError(
                f"an f-string or format() around the node {self._n_op.name!r} would lose where its text came from; "
                "write agentopt.render('... {{name}} ...', name=node), or node.value if that is what you want"
            )
        return format(self._n_plain(), spec)

    def __repr__(self) -> str:
        text = repr(self._n_value)
        return f"<{type(self).__name__} {self._n_op.name}: {text if len(text) <= 60 else text[:57] + '...'}>"

    def __int__(self) -> int:
        _escape(self, "int()")
        return int(self._n_plain())

    def __float__(self) -> float:
        _escape(self, "float()")
        return float(self._n_plain())

    def __complex__(self) -> complex:
        _escape(self, "complex()")
        return complex(self._n_plain())

    def __index__(self) -> int:
        _escape(self, "an index")
        return op.index(self._n_plain())

    def __copy__(self) -> Node[T]:
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Node[T]:
        return Node(copy.deepcopy(self._n_plain(), memo), name=self._n_op.name)

    def __reduce__(self) -> Any:
        return Node, (self._n_plain(),)

    def __setitem__(self, key: Any, value: Any) -> None:
        raise _in_place(self, "item assignment")

    def __delitem__(self, key: Any) -> None:
        raise _in_place(self, "item deletion")


def _identity(value: Any) -> Any:
    return value


_VALUE = Op("value", "value", ("value",))
_ITEM = Op("item", "operator", ("of", "index"), "an item met while iterating")


@functools.lru_cache(maxsize=256)
def _call_op(n: int, names: tuple[str, ...]) -> Op:
    return Op("call", "operator", ("function", *(f"arg{i}" for i in range(n)), *names), "a call of what a node holds")


@functools.lru_cache(maxsize=1024)
def _attr_op(name: str) -> Op:
    return Op(name, "operator", ("of",), "an attribute")


_MUTATORS: dict[type, frozenset[str]] = {
    list: frozenset(("append", "extend", "insert", "remove", "pop", "clear", "sort", "reverse")),
    dict: frozenset(("update", "pop", "popitem", "clear", "setdefault")),
    set: frozenset(("add", "update", "remove", "discard", "pop", "clear")),
    bytearray: frozenset(("append", "extend", "insert", "remove", "pop", "clear", "reverse")),
}


def _make(
    op: Op, value: Any, args: tuple[Any, ...], env: Env, frame: Frame | None, caller: FrameType | None, made: Any = Node
) -> Any:
    """The one place where nodes are made; hot."""
    node = _new(made)
    node._n_op = op
    node._n_value = value
    node._n_feedback = None
    node._n_more = None
    if caller is None:
        node._n_code, node._n_lasti = None, 0
    else:
        node._n_code = caller.f_code
        node._n_lasti = caller.f_lasti
    if frame is None:
        node._n_path, node._n_control = "", None
    else:
        node._n_path = frame.path
        node._n_control = frame.control
    node._n_args = args
    if env.sinks:
        node._n_id = env.next_id()
        for add in env.sinks:
            add(node)
    else:
        node._n_id = -1
        if env.blocked:
            node._n_args, node._n_control = (), None
    return node


def _apply(op: Op, fn: Callable[[], Any], args: tuple[Any, ...], caller: FrameType) -> Any:
    """Run ``fn`` and record it as ``op``; a parameter inside a node's body is its value, and nothing is recorded."""
    env, frame = SCOPE.get()
    try:
        value = fn()
    except Exception as exc:
        if frame is not None and frame.kind is BODY:
            raise
        _raise(op, exc, args, env, frame, caller)
    if frame is not None and frame.kind is BODY and not _any_node(args):
        return value
    extra: tuple[Cell, ...] = ()
    if type(value) not in ATOMS:
        value, kept = unwrap(value)
        extra = () if kept is value else tuple(cells_in(kept))
    node = _make(op, value, args, env, frame, caller)
    if extra:
        node._n_more = {"reads": extra}
    return node


def _raise(
    op: Op, exc: Exception, args: tuple[Any, ...], env: Env, frame: Frame | None, caller: FrameType | None
) -> NoReturn:
    node = _make(op, None, args, env, frame, caller)
    node._n_more = {"error": failure.describe(exc)}
    if failure.passes(exc):
        raise exc
    raise failure.wrap(exc, node) from exc


def _any_node(args: tuple[Any, ...]) -> bool:
    """Whether a node that is no parameter is among recorded arguments."""
    return any(cell._n_op.kind != "param" for arg in args for cell in cells_in(arg))


_TEST = Op("test", "operator", ("a",))


def _branch(node: Node[Any]) -> None:
    """What is made later in this graph call depends on ``node``."""
    env, frame = SCOPE.get()
    frame = frame and frame.own(env)
    if frame is None or frame.kind is BODY or (frame.control is not None and frame.control[0] is node):
        return
    if frame.stranger():
        frame = frame.enter(env, "branch", frame.ordinal("branch"))
    tested: Cell = node
    if node._n_control is not frame.control:  # made before the last branch: its test is what comes after that
        tested = _make(_TEST, node._n_value, (node,), env, frame, sys._getframe(2))
    frame.control = (tested, frame.control)


def _escape(node: Node[Any], how: str) -> None:
    """``node`` leaves the graph as a plain value: remembered with its place in the source."""
    env, frame = SCOPE.get()
    if frame is not None and frame.kind is not BODY:
        caller = sys._getframe(2)
        for trace in env.traces:
            trace._escaped(node, how, place(caller.f_code.co_filename, caller.f_lineno))


def _same(a: Any, b: Any) -> bool:
    """``a == b`` as a bool, for arrays and tables too: equal when every element is."""
    try:
        result = a == b
        for _ in range(2):  # a table's all() is a row of them
            if not isinstance(result, bool) and hasattr(result, "all"):
                result = result.all()
        return bool(result)
    except ValueError:
        return False


def _in_place(node: Node[Any], what: str) -> UsageError:
    return UsageError(
        f"{what} would change the recorded value of node {node._n_op.name!r} in place; make a new value instead "
        "(list_node + [x], dict_node | {k: v}), or do it inside a @node function"
    )


def attr(node: Any, name: str) -> Any:
    """The traced read of an attribute, also of one named ``value``, ``backward``, ``feedback`` or ``meta``.

    >>> from types import SimpleNamespace
    >>> from agentopt.core import Node, attr
    >>> attr(Node(SimpleNamespace(value=3)), "value").value
    3
    """
    if not isinstance(node, Node):
        return getattr(node, name)
    plain = node._n_plain()
    if name in _MUTATORS.get(type(plain), frozenset()):
        raise _in_place(node, f".{name}()")
    try:
        value = getattr(plain, name)
    except AttributeError:
        raise AttributeError(f"node {node._n_op.name!r} holds {type(plain).__name__!r}, without {name!r}") from None
    return _apply(_attr_op(name), lambda: value, (node,), sys._getframe(1))


def add_op(
    name: str,
    value: Any,
    parents: Mapping[str, Any] | None = None,
    *,
    kind: str = "operator",
    doc: str = "",
    error: str | None = None,
    path: str | None = None,
    **more: Any,
) -> Node[Any]:
    """Record a node by hand: what ``llm`` and ``render`` are made with.

    Args:
        name: the operator's name.
        value: its plain result.
        parents: role to argument: nodes, parameters, plain values, containers of them.
        kind: value, operator, call, render or llm.
        doc: what the operator does, in words for an optimizer.
        error: the text of a failure; makes it an error node.
        path: call path, where it is another than the current one.
        more: further JSON-able facts, shown by ``node.meta.more``.

    Made inside a ``@node`` body it becomes a parent of that node. Whether the caller should hand out the node or its
    value is for ``wants_node`` to say.
    """
    parents = parents or {}
    _, record, _ = split(parents.values())
    env, frame = SCOPE.get()
    node: Node[Any] = _make(Op(name, kind, tuple(parents), doc), value, tuple(record), env, frame, _user_frame())
    if error is not None:
        more["error"] = error
    if more:
        node._n_more = more
    if path is not None:
        node._n_path = path
    if frame is not None and frame.kind is BODY:
        frame.reads[id(node)] = node
    return node


def _user_frame() -> FrameType | None:
    """The innermost frame outside this package."""
    caller: FrameType | None = sys._getframe(2)
    while caller is not None and caller.f_code.co_filename.startswith(_PACKAGE):
        caller = caller.f_back
    return caller


def wants_node(*args: Any) -> bool:
    """Whether a traced function called here with ``args`` gives a ``Node``.

    In a trace, a run or a traced graph: yes. In the body of a ``@node``: only when a node that is no parameter is among
    the arguments. Elsewhere: when any node is.
    """
    env, frame = SCOPE.get()
    if frame is not None and frame.kind is not BODY and not env.blocked:
        return True
    record = tuple(unwrap(arg)[1] for arg in args)
    return any(True for arg in record for _ in cells_in(arg)) if frame is None else _any_node(record)
