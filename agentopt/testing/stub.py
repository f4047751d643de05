"""An OpenAI-compatible server on loopback, whose answers are a function of the request, and which can misbehave."""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import Counter, deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self, TypeAlias

from agentopt.core.values import canonical

__all__ = ["Received", "StubReply", "StubServer"]


@dataclass(frozen=True)
class StubReply:
    """One answer of the server, good or bad."""

    text: str = ""
    """What the model says."""
    tool_calls: Sequence[tuple[str, str]] = ()
    """Tools that it asks for: name and arguments as JSON text."""
    finish: str | None = None
    """Finish reason; None follows from the answer (stop, length, tool_calls), ``"missing"`` sends none."""
    usage: dict[str, Any] | None = None
    """Usage to report; None counts a token for each four bytes, ``{}`` reports none."""
    status: int = 200
    """HTTP status; from 400 on, ``text`` is the error's message."""
    code: str | None = None
    """The error's code, such as ``insufficient_quota``."""
    retry_after: float | None = None
    """Seconds for the ``Retry-After`` header."""
    delay: float = 0.0
    """Seconds before anything is sent."""
    break_after: int | None = None
    """Close the connection after so many characters of the answer."""


@dataclass(frozen=True)
class Received:
    """One request as it came."""

    path: str
    headers: dict[str, str]
    body: dict[str, Any]
    key: str | None = field(default=None)
    """Its ``Idempotency-Key``."""


Answer: TypeAlias = "Callable[[dict[str, Any]], StubReply | str | dict[str, Any]]"


def _echo(body: dict[str, Any]) -> str:
    asked = [body["messages"], body.get("seed"), body.get("temperature")]
    return f"answer {hashlib.sha256(canonical(asked).encode()).hexdigest()[:12]}"


class StubServer:
    """A server for tests: ``with StubServer(reply) as server: ... server.url ...``.

    Args:
        reply: request body to answer: a text, a dict (sent as JSON text) or a ``StubReply``; default: a text that
            depends on messages, seed and temperature alone.
        models: names that ``/v1/models`` lists.
        refuse: request fields that it answers with status 400, such as ``response_format``.
        idempotent: whether a request with a known ``Idempotency-Key`` gets the answer that the key had.
        api_key: the key that it wants; None takes any.
        fingerprint: what ``/v1/models`` tells of its weights, so that runs share its answers; None tells nothing.

    Answers are cut at ``max_tokens`` (four bytes a token), as a real server's are.

    Attributes: ``requests`` (all chat requests, in order), ``keys`` (how often each idempotency key came), ``fresh``
    (answers that were worked out and not repeated), ``most_in_flight``.

    >>> import json, urllib.request
    >>> with StubServer(lambda body: body["messages"][-1]["content"].upper()) as server:
    ...     json.load(urllib.request.urlopen(f"{server.url}/models"))["data"][0]["id"]
    'stub'
    """

    def __init__(
        self,
        reply: Answer = _echo,
        *,
        models: Sequence[str] = ("stub",),
        refuse: Sequence[str] = (),
        idempotent: bool = False,
        api_key: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.reply, self.models, self.refuse = reply, tuple(models), tuple(refuse)
        self.idempotent, self.api_key, self.fingerprint = idempotent, api_key, fingerprint
        self.requests: list[Received] = []
        self.keys: Counter[str] = Counter()
        self.fresh = 0
        self.in_flight = self.most_in_flight = 0
        self._faults: deque[StubReply] = deque()
        self._known: dict[str, StubReply] = {}
        self._lock = threading.Lock()
        self._server: _Server | None = None

    @property
    def count(self) -> int:
        """Chat requests that came, faulty ones included."""
        return len(self.requests)

    @property
    def port(self) -> int:
        """Its port."""
        if self._server is None:
            raise RuntimeError("the stub server is not running: use it in a `with` block")
        return int(self._server.server_address[1])

    @property
    def url(self) -> str:
        """Its base URL, which ends in ``/v1``."""
        return f"http://127.0.0.1:{self.port}/v1"

    @property
    def model(self) -> str:
        """The model string of its first model."""
        return f"{self.url}#{self.models[0]}"

    def fail(self, fault: StubReply, times: int = 1) -> None:
        """Answer the next requests with a fault, before answering as usual."""
        with self._lock:
            self._faults.extend([fault] * times)

    def __enter__(self) -> Self:
        self._server = _Server(self)
        threading.Thread(target=self._server.serve_forever, args=(0.05,), name="stub-server", daemon=True).start()
        return self

    def __exit__(self, *exc: object) -> None:
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def take(self, received: Received) -> StubReply:
        """Note a request and work out its answer."""
        body = received.body
        with self._lock:
            self.requests.append(received)
            if received.key:
                self.keys[received.key] += 1
            if self._faults:
                return self._faults.popleft()
            if self.idempotent and received.key in self._known:
                return self._known[received.key]
        if self.api_key is not None and received.headers.get("authorization") != f"Bearer {self.api_key}":
            return StubReply(status=401, text=f"Incorrect API key provided: {received.headers.get('authorization')}")
        for name in self.refuse:
            if name in body:
                return StubReply(
                    status=400, text=f"Unsupported parameter: {name!r} is not supported", code="unsupported"
                )
        if body.get("model") not in self.models:
            return StubReply(status=404, text=f"The model {body.get('model')!r} does not exist", code="model_not_found")
        answer = self.reply(body)
        if isinstance(answer, dict):
            answer = json.dumps(answer)
        if isinstance(answer, str):
            answer = StubReply(answer)
        with self._lock:
            self.fresh += 1
            if received.key:
                self._known[received.key] = answer
        return answer

    def entered(self, change: int) -> None:
        """Count the requests that are under way."""
        with self._lock:
            self.in_flight += change
            self.most_in_flight = max(self.most_in_flight, self.in_flight)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, stub: StubServer) -> None:
        self.stub = stub
        super().__init__(("127.0.0.1", 0), _Handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that went away is part of what is tested."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1
    server: _Server

    def log_message(self, format: str, *args: Any) -> None:
        """Say nothing."""

    def do_GET(self) -> None:
        """List the models."""
        if self.path.endswith("/models"):
            stub = self.server.stub
            told = {"object": "model", "fingerprint": stub.fingerprint}
            self._json(200, {"object": "list", "data": [{"id": name, **told} for name in stub.models]})
        else:
            self._json(404, {"error": {"message": f"no such path: {self.path}"}})

    def do_POST(self) -> None:
        """Answer a chat completion."""
        raw = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if not self.path.endswith("/chat/completions"):
            self._json(404, {"error": {"message": f"no such path: {self.path}"}})
            return
        stub, headers = self.server.stub, {name.lower(): value for name, value in self.headers.items()}
        body = json.loads(raw)
        stub.entered(1)
        try:
            answer = stub.take(Received(self.path, headers, body, headers.get("idempotency-key")))
            time.sleep(answer.delay)
        finally:
            stub.entered(-1)
        if answer.status >= 400:
            error = {"message": answer.text or "fault", "type": "stub", "code": answer.code, "param": None}
            wait = {} if answer.retry_after is None else {"Retry-After": str(answer.retry_after)}
            self._json(answer.status, {"error": error}, wait)
            return
        completion = _Completion(body, answer)
        if body.get("stream"):
            self._stream(completion, answer)
        else:
            self._json(200, completion.whole(), cut=answer.break_after)

    def _json(self, status: int, value: Any, headers: dict[str, str] | None = None, cut: int | None = None) -> None:
        data = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        for name, text in (headers or {}).items():
            self.send_header(name, text)
        self.end_headers()
        self.wfile.write(data if cut is None else data[:cut])
        self.close_connection = self.close_connection or cut is not None
        self.wfile.flush()

    def _stream(self, completion: _Completion, answer: StubReply) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        sent = 0
        for chunk in completion.chunks():
            if answer.break_after is not None and sent >= answer.break_after:
                self.close_connection = True
                self.wfile.flush()
                return
            choices = chunk["choices"]
            sent += len(choices[0]["delta"].get("content") or "") if choices else 0
            self._piece(f"data: {json.dumps(chunk)}\n\n")
        self._piece("data: [DONE]\n\n")
        self.wfile.write(b"0\r\n\r\n")
        self.wfile.flush()

    def _piece(self, text: str) -> None:
        data = text.encode()
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()


class _Completion:
    """An answer in the form of the chat-completions API."""

    def __init__(self, body: dict[str, Any], answer: StubReply) -> None:
        room = 4 * int(body.get("max_completion_tokens") or body.get("max_tokens") or 1_000_000)
        data = answer.text.encode()
        self.text = data[:room].decode(errors="ignore")
        self.finish: str | None = answer.finish or (
            "length" if len(data) > room else "tool_calls" if answer.tool_calls else "stop"
        )
        if self.finish == "missing":
            self.finish = None
        read, written = -(-len(canonical(body["messages"]).encode()) // 4), -(-len(self.text.encode()) // 4)
        counted = {"prompt_tokens": read, "completion_tokens": written, "total_tokens": read + written}
        self.usage = counted if answer.usage is None else answer.usage or None
        self.usage_asked = bool((body.get("stream_options") or {}).get("include_usage"))
        self.calls: list[dict[str, Any]] = [
            {"id": f"call_{i}", "type": "function", "index": i, "function": {"name": name, "arguments": arguments}}
            for i, (name, arguments) in enumerate(answer.tool_calls)
        ]
        self.head = {"id": "chatcmpl-stub", "created": 1, "model": body["model"]}

    def whole(self) -> dict[str, Any]:
        message: dict[str, Any] = {"role": "assistant", "content": self.text}
        if self.calls:
            message["tool_calls"] = self.calls
        choice = {"index": 0, "message": message, "finish_reason": self.finish}
        return {**self.head, "object": "chat.completion", "choices": [choice], "usage": self.usage}

    def chunks(self) -> list[dict[str, Any]]:
        deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
        deltas += [{"content": self.text[i : i + 5]} for i in range(0, len(self.text), 5)]
        for call in self.calls:
            arguments = call["function"]["arguments"]
            deltas.append({"tool_calls": [{**call, "function": {**call["function"], "arguments": arguments[:3]}}]})
            deltas.append({"tool_calls": [{"index": call["index"], "function": {"arguments": arguments[3:]}}]})
        choices: list[list[dict[str, Any]]] = [
            [{"index": 0, "delta": delta, "finish_reason": None}] for delta in deltas
        ]
        if self.finish is not None:
            choices.append([{"index": 0, "delta": {}, "finish_reason": self.finish}])
        head = {**self.head, "object": "chat.completion.chunk"}
        chunks: list[dict[str, Any]] = [{**head, "choices": choice, "usage": None} for choice in choices]
        if self.usage_asked and self.usage is not None:
            chunks.append({**head, "choices": [], "usage": self.usage})
        return chunks
