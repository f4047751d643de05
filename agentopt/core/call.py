"""What happens when a decorated function is called: binding, paths, the body's scope, the node of the result."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Iterable, Sequence
from types import CodeType, FrameType, ModuleType
from typing import Any

from agentopt.core import failure
from agentopt.core.cell import ATOMS, Cell, Nested, Op
from agentopt.core.handlers import Call
from agentopt.core.nest import cells_in, split, unwrap
from agentopt.core.node import Node, _any_node, _make
from agentopt.core.parameter import Parameter
from agentopt.core.scope import BODY, GRAPH, ROOT, SCOPE, Env, Frame
from agentopt.core.walk import instance_owns, owns
from agentopt.errors import ConstraintError, NodeError

__all__ = ["Active", "Function", "printing"]

_SHAPES = 256


class Shape:
    """One way of calling a function (how many positional arguments, which keywords), bound once.

    ``op`` names the recorded arguments; ``constants`` are the defaults that apply; ``args`` and ``kwargs`` are defaults
    that hold nodes and so must be passed; ``inputs`` make the nodes of a graph's arguments.
    """

    __slots__ = ("args", "constants", "inputs", "kwargs", "op")

    def __init__(self, function: Function, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.args: tuple[Any, ...] = ()
        self.kwargs: dict[str, Any] = {}
        self.constants: tuple[Any, ...] = ()
        signature = function.signature
        if signature is None:
            roles = [f"arg{i}" for i in range(len(args))] + list(kwargs)
        else:
            bound = signature.bind(*args, **kwargs)
            roles, names = [], iter(signature.parameters.values())
            for i in range(len(args)):
                parameter = next(names)
                if parameter.kind is inspect.Parameter.VAR_POSITIONAL:
                    first = i
                    roles += [f"{parameter.name}[{k - first}]" for k in range(first, len(args))]
                    break
                roles.append(parameter.name)
            roles += kwargs
            plain, held = [], {}
            for name, parameter in signature.parameters.items():
                if name in bound.arguments or parameter.default is parameter.empty:
                    continue
                if unwrap_only(parameter.default):
                    held[name] = parameter
                else:
                    plain.append((name, parameter.default))
            for name, parameter in held.items():
                roles.append(name)
                if parameter.kind is parameter.POSITIONAL_ONLY:
                    self.args = (*self.args, parameter.default)
                else:
                    self.kwargs[name] = parameter.default
            roles += [name for name, _ in plain]
            self.constants = tuple(value for _, value in plain)
        roles = roles[function.skip :]
        self.op = Op(function.name, "call", tuple(roles), function.doc)
        self.inputs = tuple(Op(role, "value", ("value",), f"argument of {function.name}") for role in roles)


def unwrap_only(value: Any) -> bool:
    """Whether a value is or holds a node."""
    return isinstance(value, Cell) or (type(value) not in ATOMS and bool(unwrap_record(value)))


def unwrap_record(value: Any) -> bool:
    """Whether a container holds a node, without reading parameters."""
    from agentopt.core.nest import _search

    return next(_search(value), None) is not None


class Function:
    """A decorated callable: what its wrapper carries as ``__agentopt__``."""

    __slots__ = ("_owned", "doc", "fn", "is_graph", "name", "parameter", "shapes", "signature", "skip", "source")

    def __init__(self, fn: Callable[..., Any], name: str | None, doc: str | None, is_graph: bool) -> None:
        self.fn, self.is_graph = fn, is_graph
        self.name = name or _name_of(fn)
        self.doc = inspect.getdoc(fn) or "" if doc is None else doc
        self.parameter: Parameter[str] | None = None
        self.source = ""
        self.shapes: dict[Any, Shape] = {}
        self._owned: bool | None = None
        try:
            self.signature: inspect.Signature | None = inspect.signature(fn)
        except (ValueError, TypeError):
            self.signature = None
        first = next(iter(self.signature.parameters), "") if self.signature else ""
        qualified = getattr(fn, "__qualname__", "").rpartition("<locals>.")[2]
        self.skip = int(first in ("self", "cls") and "." in qualified and not inspect.ismethod(fn))

    def owned(self, args: tuple[Any, ...]) -> bool:
        """Whether the function, or the object that it is a method of, has parameters."""
        if self._owned is None:
            self._owned = self.parameter is not None or owns(self.fn)
        return self._owned or bool(self.skip and args and instance_owns(args[0]))

    def shape(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Shape:
        """How these arguments are bound; computed once for each form of call.

        Raises:
            TypeError: they do not fit the signature.
        """
        key = (len(args), *kwargs) if kwargs else len(args)
        shape = self.shapes.get(key)
        if shape is None:
            shape = Shape(self, args, kwargs)
            if len(self.shapes) >= _SHAPES:
                self.shapes.clear()
            self.shapes[key] = shape
        return shape

    def begin(
        self, args: tuple[Any, ...], kwargs: dict[str, Any], caller: FrameType, force: bool = False
    ) -> Active | None:
        """The call to be traced, or None when it is a plain one; hot."""
        scope = env, outer = SCOPE.get()
        shape = self.shapes.get((len(args), *kwargs) if kwargs else len(args))
        if shape is None:
            if outer is None and not force and not _any_cells(args, kwargs) and not self.owned(args):
                return None
            shape = self.shape(args, kwargs)
        if shape.args or shape.kwargs:
            args, kwargs = args + shape.args, {**kwargs, **shape.kwargs}
        skip = self.skip
        given = args[skip:] if skip else args
        if kwargs:
            given = (*given, *kwargs.values())
        found = False
        plain: Any = given
        record: Any = given
        for value in given:
            if type(value) not in ATOMS:
                plain, record, found = split(given)
                break
        gives = True
        if outer is None:
            if not (found or force or self.owned(args)):
                return None
        elif outer.kind is BODY:
            gives = force or (found and _any_node(record))
        elif env.blocked and not (found or force):
            return None
        if env.hidden and self.name in env.hidden:
            env = env._replace(blocked=True, traces=(), sinks=(), hooks=())
        active = Active("", BODY)
        if outer is None:
            active.path = f"{self.name}:0"
            active.before = None
        else:
            other = active.task is not outer.task and active.task is not None
            if other:
                outer = outer.own(scope[0])
            ordinal = outer.ordinal(self.name)
            step = f"{self.name}:{ordinal}"
            active.path = f"{outer.path}/{step}" if outer.path else step
            if other and outer.stranger():
                outer = outer.enter(scope[0], self.name, ordinal)
            active.before = active.control = outer.control
        active.function, active.env, active.outer, active.gives, active.op = self, env, outer, gives, shape.op
        active.code, active.lasti, active.message = caller.f_code, caller.f_lasti, None
        if self.is_graph and not env.blocked:
            active.kind = GRAPH
            plain = active.inputs(shape.inputs, given, record, caller)
            active.record = tuple(plain)
        else:
            active.control = None
            active.record = (*record, *shape.constants)
        if kwargs:
            n = len(args) - skip
            active.args, active.kwargs = (*args[:skip], *plain[:n]), dict(zip(kwargs, plain[n:], strict=True))
        else:
            active.args, active.kwargs = (*args[:skip], *plain) if skip else plain, kwargs
        if env.hooks:
            active.message = Call(self.name, active.path, active.args, active.kwargs)
        return active


class Active(Frame):
    """One traced call in progress: the frame of its body, and what is needed to record its result."""

    __slots__ = (
        "args",
        "before",
        "code",
        "env",
        "function",
        "gives",
        "kwargs",
        "lasti",
        "message",
        "op",
        "outer",
        "printed",
        "record",
    )

    args: Sequence[Any]
    before: tuple[Cell, Any] | None
    code: CodeType
    env: Env
    function: Function
    gives: bool
    kwargs: dict[str, Any]
    lasti: int
    message: Call | None
    op: Op
    outer: Frame | None
    printed: str
    record: tuple[Any, ...]

    def inputs(self, ops: Iterable[Op], given: Iterable[Any], record: Iterable[Any], caller: FrameType) -> list[Any]:
        """What a graph's body gets for its arguments: data as nodes, agents and functions as they are."""
        return [self._input(op, value, kept, caller) for op, value, kept in zip(ops, given, record, strict=False)]

    def _input(self, op: Op, value: Any, record: Any, caller: FrameType) -> Any:
        if isinstance(record, Cell) or type(record) is Nested or callable(value) or isinstance(value, ModuleType):
            return value
        if type(value) not in ATOMS and not isinstance(value, list | tuple | dict | set | frozenset) and owns(value):
            return value
        return _make(op, value, (), self.env, self, caller)

    def answered(self) -> bool:
        """Whether a handler answers the call, so that it need not run."""
        message = self.message
        if message is None or self.function.is_graph:
            return False
        for handler in reversed(self.env.hooks):
            handler.before(message)
        return message.done

    def run(self) -> Any:
        """Call the function itself; what is the ``Exec`` handler's goes there. In the body's scope."""
        parameter = self.function.parameter
        if parameter is not None:
            source = parameter._n_plain()
            changed, place = source != self.function.source, self.env.exec
            if place is not None and place.takes(parameter, changed):
                return place.run(parameter, source, tuple(self.args), self.kwargs)
            if changed:
                raise ConstraintError(f"parameter {parameter.name!r}: a changed source needs the sandbox")
        return self.function.fn(*self.args, **self.kwargs)

    def finish(self, value: Any, item: int | None = None) -> Any:
        """The node of a result, or the plain value where that is what the caller gets; hot."""
        if self.message is not None and item is None:
            self.message.value, self.message.done = value, True
            self._after()
            value = self.message.value
        if type(value) is Node and self.kind is GRAPH:
            node = value
        else:
            inside: Iterable[Cell] = ()
            if type(value) not in ATOMS:
                value, kept = unwrap(value)
                inside = cells_in(kept)
            node = self._node(value)
            if reads := {id(cell): cell for cell in (*self.reads.values(), *inside)} if inside else self.reads:
                node._n_more = {"reads": tuple(reads.values())}
            if item is not None:
                node._n_more = {**(node._n_more or {}), "item": item}
            if self.function.parameter is not None and hasattr(self, "printed"):
                node._n_more = {**(node._n_more or {}), "printed": self.printed}
                del self.printed  # of a generator, the first item tells it
        if self.outer is not None:
            self._link(node, self.outer)
        return node if self.gives else node._n_value

    def _node(self, value: Any) -> Node[Any]:
        env = self.env
        node: Node[Any] = _make(self.op, value, self.record, env, self, None)
        node._n_code, node._n_lasti = self.code, self.lasti
        if self.kind is BODY and not env.blocked:
            node._n_control = self.before
        return node

    def _link(self, node: Node[Any], outer: Frame) -> None:
        """Tell the call around this one: a body gets the node as a parent, a trace its output."""
        if outer.kind is BODY:
            if not self.env.blocked:
                outer.reads[id(node)] = node
        elif self.kind is GRAPH and outer.kind is ROOT:
            for trace in self.env.traces:
                trace._result = node

    def fail(self, exc: Exception) -> None:
        """Record an exception as an error node, and raise what users catch when that is another exception."""
        if self.message is not None:
            self.message.error = exc
            self._after()
        if isinstance(exc, NodeError) and self.function.is_graph:
            if isinstance(exc.node, Node) and self.outer is not None:
                self._link(exc.node, self.outer)
            return
        node = self._node(None)
        node._n_more = {"error": failure.describe(exc), "reads": tuple(self.reads.values())}
        if self.outer is not None:
            self._link(node, self.outer)
        if failure.passes(exc):
            return
        raise failure.wrap(exc, node) from exc

    def _after(self) -> None:
        if self.message is not None:
            for handler in self.env.hooks:
                handler.after(self.message)


def printing() -> Callable[[str], None]:
    """For an ``Exec`` handler: takes what the code of the running call printed, for its node's ``more["printed"]``."""
    _, frame = SCOPE.get()

    def note(text: str) -> None:
        if text and isinstance(frame, Active):
            frame.printed = text

    return note


def _any_cells(args: tuple[Any, ...], kwargs: dict[str, Any]) -> bool:
    return any(type(v) not in ATOMS and unwrap_only(v) for v in (*args, *kwargs.values()))


def _name_of(fn: Any) -> str:
    while isinstance(fn, functools.partial):
        fn = fn.func
    name = getattr(fn, "__qualname__", None) or type(fn).__qualname__
    return name.rpartition("<locals>.")[2].replace("<lambda>", "lambda").replace("/", ".")
