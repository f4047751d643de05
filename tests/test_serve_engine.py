from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time
from pathlib import Path

import pytest

from agentopt.errors import LLMError, TransientLLMError
from agentopt.llm.types import Image, Message, Request, Text, Tool, ToolCall
from agentopt.serve.engine import Engine
from agentopt.serve.local import LocalClient, to_wire
from agentopt.serve.options import Loaded, Settings
from agentopt.serve.wire import Channel

FAKE = Path(__file__).parent / "data" / "fake_engine.py"
ROOT = Path(__file__).parents[1]


def command(**settings) -> list[str]:
    return [sys.executable, str(FAKE), json.dumps(settings)]


def loaded(**settings) -> Loaded:
    asked = Settings(name="fake", **settings)
    return Loaded(settings=asked, engine="openvino", weights=FAKE, context=100, endpoint="sha256:0+fake+1")


@pytest.fixture
def make():
    engines = []

    def client(**settings) -> LocalClient:
        engine = Engine("local/fake", command(**settings))
        engines.append(engine)
        return LocalClient(loaded(), engine)

    yield client
    for engine in engines:
        engine.close()


def ask(text: str, **more) -> Request:
    return Request(model="local/fake", messages=(Message(role="user", content=text),), **more)


async def state(client: LocalClient) -> dict:
    return json.loads((await client.complete(ask("state"))).text)


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(condition, seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.02)
    return False


async def test_answer_usage_and_identity(make):
    client = make()
    assert client.engine.pid is None
    answer = await client.complete(ask("echo two words"))
    assert (answer.text, answer.finish, answer.usd) == ("two words", "stop", 0.0)
    assert answer.endpoint == client.endpoint == "sha256:0+fake+1"
    usage = answer.usage
    assert (usage.input_tokens, usage.output_tokens, usage.cached_tokens, usage.reported) == (5, 2, 2, True)
    assert client.engine.info["engine"] == "fake"
    assert (await client.complete(ask("cut"))).truncated


async def test_stray_prints_of_the_child_do_no_harm(make):
    client = make()
    assert (await client.complete(ask("echo x"))).text == "x"
    assert until(lambda: any("straight to its descriptor" in line for line in client.engine.log()))


async def test_streaming_comes_in_order_and_in_the_callers_thread(make):
    pieces = []
    answer = await make().complete(ask("echo a b c", on_text=lambda p: pieces.append((p, threading.get_ident()))))
    assert pieces == [(p, threading.get_ident()) for p in "abc"]
    assert answer.text == "abc"


async def test_listener_that_raises_fails_its_own_request_only(make):
    client = make()

    def bad(piece: str) -> None:
        raise KeyError(piece)

    with pytest.raises(KeyError):
        await client.complete(ask("echo a b", on_text=bad))
    assert (await client.complete(ask("echo fine"))).text == "fine"


async def test_many_at_once_over_one_child(make):
    client = make()
    answers = await asyncio.gather(*(client.complete(ask(f"echo {i}")) for i in range(200)))
    assert [a.text for a in answers] == [str(i) for i in range(200)]


async def test_tool_calls_come_back(make):
    answer = await make().complete(ask("tool", tools=(Tool(name="add"),)))
    assert answer.finish == "tool_calls"
    assert answer.tool_calls[0].name == "add"
    assert answer.tool_calls[0].id


async def test_what_the_engine_refuses_is_final_and_what_fails_is_not(make):
    client = make()
    with pytest.raises(LLMError, match="local/fake: no such thing") as caught:
        await client.complete(ask("refuse no such thing"))
    assert not isinstance(caught.value, TransientLLMError)
    with pytest.raises(TransientLLMError, match="hiccup"):
        await client.complete(ask("fail hiccup"))


async def test_crash_is_transient_diagnosed_and_healed(make):
    client = make()
    before = (await state(client))["pid"]
    waiting = asyncio.create_task(client.complete(ask("wait")))
    await state(client)
    with pytest.raises(TransientLLMError, match=r"out of memory.*std::bad_alloc"):
        await client.complete(ask("die std::bad_alloc"))
    with pytest.raises(TransientLLMError):
        await waiting
    assert (await state(client))["pid"] != before


async def test_kill_minus_nine_is_transient(make):
    client = make()
    await state(client)
    waiting = asyncio.create_task(client.complete(ask("wait")))
    await asyncio.sleep(0)
    os.kill(client.engine.pid, signal.SIGKILL)
    with pytest.raises(TransientLLMError, match="killed"):
        await waiting


async def test_engine_that_never_comes_up_is_given_up(make):
    client = make(die_at_start=True)
    kinds = []
    for _ in range(4):
        try:
            await client.complete(ask("echo x"))
        except LLMError as error:
            kinds.append(type(error))
    assert kinds == [TransientLLMError, TransientLLMError, LLMError, LLMError]


async def test_model_that_cannot_be_loaded_is_final_with_a_hint(make):
    with pytest.raises(LLMError, match=r"cannot load it.*engine=xllamacpp") as caught:
        await make(fatal="cannot load it").complete(ask("echo x"))
    assert not isinstance(caught.value, TransientLLMError)


async def test_program_that_does_not_exist():
    client = LocalClient(loaded(), Engine("local/fake", ["/nowhere/at/all"]))
    with pytest.raises(LLMError, match="cannot start /nowhere/at/all"):
        await client.complete(ask("echo x"))


async def test_cancelled_request_is_dropped_in_the_engine(make):
    client = make()
    task = asyncio.create_task(client.complete(ask("wait")))
    await asyncio.sleep(0)
    assert len((await state(client))["waiting"]) == 1
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    found = await state(client)
    assert found["waiting"] == []
    assert len(found["cancelled"]) == 1
    assert client.engine.in_flight == 0


async def test_timeout_drops_the_request_and_does_not_count_loading(make):
    client = make(load=0.5)
    assert (await client.complete(ask("echo x", timeout=0.4))).text == "x"
    with pytest.raises(TransientLLMError, match=r"no step for 0\.05 seconds"):
        await client.complete(ask("wait", timeout=0.05))
    assert (await state(client))["waiting"] == []


async def test_an_engine_that_makes_steps_is_waited_for(make):
    client = make()
    assert (await client.complete(ask("echo x"))).text == "x"
    assert (await client.complete(ask("work 1.5", timeout=0.5))).text == "done at last"


def test_signs_of_life_are_told_once_a_second(monkeypatch):
    told, now = [], iter([10.0, 10.5, 10.9, 11.1, 12.0, 12.2])
    channel = object.__new__(Channel)
    channel._told = 0.0
    monkeypatch.setattr(channel, "emit", told.append, raising=False)
    monkeypatch.setattr("agentopt.serve.wire.time.monotonic", lambda: next(now))
    for _ in range(6):
        channel.alive()
    assert told == ["alive", "alive", "alive"]


def test_several_event_loops_share_one_engine(make):
    client = make()
    pids, errors = set(), []

    def one():
        try:
            for _ in range(5):
                pids.add(asyncio.run(state(client))["pid"])
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=one) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    assert len(pids) == 1


def test_loop_that_is_gone_does_not_break_the_engine(make):
    client = make()

    async def leave():
        client.engine.submit(to_wire(ask("later 0.2")), lambda result: None)
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(client.complete(ask("later 0.2")), 0.01)

    asyncio.run(leave())
    assert asyncio.run(client.complete(ask("later 0.3"))).text == "at last"


async def test_closed_engine_fails_what_is_on_its_way_and_starts_again(make):
    client = make()
    pid = (await state(client))["pid"]
    waiting = asyncio.create_task(client.complete(ask("wait")))
    await state(client)
    await asyncio.to_thread(client.engine.close)
    with pytest.raises(TransientLLMError, match="was closed"):
        await waiting
    assert not alive(pid)
    assert (await state(client))["pid"] != pid


async def test_closed_client_says_so(make):
    client = make()
    await client.aclose()
    await client.aclose()
    with pytest.raises(LLMError, match="this client is closed"):
        await client.complete(ask("echo x"))


def test_request_as_message():
    call = ToolCall(id="c1", name="add", arguments='{"a": 1}')
    request = Request(
        model="local/fake",
        messages=(
            Message(role="user", content=(Text(text="a"), Text(text="b"))),
            Message(role="assistant", tool_calls=(call,)),
            Message(role="tool", content="2", tool_call_id="c1"),
        ),
        stop=("END",),
        seed=7,
        json_schema={"type": "object"},
        tools=(Tool(name="add", description="adds"),),
        extra={"top_k": 5},
    )
    message = to_wire(request)
    assert message["messages"][0]["content"] == "ab"
    assert message["messages"][1]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}
    assert message["messages"][2]["tool_call_id"] == "c1"
    assert (message["seed"], message["stop"], message["top_k"], message["tool_choice"]) == (7, ["END"], 5, "auto")
    assert message["json_schema"] == {"type": "object"}
    seeds = {to_wire(ask("x"))["seed"] for _ in range(5)}
    assert len(seeds) > 1
    picture = Request(model="m", messages=(Message(role="user", content=(Image(url="data:x"),)),))
    with pytest.raises(LLMError, match="read no pictures"):
        to_wire(picture)


async def test_what_is_sent_survives_the_pipe(make):
    text = "whole ünï 漢字 \u2028 \x00 " + "x" * 300_000
    sent = json.loads((await make().complete(ask(text))).text)
    assert sent["messages"][0]["content"] == text


PARENT = textwrap.dedent(
    """
    import asyncio, json, os, sys, threading
    sys.path.insert(0, {root!r})
    from agentopt.llm.types import Message, Request
    from agentopt.serve.engine import Engine
    from agentopt.serve.local import LocalClient
    from agentopt.serve.options import Loaded, Settings
    loaded = Loaded(settings=Settings(name="fake"), engine="openvino", weights={fake!r}, context=9, endpoint="e")
    client = LocalClient(loaded, Engine("local/fake", [sys.executable, {fake!r}, "{{}}"]))
    request = Request(model="m", messages=(Message(role="user", content="state"),))
    found = []
    thread = threading.Thread(target=lambda: found.append(asyncio.run(client.complete(request))))
    thread.start(); thread.join()
    print(json.loads(found[0].text)["pid"], flush=True)
    {then}
    """
)


def parent(then: str) -> subprocess.Popen:
    source = PARENT.format(root=str(ROOT), fake=str(FAKE), then=then)
    return subprocess.Popen([sys.executable, "-c", source], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def test_child_outlives_the_thread_that_asked_but_not_a_killed_parent():
    with parent("sys.stdin.read()") as process:
        pid = int(process.stdout.readline())
        time.sleep(0.3)
        assert alive(pid)
        process.kill()
        process.wait()
    assert until(lambda: not alive(pid))


def test_child_ends_with_the_interpreter():
    with parent("sys.exit(0)") as process:
        pid = int(process.stdout.readline())
        process.stdin.close()
        assert process.wait(20) == 0
    assert until(lambda: not alive(pid))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_gets_an_engine_of_its_own():
    then = (
        "child = os.fork()\n"
        "again = json.loads(asyncio.run(client.complete(request)).text)['pid']\n"
        "if child == 0:\n"
        "    os.write(1, f'{again}\\n'.encode()); client.engine.close(); os._exit(0)\n"
        "os.waitpid(child, 0); print(again, flush=True)"
    )
    with parent(then) as process:
        first, in_fork, after = (int(process.stdout.readline()) for _ in range(3))
        assert process.wait(30) == 0
    assert first == after != in_fork
    assert until(lambda: not alive(first) and not alive(in_fork))
