"""An OpenAI-compatible endpoint over an engine, on loopback: chat and text completions, streaming, health, metrics."""

from __future__ import annotations

import contextlib
import hmac
import json
import queue
import socket
import threading
import time
from collections.abc import Iterator
from http.server import ThreadingHTTPServer
from typing import Any

from agentopt.errors import LLMError, TransientLLMError
from agentopt.llm.loopback import LOOPBACK, LoopbackHandler
from agentopt.serve import openai_api as api
from agentopt.serve.engine import Engine, Result

__all__ = ["Endpoint"]

Reply = queue.SimpleQueue[tuple[str, Any]]


class Endpoint(ThreadingHTTPServer):
    """Serves an engine. ``serve_forever`` runs it, ``shutdown`` and ``server_close`` end it.

    A web page cannot reach it through a browser: requests with a foreign Host or Origin are refused while it listens
    on loopback.

    Args:
        engine: what answers.
        model: the name that it goes by.
        host: address to bind to.
        port: port; 0 takes a free one.
        api_key: key that requests must show as a bearer token.
        fingerprint: weights, engine and version, told with the model's name.
    """

    daemon_threads = True
    request_queue_size = 128

    def __init__(
        self,
        engine: Engine,
        model: str,
        *,
        host: str = "127.0.0.1",
        port: int = 0,
        api_key: str | None = None,
        fingerprint: str | None = None,
    ) -> None:
        self.address_family = socket.AF_INET6 if ":" in host else socket.AF_INET
        super().__init__((host, port), Handler)
        self.engine, self.model, self.api_key, self.host = engine, model, api_key, host
        self.fingerprint = fingerprint
        self.counts = {"requests": 0, "errors": 0, "input_tokens": 0, "cached_tokens": 0, "output_tokens": 0}
        self.lock = threading.Lock()
        self.started = time.time()

    @property
    def url(self) -> str:
        """Base address for clients."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.server_address[1]}/v1"

    def count(self, **more: int) -> None:
        """Add to the metrics."""
        with self.lock:
            for name, amount in more.items():
                self.counts[name] += amount


class Handler(LoopbackHandler):
    """One connection."""

    server: Endpoint

    def do_GET(self) -> None:
        """Health, models and metrics."""
        path = self.place
        if path == "/health":
            info = self.server.engine.info
            state = {"status": "ok", "model": self.server.model, "loaded": info is not None}
            return self.send(200, {**state, **{k: v for k, v in (info or {}).items() if k != "event"}})
        if not self._allowed():
            return None
        if path == "/v1/models":
            entry = {"id": self.server.model, "object": "model", "created": int(self.server.started)}
            entry |= {"owned_by": "local", "fingerprint": self.server.fingerprint}
            return self.send(200, {"object": "list", "data": [entry]})
        if path == "/metrics":
            lines = [f"agentopt_{name}_total {value}" for name, value in self.server.counts.items()]
            lines.append(f"agentopt_requests_in_flight {self.server.engine.in_flight}")
            return self.send(200, "\n".join(lines) + "\n", "text/plain; version=0.0.4")
        return self.problem(404, f"no such path: {path}", "not_found")

    def do_POST(self) -> None:
        """Chat and text completions."""
        data = self.read_body()
        if data is None or not self._allowed():
            return
        path = self.place
        if path not in ("/v1/chat/completions", "/v1/completions"):
            self.problem(404, f"no such path: {path}", "not_found")
            return
        self.server.count(requests=1)
        try:
            body = json.loads(data)
            if not isinstance(body, dict):
                raise api.BadRequest("the body must be a JSON object")
            self._complete(body, chat=path == "/v1/chat/completions")
        except (api.BadRequest, ValueError) as error:
            self.problem(400, str(error), "invalid_request_error")
        except TransientLLMError as error:
            self.problem(503, str(error), "engine_error")
        except LLMError as error:
            self.problem(400, str(error), "invalid_request_error")
        except ConnectionError:
            self.close_connection = True

    def _complete(self, body: dict[str, Any], *, chat: bool) -> None:
        message = api.to_wire(body, chat=chat)
        number = 1 if body.get("n") is None else body["n"]
        if not isinstance(number, int) or not 1 <= number <= 32:
            raise api.BadRequest("n must be a whole number from 1 to 32")
        if body.get("stream"):
            if number > 1:
                raise api.BadRequest("a stream has one answer: n must be 1")
            usage = bool((body.get("stream_options") or {}).get("include_usage"))
            return self._stream(message, chat=chat, usage=usage)
        replies: list[Reply] = [queue.SimpleQueue() for _ in range(number)]
        idents = [
            self.server.engine.submit({**message, "seed": message["seed"] + i}, _ender(reply))
            for i, reply in enumerate(replies)
        ]
        with self._dropping(idents):
            dones = [next(self._replies(reply))[1] for reply in replies]
        self._tally(dones)
        choices = [api.answer(done, index=i, chat=chat) for i, done in enumerate(dones)]
        head = api.envelope(self.server.model, chat=chat, stream=False)
        return self.send(200, {**head, "choices": choices, "usage": api.chunk_usage(dones)})

    def _stream(self, message: dict[str, Any], *, chat: bool, usage: bool) -> None:
        reply: Reply = queue.SimpleQueue()
        ident = self.server.engine.submit(message, _ender(reply), lambda piece: reply.put(("text", piece)))
        head = api.envelope(self.server.model, chat=chat, stream=True)
        begun = False
        with self._dropping([ident]):
            try:
                for kind, value in self._replies(reply):
                    if not begun:
                        begun = self._begin(head, chat=chat)
                    if kind == "text":
                        self.event(api.chunk(head, {"content": value}, chat=chat))
                        continue
                    calls = api.tool_calls(value)
                    if calls:
                        delta = {"tool_calls": [{"index": i, **call} for i, call in enumerate(calls)]}
                        if value["text"]:
                            delta["content"] = value["text"]
                        self.event(api.chunk(head, delta, chat=chat))
                    self.event(api.chunk(head, {}, value["finish"], chat=chat))
                    if usage:
                        self.event({**head, "choices": [], "usage": api.chunk_usage([value])})
                    self.event("[DONE]")
                    self._tally([value])
            except LLMError as error:
                if not begun:
                    raise
                self.server.count(errors=1)
                self.event({"error": {"message": str(error), "type": "engine_error"}})

    def _begin(self, head: dict[str, Any], *, chat: bool) -> bool:
        self.begin_events()
        if chat:
            self.event(api.chunk(head, {"role": "assistant", "content": ""}, chat=True))
        return True

    def _replies(self, reply: Reply) -> Iterator[tuple[str, Any]]:
        """What comes from the engine, up to the end; stops when the client has gone."""
        while True:
            try:
                kind, value = reply.get(timeout=0.5)
            except queue.Empty:
                if self.client_gone():
                    raise ConnectionAbortedError("the client has gone") from None
                continue
            if isinstance(value, LLMError):
                raise value
            yield kind, value
            if kind == "end":
                return

    @contextlib.contextmanager
    def _dropping(self, idents: list[int]) -> Iterator[None]:
        """Whatever happens, no request of a client that does not wait any more goes on in the engine."""
        try:
            yield
        finally:
            for ident in idents:
                self.server.engine.cancel(ident)

    def _tally(self, dones: list[dict[str, Any]]) -> None:
        for done in dones:
            names = ("input_tokens", "output_tokens", "cached_tokens")
            self.server.count(**{name: int(done.get(name) or 0) for name in names})

    def _allowed(self) -> bool:
        """Whether the request shows the key, and does not come from a foreign web page."""
        if self.server.host in LOOPBACK and not self.from_here():
            return False
        if self.server.api_key and not hmac.compare_digest(self.key, self.server.api_key.encode()):
            self.problem(401, "a wrong or no key: send Authorization: Bearer KEY", "invalid_api_key")
            return False
        return True

    def problem(self, status: int, message: str, kind: str, **more: Any) -> None:
        """Answer with an error, and count it."""
        if self.command == "POST":
            self.server.count(errors=1)
        super().problem(status, message, kind, **more)


def _ender(reply: Reply) -> Any:
    def end(result: Result) -> None:
        reply.put(("end", result))

    return end
