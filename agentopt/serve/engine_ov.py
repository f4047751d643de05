"""The OpenVINO engine: a program that loads a GGUF and answers what comes over its stdin (see ``wire``).

Continuous batching: a request joins the batch at the next step. The prefix cache keeps the common start of prompts;
one whose start is just being read waits for it (see ``starts``).
"""

from __future__ import annotations

import contextlib
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import numpy

from agentopt.serve.grammar import compact
from agentopt.serve.pieces import Pieces, cut, split_words
from agentopt.serve.starts import Starts, Tokens
from agentopt.serve.tooltext import forced_schema, parse_tool_calls
from agentopt.serve.wire import Channel, Refused

__all__ = ["OpenVino", "main"]

SAMPLING = ("top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty")
TOKENIZER_LIMIT = 8192
"""Tokens after which OpenVINO's tokenizer cuts a text, and so bytes that are certainly fewer tokens."""
BLANKS = 24
"""A JSON answer whose last so many tokens are blanks is ended as cut off."""
KNOWN = {*SAMPLING, "ignore_eos", "min_tokens", "logprobs", "regex", "grammar"}


@dataclass(slots=True)
class Live:
    """A request: in the batch once it has a handle."""

    id: int
    prompt: Any
    tokens: Tokens
    config: Any
    stop: list[str]
    tools: set[str]
    stream: bool
    logprobs: bool
    pieces: Pieces | None
    ids: list[int] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    handle: Any = None
    finish: str = ""
    json: bool = False
    suspect: bool = False
    """Whether its first step may break, as that of a grammar can."""


class OpenVino:
    """The loaded model and its batch.

    Args:
        settings: ``model`` (path), ``max_seqs``, ``kv_gb``, ``batch_tokens``, ``threads`` (0: all), ``context``.
        channel: where requests come from and answers go to.
    """

    def __init__(self, settings: dict[str, Any], channel: Channel) -> None:
        import openvino_genai as genai

        self.genai, self.channel = genai, channel
        self.context = int(settings["context"])
        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = int(settings["kv_gb"])
        scheduler.max_num_seqs = int(settings["max_seqs"])
        scheduler.max_num_batched_tokens = int(settings["batch_tokens"])
        scheduler.enable_prefix_caching = True
        scheduler.dynamic_split_fuse = True
        properties = dict(settings.get("properties") or {})
        if settings["threads"]:
            properties["INFERENCE_NUM_THREADS"] = int(settings["threads"])
        self.pipe = genai.ContinuousBatchingPipeline(settings["model"], scheduler, "CPU", properties)
        self.tokenizer = self.pipe.get_tokenizer()
        self.defaults = self.pipe.get_config()
        self.template = self.tokenizer.chat_template or ""
        self.live: dict[int, Live] = {}
        self.waiting: list[Live] = []
        self.starts = Starts()
        self.count = 0

    def run(self) -> None:
        """Answer until the parent is gone."""
        while True:
            for message in self.channel.take(block=not self.live and not self.waiting):
                if message.get("op") == "cancel":
                    self._cancel(message["id"])
                else:
                    self._admit(message)
            if self.live:
                self._step()
            elif self.waiting:
                self._join()

    def _cancel(self, ident: int) -> None:
        self.waiting = [entry for entry in self.waiting if entry.id != ident]
        gone = self.live.pop(ident, None)
        if gone is not None:
            gone.handle.cancel()
            self._sweep()
            self._join()

    def _sweep(self) -> None:
        """A cancelled request leaves the batch at the next step; without others in it that step is made here."""
        if not self.live and self.pipe.has_non_finished_requests():
            self.pipe.step()

    def _admit(self, message: dict[str, Any]) -> None:
        with self._refusing(message.get("id")):
            self.waiting.append(self._read_in(message))
        self._join()

    def _join(self) -> None:
        """Put those into the batch that no longer wait for the start of another."""
        for entry in list(self.waiting):
            reading = [other.tokens for other in self.live.values() if not other.ids]
            if self.starts.waits(entry.tokens, reading):
                continue
            self.waiting.remove(entry)
            with self._refusing(entry.id):
                self.count += 1
                entry.handle = self.pipe.add_request(self.count, entry.prompt, entry.config)
                self.live[entry.id] = entry
            if entry.suspect and entry.id in self.live:
                self._step(suspect=entry)

    @contextlib.contextmanager
    def _refusing(self, ident: Any, kind: str = "invalid") -> Iterator[None]:
        """A request that cannot be answered is told so and leaves the batch, and the others go on.

        Args:
            ident: whose errors those within the block are.
            kind: ``invalid`` where they are the request's own fault, else ``failed``.
        """
        try:
            yield
        except (Refused, ValueError, TypeError, KeyError) as error:
            self._drop(ident, kind, str(error) or repr(error))
        except RuntimeError as error:
            self._drop(ident, kind, _short(error))

    def _drop(self, ident: Any, kind: str, message: str) -> None:
        self.channel.emit("error", id=ident, kind=kind, message=message)
        gone = self.live.pop(ident, None)
        if gone is not None:
            gone.handle.cancel()
            self._sweep()

    def _read_in(self, message: dict[str, Any]) -> Live:
        tools = message.get("tools") or []
        choice = message.get("tool_choice")
        if choice == "none":
            tools = []
        forced = bool(tools) and choice not in (None, "auto")
        schema = message.get("json_schema")
        if forced:
            schema = forced_schema(tools, None if choice == "required" else choice)
        if message["op"] == "chat":
            prompt = self._prompt(message["messages"], tools)
        else:
            prompt = message["prompt"]
        ids = self._encode(prompt)
        size = int(ids.shape[1])
        if size >= self.context:
            raise Refused(f"the prompt has {size} tokens; the model reads and writes at most {self.context}")
        config = self._config(message, schema)
        config.max_new_tokens = min(int(message["max_tokens"]), self.context - size)
        stop = list(message.get("stop") or [])
        stream = bool(message.get("stream"))
        pieces = Pieces(lambda x: self._decode(x, False), stop) if stream and not tools else None
        names = {t["function"]["name"] for t in tools}
        tokens = numpy.array(ids.data[0], dtype=numpy.int64)
        logprobs = bool(message.get("logprobs"))
        live = Live(message["id"], ids, tokens, config, stop, names, stream, logprobs, pieces)
        live.json = schema is not None
        live.suspect = live.json or bool(message.get("regex") or message.get("grammar"))
        return live

    def _encode(self, prompt: str) -> Any:
        """Text to tokens. The tokenizer cuts long texts without a word, so they are given to it in pieces."""
        if len(prompt.encode("utf-8", "replace")) <= TOKENIZER_LIMIT:
            return self.tokenizer.encode(prompt, add_special_tokens=False).input_ids
        ids: list[int] = []
        for piece in split_words(prompt, TOKENIZER_LIMIT // 4):
            ids += self.tokenizer.encode(piece, add_special_tokens=False).input_ids.data[0].tolist()
        if self.tokenizer.decode(ids, skip_special_tokens=False) != prompt:
            raise Refused(
                f"OpenVINO's tokenizer cannot take this prompt of {len(prompt)} characters: try ?engine=xllamacpp"
            )
        return self.genai.openvino.Tensor(numpy.array([ids], dtype=numpy.int64))

    def _prompt(self, messages: list[dict[str, Any]], tools: list[dict[str, Any]]) -> str:
        if tools and "tools" not in self.template:
            raise Refused("the chat template of this model knows no tools")
        history = []
        for message in messages:
            turn = {k: v for k, v in message.items() if v is not None}
            if turn.get("tool_calls"):
                turn["tool_calls"] = [
                    {**c, "function": {**c["function"], "arguments": _object(c["function"]["arguments"])}}
                    for c in turn["tool_calls"]
                ]
            history.append(turn)
        more = {"tools": tools} if tools else {}
        return str(self.tokenizer.apply_chat_template(history, add_generation_prompt=True, **more))

    def _config(self, message: dict[str, Any], schema: dict[str, Any] | None) -> Any:
        config = self.genai.GenerationConfig()
        config.eos_token_id = self.defaults.eos_token_id
        config.stop_token_ids = self.defaults.stop_token_ids
        temperature = message.get("temperature")
        temperature = 1.0 if temperature is None else float(temperature)
        config.do_sample = temperature > 0
        if config.do_sample:
            config.temperature = temperature
            config.top_p = float(message.get("top_p") or 1.0)
            config.rng_seed = int(message["seed"]) % 2**63
        config.stop_strings = {s for s in message.get("stop") or [] if s}
        for name in SAMPLING:
            if message.get(name) is not None:
                setattr(config, name, message[name])
        config.ignore_eos = bool(message.get("ignore_eos"))
        if message.get("min_tokens"):
            config.min_new_tokens = int(message["min_tokens"])
        if message.get("logprobs"):
            config.logprobs = 1
        structured = self.genai.StructuredOutputConfig
        if schema is not None:
            plain = compact(schema)
            config.structured_output_config = (
                structured(grammar=plain) if plain else structured(json_schema=json.dumps(schema))
            )
        elif message.get("regex"):
            config.structured_output_config = structured(regex=message["regex"])
        elif message.get("grammar"):
            config.structured_output_config = structured(grammar=message["grammar"])
        return config

    def _step(self, suspect: Live | None = None) -> None:
        """One step of the whole batch. A request that breaks its first step alone is thrown out alone."""
        try:
            self.pipe.step()
        except RuntimeError as error:
            if suspect is None:
                raise
            self._drop(suspect.id, "invalid", _short(error))
            return
        self.channel.alive()
        for entry in list(self.live.values()):
            begun = bool(entry.ids)
            with self._refusing(entry.id, "failed"):
                self._read(entry)
            if entry.ids and not begun:
                self.starts.read(entry.tokens)
        if self.waiting and suspect is None:
            self._join()

    def _read(self, entry: Live) -> None:
        fresh: list[int] = []
        while entry.handle.can_read():
            for output in entry.handle.read().values():
                fresh += output.generated_ids
                entry.scores += output.generated_log_probs
                reason = output.finish_reason.name
                if reason != "NONE":
                    entry.finish = "length" if reason == "LENGTH" else "stop"
        entry.ids += fresh
        status = entry.handle.get_status().name
        if status == "RUNNING" and entry.json and fresh and self._rambles(entry):
            entry.handle.cancel()
            entry.finish, status = "length", "CANCELLED"
        if status == "RUNNING":
            if entry.pieces and fresh and (piece := entry.pieces.add(fresh)):
                self.channel.emit("text", id=entry.id, text=piece)
            return
        del self.live[entry.id]
        if status == "IGNORED":
            self.channel.emit(
                "error", id=entry.id, kind="invalid", message="the request does not fit the KV cache: raise kv_gb"
            )
            return
        self._done(entry)
        if status == "CANCELLED":
            self._sweep()

    def _rambles(self, entry: Live) -> bool:
        """Whether a JSON answer writes nothing but blanks any more, which the grammar of a schema may allow."""
        tail = entry.ids[-BLANKS:]
        return len(tail) == BLANKS and not self._decode(tail, False).strip()

    def _done(self, entry: Live) -> None:
        text, stopped = cut(self._decode(entry.ids, bool(entry.tools)), entry.stop)
        calls: list[dict[str, str]] = []
        finish = "stop" if stopped else entry.finish or "stop"
        if entry.tools and finish != "length":
            text, calls = parse_tool_calls(text, entry.tools)
            finish = "tool_calls" if calls else finish
        rest = entry.pieces.finish(text) if entry.pieces else text if entry.stream else ""
        if rest:
            self.channel.emit("text", id=entry.id, text=rest)
        more: dict[str, Any] = {}
        if entry.logprobs:
            more["logprobs"] = [
                {"token": self._decode([i], False), "logprob": s, "top_logprobs": []}
                for i, s in zip(entry.ids, entry.scores, strict=False)
            ]
        self.channel.emit(
            "done",
            id=entry.id,
            text=text,
            finish=finish,
            input_tokens=entry.tokens.size,
            output_tokens=len(entry.ids),
            tool_calls=calls,
            **more,
        )

    def _decode(self, ids: list[int], keep_marks: bool) -> str:
        """Tokens to text. ``keep_marks`` keeps special tokens (tool marks are some), all but those that end a turn."""
        if not keep_marks:
            return str(self.tokenizer.decode(ids, skip_special_tokens=True))
        ends = {self.defaults.eos_token_id, *self.defaults.stop_token_ids}
        return str(self.tokenizer.decode([i for i in ids if i not in ends], skip_special_tokens=False))


def _object(arguments: Any) -> Any:
    """Arguments as the template wants them: an object, where the text is one."""
    try:
        return json.loads(arguments) if isinstance(arguments, str) else arguments
    except ValueError:
        return arguments


def _short(error: Exception) -> str:
    """The last line of a native error, without the time and the file of the machine that built it."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    text = re.sub(r"^(\[[\d:]+\] )?/\S+:\d+: ", "", lines[-1]) if lines else repr(error)
    return text.split(" is false: ", 1)[-1][:500]


def main(argument: str) -> None:
    """Run the engine with the settings in ``argument`` (JSON)."""
    settings = json.loads(argument)
    channel = Channel(int(settings["parent"]))
    try:
        engine = OpenVino(settings, channel)
    except Exception as error:  # whatever a native library raises: the parent must know why
        channel.fatal(f"OpenVINO GenAI cannot load {settings['name']}: {error}"[:2000])
    channel.emit("ready", engine="openvino-genai", version=engine.genai.__version__, context=engine.context)
    engine.run()


if __name__ == "__main__":
    main(sys.argv[1])
