"""Jobs that attack the server which attends to them: they are stopped at their limits, and never end as ``lost``."""

from __future__ import annotations

import asyncio
import dataclasses
import secrets
from typing import Any

import pytest

from agentopt.sandbox import Job, Limits, open_sandbox
from agentopt.sandbox.served import ServedSandbox

ANSWER = "x" * (8 << 20)
"""More than a channel holds, so that the server has it on hand until the job reads."""
UNREAD = """
import os, time

def f():
    one = b'{"op":"call","name":"ask","args":[],"kwargs":{}}'
    os.write(3, len(one).to_bytes(4, "big") + one)
"""


def test_memory_is_watched_while_a_job_reads_no_answer(box: ServedSandbox) -> None:
    source = f"""{UNREAD}
    time.sleep(1.5)
    for _ in range(4):
        if os.fork() == 0:
            data = bytearray(b"x") * (60 << 20)
            time.sleep(60)
    time.sleep(60)
"""
    limits = dataclasses.replace(box.limits, wall=10.0)
    result = box.run_sync(Job(source=source, entry="f", allow={"ask": lambda: ANSWER}, limits=limits))
    assert result.status in ("memory", "processes"), result


async def test_a_job_that_reads_no_answer_is_cancelled(box: ServedSandbox) -> None:
    asked = asyncio.Event()

    async def ask() -> str:
        asked.set()
        return ANSWER

    limits = dataclasses.replace(box.limits, wall=60.0)
    job = Job(source=f"{UNREAD}\n    time.sleep(60)", entry="f", allow={"ask": ask}, limits=limits)
    task = asyncio.create_task(box.run(job))
    await asyncio.wait_for(asked.wait(), 20)
    await asyncio.sleep(0.5)
    task.cancel()
    assert (await asyncio.wait_for(box.run(Job(source="def f(): return 1", entry="f")), 20)).value == 1


def test_a_second_question_before_the_answer_is_read_is_garbled(box: ServedSandbox) -> None:
    source = f"{UNREAD}\n    time.sleep(0.5)\n    os.write(3, len(one).to_bytes(4, 'big') + one)\n    time.sleep(60)"
    result = box.run_sync(Job(source=source, entry="f", allow={"ask": lambda: ANSWER}))
    assert result.status == "garbled"


def test_a_large_argument_and_a_large_answer_arrive(box: ServedSandbox) -> None:
    source = "def f(x): return len(x), len(ask())"
    limits = dataclasses.replace(box.limits, wall=60.0)
    job = Job(source=source, entry="f", args=[ANSWER], allow={"ask": lambda: ANSWER}, limits=limits)
    result = box.run_sync(job)
    assert result.value == (len(ANSWER), len(ANSWER)), result


def test_more_than_a_message_may_have_is_garbled_by_hand_too(box: ServedSandbox) -> None:
    source = """
import json, os, time

def f(size):
    one = json.dumps({"op": "call", "name": "ask", "args": ["x" * size], "kwargs": {}}).encode()
    data = memoryview(len(one).to_bytes(4, "big") + one)
    while data:
        data = data[os.write(3, data):]
    time.sleep(60)
"""
    asked: list[str] = []
    for size, status in ((box.limits.message + 1, "garbled"), (1000, "timeout")):
        assert box.run_sync(Job(source=source, entry="f", args=[size], allow={"ask": asked.append})).status == status
    assert list(map(len, asked)) == [1000]


@pytest.mark.parametrize("head", ["def f(n):\n    for", "async def f(n):\n    for"])
def test_a_generator_is_never_cut_short_in_silence(box: ServedSandbox, head: str) -> None:
    source = f"{head} i in range(n): yield i"
    most = box.limits.items
    assert box.run_sync(Job(source=source, entry="f", args=[most])).value == list(range(most))
    result = box.run_sync(Job(source=source, entry="f", args=[most + 1]))
    assert (result.status, result.value) == ("items", None)
    assert result.error is not None and result.error.text == f"its generator gave more than {most} items"


FIND = """
import gc, sys

def f(half, other):
    secret, seen, found = half + other, {}, []
    frame = sys._getframe(1)
    todo = [gc.get_objects()]
    while frame:
        todo.append(list(frame.f_locals.values()))
        frame = frame.f_back
    while todo:
        thing = todo.pop()
        if id(thing) in seen:
            continue
        seen[id(thing)] = thing
        if isinstance(thing, (str, bytes, bytearray, memoryview)):
            text = thing if isinstance(thing, str) else bytes(thing).decode("latin-1")
            if secret in text:
                found.append(type(thing).__name__)
        elif thing is not seen and thing is not todo:
            todo += gc.get_referents(thing)
    return found, len(seen) > 1000
"""


@pytest.mark.parametrize("size", [0, 2 << 20])
def test_no_object_of_a_job_is_found_by_the_next(size: int) -> None:
    """Source, arguments, the answer of a host function, what was printed and what was returned; also one job later."""
    secret = secrets.token_hex(16)
    source = f"# {secret}\ndef f(x):\n    print(x[:99])\n    return ask(), x"
    job = Job(source=source, entry="f", args=[secret + "x" * size], allow={"ask": lambda: secret})
    with open_sandbox("local", servers=1, limits=Limits(wall=60.0, cpu=60.0)) as sandbox:
        assert sandbox.run_sync(job).ok
        for _ in range(2):
            result = sandbox.run_sync(Job(source=FIND, entry="f", args=[secret[:9], secret[9:]]))
            assert result.value == ([], True), result


SEEN = """
import os, time

def seen():
    found = os.stat("/tmp")
    return found.st_mtime_ns, found.st_ctime_ns

def f():
    TRACE
    time.sleep(0.05)
    return seen()
"""


@pytest.mark.parametrize("trace", ["os.utime('/tmp', ns=(7, 7))", "open('/tmp/x', 'w').close(); os.remove('/tmp/x')"])
def test_the_times_of_the_folder_tell_the_next_job_nothing(box: ServedSandbox, trace: str) -> None:
    source = SEEN.replace("TRACE", trace)
    left = box.run_sync(Job(source=source, entry="f")).value
    found = box.run_sync(Job(source=source, entry="seen")).value
    assert left[0] != found[0] and left[1] != found[1]


def test_children_of_every_thread_are_watched(host: Any) -> None:
    """Where there is no PID namespace, so that what came of a job is followed from parent to child."""
    source = """
import ctypes, os, threading, time

def child():
    if os.fork() == 0:
        data = bytearray(b"x") * (40 << 20)
        time.sleep(60)
    time.sleep(60)

def f():
    ctypes.CDLL(None).mallopt(-8, 1)  # one arena for all threads
    threading.stack_size(1 << 18)
    for _ in range(5):
        threading.Thread(target=child).start()
    time.sleep(60)
"""
    limits = Limits(wall=10.0, cpu=10.0, memory=100 << 20, processes=40)
    with open_sandbox("local", servers=1, weak=True, without=["namespaces", "seccomp"], limits=limits) as sandbox:
        assert sandbox.run_sync(Job(source=source, entry="f")).status == "memory"
