"""One job, in its own process: compile the candidate's source, call it, and send what came out.

Nothing here protects the host. What the candidate's code can do to these functions harms its own result only.
"""

from __future__ import annotations
import __future__

import asyncio
import builtins
import errno
import faulthandler
import linecache
import random
import signal
import sys
import threading
import types
from os import _exit, fork, read, waitpid
from typing import Any

from .codec import STAND, Record, Uncarriable, decode, encode
from .frames import Reader, pack, send

__all__ = ["FILENAME", "MODULE", "run"]

FILENAME = "<candidate>"
MODULE = "candidate"
CHANNEL = 3
_TEXT = 4000
_FRAMES = 24

# Kept here, since the candidate may put something else in their place.
_settrace, _setprofile, _recursion, _timer = sys.settrace, sys.setprofile, sys.setrecursionlimit, signal.setitimer
_LAZY = __future__.annotations.compiler_flag
_running_loop = asyncio._get_running_loop
_REAL = {name: getattr(builtins, name) for name in dir(builtins)}


_reader = Reader(1 << 30)


class HostError(Exception):
    """A host function failed with an exception that has no counterpart here."""


class TooMany(Exception):
    """A generator gives more items than may be taken."""


class Refused(Exception):
    """The job cannot be begun: what is wrong, and in which line."""

    def __init__(self, message: str, line: int = 0) -> None:
        super().__init__(message)
        self.line = line


class Host:
    """The way to the host's functions, one call at a time."""

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.lock = threading.Lock()
        self.count = 0

    def call(self, name: str, args: Any, kwargs: Any) -> Any:
        """Ask the host to call its function ``name``."""
        frame = {
            "op": "call",
            "name": name,
            "args": encode(list(args), "args"),
            "kwargs": encode(dict(kwargs), "kwargs"),
        }
        with self.lock:
            self.count += 1
            data = pack({**frame, "call": self.count})
            if len(data) > self.limit:
                raise ValueError(f"arguments of {name} take {len(data):,} bytes; at most {self.limit:,} are carried")
            send(CHANNEL, data)
            answer = receive()
        if "error" in answer:
            raise _exception(answer["error"])
        return decode(answer.get("value"))

    def function(self, name: str, is_async: bool) -> Any:
        """A function that stands for the host's."""

        async def later(args: Any, kwargs: Any) -> Any:
            return self.call(name, args, kwargs)

        def ask(*args: Any, **kwargs: Any) -> Any:
            if is_async and _running_loop() is not None:  # the source awaits what is async on the host
                return later(args, kwargs)
            return self.call(name, args, kwargs)

        ask.__name__ = ask.__qualname__ = name
        return ask


def receive() -> Any:
    """The next message of the server: the job first, then answers of the host."""
    data = b""
    while True:
        for message in _reader.feed(data):
            return message
        data = read(CHANNEL, 1 << 16)
        if not data:
            _exit(1)


class Stand:
    """What stands for a host's object whose method is run here: its plain attributes, and methods that ask the host."""

    def __init__(self, fields: Any, methods: Any) -> None:
        self.__dict__.update(methods)
        self.__dict__.update(fields)


def _exception(error: Any) -> BaseException:
    kind = _REAL.get(error["type"])
    if isinstance(kind, type) and issubclass(kind, Exception):
        try:
            return kind(error["message"])
        except Exception:
            pass
    return HostError(f"{error['type']}: {error['message']}")


def run(job: Any) -> None:
    """Do a job in a process that is confined already, send what came out, and end."""
    frame: dict[str, Any]
    try:
        faulthandler.enable(2, all_threads=False)  # of a crash in a library the host is told the candidate's line
        frame = _outcome(job)
    except BaseException as exc:
        frame = {"status": "error", "error": {"type": type(exc).__name__, "message": _said(exc), "frames": []}}
    try:
        try:
            data = pack({"op": "done", **frame})
        except BaseException as exc:
            error = {"type": "", "message": f"the result cannot be sent: {type(exc).__name__}", "frames": []}
            data = pack({"op": "done", "status": "uncarriable", "error": error})
        if len(data) > job["limits"]["result"]:
            message = f"the result takes {len(data):,} bytes; at most {job['limits']['result']:,} are carried"
            data = pack(
                {"op": "done", "status": "uncarriable", "error": {"type": "", "message": message, "frames": []}}
            )
        send(CHANNEL, data)
    finally:
        _exit(0)


def _outcome(job: Any) -> dict[str, Any]:
    out = [open(fd, "w", encoding="utf-8", errors="backslashreplace", closefd=False) for fd in (1, 2)]  # noqa: SIM115
    sys.stdout, sys.stderr = out
    sys.stdin = open(0, encoding="utf-8", closefd=False)  # noqa: SIM115
    try:
        return _run(job)
    finally:
        for stream in {id(s): s for s in (sys.stdout, sys.stderr, *out)}.values():
            try:  # noqa: SIM105 - contextlib calls what the candidate may have replaced
                stream.flush()
            except BaseException:
                pass


def _run(job: Any) -> dict[str, Any]:
    source, limits = job["source"], job["limits"]
    seed = job.get("seed")
    if seed is not None:
        random.seed(seed)
    if (numbers := sys.modules.get("numpy.random")) is not None:
        numbers.seed(None if seed is None else seed % 2**32)
    host = Host(limits["message"])
    try:
        value, kind = _called(source, job, host)
        _settle()
        return {"status": "ok", "value": encode(value, "the result"), "kind": kind}
    except Refused as exc:
        frames = [[exc.line, ""]] if exc.line else []
        return {"status": "refused", "error": {"type": "", "message": str(exc), "frames": frames}}
    except TooMany:
        return {"status": "items", "error": {"type": "", "message": "", "frames": []}}
    except Uncarriable as exc:
        return {"status": "uncarriable", "error": {"type": "", "message": str(exc), "frames": []}}
    except BaseException as exc:
        _settle()
        error = {"type": type(exc).__name__, "message": _said(exc), "frames": _frames(exc)}
        return {"status": _status(exc), "error": error}


def _settle() -> None:
    """Take back what would get into the way of sending the result."""
    _settrace(None)
    _setprofile(None)
    _recursion(3000)
    _timer(signal.ITIMER_REAL, 0)


def _called(source: str, job: Any, host: Host) -> tuple[Any, str]:
    lines = source.splitlines(keepends=True)
    linecache.cache[FILENAME] = (len(source), None, lines, FILENAME)
    flags = 0 if job["annotations"] else _LAZY
    try:
        code = compile(source, FILENAME, "exec", flags, dont_inherit=True)
    except SyntaxError as exc:
        raise Refused(f"{type(exc).__name__}: {exc.msg}", exc.lineno or 0) from None
    except (ValueError, OverflowError, RecursionError, MemoryError) as exc:
        raise Refused(f"the source cannot be compiled: {type(exc).__name__}: {exc}") from None
    module = types.ModuleType(MODULE)
    sys.modules[MODULE] = module
    space = module.__dict__
    space["__builtins__"] = builtins  # not this module's own copy
    for name, is_async in job["names"].items():
        if not name.startswith("self."):
            space[name] = host.function(name, is_async)
    _put(job["values"], space)
    if job["prelude"]:
        prelude = compile(job["prelude"], "<prelude>", "exec", _LAZY, dont_inherit=True)
        exec(prelude, space)  # noqa: S102 - as below
        _put(job["values"], space)  # now as the types that the prelude has
    exec(code, space)  # noqa: S102 - in the candidate's own process, confined by now
    if not job["entry"]:
        return None, "value"
    function: Any = module
    for part in job["entry"].split("."):
        function = getattr(function, part, None)
    if not callable(function):
        known = ", ".join(name for name, thing in space.items() if isinstance(thing, types.FunctionType)) or "none"
        raise Refused(f"the source defines no {job['entry']!r} that can be called (functions: {known})")
    known_types = {name: thing for name, thing in space.items() if isinstance(thing, type)}
    args = decode(job["args"], known_types)
    kwargs = decode(job["kwargs"], known_types)
    if args and type(args[0]) is Record and args[0].type_name == STAND:
        args[0] = Stand(
            args[0].fields, {n[5:]: host.function(n, a) for n, a in job["names"].items() if n[:5] == "self."}
        )
    try:
        result = function(*args, **kwargs)
    finally:  # before any other function of ours is called, which they would see
        _settrace(None)
        _setprofile(None)
    return _finished(result, job["limits"]["items"])


def _put(values: Any, space: dict[str, Any]) -> None:
    known = {name: thing for name, thing in space.items() if isinstance(thing, type)}
    for name, value in values.items():
        space[name] = decode(value, known)


def _finished(result: Any, items: int) -> tuple[Any, str]:
    """What a coroutine or generator gives in the end."""
    if isinstance(result, types.CoroutineType):
        return asyncio.run(result), "value"
    if isinstance(result, types.GeneratorType):
        found: list[Any] = []
        for item in result:
            _take(item, found, items)
        return found, "items"
    if isinstance(result, types.AsyncGeneratorType):
        return asyncio.run(_collected(result, items)), "items"
    return result, "value"


async def _collected(items: Any, most: int) -> list[Any]:
    found: list[Any] = []
    async for item in items:
        _take(item, found, most)
    return found


def _take(item: Any, found: list[Any], most: int) -> None:
    if len(found) >= most:
        raise TooMany
    found.append(item)


def _said(exc: BaseException) -> str:
    try:
        text = str(exc)
    except BaseException as other:
        text = f"(its text fails with {type(other).__name__})"
    return text if len(text) <= _TEXT else text[: _TEXT - 3] + "..."


def _frames(exc: BaseException) -> list[list[Any]]:
    """Line and function of each step of the traceback that is in the candidate's source, the outermost first."""
    found = []
    step = exc.__traceback__
    while step is not None:
        code = step.tb_frame.f_code
        if code.co_filename == FILENAME:
            found.append([step.tb_lineno, code.co_name])
        step = step.tb_next
    return found if len(found) <= _FRAMES else found[:4] + found[4 - _FRAMES :]


def _status(exc: BaseException) -> str:
    """Which limit an exception comes from, if from one."""
    if isinstance(exc, MemoryError):
        return "memory"
    if isinstance(exc, OSError):
        if exc.errno == errno.EFBIG:
            return "file_size"
        if exc.errno in (errno.ENOSPC, errno.EDQUOT):
            return "disk"
        if exc.errno in (errno.EPERM, errno.EACCES, errno.EROFS):
            return "forbidden"
        if exc.errno == errno.EAGAIN and _no_more():
            return "processes"
        if exc.errno == errno.ENOMEM:
            return "memory"
    if isinstance(exc, RuntimeError) and "can't start new thread" in _said(exc):
        return "processes"
    return "error"


def _no_more() -> bool:
    """Whether no process can be started any more."""
    try:
        child = fork()
    except OSError:
        return True
    if child == 0:
        _exit(0)
    waitpid(child, 0)
    return False
