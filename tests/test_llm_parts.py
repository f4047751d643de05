"""The small parts: the background loop, objects per loop, prices, failures, shipped prompts, request identity."""

from __future__ import annotations

import asyncio
import contextvars
import datetime
import email.utils
import os
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt import _aio, _builtin
from agentopt._aio import PerLoop, background_loop, in_thread, run_sync
from agentopt.errors import LLMError, MissingDependency, TransientLLMError, UnknownName, UsageError
from agentopt.llm.failures import failure, redact, retry_after
from agentopt.llm.prices import Price, per_token, price_of
from agentopt.llm.providers import ByModel
from agentopt.llm.types import Address, Message, Request, Usage
from agentopt.testing import ScriptedLLM

PLACE: contextvars.ContextVar[str] = contextvars.ContextVar("place", default="nowhere")


async def _place() -> str:
    await asyncio.sleep(0)
    return PLACE.get()


def test_sync_calls_see_the_callers_context_and_leave_it_alone() -> None:
    async def work() -> str:
        seen = PLACE.get()
        PLACE.set("inside")
        return seen

    token = PLACE.set("here")
    try:
        assert run_sync(work()) == "here"
        assert PLACE.get() == "here"
    finally:
        PLACE.reset(token)


def test_sync_calls_raise_what_was_raised() -> None:
    async def work() -> None:
        raise KeyError("lost")

    with pytest.raises(KeyError, match="lost"):
        run_sync(work())


def test_a_cancelled_coroutine_ends_the_sync_call() -> None:
    async def work() -> None:
        raise asyncio.CancelledError

    with pytest.raises((asyncio.CancelledError, TimeoutError, BaseException)) as caught:
        run_sync(work())
    assert "Cancel" in type(caught.value).__name__


async def test_sync_calls_work_inside_a_running_loop() -> None:
    assert run_sync(_place()) == "nowhere"


def test_a_loop_that_has_ended_is_not_waited_for() -> None:
    ended = asyncio.new_event_loop()
    ended.close()
    assert run_sync(_place(), loop=ended) == "nowhere"


async def test_a_sync_call_that_would_wait_for_itself_is_refused() -> None:
    with pytest.raises(UsageError, match="await"):
        run_sync(_place(), loop=asyncio.get_running_loop())


def test_an_interrupt_cancels_and_waits_for_the_clean_up(tmp_path: Path) -> None:
    code = f"""
import asyncio, os, pathlib, signal, threading
from agentopt._aio import run_sync
async def work():
    try:
        os.kill(os.getpid(), signal.SIGINT)
        await asyncio.sleep(30)
    finally:
        pathlib.Path({str(tmp_path / "cleaned")!r}).write_text("yes")
try:
    run_sync(work())
except KeyboardInterrupt:
    print("interrupted")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60)
    assert done.stdout.strip() == "interrupted", done.stderr
    assert (tmp_path / "cleaned").read_text() == "yes"


@pytest.mark.parametrize("handed_over", [True, False])
def test_an_interrupt_while_the_work_is_handed_over_still_cleans_up(
    handed_over: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    loop = background_loop()
    plain, events = loop.call_soon_threadsafe, []

    def interrupted(callback: Any, *args: Any) -> Any:
        monkeypatch.setattr(loop, "call_soon_threadsafe", plain)
        if handed_over:
            plain(callback, *args)
        raise KeyboardInterrupt

    async def work() -> None:
        events.append("began")
        try:
            await asyncio.sleep(30)
        finally:
            events.append("cleaned")

    monkeypatch.setattr(loop, "call_soon_threadsafe", interrupted)
    with pytest.raises(KeyboardInterrupt):
        run_sync(work())
    assert events in ([], ["began", "cleaned"])  # a task that is cancelled before its first step never begins


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_loop_of_its_own() -> None:
    code = """
import asyncio, os
from agentopt._aio import run_sync
async def one():
    return 1
assert run_sync(one()) == 1
child = os.fork()
if child == 0:
    os._exit(0 if run_sync(one()) == 1 else 3)
assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
"""
    done = subprocess.run([sys.executable, "-W", "ignore", "-c", code], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stderr


def test_many_threads_share_the_background_loop() -> None:
    seen: list[asyncio.AbstractEventLoop] = []

    async def work() -> None:
        seen.append(asyncio.get_running_loop())

    threads = [threading.Thread(target=lambda: run_sync(work())) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    assert set(seen) == {background_loop()}
    assert len(seen) == 8


class Held:
    def __init__(self) -> None:
        self.loop = asyncio.get_running_loop()
        self.closed_on: asyncio.AbstractEventLoop | None = None

    async def close(self) -> None:
        self.closed_on = asyncio.get_running_loop()


def test_one_object_a_loop_closed_where_it_belongs() -> None:
    held = PerLoop(Held, Held.close)
    made: list[Held] = []

    async def use() -> Held:
        made.append(held.get())
        assert held.get() is made[-1]
        return made[-1]

    ended = asyncio.run(use())
    assert ended.loop.is_closed()
    living = run_sync(use())
    assert living is not ended

    async def close() -> Held:
        own = held.get()
        await held.aclose()
        return own

    own = asyncio.run(close())
    assert own.closed_on is own.loop
    assert living.closed_on is living.loop is background_loop()
    assert ended.closed_on is None
    assert run_sync(use()) is not living
    run_sync(held.aclose())


def test_prices_from_the_table_and_from_the_user() -> None:
    known = price_of("openai/gpt-4o-mini")
    assert known is not None
    assert known == price_of("gpt-4o-mini")
    assert 0 < known.input < known.output
    assert price_of("openai/no-such-model") is None
    assert price_of("http://127.0.0.1:8000/v1#gpt-4o-mini") is None, "a name alone says nothing of who serves it"
    assert price_of("local/anything") == Price(input=0, output=0)
    own = Price(input=1e-6, output=2e-6)
    assert price_of("openai/gpt-4o-mini", {"openai/gpt-4o-mini": own}) == own
    assert price_of("http://127.0.0.1:8000/v1#m", {"m": own}) == own
    assert per_token("openai/no-such-model") is None


def test_reading_the_table_does_not_import_litellm() -> None:
    code = (
        "import sys; from agentopt.llm.prices import price_of; price_of('gpt-4o-mini').input;"
        "print('litellm' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "False"


def test_long_inputs_have_another_price_and_reservations_take_the_dearest() -> None:
    longer = Price(input=3e-6, output=6e-6)
    price = Price(input=1e-6, output=2e-6, cached=5e-7, longer={1000: longer})
    assert price.usd(Usage(input_tokens=1000, output_tokens=1)) == pytest.approx(1002e-6)
    assert price.usd(Usage(input_tokens=1001, output_tokens=1)) == pytest.approx(3009e-6)
    assert per_token("m", {"m": price}) == (3e-6, 6e-6)


@given(st.integers(0, 10**6), st.integers(0, 10**6), st.integers(0, 10**6))
def test_a_price_never_exceeds_its_reservation(read: int, cached: int, written: int) -> None:
    price = Price(input=1e-6, output=2e-6, cached=5e-7, longer={200_000: Price(input=2e-6, output=4e-6)})
    rates = per_token("m", {"m": price})
    assert rates is not None
    usage = Usage(input_tokens=read, cached_tokens=min(cached, read), output_tokens=written)
    assert price.usd(usage) <= read * rates[0] + written * rates[1] + 1e-9


def test_secrets_are_taken_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_PROVIDER_API_KEY", "plainlookingvalue")
    monkeypatch.setenv("SHORT_TOKEN", "a")
    text = "plainlookingvalue given hidden-one, Bearer abcdef.ghi, sk-ant-0123456789abcdef; a normal message"
    assert redact(text, "hidden-one") == "*** given ***, Bearer ***, ***; a normal message"


def test_retry_after_as_a_date() -> None:
    later = datetime.datetime.now(datetime.UTC) + datetime.timedelta(seconds=100)
    wait = retry_after({"retry-after": email.utils.format_datetime(later)})
    assert wait is not None
    assert 90 < wait <= 100
    past = datetime.datetime.now(datetime.UTC) - datetime.timedelta(seconds=100)
    assert retry_after({"retry-after": email.utils.format_datetime(past)}) == 0.0
    assert retry_after(None) is None


def test_failures_of_no_known_kind() -> None:
    assert isinstance(failure(ConnectionResetError("gone"), "m"), TransientLLMError)
    assert isinstance(failure(ValueError("not JSON"), "m"), TransientLLMError)
    assert type(failure(KeyError("x"), "m")) is LLMError
    missing = failure(ImportError("No module named 'boto3.session'"), "bedrock/m")
    assert isinstance(missing, MissingDependency)
    assert str(missing) == "bedrock/m needs the package boto3: pip install boto3"
    known = UsageError("mine")
    assert failure(known, "m") is known


def test_shipped_prompts() -> None:
    text = _builtin.shipped_prompt("meta/repair")
    assert "{{error}}" in text
    assert "{{schema}}" in text
    assert "placeholders" not in text
    with pytest.raises(UnknownName, match="meta/repair"):
        _builtin.shipped_prompt("meta/repare")


def test_an_incomplete_installation_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "site-packages" / "agentopt"
    package.mkdir(parents=True)
    monkeypatch.setattr(_builtin, "__file__", str(package / "_builtin.py"))
    _builtin.builtin_root.cache_clear()
    try:
        with pytest.raises(MissingDependency, match="installation is incomplete"):
            _builtin.builtin_root()
        (package.parent / "pyproject.toml").write_text('[project]\nname = "another"\n')
        with pytest.raises(MissingDependency):
            _builtin.builtin_root()
        (package / "_workspace").mkdir()
        assert _builtin.builtin_root() == package / "_workspace"
    finally:
        monkeypatch.undo()
        _builtin.builtin_root.cache_clear()


async def test_clients_by_model_are_made_once_and_closed() -> None:
    made: dict[str, ScriptedLLM] = {}

    def make(model: str) -> ScriptedLLM:
        made[model] = ScriptedLLM([model, model])
        return made[model]

    client = ByModel(make)
    for model in ("a", "b", "a"):
        assert (await client.complete(Request(model=model, messages=(Message(role="user"),)))).text == model
    assert {name: llm.calls for name, llm in made.items()} == {"a": 2, "b": 1}
    await client.aclose()
    assert all(llm.closed for llm in made.values())


def test_what_belongs_to_the_identity_of_a_request() -> None:
    base = Request(model="m", messages=(Message(role="user", content="hi"),))
    same = {
        "address": Address(scope="s"),
        "idempotency_key": "k",
        "on_text": print,
        "role": "judge",
        "timeout": 3.0,
    }
    for name, value in same.items():
        assert base.model_copy(update={name: value}).hash == base.hash, name
    other = {
        "model": "n",
        "max_tokens": 1,
        "temperature": 0.0,
        "seed": 1,
        "stop": ("x",),
        "repeat": 1,
        "extra": {"k": 1},
    }
    hashes = {base.model_copy(update={name: value}).hash for name, value in other.items()} | {base.hash}
    assert len(hashes) == len(other) + 1


async def test_plain_code_has_a_thread_for_itself_which_is_used_again() -> None:
    async def one() -> int:
        return await in_thread(threading.get_ident)

    first = await one()
    assert [await one() for _ in range(3)] == [first] * 3
    held = threading.Event()
    stuck = asyncio.ensure_future(in_thread(lambda: (held.wait(), threading.get_ident())[1]))
    await asyncio.sleep(0)
    try:
        both = {await asyncio.wait_for(one(), 5) for _ in range(2)}
        assert threading.get_ident() not in both
    finally:
        held.set()
    assert await stuck not in both


async def test_threads_that_wait_for_work_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_aio, "_MOST_IDLE", 2)
    monkeypatch.setattr(_aio, "_IDLE", deque())
    barrier = threading.Barrier(9)
    await asyncio.gather(*(in_thread(barrier.wait) for _ in range(9)))
    assert await in_thread(lambda: 1) == 1
    assert 0 < len(_aio._IDLE) < 9
