"""The program that is killed: one run, in as many processes as it takes.

Started by ``crash.py``. It imports everything once and forks a process for each generation of the run, as told on its
standard input, so that a kill costs no two seconds of imports. What a generation has been given (answers, committed
events) it writes to the witness file, which shares nothing with the store.
"""

from __future__ import annotations

import asyncio
import json
import os
import re
import signal
import sqlite3
import sys
import threading
import time
import zlib
from collections.abc import Callable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import anyio._backends._asyncio  # noqa: F401  (slow imports that every generation would make again)
import openai
import scipy.stats  # noqa: F401

import agentopt
from agentopt.core.values import Candidate, Proposal, canonical
from agentopt.evaluate import Example, Task
from agentopt.llm.context import current_session
from agentopt.llm.ledger import Ledger
from agentopt.llm.openai_client import OpenAIClient
from agentopt.llm.types import Message, Request
from agentopt.run import best, setup
from agentopt.store import Event, Store

CONNECTIONS = 8
STEPS = 3
PROPOSALS = 3
POINTS = {
    "random": "at a random instant, from outside",
    "transaction": "inside a transaction, between two of its statements",
    "commit": "0 to 3 ms into a commit",
    "checkpoint": "0 to 3 ms into a commit that moves the log into the file",
    "reserve": "between reserve and send, before the call is journaled as sent",
    "sent": "after it is journaled as sent, before it leaves",
    "stream": "inside a streamed answer",
    "answered": "when an answer has come and is not committed",
    "ask": "inside the optimizer's ask",
    "validation": "during validation, before an outcome is committed",
    "test": "during the final test, before an outcome is committed",
    "claim": "when the claim is worked out and not committed",
    "claimed": "after the claim is committed, before the run has ended",
    "best": "when best/ has been removed and not yet written anew",
}


class Arm:
    """Kills this process the ``after``-th time that its point is passed."""

    def __init__(self, point: str, after: int, jitter: float) -> None:
        self.point, self._left, self._jitter = point, after, jitter
        self._lock = threading.Lock()

    def passed(self, point: str) -> None:
        if point != self.point:
            return
        with self._lock:
            self._left -= 1
            if self._left:
                return
        if self._jitter:
            threading.Thread(target=self._later, daemon=True).start()
        else:
            os.kill(os.getpid(), signal.SIGKILL)

    def _later(self) -> None:
        time.sleep(self._jitter)
        os.kill(os.getpid(), signal.SIGKILL)


ARM = Arm("", 0, 0)
WITNESS = -1
GENERATION = 0


def witness(*words: Any) -> None:
    """Write down what this process has been given; the page cache outlives a killed process."""
    os.write(WITNESS, (" ".join(map(str, [GENERATION, *words])) + "\n").encode())


# -- the program under test --------------------------------------------------------------------------------------

STYLE = agentopt.Parameter("Answer {{question}}", name="style")


async def asked(what: str, prompt: Any, **options: Any) -> str:
    """One call, with words in it that no other call of the run has."""
    ref = f"{current_session().scope}/{what}"
    text = await agentopt.allm(prompt, system=f"ref {ref}", **options)
    witness("answer", ref)
    return str(text)


@agentopt.graph
async def answer(question: str) -> Any:
    draft = await asked("draft", STYLE, question=question, on_text=lambda piece: ARM.passed("stream"))
    text = str(getattr(draft, "value", draft))
    first, second = await asyncio.gather(asked("check", f"check {text}"), asked("confirm", f"confirm {text}"))
    return text if first == second == "yes" else "unsure"


def questions(n: int) -> Task:
    examples = [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(n)]
    return Task("questions", examples, lambda example, output: float(output == example.target))


class Words:
    """Asks the model for a word for each proposal, and asks once more about it."""

    name, at = "words", 0

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        async def word(i: int) -> str:
            text = ""
            for what in ("word", "really"):
                ref = f"ask/{view.step}/{i}/{what}"
                messages = (
                    Message(role="system", content=f"ref {ref}"),
                    Message(role="user", content=f"word {i} {text}"),
                )
                text = (await view.llm.complete(Request(model="", messages=messages))).text
                witness("answer", ref)
                ARM.passed("ask")
            return text

        words = await asyncio.gather(*(word(i) for i in range(self.at, self.at + n)))
        self.at += n
        noise = view.rng.randrange(1000)
        return [Proposal(candidate=Candidate(values={"style": f"Answer {w} {noise} {{{{question}}}}"})) for w in words]

    def tell(self, outcomes: Sequence[Any]) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"at": self.at}

    def load(self, state: Any) -> None:
        self.at = state["at"]


WORDS = ("briefly", "quickly", "twice", "slowly", "carefully", "loudly", "softly", "gladly", "calmly")


def reply(body: dict[str, Any]) -> str:
    """What the server says: a function of the request."""
    text = str(body["messages"][-1]["content"])
    if text.startswith("word "):
        return WORDS[int(text.split()[1]) % len(WORDS)]
    if text.startswith(("check", "confirm")):
        return "yes"
    question = re.search(r"q(\d+)", text)
    assert question is not None
    hard = int(question[1]) % 3
    right = hard == 0 or "carefully" in text or ("twice" in text and hard == 1)
    return f"right q{question[1]}" if right else f"wrong, I fear, about q{question[1]}"


# -- one generation ----------------------------------------------------------------------------------------------


def arm(order: dict[str, Any]) -> None:
    """Put the kill of this generation in its place, around the library and not in it."""
    global ARM
    ARM = Arm(order["point"], order["after"], order.get("jitter", 0.0))
    connect, append = Store._connect, Store.append
    reserve, complete, rmtree = Ledger.reserve, OpenAIClient.complete, best.shutil.rmtree

    def connected(self: Store) -> sqlite3.Connection:
        db = connect(self)
        if order["point"] == "checkpoint":
            db.execute("PRAGMA wal_autocheckpoint=4")
        db.set_trace_callback(statement)
        return db

    def statement(sql: str) -> None:
        if sql.startswith("COMMIT"):
            ARM.passed("commit")
            ARM.passed("checkpoint")
        elif sql.startswith("INSERT INTO events"):
            ARM.passed("transaction")

    async def reserved(self: Ledger, role: Any, amounts: Any) -> Any:
        held = await reserve(self, role, amounts)
        if "calls" in amounts:
            ARM.passed("reserve")
        return held

    async def completed(self: OpenAIClient, request: Request) -> Any:
        ARM.passed("sent")
        response = await complete(self, request)
        ARM.passed("answered")
        return response

    async def appended(self: Store, type: str, data: Any, *blobs: Any) -> Event:
        if type == "cell":
            ARM.passed(str(data["outcome"]["split"]))
        elif type == "claim":
            ARM.passed("claim")
        event = await append(self, type, data, *blobs)
        if type == "claim":
            ARM.passed("claimed")
        return event

    def removed(path: Path, **options: Any) -> None:
        rmtree(path, **options)
        if path.name == "best":
            ARM.passed("best")

    patches: list[tuple[Any, str, Callable[..., Any]]] = [
        (Store, "_connect", connected),
        (Ledger, "reserve", reserved),
        (OpenAIClient, "complete", completed),
        (Store, "append", appended),
        (best, "shutil", SimpleNamespace(rmtree=removed)),
    ]
    for place, name, patch in patches:
        setattr(place, name, patch)


def journal_off() -> None:
    """The control: the same program, its calls not written down."""
    stack = setup.Stack
    setup.Stack = lambda ledger, log, *rest, **options: stack(ledger, None, *rest, **options)  # type: ignore[assignment,misc]


def generation(order: dict[str, Any]) -> None:
    """Begin the run, or go on with it, until it ends or is killed."""
    global GENERATION
    GENERATION = order["generation"]
    os.environ["AGENTOPT_API_KEY"] = f"{order['run']}/{GENERATION}"
    if order["control"]:
        journal_off()
    if order["point"]:
        arm(order)

    def committed(event: Event) -> None:
        witness("event", event.seq, event.type, zlib.crc32(canonical(event.data).encode()))

    task = questions(order["examples"])

    def begin() -> Any:
        return agentopt.optimize(
            answer, task=task, model=order["model"], optimizer=Words(), steps=STEPS, proposals=PROPOSALS,
            max_connections=CONNECTIONS, seed=order["seed"], name="run", cache=False, budget="calls=20000",
            on_event=committed,
        )  # fmt: skip

    try:
        result = agentopt.resume("run", graph=answer, task=task, optimizer=Words(), on_event=committed)
    except agentopt.UsageError as error:
        if "no run named" not in str(error) and "has begun" not in str(error):
            raise
        result = begin()
    assert result.status == "finished", result.status


def _random_kill(child: int, seconds: float) -> None:
    """Kill a child after so many seconds, unless it has ended; it is not reaped here."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT | os.WNOHANG) is not None:
            return
        time.sleep(0.001)
    os.kill(child, signal.SIGKILL)


def main() -> None:
    """Fork a generation for each order (a line of JSON); answer with how it ended."""
    global WITNESS
    folder = Path(sys.argv[1])
    folder.mkdir(parents=True, exist_ok=True)
    os.chdir(folder)
    Path("agentopt.toml").touch()
    WITNESS = os.open("witness", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    openai.AsyncOpenAI(api_key="none").chat.completions  # what it imports when it is first used
    for line in sys.stdin:
        order = json.loads(line)
        child = os.fork()
        if child == 0:
            try:
                generation(order)
            except BaseException as error:
                print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
                os._exit(1)
            os._exit(0)
        if order["point"] == "random":
            _random_kill(child, order["seconds"])
        _, status = os.waitpid(child, 0)
        print(json.dumps(os.waitstatus_to_exitcode(status)), flush=True)


if __name__ == "__main__":
    main()
