"""``parameters(obj)``: find what may change in an agent, by walking it."""

from __future__ import annotations

import dis
import functools
import os
import sys
import types
from collections.abc import Hashable, Iterator
from typing import Any, cast

from agentopt.core.cell import ATOMS, Cell
from agentopt.core.parameter import Parameter
from agentopt.errors import UsageError

__all__ = ["instance_owns", "owns", "parameters"]


def parameters(obj: Any) -> dict[str, Parameter[Any]]:
    """The parameters of an agent, by name, in the order in which its program mentions them.

    Args:
        obj: a decorated or plain function (its globals, closure, defaults, and the functions that it refers to in
            turn), a bound method, a partial, an object (its attributes, and its methods), a class, a container of such.
            Nothing is called and no property is evaluated; the standard library and installed packages are not entered.

    Raises:
        UsageError: two different parameters have one name.

    >>> from agentopt.core import Parameter, graph, parameters
    >>> TONE = Parameter("plain", name="tone")
    >>> @graph
    ... def greet(name, tone=TONE):
    ...     return tone + name
    >>> list(parameters(greet))
    ['tone']
    """
    found: dict[str, Parameter[Any]] = {}
    for parameter in _walk(obj):
        other = found.setdefault(parameter.name, parameter)
        if other is not parameter:
            raise UsageError(
                f"two parameters are named {parameter.name!r} ({_short(other)} and {_short(parameter)}); "
                "candidates are keyed by name, so give each a name of its own"
            )
    return found


def owns(obj: Any) -> bool:
    """Whether ``obj`` has any parameter."""
    return next(_walk(obj), None) is not None


def instance_owns(obj: Any) -> bool:
    """``owns`` for the object that a method was called on: what its class says is computed once."""
    if isinstance(obj, type):
        return _class_owns(cast("Hashable", obj))
    return _class_owns(cast("Hashable", type(obj))) or any(owns(part) for part in _attributes(obj))


@functools.lru_cache(maxsize=256)
def _class_owns(kind: type) -> bool:
    return owns(kind)


def _short(parameter: Parameter[Any]) -> str:
    text = repr(parameter.default)
    return text if len(text) <= 30 else text[:27] + "..."


def _walk(root: Any) -> Iterator[Parameter[Any]]:
    home = {_top(root), _top(type(root))}
    seen: dict[int, Any] = {}
    stack = [root]
    while stack:
        obj = stack.pop()
        if type(obj) in ATOMS or id(obj) in seen:
            continue
        seen[id(obj)] = obj
        if isinstance(obj, Parameter):
            yield obj
        elif not isinstance(obj, Cell):
            stack.extend(reversed(list(_parts(obj, home))))


def _parts(obj: Any, home: set[str]) -> Iterator[Any]:
    """What ``obj`` refers to. ``home`` are the packages that belong to the agent, wherever they are installed."""
    if isinstance(obj, types.FunctionType):
        function = getattr(obj, "__agentopt__", None)
        if function is not None:
            home.add(_top(obj))
            yield from (function.parameter, function.fn)
        elif _top(obj) in home or not _foreign(obj.__code__.co_filename):
            yield from _of_function(obj)
    elif isinstance(obj, types.MethodType):
        yield from (obj.__self__, obj.__func__)
    elif isinstance(obj, staticmethod | classmethod):
        yield obj.__func__
    elif isinstance(obj, functools.partial):
        yield from (obj.func, *obj.args, *obj.keywords.values())
    elif isinstance(obj, list | tuple | set | frozenset):
        yield from obj
    elif isinstance(obj, dict):
        yield from obj.values()
    elif isinstance(obj, type):
        for kind in obj.__mro__:
            if _top(kind) in home or not _foreign_module(kind.__module__):
                yield from vars(kind).values()
    elif not isinstance(obj, types.ModuleType) and (
        _top(type(obj)) in home or not _foreign_module(type(obj).__module__)
    ):
        yield from _attributes(obj)
        yield type(obj)


def _top(obj: Any) -> str:
    return str(getattr(obj, "__module__", "") or "").partition(".")[0]


def _attributes(obj: Any) -> Iterator[Any]:
    """What the attributes of an instance hold, slots included; properties are not evaluated."""
    yield from getattr(obj, "__dict__", {}).values()
    for kind in type(obj).__mro__:
        for name in _slots(kind):
            slot = kind.__dict__.get(name)
            if isinstance(slot, types.MemberDescriptorType):
                try:
                    yield slot.__get__(obj)
                except AttributeError:
                    continue


def _slots(kind: type) -> tuple[str, ...]:
    slots = kind.__dict__.get("__slots__", ())
    return (slots,) if isinstance(slots, str) else tuple(slots)


def _of_function(fn: types.FunctionType) -> Iterator[Any]:
    yield from (fn.__defaults__ or ())
    yield from (fn.__kwdefaults__ or {}).values()
    if hasattr(fn, "__wrapped__"):
        yield fn.__wrapped__
    for cell in fn.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:
            continue
    for path in _globals_of(fn.__code__):
        value = fn.__globals__.get(path[0])
        for name in path[1:]:
            if not isinstance(value, types.ModuleType):
                break
            value = vars(value).get(name)
        yield value


@functools.lru_cache(maxsize=1024)
def _globals_of(code: types.CodeType) -> tuple[tuple[str, ...], ...]:
    """The global names that a function and the functions within it load, each with the attributes read off it."""
    found: dict[tuple[str, ...], None] = {}
    codes = [code]
    while codes:
        code = codes.pop()
        path: tuple[str, ...] = ()
        for step in dis.get_instructions(code):
            if step.opname in ("LOAD_GLOBAL", "LOAD_NAME"):
                path = (step.argval,)
                found[path] = None
            elif path and step.opname in ("LOAD_ATTR", "LOAD_METHOD"):
                path = (*path, step.argval)
                found[path] = None
            elif step.opname not in ("CACHE", "PRECALL"):
                path = ()
        codes.extend(const for const in code.co_consts if isinstance(const, types.CodeType))
    return tuple(found)


_HERE = os.path.dirname(os.path.dirname(__file__)) + os.sep
_STDLIB = os.path.dirname(os.__file__) + os.sep


def _foreign(filename: str) -> bool:
    """Whether a file belongs to the standard library, an installed package or agentopt itself."""
    return filename.startswith((_HERE, _STDLIB, "<frozen")) or "site-packages" in filename


def _foreign_module(name: str) -> bool:
    if name == "builtins":
        return True
    return _foreign(getattr(sys.modules.get(name), "__file__", None) or "")
