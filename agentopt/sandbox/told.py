"""What the server says of a job, as a ``Result``. Nothing of it is trusted to have the form it should have."""

from __future__ import annotations

import re
import signal
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from agentopt.sandbox.base import STATUSES, Failure, Result, Status
from agentopt.sandbox.guest.codec import Uncarriable, decode
from agentopt.sandbox.guest.program import FILENAME

__all__ = ["failure", "lost", "result"]

_AROUND = 20
_FRAME = re.compile(rf'^ +File "{FILENAME}", line (\d{{1,9}}) in (.{{1,200}})$', re.MULTILINE)
_LIMITED = {
    "timeout": "it ran longer than {wall:g} s",
    "cpu": "it used more than {cpu:g} s of processor time",
    "memory": "it used more than {memory:,} bytes of memory",
    "processes": "it started more than {processes} processes and threads",
    "output": "it printed more than {output:,} bytes",
    "file_size": "it wrote more than {file_size:,} bytes into a file",
    "disk": "it filled the {disk:,} bytes of its /tmp",
    "calls": "it called host functions more than {calls} times",
    "items": "its generator gave more than {items:,} items",
    "killed": "it ended without a result ({exit})",
    "forbidden": "the sandbox does not allow what it did",
    "garbled": "what it sent as its result is no message",
}


def result(message: Mapping[str, Any], source: str, limits: Mapping[str, Any], types: Mapping[str, type]) -> Result:
    """The result of a job from the server's last message about it."""
    status: Any = message.get("status")
    if status == "broken":
        return lost(_text(_part(message, "error"), "message"))
    if status not in STATUSES:
        status = "garbled"
    known: Status = status
    value, error = None, None
    if status == "ok":
        try:
            value = decode(message.get("value"), types)
        except (Uncarriable, RecursionError) as exc:
            known, error = "uncarriable", failure("", f"the result cannot be read: {exc}", (), source)
    else:
        said = _part(message, "error")
        because = _LIMITED.get(str(status), "").format(**limits, exit=_exit(message.get("exit")))
        kind, text = _text(said, "type"), _text(said, "message")
        if not kind:
            text = text or because
        elif because:
            text = f"{text} ({because})" if text else because
        frames = _crashed(_text(message, "stderr")) if status == "killed" else said.get("frames")
        error = failure(kind, text, frames, source)
    return Result(
        status=known, value=value, error=error, stdout=_text(message, "stdout"), stderr=_text(message, "stderr"),
        wall=_number(message, "wall"), cpu=_number(message, "cpu"), memory=int(_number(message, "memory")),
        calls=int(_number(message, "calls")), items=message.get("kind") == "items",
    )  # fmt: skip


def lost(why: str) -> Result:
    """The result of a job that the sandbox broke down under."""
    return Result("lost", error=Failure("", why, 0, f"the sandbox broke down: {why}"))


def _exit(code: Any) -> str:
    """How a process ended.

    >>> _exit(-11), _exit(3)
    ('SIGSEGV: Segmentation fault', 'exit code 3')
    """
    if isinstance(code, int) and code < 0:
        with suppress(ValueError):
            return f"{signal.Signals(-code).name}: {signal.strsignal(-code)}"
    return f"exit code {code}"


def _crashed(stderr: str) -> list[list[Any]]:
    """The candidate's frames, outermost first, that Python wrote as it crashed (``faulthandler``)."""
    _, crashed, told = stderr.rpartition("Fatal Python error: ")
    return [[int(line), name] for line, name in reversed(_FRAME.findall(told))] if crashed else []


def _part(message: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    part = message.get(key)
    return part if isinstance(part, dict) else {}


def _text(message: Mapping[str, Any], key: str) -> str:
    text = message.get(key)
    return text if isinstance(text, str) else ""


def _number(message: Mapping[str, Any], key: str) -> float:
    number = message.get(key)
    return float(number) if isinstance(number, int | float) else 0.0


def failure(kind: str, message: str, frames: Any, source: str) -> Failure:
    """An error with the candidate's source, the failing line marked ``>>>``.

    >>> failed = failure("ValueError", "no", [[2, "f"]], "def f():\\n    raise ValueError('no')")
    >>> failed.text.splitlines()[1], failed.text.splitlines()[-1]
    ('at line 2 in f', ">>>    2 |     raise ValueError('no')")
    """
    lines = source.splitlines()
    steps = [
        (step[0], step[1])
        for step in (frames if isinstance(frames, list) else ())
        if isinstance(step, list) and len(step) == 2 and type(step[0]) is int and isinstance(step[1], str)
        and 0 < step[0] <= len(lines)
    ]  # fmt: skip
    head = f"{kind}: {message}" if kind and message else kind or message
    told = [head, *(f"called from line {line} in {name}" for line, name in steps[:-1])]
    at = steps[-1][0] if steps else 0
    if steps:
        name = steps[-1][1]
        told.append(f"at line {at}" + (f" in {name}" if name and name != "<module>" else ""))
        for number in range(max(1, at - _AROUND), min(len(lines), at + _AROUND) + 1):
            told.append(f"{'>>>' if number == at else '   '} {number:4d} | {lines[number - 1]}".rstrip())
    return Failure(kind, message, at, "\n".join(told))
