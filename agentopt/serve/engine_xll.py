"""The llama.cpp engine: a program around xllamacpp's server, answering what comes over its stdin (see ``wire``).

The server listens on a free port of loopback, behind a key that only this process knows. A thread a request reads its
stream; closing the connection is how llama.cpp is told to drop a request.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import secrets
import socket
import sys
import threading
import urllib.parse
from collections.abc import Iterator
from typing import Any

from agentopt.serve.tooltext import forced_schema, parse_tool_calls
from agentopt.serve.wire import Channel, Refused

__all__ = ["LlamaCpp", "main"]

PASSED = (
    "max_tokens", "temperature", "top_p", "seed", "top_k", "min_p", "frequency_penalty", "presence_penalty",
    "ignore_eos", "grammar", "tools",
)  # fmt: skip


class LlamaCpp:
    """The loaded model behind its own server.

    Args:
        settings: ``model`` (path), ``max_seqs``, ``batch_tokens``, ``threads`` (0: all), ``context``.
        channel: where requests come from and answers go to.
    """

    def __init__(self, settings: dict[str, Any], channel: Channel) -> None:
        import xllamacpp

        self.channel, self.version = channel, str(xllamacpp.__version__)
        self.slots, self.context = int(settings["max_seqs"]), int(settings["context"])
        self.key = secrets.token_urlsafe(24)
        params = xllamacpp.CommonParams()
        params.model.path = settings["model"]
        params.hostnames, params.port, params.api_keys = ["127.0.0.1"], 0, [self.key]
        params.n_parallel, params.n_ctx, params.kv_unified = self.slots, self.context * self.slots, False
        params.n_batch, params.n_ubatch = max(2048, int(settings["batch_tokens"])), int(settings["batch_tokens"])
        threads = int(settings["threads"]) or os.cpu_count() or 1
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = threads
        params.n_threads_http = self.slots + 2
        params.cont_batching = params.cache_prompt = params.use_jinja = params.warmup = True
        params.endpoint_slots = params.ui = False
        self.server = xllamacpp.Server(params)
        address = urllib.parse.urlsplit(self.server.listening_address)
        self.host, self.port = address.hostname or "127.0.0.1", int(address.port or 0)
        self.lock = threading.Lock()
        self.free = threading.Semaphore(self.slots)
        self.live: dict[int, socket.socket | None] = {}

    def run(self) -> None:
        """Answer until the parent is gone."""
        while True:
            for message in self.channel.take(block=True):
                if message.get("op") == "cancel":
                    self._cancel(message["id"])
                else:
                    self.live[message["id"]] = None
                    threading.Thread(target=self._answer, args=(message,), daemon=True).start()

    def _cancel(self, ident: int) -> None:
        with self.lock:
            connection = self.live.pop(ident, None)
        if connection is not None:
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def _answer(self, message: dict[str, Any]) -> None:
        ident = message["id"]
        with self.free:
            try:
                done = self._ask(message) if ident in self.live else None
            except Refused as error:
                self._tell(ident, "error", kind="invalid", message=str(error))
            except (OSError, http.client.HTTPException, ValueError, KeyError) as error:
                self._tell(ident, "error", kind="failed", message=f"llama.cpp's server: {error!r}")
            else:
                if done is not None:
                    self._tell(ident, "done", **done)

    def _tell(self, ident: int, event: str, **fields: Any) -> None:
        """Send the end of a request, unless it was cancelled."""
        with self.lock:
            known = ident in self.live
            self.live.pop(ident, None)
        if known:
            self.channel.emit(event, id=ident, **fields)

    def _ask(self, message: dict[str, Any]) -> dict[str, Any]:
        chat = message["op"] == "chat"
        path = "/v1/chat/completions" if chat else "/v1/completions"
        connection = http.client.HTTPConnection(self.host, self.port)
        connection.connect()
        with self.lock:
            if message["id"] not in self.live:
                connection.close()
                raise ConnectionError("cancelled")
            self.live[message["id"]] = connection.sock
        with contextlib.closing(connection):
            headers = {"Authorization": f"Bearer {self.key}", "Content-Type": "application/json"}
            connection.request("POST", path, json.dumps(body(message)), headers)
            answer = connection.getresponse()
            if answer.status != 200:
                raise _problem(answer.status, answer.read())
            return self._collect(message, _events(answer))

    def _collect(self, message: dict[str, Any], events: Iterator[dict[str, Any]]) -> dict[str, Any]:
        offered = {t["function"]["name"] for t in message.get("tools") or () if message.get("tool_choice") != "none"}
        text: list[str] = []
        calls: dict[int, dict[str, str]] = {}
        scores: list[Any] = []
        finish = "unknown"
        usage: dict[str, Any] = {}
        for event in events:
            self.channel.alive()
            if "error" in event:
                raise _problem(int(event["error"].get("code", 500)), json.dumps(event).encode())
            usage = event.get("usage") or usage
            for choice in event.get("choices") or ():
                finish = choice.get("finish_reason") or finish
                delta = choice.get("delta") or {}
                piece = choice.get("text") or delta.get("content")
                if piece:
                    text.append(piece)
                    if message.get("stream") and not offered:
                        self.channel.emit("text", id=message["id"], text=piece)
                for call in delta.get("tool_calls") or ():
                    _merge(calls.setdefault(int(call.get("index", 0)), {"name": "", "arguments": ""}), call)
                scores += (choice.get("logprobs") or {}).get("content") or []
        if finish == "unknown":
            raise http.client.IncompleteRead(b"", None)
        words, found = "".join(text), [calls[i] for i in sorted(calls)]
        if offered and not found and finish != "length":
            words, found = parse_tool_calls(words, offered)
            finish = "tool_calls" if found else finish
        if offered and words and message.get("stream"):
            self.channel.emit("text", id=message["id"], text=words)
        return {
            "text": words,
            "finish": finish,
            "input_tokens": usage.get("prompt_tokens", 0),
            "output_tokens": usage.get("completion_tokens", 0),
            "cached_tokens": (usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0),
            "tool_calls": found,
            **({"logprobs": scores} if message.get("logprobs") else {}),
        }


def body(message: dict[str, Any]) -> dict[str, Any]:
    """The request as llama.cpp's server wants it; sampling that nobody asked to narrow is not narrowed."""
    asked: dict[str, Any] = {k: message[k] for k in PASSED if message.get(k) is not None}
    asked = {"temperature": 1.0, "top_p": 1.0, "top_k": 0, "min_p": 0.0, **asked}
    asked |= {"stream": True, "stream_options": {"include_usage": True}, "cache_prompt": True}
    asked["prompt" if message["op"] == "complete" else "messages"] = message.get("prompt", message.get("messages"))
    if message.get("stop"):
        asked["stop"] = message["stop"]
    if message.get("repetition_penalty") is not None:
        asked["repeat_penalty"] = message["repetition_penalty"]
    schema = message.get("json_schema")
    choice = message.get("tool_choice")
    if message.get("tools") and choice is not None:
        # llama.cpp does not force a call with every template: the schema of the call does, and the words stay the same
        asked["tool_choice"] = "auto" if choice == "auto" else "none"
        if choice == "none":
            del asked["tools"]
        elif choice != "auto":
            schema = forced_schema(message["tools"], None if choice == "required" else choice)
    if schema is not None:
        if message["op"] == "complete":
            asked["json_schema"] = schema
        else:
            asked["response_format"] = {"type": "json_schema", "json_schema": {"name": "answer", "schema": schema}}
    if message.get("logprobs"):
        asked |= {"logprobs": True, "top_logprobs": int(message.get("top_logprobs") or 0)}
    return asked


def _events(answer: http.client.HTTPResponse) -> Iterator[dict[str, Any]]:
    for line in answer:
        for start in (b"data: ", b"error: "):
            if line.startswith(start) and not line.startswith(b"data: [DONE]"):
                event = json.loads(line[len(start) :])
                yield event if start == b"data: " or "error" in event else {"error": event}


def _merge(call: dict[str, str], delta: dict[str, Any]) -> None:
    function = delta.get("function") or {}
    call["name"] += function.get("name") or ""
    call["arguments"] += function.get("arguments") or ""
    if delta.get("id"):
        call["id"] = delta["id"]


def _problem(status: int, data: bytes) -> Exception:
    """What the server's refusal is: a mistake in the request, or a failure."""
    try:
        text = json.loads(data)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        text = data.decode("utf-8", "replace")
    text = " ".join(str(text).split())[:500]
    return Refused(text) if 400 <= status < 500 else ConnectionError(f"{status}: {text}")


def main(argument: str) -> None:
    """Run the engine with the settings in ``argument`` (JSON)."""
    settings = json.loads(argument)
    channel = Channel(int(settings["parent"]))
    try:
        engine = LlamaCpp(settings, channel)
    except Exception as error:  # whatever a native library raises: the parent must know why
        channel.fatal(f"xllamacpp cannot load {settings['name']}: {error}"[:2000])
    channel.emit("ready", engine="xllamacpp", version=engine.version, context=engine.context)
    engine.run()


if __name__ == "__main__":
    main(sys.argv[1])
