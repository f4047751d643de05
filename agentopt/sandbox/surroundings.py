"""What a function needs around it, so that its source can run elsewhere: imports, constants, helpers.

A name that a shipped function uses is found in its module or closure, and

- a module, and what an installed package or the standard library defines, is imported there,
- a plain helper function or class of the program is sent as source, with what it needs in turn,
- a value that can be carried is sent,
- a function of ``@trainable(allow=[...])`` is called back here.

Anything else cannot come along, and is refused by name.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from types import CodeType, FunctionType, ModuleType
from typing import Any

from agentopt.errors import UsageError
from agentopt.sandbox import paths
from agentopt.sandbox.guest.codec import Uncarriable, encode

__all__ = ["Surroundings", "surroundings"]


@dataclass
class Surroundings:
    """``prelude`` is source, ``values`` constants, ``allow`` host functions by name, ``modules`` what is imported,
    ``types`` the program's own classes, which come back as themselves.
    """

    prelude: list[str] = field(default_factory=list)
    values: dict[str, Any] = field(default_factory=dict)
    allow: dict[str, Callable[..., Any]] = field(default_factory=dict)
    modules: list[str] = field(default_factory=list)
    types: list[type] = field(default_factory=list)


def surroundings(fn: Callable[..., Any], allow: Sequence[Callable[..., Any]], own: Any) -> Surroundings:
    """What ``fn`` needs.

    Args:
        fn: the shipped function.
        allow: what may be called back.
        own: its code parameter; other names of the same function are the function itself.

    Raises:
        UsageError: something that cannot come along; the message says what to do.
    """
    made = Surroundings()
    made.allow = {getattr(f, "__name__", type(f).__name__): f for f in allow}
    _need(inspect.unwrap(fn), made, own, {own.name.removesuffix(".code").rpartition(".")[2]}, own.name)
    return made


def _need(fn: Any, made: Surroundings, own: Any, seen: set[str], where: str) -> None:
    space = _space(fn)
    for name in dict.fromkeys((*_names(fn.__code__), *_defaults(fn))):
        if name in space and name not in seen and name not in made.allow:
            seen.add(name)
            _bring(name, space[name], made, own, seen, where)


def _defaults(fn: Any) -> list[str]:
    """Names in the defaults of a function's arguments."""
    try:
        definition = ast.parse(textwrap.dedent(inspect.getsource(fn))).body[0]
    except (OSError, TypeError, SyntaxError, IndexError):
        return []
    if not isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef):
        return []
    defaults = [*definition.args.defaults, *(d for d in definition.args.kw_defaults if d is not None)]
    return [node.id for part in defaults for node in ast.walk(part) if isinstance(node, ast.Name)]


def _space(fn: Any) -> Mapping[str, Any]:
    cells = dict(zip(fn.__code__.co_freevars, fn.__closure__ or (), strict=False))
    return {**fn.__globals__, **{name: cell.cell_contents for name, cell in cells.items() if _filled(cell)}}


def _filled(cell: Any) -> bool:
    try:
        cell.cell_contents  # noqa: B018
    except ValueError:
        return False
    return True


def _names(code: CodeType) -> Iterator[str]:
    yield from (*code.co_names, *code.co_freevars)
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _bring(name: str, thing: Any, made: Surroundings, own: Any, seen: set[str], where: str) -> None:
    if isinstance(thing, ModuleType):
        if not _importable(thing.__name__):
            raise UsageError(f"{where} uses the module {thing.__name__}, which the sandbox does not have: {_HINT}")
        made.modules.append(thing.__name__)
        made.prelude.append(f"import {thing.__name__} as {name}" if "." in thing.__name__ else _import(thing, name))
        return
    function = getattr(thing, "__agentopt__", None)
    if function is not None:
        if function.parameter is own:
            return
        raise UsageError(
            f"{where} calls {name}, a node, which runs on the host: offer it with @trainable(allow=[{name}])"
        )
    home = getattr(thing, "__module__", None)
    if isinstance(thing, type | FunctionType) or (callable(thing) and hasattr(thing, "__qualname__")):
        if isinstance(home, str) and _importable(home):
            made.modules.append(home)
            made.prelude.append(f"from {home} import {thing.__qualname__} as {name}")
            return
        _send(name, thing, made, own, seen, where)
        return
    try:
        encode(thing, name)
    except Uncarriable as exc:
        raise UsageError(f"{where} uses {name}, and {exc}: {_HINT}") from None
    made.values[name] = thing


_HINT = "pass what it needs as an argument, or offer a function for it with @trainable(allow=[...])"


def _import(module: ModuleType, name: str) -> str:
    return f"import {module.__name__}" if module.__name__ == name else f"import {module.__name__} as {name}"


def _send(name: str, thing: Any, made: Surroundings, own: Any, seen: set[str], where: str) -> None:
    try:
        text = textwrap.dedent(inspect.getsource(thing))
    except (OSError, TypeError) as exc:
        raise UsageError(f"{where} uses {name}, whose source cannot be read ({exc}): {_HINT}") from None
    if isinstance(thing, type):
        parts = [*thing.__mro__[1:-1]] + [getattr(m, "__func__", m) for m in vars(thing).values()]
        for base in [part for part in parts if isinstance(part, type)]:
            if base.__name__ not in seen and not hasattr(sys.modules.get("builtins"), base.__name__):
                seen.add(base.__name__)
                _bring(base.__name__, base, made, own, seen, where)
        file = inspect.getsourcefile(thing)
        functions = [p for p in parts if isinstance(p, FunctionType) and p.__code__.co_filename == file]
        made.types.append(thing)
        decorators = {"dataclass", "field", "NamedTuple", "Enum"} & set(
            text.replace("(", " ").replace("@", " ").split()
        )
        space = vars(sys.modules[thing.__module__])
        for needed in decorators:
            if needed in space and needed not in seen:
                seen.add(needed)
                _bring(needed, space[needed], made, own, seen, where)
    else:
        functions = [inspect.unwrap(thing)]
    for function in functions:
        if function.__module__ == thing.__module__:
            _need(function, made, own, seen, where)
    made.prelude.append(text)
    if thing.__name__ != name:
        made.prelude.append(f"{name} = {thing.__name__}")


def _importable(module: str) -> bool:
    """Whether the sandbox, too, can import a module: it is of the standard library or an installed package."""
    top = module.partition(".")[0]
    if top in sys.stdlib_module_names:
        return top != "__main__"
    file = getattr(sys.modules.get(top), "__file__", None) or ""
    return any(file.startswith(folder + "/") for folder in paths.packages())
