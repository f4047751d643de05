"""The batch of the OpenVINO engine over a pipeline that is told what to do: whose error is whose."""

from __future__ import annotations

import sys
from types import ModuleType, SimpleNamespace
from typing import Any

import numpy
import pytest

from agentopt.serve.engine_ov import OpenVino

SETTINGS = {"model": "m", "kv_gb": 1, "max_seqs": 8, "batch_tokens": 64, "threads": 0, "context": 100}
NONE, STOP = SimpleNamespace(name="NONE"), SimpleNamespace(name="STOP")


class Handle:
    """A request in the batch: one token a step, as many as its ``max_new_tokens``."""

    def __init__(self, config: Any) -> None:
        self.config, self.unread, self.made, self.status = config, [], 0, "RUNNING"

    def step(self) -> None:
        if self.status == "RUNNING":
            self.made += 1
            last = self.made == self.config.max_new_tokens
            self.unread.append(SimpleNamespace(
                generated_ids=[self.made], generated_log_probs=[0.0], finish_reason=STOP if last else NONE,
            ))  # fmt: skip
            self.status = "FINISHED" if last else "RUNNING"

    def can_read(self) -> bool:
        return bool(self.unread)

    def read(self) -> dict[int, Any]:
        return {0: self.unread.pop(0)}

    def get_status(self) -> Any:
        return SimpleNamespace(name=self.status)

    def cancel(self) -> None:
        self.status = "CANCELLED"


class Pipeline:
    def __init__(self, *_: Any) -> None:
        self.handles: list[Handle] = []
        self.breaks: Exception | None = None

    def get_tokenizer(self) -> Any:
        return Tokenizer()

    def get_config(self) -> Any:
        return SimpleNamespace(eos_token_id=0, stop_token_ids=set())

    def add_request(self, number: int, prompt: Any, config: Any) -> Handle:
        self.handles.append(Handle(config))
        return self.handles[-1]

    def has_non_finished_requests(self) -> bool:
        return any(handle.status == "RUNNING" for handle in self.handles)

    def step(self) -> None:
        breaks, self.breaks = self.breaks, None
        if breaks is not None:
            raise breaks
        for handle in self.handles:
            handle.step()


class Tokenizer:
    chat_template = ""

    def encode(self, text: str, **_: Any) -> Any:
        ids = numpy.array([[ord(mark) for mark in text]])
        return SimpleNamespace(input_ids=SimpleNamespace(shape=ids.shape, data=ids))

    def decode(self, ids: list[int], **_: Any) -> str:
        if ids == [1, 2]:
            raise ValueError("these two tokens are no text")
        return "".join(map(str, ids))


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch) -> OpenVino:
    genai: Any = ModuleType("openvino_genai")
    genai.SchedulerConfig = genai.GenerationConfig = SimpleNamespace
    genai.StructuredOutputConfig = lambda **grammar: grammar
    genai.ContinuousBatchingPipeline = Pipeline
    monkeypatch.setitem(sys.modules, "openvino_genai", genai)
    said: list[dict[str, Any]] = []
    channel: Any = SimpleNamespace(
        alive=lambda: None, emit=lambda event, **fields: said.append({"event": event, **fields}), said=said
    )
    return OpenVino(SETTINGS, channel)


def ask(engine: OpenVino, ident: int, tokens: int, **more: Any) -> None:
    engine._admit({"op": "complete", "id": ident, "prompt": f"p{ident}", "max_tokens": tokens, "temperature": 0} | more)


def told(engine: OpenVino) -> dict[int, tuple[str, str]]:
    """What each request was told in the end."""
    while engine.live or engine.waiting:
        engine._step()
    ends = [said for said in engine.channel.said if said["event"] in ("done", "error")]  # type: ignore[attr-defined]
    assert len(ends) == len({end["id"] for end in ends}), "one end each"
    return {end["id"]: (end["event"], end.get("kind") or end["finish"]) for end in ends}


def test_an_error_in_reading_one_is_not_told_to_the_one_that_joins(engine: OpenVino) -> None:
    """The second token of request 1, which cannot be read, comes with the first step of request 2, a grammar's."""
    ask(engine, 1, 2)
    engine._step()
    ask(engine, 3, 5)
    ask(engine, 2, 1, regex="a*")
    assert told(engine) == {1: ("error", "failed"), 2: ("done", "stop"), 3: ("done", "stop")}


def test_an_error_in_reading_one_is_its_own_and_ends_no_other(engine: OpenVino) -> None:
    for ident, tokens in ((1, 2), (2, 4)):
        ask(engine, ident, tokens)
    assert told(engine) == {1: ("error", "failed"), 2: ("done", "stop")}


def test_a_grammar_that_breaks_its_first_step_is_thrown_out_alone(engine: OpenVino) -> None:
    ask(engine, 1, 4)
    engine.pipe.breaks = RuntimeError("no such grammar")
    ask(engine, 2, 1, regex="(")
    assert told(engine) == {1: ("done", "stop"), 2: ("error", "invalid")}
    assert not engine.pipe.has_non_finished_requests()


def test_what_cannot_be_read_in_joins_nothing(engine: OpenVino) -> None:
    ask(engine, 1, 1)
    ask(engine, 2, 1, prompt="x" * 200)
    assert told(engine) == {1: ("done", "stop"), 2: ("error", "invalid")}
