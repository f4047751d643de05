"""The gateway's HTTP server: one for a run, on loopback, in threads of its own."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import queue
import socket
import threading
from concurrent.futures import wait
from http.server import ThreadingHTTPServer
from typing import Any

from agentopt.errors import BudgetExhausted, LLMError, RateLimited, UsageError
from agentopt.llm.context import Session
from agentopt.llm.gateway import shapes
from agentopt.llm.gateway.lease import Asked, Ended, Lease, UnknownModel
from agentopt.llm.loopback import LoopbackHandler
from agentopt.llm.types import Response

__all__ = ["Gateway"]


class Gateway:
    """Serves leases over HTTP on 127.0.0.1. It starts with its first lease; a run closes it at its end."""

    def __init__(self) -> None:
        self._server: _Server | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._lock = threading.Lock()
        self._closed = False

    @property
    def port(self) -> int | None:
        """Its port, once there was a lease."""
        return None if self._server is None else int(self._server.server_address[1])

    def lend(self, session: Session, path: str, ordinal: int) -> Lease:
        """A lease whose calls the session answers, for the ``ordinal``-th block at a place of the run.

        Raises:
            LLMError: the run has ended.
        """
        with self._lock:
            if self._closed:
                raise LLMError("the run of this call has ended, and its gateway with it")
            if self._server is None:
                self._server = _Server()
                threading.Thread(
                    target=self._server.serve_forever, args=(0.05,), name="agentopt-gateway", daemon=True
                ).start()
            server = self._server
        place = f"{path}/~gateway:{ordinal}" if path else f"~gateway:{ordinal}"
        lease = Lease(server.url, session, place, self._tasks, lambda key: server.leases.pop(_digest(key), None))
        server.leases[_digest(lease.key)] = lease
        return lease

    async def aclose(self) -> None:
        """End all leases, the calls under way on this event loop, and the server."""
        with self._lock:
            self._closed, server = True, self._server
        here = asyncio.get_running_loop()
        tasks = [task for task in list(self._tasks) if task.get_loop() is here]
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)
        if server is not None:
            await asyncio.to_thread(server.stop)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.leases: dict[bytes, Lease] = {}
        self.answering = 0
        self.idle = threading.Condition()
        self._open: set[socket.socket] = set()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        self._open.add(connection)
        return connection, address

    def shutdown_request(self, request: Any) -> None:
        self._open.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that goes away in the middle of a request is no news, and a traceback would show its text."""

    def stop(self) -> None:
        """Take no connection any more, let the answers under way out, and close all connections."""
        self.leases.clear()
        self.shutdown()
        self.server_close()
        with self.idle:
            self.idle.wait_for(lambda: not self.answering, timeout=2)
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)


def _digest(key: str | bytes) -> bytes:
    """Keys are looked up by their digest, so that the time of a look-up says nothing of a key."""
    return hashlib.sha256(key if isinstance(key, bytes) else key.encode()).digest()


class _Handler(LoopbackHandler):
    server: _Server

    def do_GET(self) -> None:
        if self.place == "/health":
            return self.send(200, {"status": "ok"})
        lease = self._lease()
        if lease is None:
            return None
        if self.place == "/v1/models":
            entries = [{"id": name, "object": "model", "created": 0, "owned_by": "agentopt"} for name in lease.models]
            return self.send(200, {"object": "list", "data": entries})
        return self.problem(404, f"no such path: {self.place}", "not_found")

    def do_POST(self) -> None:
        data = self.read_body()
        lease = None if data is None else self._lease()
        if data is None or lease is None:
            return
        if self.place != "/v1/chat/completions":
            self.problem(404, f"no such path: {self.place}", "not_found")
            return
        with self.server.idle:
            self.server.answering += 1
        try:
            self._answer(lease, data)
        except ConnectionError:  # the client has gone; its calls go on
            self.close_connection = True
        finally:
            with self.server.idle:
                self.server.answering -= 1
                self.server.idle.notify_all()

    def problem(self, status: int, message: str, kind: str, **more: Any) -> None:
        """Answer with an error. What can be tried again has been, by the run: clients need not do so."""
        headers = {"x-should-retry": "false", **more.pop("headers", {})}
        error = {"message": message, "type": kind, "code": more.get("code", status), "param": None}
        self.send(status, {"error": error}, headers=headers)

    def _lease(self) -> Lease | None:
        if not self.from_here():
            return None
        lease = self.server.leases.get(_digest(self.key))
        if lease is None:
            self.problem(401, "a wrong key, or one whose part of the run has ended", "invalid_api_key")
        return lease

    def _answer(self, lease: Lease, data: bytes) -> None:
        begun = False
        calls: list[Asked] = []
        try:
            body = _read(data)
            requests = lease.requests(body)
            if body.get("stream"):
                events = _Pieces()
                asked = lease.ask(requests[0], self.client_gone, events)
                calls.append(asked)
                asked.future.add_done_callback(lambda _: events.end())
                for event in self._events(lease, asked, events, body):
                    if not begun:
                        self.begin_events()
                        begun = True
                    self.event(event)
                return
            calls.extend(lease.ask(request, self.client_gone) for request in requests)
            answers = [self._wait(lease, asked) for asked in calls]
            if self.client_gone():
                raise ConnectionAbortedError("the client has gone")
            for asked in calls:
                lease.delivered(asked)
            self.send(200, shapes.completion(str(body.get("model") or lease.model), answers))
        except ConnectionError:
            raise
        except BaseException as error:
            lease.missed(calls, self.client_gone)
            status, kind, code = _told(error)
            if isinstance(error, UsageError) and not isinstance(error, shapes.BadRequest):
                lease.note(error)
            message = str(error) if status != 500 else f"{type(error).__name__} in the run's own clients"
            if begun:
                self.event({"error": {"message": message, "type": kind, "code": code, "param": None}})
                return
            pause = getattr(error, "retry_after", None)
            headers = {} if pause is None else {"Retry-After": f"{pause:g}"}
            self.problem(status, message, kind, code=code, headers=headers)

    def _wait(self, lease: Lease, asked: Asked) -> Response:
        while not wait([asked.future], timeout=0.25).done:
            lease.check(asked)
            if self.client_gone():
                raise ConnectionAbortedError("the client has gone")
        return lease.result(asked)

    def _events(self, lease: Lease, asked: Asked, pieces: _Pieces, body: dict[str, Any]) -> Any:
        """The events of a streamed answer, as its pieces come."""
        start = shapes.head(str(body.get("model") or lease.model), stream=True)
        told = heard = ""
        yielded = False
        while (piece := pieces.next()) is not _END:
            if piece is None:
                lease.check(asked)
                if self.client_gone():
                    raise ConnectionAbortedError("the client has gone")
                continue
            heard = "" if piece is _AGAIN else heard + piece
            if not told.startswith(heard) and not heard.startswith(told):
                raise lease.broken()
            if len(heard) > len(told):
                first = {} if yielded else {"role": "assistant"}
                yield shapes.chunk(start, {**first, "content": heard[len(told) :]})
                told, yielded = heard, True
        response = lease.result(asked)
        if not response.text.startswith(told):
            raise lease.broken()
        first = {} if yielded else {"role": "assistant"}
        if rest := response.text[len(told) :]:
            yield shapes.chunk(start, {**first, "content": rest})
        if response.tool_calls:
            yield shapes.chunk(start, {**first, "tool_calls": shapes.tool_calls(response)})
        if self.client_gone():
            raise ConnectionAbortedError("the client has gone")
        lease.delivered(asked)  # many clients leave at the reason why it ended, and ask their next question
        yield shapes.chunk(start, first, response)
        options = body.get("stream_options")
        if isinstance(options, dict) and options.get("include_usage"):
            yield {**start, "choices": [], "usage": shapes.usage([response])}
        yield "[DONE]"


_END, _AGAIN = object(), object()


class _Pieces:
    """Listens to an answer as it is made, for a handler in another thread."""

    def __init__(self) -> None:
        self._queue: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def __call__(self, piece: str) -> None:
        self._queue.put(piece)

    def restart(self) -> None:
        """The call is tried again: what comes now is the answer from its beginning."""
        self._queue.put(_AGAIN)

    def end(self) -> None:
        """Nothing comes any more."""
        self._queue.put(_END)

    def next(self) -> Any:
        """A piece, ``_AGAIN`` or ``_END``; None when nothing came for a while."""
        try:
            return self._queue.get(timeout=0.25)
        except queue.Empty:
            return None


def _read(data: bytes) -> Any:
    try:
        body = json.loads(data)
    except (ValueError, RecursionError):
        raise shapes.BadRequest("the body is not JSON") from None
    try:
        json.dumps(body, ensure_ascii=False, allow_nan=False).encode()
    except UnicodeEncodeError as error:
        half = f"{ord(error.object[error.start]):04x}"
        raise shapes.BadRequest(f"the body is not Unicode: \\u{half} is half a character") from None
    except ValueError:
        raise shapes.BadRequest("the body is not JSON: NaN, Infinity, or a number too large") from None
    return body


def _told(error: BaseException) -> tuple[int, str, str]:
    """Status, type and code of an error, in OpenAI's words where it has some."""
    match error:
        case Ended():
            return 410, "invalid_request_error", "gateway_closed"
        case BudgetExhausted():
            return 402, "insufficient_quota", "budget_exhausted"
        case UnknownModel():
            return 404, "invalid_request_error", "model_not_found"
        case UsageError():
            return 400, "invalid_request_error", "invalid_request"
        case RateLimited():
            return 429, "rate_limit_error", "rate_limit_exceeded"
        case LLMError():
            return error.status or 502, "upstream_error", "upstream_error"
        case _:
            return 500, "server_error", "server_error"
