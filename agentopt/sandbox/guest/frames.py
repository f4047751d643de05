"""Messages over a stream: four bytes of length, then one JSON object.

The reader never trusts the length: what is longer than its bound is a ``FrameError``.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from json.encoder import encode_basestring_ascii
from os import write
from typing import Any

__all__ = ["FrameError", "Reader", "pack", "send"]

_DEEPEST = 300
_MARKS = re.compile(rb'"(?:[^"\\]|\\.)*"|[\[\]{}]', re.DOTALL)
# The parts of json that are written in C: a candidate may have replaced what those in Python call.
_make: Any = getattr(json.encoder, "c_make_encoder", None)
_encode = _make(None, None, encode_basestring_ascii, None, ":", ",", False, False, True) if _make else None
_scan: Any = json.JSONDecoder().scan_once  # type: ignore[attr-defined]


def _dumps(message: dict[str, Any]) -> str:
    return "".join(_encode(message, 0)) if _encode else json.dumps(message, separators=(",", ":"))


def _loads(text: str) -> Any:
    try:
        value, end = _scan(text, 0)
    except StopIteration:
        raise ValueError("no value") from None
    if end != len(text):
        raise ValueError("more than one value")
    return value


def _too_deep(body: bytes) -> bool:
    """Whether objects and lists nest deeper than every side can write again, however deep its own calls are."""
    if body.count(b"[") + body.count(b"{") <= _DEEPEST:
        return False
    depth = 0
    for mark in _MARKS.finditer(body):
        depth += {91: 1, 123: 1, 93: -1, 125: -1}.get(mark[0][0], 0)
        if depth > _DEEPEST:
            return True
    return False


class FrameError(ValueError):
    """What came is no message."""


def pack(message: dict[str, Any]) -> bytes:
    """One message as bytes.

    >>> pack({"op": "x"})
    b'\\x00\\x00\\x00\\n{"op":"x"}'
    """
    body = _dumps(message).encode("ascii")
    return len(body).to_bytes(4, "big") + body


def send(fd: int, data: bytes) -> None:
    """Write all of ``data`` to a blocking descriptor."""
    view = memoryview(data)
    while view:
        view = view[write(fd, view) :]


class Reader:
    """Cuts a stream into messages.

    Args:
        limit: the longest message in bytes.

    >>> reader = Reader(100)
    >>> list(reader.feed(pack({"a": 1})[:7]))
    []
    >>> list(reader.feed(pack({"a": 1})[7:]))
    [{'a': 1}]
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self.length = 0
        """Bytes of the last message that was given, its head with it."""
        self._held = bytearray()

    def feed(self, data: bytes) -> Iterator[dict[str, Any]]:
        """The messages that are complete with ``data``; those before one that is none are given first.

        Raises:
            FrameError: a message is too long, or is no JSON object.
        """
        self._held += data
        while len(self._held) >= 4:
            length = int.from_bytes(self._held[:4], "big")
            if length > self.limit:
                raise FrameError(f"a message of {length:,} bytes; at most {self.limit:,} are taken")
            if len(self._held) < 4 + length:
                break
            body = bytes(self._held[4 : 4 + length])
            del self._held[: 4 + length]
            self.length = 4 + length
            try:
                message = _loads(body.decode("utf-8"))
            except (ValueError, RecursionError) as exc:
                raise FrameError(f"a message that is no JSON: {exc}") from None
            if not isinstance(message, dict):
                raise FrameError("a message that is no JSON object")
            if _too_deep(body):
                raise FrameError(f"a message with more than {_DEEPEST} levels")
            yield message
