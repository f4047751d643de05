"""What a callable holds, as JSON that is the same in every process: what its results depend on beside its code."""

from __future__ import annotations

import contextlib
import dataclasses
import dis
import functools
import hashlib
import inspect
import re
import sys
from collections import deque
from collections.abc import Iterator, Mapping
from datetime import date, time, timedelta, tzinfo
from decimal import Decimal
from enum import Enum
from fractions import Fraction
from pathlib import Path, PurePath
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, MethodWrapperType, ModuleType
from typing import Any
from uuid import UUID

from pydantic import BaseModel, JsonValue

from agentopt._builtin import builtin_root
from agentopt.core import Node, Parameter
from agentopt.core.values import canonical
from agentopt.errors import AgentOptError
from agentopt.workspace import find, search_path
from agentopt.workspace.roots import FOLDERS

__all__ = ["Held", "users_own"]

_BY_REPR = (Decimal, Fraction, complex, range, slice, date, time, timedelta, tzinfo, UUID)
_BUILT_IN = (BuiltinFunctionType, MethodWrapperType, type(str.join), type(object.__eq__))
_DEEPEST = 40


class Held:
    """What a callable holds.

    Data is told as it is. Functions, partials, methods and dataclasses are told with what they hold, and so are objects
    of the user's own classes; an object of a library is told by its type alone.

    Args:
        root: the callable; what it holds is told in any case.
    """

    def __init__(self, root: Any) -> None:
        self.files: set[Path] = set()
        """Files that define what was met, and prompts."""
        self._root = root
        self._inside: set[int] = set()
        self._done: dict[int, tuple[Any, JsonValue]] = {}  # with the object, so that no other gets its id
        self.told = self._tell(root)
        """All of it."""

    def _tell(self, value: Any) -> JsonValue:
        if value is None or type(value) in (bool, int, float, str):
            return _plain(value)
        if id(value) in self._done:
            return self._done[id(value)][1]
        if id(value) in self._inside or len(self._inside) > _DEEPEST:
            return _name(type(value))
        self._inside.add(id(value))
        try:
            told = self._data(value)
            if told is None:
                told = self._code(value)
        except Exception:  # a property, a __getstate__: the user's code
            told = _name(type(value))
        self._inside.discard(id(value))
        self._done[id(value)] = value, told
        return told

    def _data(self, value: Any) -> JsonValue:
        """A value that is data; None for anything else."""
        if isinstance(value, Enum):
            return [_name(type(value)), value.name]
        if isinstance(value, PurePath):
            return _place(Path(value))
        if isinstance(value, bytes | bytearray):
            return ["bytes", hashlib.sha256(value).hexdigest()]
        if isinstance(value, re.Pattern):
            return ["pattern", self._tell(value.pattern), value.flags]
        if isinstance(value, _BY_REPR):
            return [_name(type(value)), repr(value)]
        if isinstance(value, int | float | str):  # of a class of its own
            return _plain(next(kind(value) for kind in (int, float, str) if isinstance(value, kind)))
        if type(value).__module__.partition(".")[0] == "numpy" and callable(getattr(value, "tolist", None)):
            return self._tell(value.tolist())
        if isinstance(value, Mapping):
            pairs: list[JsonValue] = [[self._tell(k), self._tell(v)] for k, v in value.items()]
            return ["mapping", *sorted(pairs, key=canonical)]
        if isinstance(value, list | tuple | deque):
            return [self._tell(item) for item in value]
        if isinstance(value, set | frozenset):
            return ["set", *sorted((self._tell(item) for item in value), key=canonical)]
        if isinstance(value, BaseModel):
            return [_name(type(value)), self._tell(dict(value))]
        if isinstance(value, Parameter):
            return ["parameter", value.name, self._tell(value.default)]
        if isinstance(value, Node | ModuleType):
            return _name(type(value))
        return None

    def _code(self, value: Any) -> JsonValue:
        """A callable or an object, with what it holds."""
        if isinstance(value, type):
            return self._defined(value)
        if isinstance(value, functools.partial):
            return ["partial", self._tell(value.func), self._tell(value.args), self._tell(value.keywords)]
        if isinstance(value, MethodType):
            return ["method", self._tell(value.__self__), self._tell(value.__func__)]
        if isinstance(value, FunctionType):
            return [*self._defined(value), *self._function(value)]
        if isinstance(value, _BUILT_IN):
            return [_name(value), self._tell(getattr(value, "__self__", None))]  # "abc".startswith
        told = self._defined(type(value))
        if hasattr(value, "__wrapped__"):  # a cache, a node
            told.append(self._tell(value.__wrapped__))
        if dataclasses.is_dataclass(value):
            return [*told, *([f.name, self._tell(getattr(value, f.name))] for f in dataclasses.fields(value))]
        if value is self._root or _users(type(value)):
            return [*told, self._tell(value.__getstate__())]
        return told

    def _function(self, function: FunctionType) -> Iterator[JsonValue]:
        """Default arguments, attributes, variables of the functions around it, and what it names of its module."""
        yield from (self._tell(function.__defaults__), self._tell(function.__kwdefaults__))
        yield self._tell(function.__dict__)
        for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
            with contextlib.suppress(ValueError):  # not assigned yet
                yield [name, self._tell(cell.cell_contents)]
        names, prompts = _uses(function.__code__)
        for name in sorted(names):
            value = function.__globals__.get(name)
            if isinstance(value, Parameter) or (not isinstance(value, Node) and _users_function(value)):
                yield [name, self._tell(value)]
        for text in prompts:
            with contextlib.suppress(AgentOptError, OSError, ValueError):
                self.files.add(find("prompt", text, search_path(caller=function.__code__.co_filename)).path)

    def _defined(self, item: Any) -> list[JsonValue]:
        """File and name of a function or class; its text where there is no file (in a notebook)."""
        path = _file(item)
        code = getattr(item, "__code__", None)
        if path is not None:
            self.files.add(path)
            return [path.stem, item.__qualname__, code.co_firstlineno if code else 0]
        with contextlib.suppress(OSError, TypeError):
            return [_name(item), hashlib.sha256(inspect.getsource(item).encode()).hexdigest()]
        return [_name(item)]


def users_own(path: Path) -> bool:
    """Whether a file is the user's (or of a workspace), and not of a library or of agentopt."""
    if any(path.is_relative_to(builtin_root() / folder) for folder in FOLDERS):
        return True
    library = {"site-packages", "dist-packages"} & set(path.parts)
    return not library and not path.is_relative_to(Path(__file__).resolve().parents[1])


def _users(item: Any) -> bool:
    """Whether a function or class is the user's own."""
    if _top(item) in sys.stdlib_module_names or _top(item) == "agentopt":
        return False
    path = _file(item)
    return users_own(path) if path else item.__module__ == "__main__" or item.__module__ not in sys.modules


def _users_function(value: Any) -> bool:
    function = inspect.unwrap(value)
    return isinstance(function, FunctionType) and _users(function)


def _top(item: Any) -> str:
    return str(item.__module__).partition(".")[0]


def _file(item: Any) -> Path | None:
    """The file that defines a function or class; None for those of Python itself, and where there is none."""
    if _top(item) in sys.stdlib_module_names:
        return None
    try:
        file = inspect.getsourcefile(item)
    except TypeError:
        return None
    return Path(file).resolve() if file and Path(file).is_file() else None


def _uses(code: CodeType) -> tuple[set[str], set[str]]:
    """Names of its module that a function reads, and texts that may name a prompt, functions within included."""
    names = {str(i.argval) for i in dis.get_instructions(code) if i.opname in ("LOAD_GLOBAL", "LOAD_NAME")}
    asks = not {"prompt", "prompt_text"}.isdisjoint(code.co_names)
    prompts = {constant for constant in code.co_consts if isinstance(constant, str)} if asks else set()
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            more = _uses(constant)
            names, prompts = names | more[0], prompts | more[1]
    return names, prompts


def _plain(value: Any) -> JsonValue:
    """A number, text or None as JSON can hold it; a text that is an absolute path here, as the path."""
    if isinstance(value, str):
        with contextlib.suppress(OSError, ValueError):
            if (value.startswith(("/", "\\")) or value[1:3] == ":\\") and Path(value).exists():
                return _place(Path(value))
        return value.encode("utf-8", "backslashreplace").decode()
    if isinstance(value, float) and value - value != 0:
        return repr(value)  # infinite, or no number
    if type(value) is int and value.bit_length() > 2048:
        return hex(value)
    return value  # type: ignore[no-any-return]


def _place(path: Path) -> JsonValue:
    """The name of a file; a folder has none, since it may be moved."""
    return ["folder"] if path.is_dir() else ["file", path.name]


def _name(item: Any) -> str:
    return f"{str(item.__module__).rpartition('.')[2]}.{item.__qualname__}"
