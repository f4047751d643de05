"""The HTTP side of servers on this machine that speak OpenAI's protocol: bodies, keys, problems, events."""

from __future__ import annotations

import contextlib
import json
import re
import socket
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler
from typing import Any

__all__ = ["LOOPBACK", "LoopbackHandler"]

LOOPBACK = {"127.0.0.1", "::1", "localhost"}
MOST_BYTES = 32 << 20


class LoopbackHandler(BaseHTTPRequestHandler):
    """One connection. Subclasses say what the paths do."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *arguments: Any) -> None:
        """Nothing is logged: requests hold people's texts."""

    @property
    def place(self) -> str:
        """The path, without its query."""
        return self.path.partition("?")[0]

    @property
    def key(self) -> bytes:
        """The bearer token that the request shows."""
        return re.sub(r"(?i)^bearer +", "", self.headers.get("Authorization") or "").strip().encode()

    def from_here(self) -> bool:
        """Whether the request names this machine's loopback address; one of a foreign web page is refused."""
        host = (self.headers.get("Host") or "").rsplit(":", 1)[0] if self.headers.get("Host") else "localhost"
        origin = self.headers.get("Origin")
        page = origin.partition("://")[2].rsplit(":", 1)[0] if origin else "localhost"
        if host.strip("[]") in LOOPBACK and page.strip("[]") in LOOPBACK:
            return True
        self.problem(403, "requests must name this machine's loopback address", "forbidden")
        return False

    def read_body(self) -> bytes | None:
        """The body, or None when it was refused."""
        try:
            if (self.headers.get("Transfer-Encoding") or "").strip().lower() == "chunked":
                return b"".join(self._chunks())
            return self.rfile.read(_size(self.headers.get("Content-Length") or "", 10))
        except (ValueError, OverflowError) as error:
            self.close_connection = True
            status = 411 if isinstance(error, ValueError) else 413
            self.problem(status, f"a body of 0 to {MOST_BYTES} bytes is needed", "invalid_request")
            return None

    def _chunks(self) -> Iterator[bytes]:
        """The pieces of a body whose length is not told beforehand."""
        read = 0
        while size := _size(self.rfile.readline(100).decode("latin-1").partition(";")[0], 16, read):
            read += size
            yield self.rfile.read(size)
            self.rfile.readline(2)
        while self.rfile.readline(1000).strip():  # trailers
            pass

    def client_gone(self) -> bool:
        """Whether the other side has closed the connection. May be asked from any thread."""
        try:
            return not self.connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def problem(self, status: int, message: str, kind: str, **more: Any) -> None:
        """Answer with an error in OpenAI's form; ``more`` are further fields of it."""
        self.send(status, {"error": {"message": message, "type": kind, "code": status, **more}})

    def send(
        self,
        status: int,
        value: dict[str, Any] | str,
        kind: str = "application/json",
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Answer with JSON or a text."""
        data = (value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)).encode()
        with contextlib.suppress(ConnectionError):
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(data)))
            for name, text in (headers or {}).items():
                self.send_header(name, text)
            self.end_headers()
            self.wfile.write(data)
            self.wfile.flush()

    def begin_events(self) -> None:
        """Begin a stream of events; the end of the connection ends it."""
        self.close_connection = True
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Cache-Control", "no-cache")
        self.send_header("Connection", "close")
        self.end_headers()

    def event(self, value: dict[str, Any] | str) -> None:
        """Send one event."""
        data = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        self.wfile.write(b"data: " + data.encode() + b"\n\n")
        self.wfile.flush()


def _size(text: str, base: int, before: int = 0) -> int:
    """A number of bytes; ``OverflowError`` where there are too many with those before."""
    size = int(text, base)
    if size < 0:
        raise ValueError(text)
    if before + size > MOST_BYTES:
        raise OverflowError(text)
    return size
