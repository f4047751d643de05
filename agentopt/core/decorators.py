"""``@node``, ``@graph`` and ``@trainable`` for any callable, with its signature kept."""

from __future__ import annotations

import ast
import contextlib
import functools
import inspect
import itertools
import sys
import types
from collections.abc import AsyncGenerator, Callable, Generator, Sequence
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

from agentopt._lines import dedented, lines
from agentopt.core.call import Active, Function
from agentopt.core.nest import unwrap
from agentopt.core.node import Node
from agentopt.core.parameter import Parameter
from agentopt.core.scope import SCOPE, running_task
from agentopt.errors import UsageError

__all__ = ["NodeFunction", "graph", "node", "trainable"]

P = ParamSpec("P")
Q = ParamSpec("Q")
R = TypeVar("R")
R_inv = TypeVar("R_inv")
C = TypeVar("C", bound=type)


class NodeFunction(Protocol[P, R_inv]):
    """A decorated function, as type checkers see it: the function itself, plus ``traced`` which gives a ``Node``."""

    __name__: str
    __wrapped__: Callable[..., Any]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R_inv:
        """Call it: plain result outside traces and runs, a node within."""
        ...

    def traced(self, *args: P.args, **kwargs: P.kwargs) -> Node[R_inv]:
        """Call it and get a ``Node`` in any case. (For a method: ``Class.method.traced(obj, ...)``.)"""
        ...

    @overload
    def __get__(self, obj: None, owner: Any = None) -> NodeFunction[P, R_inv]: ...
    @overload
    def __get__(
        self: NodeFunction[Concatenate[Any, Q], R_inv], obj: object, owner: Any = None
    ) -> NodeFunction[Q, R_inv]: ...


@overload
def node(fn: C) -> C: ...  # type: ignore[overload-overlap]
@overload
def node(fn: Callable[P, R]) -> NodeFunction[P, R]: ...
@overload
def node(*, name: str | None = None, doc: str | None = None) -> Callable[[Callable[P, R]], NodeFunction[P, R]]: ...
def node(fn: Any = None, *, name: str | None = None, doc: str | None = None) -> Any:
    """Make a callable a node: a leaf of the graph, whose body sees plain values.

    Works for functions, methods, static and class methods, lambdas, builtins, partials, coroutine functions, generators
    (each item becomes a node) and async generators. A class gets its public methods and ``__call__`` decorated.

    Args:
        name: in paths and reports; default the function's name.
        doc: what it does, in words for an optimizer; default its docstring.

    >>> from agentopt.core import Trace, node
    >>> @node
    ... def double(x: int) -> int:
    ...     "twice the number"
    ...     return 2 * x
    >>> double(3)
    6
    >>> with Trace() as trace:
    ...     y = double(3)
    >>> y.value, y.meta.path, y.meta.doc
    (6, 'double:0', 'twice the number')
    """
    return _decorator(fn, lambda f: _wrap(Function(f, name, doc, is_graph=False)))


@overload
def graph(fn: C) -> C: ...  # type: ignore[overload-overlap]
@overload
def graph(fn: Callable[P, R]) -> NodeFunction[P, R]: ...
@overload
def graph(*, name: str | None = None, doc: str | None = None) -> Callable[[Callable[P, R]], NodeFunction[P, R]]: ...
def graph(fn: Any = None, *, name: str | None = None, doc: str | None = None) -> Any:
    """Make a callable a graph: orchestration, whose body sees nodes while it is traced.

    Takes what ``node`` takes. Its result is the node that it returns.

    >>> from agentopt.core import Parameter, graph
    >>> BONUS = Parameter(1, name="bonus", kind="number")
    >>> @graph
    ... def score(x):
    ...     return x * 2 + BONUS
    >>> y = score(3)                       # it owns a parameter, so the result is a node also here
    >>> y.backward("too small")
    >>> y.value, BONUS.feedback[0].feedback.text
    (7, 'too small')
    """
    return _decorator(fn, lambda f: _wrap(Function(f, name, doc, is_graph=True)))


@overload
def trainable(fn: C) -> C: ...  # type: ignore[overload-overlap]
@overload
def trainable(fn: Callable[P, R]) -> NodeFunction[P, R]: ...
@overload
def trainable(
    *,
    name: str | None = None,
    doc: str | None = None,
    description: str = "",
    constraint: str = "",
    allow: Sequence[Callable[..., Any]] = (),
) -> Callable[[Callable[P, R]], NodeFunction[P, R]]: ...
def trainable(
    fn: Any = None,
    *,
    name: str | None = None,
    doc: str | None = None,
    description: str = "",
    constraint: str = "",
    allow: Sequence[Callable[..., Any]] = (),
) -> Any:
    """A node whose source is a parameter of kind ``code``, named ``<name>.code``.

    The shipped source runs as it is. A changed one runs in a sandbox only; without one it is refused. A method's source
    belongs to its class: instances share it.

    Args:
        name, doc: as for ``node``.
        description, constraint: words for the optimizer.
        allow: functions that the source may call while it runs in a sandbox; they run here, with arguments that a
            candidate chose.

    Raises:
        UsageError: the source cannot be had (a builtin, a lambda, a function typed into a prompt).
    """

    def make(f: Any) -> Any:
        function = Function(f, name, doc, is_graph=False)
        function.source = _source(f, function.name)
        path = inspect.getsourcefile(inspect.unwrap(f))
        function.parameter = Parameter(
            function.source,
            name=f"{function.name}.code",
            kind="code",
            description=description or function.doc,
            constraint=constraint,
            path=path,
        )
        function.parameter.origin = (f, tuple(allow))
        return _wrap(function)

    return _decorator(fn, make)


def _decorator(fn: Any, make: Callable[[Any], Any]) -> Any:
    if fn is None:
        return functools.partial(_decorator, make=make)
    if isinstance(fn, staticmethod | classmethod):
        return type(fn)(make(fn.__func__))
    if isinstance(fn, type) and fn.__flags__ & (1 << 9):
        return _class(fn, make)
    if not callable(fn):
        raise UsageError(f"only callables can be decorated, not {fn!r}")
    return make(fn)


def _class(cls: type, make: Callable[[Any], Any]) -> type:
    """Decorate what a class defines itself: public methods and ``__call__``, unless they are decorated already."""
    for name, member in list(vars(cls).items()):
        plain = member.__func__ if isinstance(member, staticmethod | classmethod) else member
        if (name.startswith("_") and name != "__call__") or not inspect.isfunction(plain):
            continue
        if not hasattr(plain, "__agentopt__"):
            setattr(cls, name, _decorator(member, make))
    return cls


def _source(fn: Any, name: str) -> str:
    """The text of a function from its ``def`` on, without decorators."""
    try:
        text = dedented(inspect.getsource(fn))
        definition = ast.parse(text).body[0]
    except (OSError, TypeError, SyntaxError, IndexError) as exc:
        raise UsageError(f"{name}: its source cannot be read ({exc}), so it cannot be trainable; use @node") from None
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        raise UsageError(f"{name}: only a function defined by def can be trainable; use @node")
    return "".join(lines(text)[definition.lineno - 1 : definition.end_lineno]).rstrip("\n")


def _wrap(function: Function) -> Any:
    fn = function.fn
    bare = inspect.unwrap(fn.func if isinstance(fn, functools.partial) else fn)
    begin = function.begin
    flag = 0
    drive: Callable[[Active], Any] = _drive
    if inspect.isasyncgenfunction(bare):
        flag, drive = inspect.CO_ASYNC_GENERATOR, _drive_async_generator
    elif inspect.isgeneratorfunction(bare):
        flag, drive = inspect.CO_GENERATOR, _drive_generator
    elif inspect.iscoroutinefunction(bare):
        flag, drive = inspect.CO_COROUTINE, _drive_coroutine

    def wrapper(*args: Any, **kwargs: Any) -> Any:
        active = begin(args, kwargs, sys._getframe(1))
        return fn(*args, **kwargs) if active is None else drive(active)

    def traced(*args: Any, **kwargs: Any) -> Any:
        active = begin(args, kwargs, sys._getframe(1), True)
        return fn(*args, **kwargs) if active is None else drive(active)

    kept = [_like(fn, made, flag) for made in (wrapper, traced)]
    kept[0].__agentopt__, kept[0].traced = function, kept[1]
    return kept[0]


def _like(fn: Any, made: Any, flag: int) -> Any:
    """``made`` with the name, signature and nature of ``fn``.

    The wrapper of a coroutine or generator function is an ordinary function, so that paths are fixed when the call is
    made and not when its result is first awaited; the flag is how ``inspect.iscoroutinefunction`` and its like know
    what a call gives.
    """
    code = made.__code__.replace(co_flags=made.__code__.co_flags | flag)
    twin = types.FunctionType(code, made.__globals__, made.__name__, made.__defaults__, made.__closure__)
    return functools.update_wrapper(twin, fn, updated=("__dict__",) if inspect.isfunction(fn) else ())


def _drive(active: Active) -> Any:
    if active.message is not None and active.answered():
        return active.finish(active.message.value)
    token = SCOPE.set((active.env, active))
    try:
        value = active.run()
    except Exception as exc:
        active.fail(exc)
        raise
    finally:
        SCOPE.reset(token)
    return active.finish(value)


async def _drive_coroutine(active: Active) -> Any:
    active.task = running_task()
    if active.message is not None and active.answered():
        return active.finish(active.message.value)
    token = SCOPE.set((active.env, active))
    try:
        value = await active.run()
    except Exception as exc:
        active.fail(exc)
        raise
    finally:
        _leave(token)
    return active.finish(value)


def _leave(token: Any) -> None:
    """Restore the scope; a coroutine that is dropped half-way is closed from another context, where nothing is set."""
    with contextlib.suppress(ValueError):
        SCOPE.reset(token)


def _drive_generator(active: Active) -> Generator[Any, Any, Any]:
    """Resume the body in its own scope for each item, so that the scope never leaks to the consumer."""
    items = _in_scope(active, active.run)
    resume: Callable[[], Any] = functools.partial(next, items)
    try:
        for i in itertools.count():
            try:
                item = _in_scope(active, resume)
            except StopIteration as stop:
                return stop.value
            try:
                sent = yield active.finish(item, i)
                resume = functools.partial(items.send, unwrap(sent)[0])
            except GeneratorExit:
                raise
            except BaseException as exc:
                resume = functools.partial(items.throw, exc)
    finally:
        items.close()


def _in_scope(active: Active, step: Callable[[], Any]) -> Any:
    token = SCOPE.set((active.env, active))
    try:
        return step()
    except StopIteration:
        raise
    except Exception as exc:
        active.fail(exc)
        raise
    finally:
        SCOPE.reset(token)


async def _drive_async_generator(active: Active) -> AsyncGenerator[Any, Any]:
    items = _in_scope(active, active.run)
    resume: Callable[[], Any] = functools.partial(items.asend, None)
    try:
        for i in itertools.count():
            active.task = running_task()
            token = SCOPE.set((active.env, active))
            try:
                item = await resume()
            except StopAsyncIteration:
                return
            except Exception as exc:
                active.fail(exc)
                raise
            finally:
                _leave(token)
            try:
                sent = yield active.finish(item, i)
                resume = functools.partial(items.asend, unwrap(sent)[0])
            except GeneratorExit:
                raise
            except BaseException as exc:
                resume = functools.partial(items.athrow, exc)
    finally:
        await items.aclose()
