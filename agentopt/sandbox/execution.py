"""``SandboxExec``: code parameters run in a sandbox, baseline and candidates alike."""

from __future__ import annotations

import ast
import builtins
import functools
import inspect
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentopt.core import Exec
from agentopt.core.call import printing
from agentopt.errors import ConstraintError, UsageError
from agentopt.sandbox.base import Job, Limits, Result, Sandbox
from agentopt.sandbox.guest.codec import STAND, Record, Uncarriable, encode
from agentopt.sandbox.surroundings import Surroundings, surroundings

if TYPE_CHECKING:
    from agentopt.core.parameter import Parameter

__all__ = ["SandboxExec", "SandboxLost", "modules_of"]

LONGEST = 100_000
"""Characters of a source."""
PRINTED = 2_000
"""Characters of what a call prints to either stream that are kept, the last ones."""

_CHECK = """
import ast

def check(sources, name):
    return [shape(source, name) for source in sources]

def shape(source, name):
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError, OverflowError) as exc:
        line = getattr(exc, "lineno", None)
        told = f"{type(exc).__name__}: {getattr(exc, 'msg', None) or exc}"
        return {"problem": told + (f" (line {line})" if line else "")}
    kinds = (ast.FunctionDef, ast.AsyncFunctionDef)
    found = [node for node in tree.body if isinstance(node, kinds) and node.name == name]
    others = [node.name for node in tree.body if isinstance(node, kinds)]
    if not found:
        return {"problem": f"it defines no function {name}" + (f", only {', '.join(others)}" if others else "")}
    node = found[-1]
    a = node.args
    ordered = [p.arg for p in (*a.posonlyargs, *a.args)]
    own = [n for n in ast.walk(node) if isinstance(n, (ast.Yield, ast.YieldFrom)) and inside(node, n)]
    return {
        "ordered": ordered, "needed": ordered[: len(ordered) - len(a.defaults)],
        "only": [p.arg for p in a.kwonlyargs], "rest": a.vararg is not None, "names": a.kwarg is not None,
        "needed_only": [p.arg for p, d in zip(a.kwonlyargs, a.kw_defaults) if d is None],
        "is_async": isinstance(node, ast.AsyncFunctionDef), "yields": bool(own),
    }

def inside(function, wanted):
    todo = list(function.body)
    while todo:
        node = todo.pop()
        if node is wanted:
            return True
        if not isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda, ast.ClassDef)):
            todo += ast.iter_child_nodes(node)
    return False
"""


class SandboxLost(ConnectionError):
    """The sandbox broke down under a call: a failure of the world, not of the code in it."""


@dataclass(frozen=True)
class _Shipped:
    """What is known of a code parameter's function."""

    name: str
    around: Surroundings
    methods: tuple[str, ...]
    is_method: bool
    kind: str


def modules_of(parameters: Iterable[Parameter[Any]]) -> list[str]:
    """Modules that the shipped functions import; worth to be preloaded."""
    return sorted({module for parameter in parameters for module in _shipped(parameter).around.modules})


@functools.lru_cache(maxsize=256)
def _shipped(parameter: Parameter[Any]) -> _Shipped:
    if parameter.origin is None:
        raise UsageError(f"parameter {parameter.name!r}: only the source of a @trainable function can be run")
    fn, allow = parameter.origin
    bare = inspect.unwrap(fn)
    name = bare.__name__
    definition = ast.parse(parameter.default).body[0]
    assert isinstance(definition, ast.FunctionDef | ast.AsyncFunctionDef)
    first = next(iter(inspect.signature(bare).parameters), "")
    is_method = first == "self" and "." in bare.__qualname__.rpartition("<locals>.")[2]
    called = {
        node.func.attr
        for node in ast.walk(definition)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name) and node.func.value.id == first
    }  # fmt: skip
    if inspect.isasyncgenfunction(bare):
        kind = "async items"
    elif inspect.isgeneratorfunction(bare):
        kind = "items"
    else:
        kind = "async" if inspect.iscoroutinefunction(bare) else "value"
    around = surroundings(fn, allow, parameter)
    return _Shipped(name, around, tuple(sorted(called)) if is_method else (), is_method, kind)


class SandboxExec(Exec):
    """Runs code parameters in a sandbox. Opened around a run; closing the sandbox is its owner's.

    What a call prints is kept with its node, in ``meta.more["printed"]`` or in the text of its error.

    Args:
        sandbox: where.
        names: code parameters whose shipped source runs there, too: those that are trained.
        limits: of each call; default the sandbox's.

    >>> from agentopt.core import Override, trainable
    >>> from agentopt.sandbox import open_sandbox
    >>> from agentopt.sandbox.execution import SandboxExec
    >>> @trainable
    ... def double(x):
    ...     return x + x
    >>> source = "def double(x):\\n    return 2 * x"
    >>> with open_sandbox(servers=1) as sandbox, SandboxExec(sandbox), Override({"double.code": source}):
    ...     double(21).value
    42
    """

    def __init__(self, sandbox: Sandbox, names: Iterable[str] = (), limits: Limits | None = None) -> None:
        self.sandbox, self.names, self.limits = sandbox, frozenset(names), limits
        self._checked: dict[tuple[int, str], str] = {}
        self._lock = threading.Lock()

    def takes(self, parameter: Parameter[Any], changed: bool) -> bool:
        """Whether calls of its function run in the sandbox."""
        return changed or parameter.name in self.names

    def check(self, parameter: Parameter[Any], source: str) -> None:
        """Parse a source, in the sandbox, and compare its function with the shipped one; once for each text.

        Raises:
            ConstraintError: it is too long, does not parse, or cannot be called as the shipped function is.
        """
        if len(source) > LONGEST:
            raise ConstraintError(f"the source has {len(source):,} characters; at most {LONGEST:,} are taken")
        key = (id(parameter), source)
        if key not in self._checked:
            problem = self._problem(parameter, source)
            with self._lock:
                self._checked[key] = problem
        if self._checked[key]:
            raise ConstraintError(self._checked[key])

    def _problem(self, parameter: Parameter[Any], source: str) -> str:
        name = _shipped(parameter).name
        result = self.sandbox.run_sync(Job(source=_CHECK, entry="check", args=[[parameter.default, source], name]))
        if result.status == "lost":
            raise SandboxLost(result.error.text if result.error else "")
        if not result.ok or not isinstance(result.value, list) or len(result.value) != 2:
            return f"the source does not parse ({result.status})"
        shipped, here = result.value
        if "problem" in here:
            told = here["problem"]
            return told if told.startswith("it defines") else f"the source does not parse: {told}"
        return _unlike(name, shipped, here)

    def run(self, parameter: Parameter[Any], source: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Call the function that ``source`` defines, in the sandbox.

        Raises:
            SandboxLost: the sandbox broke down.
            Exception: what the code raised, as the built-in exception of that name, or one that says how it ended.
        """
        shipped = _shipped(parameter)
        job, note = self._job(shipped, source, args, kwargs), printing()
        if shipped.kind == "async":
            return self._later(job, note)
        if shipped.kind == "async items":
            return self._items_later(job, note)
        value = _value(self.sandbox.run_sync(job), note)
        return _items(value) if shipped.kind == "items" else value

    async def _later(self, job: Job, note: Callable[[str], None]) -> Any:
        return _value(await self.sandbox.run(job), note)

    async def _items_later(self, job: Job, note: Callable[[str], None]) -> AsyncIterator[Any]:
        for item in _value(await self.sandbox.run(job), note):
            yield item

    def _job(self, shipped: _Shipped, source: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> Job:
        around, allow = shipped.around, dict(shipped.around.allow)
        if shipped.is_method and args:
            this, *rest = args
            allow |= {
                f"self.{name}": method for name in shipped.methods if callable(method := getattr(this, name, None))
            }
            args = (Record(STAND, _plain(this)), *rest)
        return Job(
            source=source, entry=shipped.name, args=args, kwargs=kwargs, allow=allow, limits=self.limits,
            prelude="\n".join(around.prelude), values=around.values, annotations=False,
            types=around.types,
        )  # fmt: skip


def _plain(this: Any) -> dict[str, Any]:
    """The attributes of an object that can be carried; the others are not there in the sandbox."""
    found: dict[str, Any] = {}
    slots = [name for kind in type(this).__mro__ for name in getattr(kind, "__slots__", ())]
    for name in (*getattr(this, "__dict__", ()), *slots):
        value = getattr(this, name, None)
        try:
            encode(value)
        except Uncarriable:
            continue
        found[name] = value
    return found


def _items(value: Any) -> Iterator[Any]:
    yield from value


_KINDS = {"timeout": TimeoutError, "cpu": TimeoutError, "memory": MemoryError, "forbidden": PermissionError}


def _printed(result: Result) -> str:
    """What a call printed, bounded; empty when nothing."""
    told = []
    for name, text in (("printed", result.stdout.strip()), ("printed to stderr", result.stderr.strip())):
        if text:
            before = f"... ({len(text) - PRINTED:,} characters before)\n" if len(text) > PRINTED else ""
            told.append(f"{name}:\n{before}{text[-PRINTED:]}")
    return "\n".join(told)


def _value(result: Result, note: Callable[[str], None]) -> Any:
    """The value of a call, or the exception that it ended with."""
    if result.ok:
        note(_printed(result))
        return result.value
    assert result.error is not None
    if result.status == "lost":
        raise SandboxLost(result.error.text)
    named = getattr(builtins, result.error.type, None)
    kind: Callable[[str], BaseException] = _KINDS.get(result.status, RuntimeError)
    # A lost connection would count as the world's fault, which a candidate must not be able to claim.
    if isinstance(named, type) and issubclass(named, Exception) and not issubclass(named, ConnectionError):
        kind = named
    message = result.error.message if kind is named or not result.error.type else result.error.text.splitlines()[0]
    try:
        raised = kind(message)
    except TypeError:  # one that takes more than a text
        raised = RuntimeError(f"{result.error.type}: {message}")
    told = "\n".join(filter(None, (result.error.text, _printed(result))))
    raised.__agentopt_told__ = told  # type: ignore[attr-defined]
    raised.add_note(told)
    raise raised


def _unlike(name: str, shipped: Mapping[str, Any], here: Mapping[str, Any]) -> str:
    """Why a function cannot be called as the shipped one is; empty when it can."""
    if (shipped["is_async"], shipped["yields"]) != (here["is_async"], here["yields"]):
        kinds = [
            ("async " if s["is_async"] else "") + ("generator" if s["yields"] else "function") for s in (shipped, here)
        ]
        return f"{name} must stay what it is, a kind of {kinds[0]}, and became a kind of {kinds[1]}"
    known = set(here["ordered"]) | set(here["only"])
    lost = [p for p in (*shipped["ordered"], *shipped["only"]) if p not in known and not here["names"]]
    if lost:
        return f"{name} lost the argument {lost[0]}; it must take ({', '.join(shipped['ordered'] + shipped['only'])})"
    if here["ordered"][: len(shipped["ordered"])] != shipped["ordered"] and not here["rest"]:
        return f"{name} must take its arguments in the order ({', '.join(shipped['ordered'])})"
    before = {*shipped["needed"], *shipped["needed_only"]}
    new = [p for p in (*here["needed"], *here["needed_only"]) if p not in before]
    if new:
        return f"{name} needs the argument {new[0]}, which its callers do not give; give it a default"
    return ""
