"""What the gateway costs: time a call and calls a second, against the bare server behind it.

    python tests/benchmarks/gateway.py                       # prints a table, writes docs/results/gateway.{json,md}
    python tests/benchmarks/gateway.py --rounds 3 --calls 40 --out /tmp/gateway     # a quick look

A stub server in a process of its own answers at once. The same ``openai`` client asks it in three ways: bare; through
the run's client stack (journal on disk, budget, limits, retries) without HTTP; through the gateway, that is HTTP, the
same stack, HTTP. Every round measures all three, in turning order, so that what slows the machine slows them alike;
figures are medians over rounds of the quantity or of the ratio to the bare server in the same round.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import openai
from scipy import stats

import agentopt
from agentopt.core.values import Budget
from agentopt.llm.context import Session, use_session
from agentopt.llm.ledger import Ledger
from agentopt.llm.stack import Stack
from agentopt.llm.types import Address, Message, Request
from agentopt.run.calllog import StoreLog
from agentopt.store import Store

ROOT = Path(__file__).resolve().parents[2]
WAYS = ("bare", "stack", "gateway")
AT_ONCE = 32
STUB = """
import sys
from agentopt.testing import StubServer
with StubServer(lambda body: "an answer of a few words") as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""
Ask = Callable[[int], Awaitable[Any]]


async def sequential(ask: Ask, numbers: range) -> float:
    """Seconds a call, one after another: the median call."""
    taken = []
    for number in numbers:
        begun = time.perf_counter()
        await ask(number)
        taken.append(time.perf_counter() - begun)
    return statistics.median(taken)


async def concurrent(ask: Ask, numbers: range) -> float:
    """Seconds a call, with ``AT_ONCE`` under way: the whole time over the number of calls."""
    left = iter(numbers)

    async def work() -> None:
        for number in left:
            await ask(number)

    begun = time.perf_counter()
    await asyncio.gather(*(work() for _ in range(AT_ONCE)))
    return (time.perf_counter() - begun) / len(numbers)


async def measure(url: str, folder: Path, rounds: int, calls: int) -> dict[str, dict[str, list[float]]]:
    """Seconds a call by load and way, one figure a round."""
    found: dict[str, dict[str, list[float]]] = {load: {way: [] for way in WAYS} for load in ("one", "many")}
    model, count = f"{url}#stub", itertools.count()
    with Store(folder) as store:
        stack = Stack(Ledger(Budget(calls=10**9)), StoreLog(store), max_connections=AT_ONCE)
        session = Session(
            stack, {"agent": model}, {"max_tokens": 50}, "cell/c/e/0", loop=asyncio.get_running_loop(),
            gateway=stack.gateway,
        )  # fmt: skip
        with use_session(session), agentopt.gateway() as g:
            bare = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
            behind = openai.AsyncOpenAI(base_url=g.url, api_key=g.key, max_retries=0)

            def over(client: openai.AsyncOpenAI, name: str) -> Ask:
                def ask(number: int) -> Awaitable[Any]:
                    turns: Any = [{"role": "user", "content": f"question {number}"}]
                    return client.chat.completions.create(model=name, messages=turns, max_tokens=50)

                return ask

            def through(number: int) -> Awaitable[Any]:
                turn = Message(role="user", content=f"question {number}")
                place = Address(scope="cell/c/e/0", path="direct", ordinal=number)
                return stack.complete(Request(model=model, messages=(turn,), max_tokens=50, address=place))

            asks: dict[str, Ask] = {"bare": over(bare, "stub"), "stack": through, "gateway": over(behind, g.model)}
            for turn in range(-1, rounds):  # the first one warms up and is not counted
                for load, run, size in (("one", sequential, calls), ("many", concurrent, 4 * calls)):
                    for way in (WAYS[(turn + i) % 3] for i in range(3)):
                        first = next(count) * 1_000_000
                        seconds = await run(asks[way], range(first, first + size))
                        if turn >= 0:
                            found[load][way].append(seconds)
            await bare.close()
            await behind.close()
        await stack.aclose()
    return found


def middle(values: list[float]) -> dict[str, float]:
    """Median, and its 95% interval from order statistics (the whole range where the rounds are too few)."""
    ordered, n = sorted(values), len(values)
    low = int(stats.binom.ppf(0.025, n, 0.5))
    at = low - 1 if low > 0 and stats.binom.cdf(low - 1, n, 0.5) > 0.025 else low
    return {
        "median": statistics.median(ordered),
        "low": ordered[max(0, at)],
        "high": ordered[n - 1 - max(0, at)],
        "n": n,
    }


def summary(found: dict[str, dict[str, list[float]]]) -> dict[str, Any]:
    """Milliseconds a call, calls a second, ratios to the bare server, and what the gateway adds."""
    told: dict[str, Any] = {}
    for load, ways in found.items():
        for way, seconds in ways.items():
            pairs = list(zip(seconds, ways["bare"], ways["stack"], strict=True))
            told[f"{load} {way}"] = {
                "ms_a_call": middle([1e3 * s for s in seconds]),
                "calls_a_second": middle([1 / s for s in seconds]),
                "times_bare": middle([s / b for s, b, _ in pairs]),
                "ms_over_bare": middle([1e3 * (s - b) for s, b, _ in pairs]),
                "ms_over_stack": middle([1e3 * (s - t) for s, _, t in pairs]),
            }
    return told


def page(told: dict[str, Any], machine: dict[str, Any], rounds: int, calls: int) -> str:
    """The results as Markdown."""

    def cell(value: dict[str, float]) -> str:
        return f"{value['median']:.3g} [{value['low']:.3g}, {value['high']:.3g}]"

    lines = [
        "# The gateway, measured",
        "",
        "Made by `python tests/benchmarks/gateway.py`; every round is in `gateway.json` beside this page. A cell is",
        f"the median over {rounds} rounds [its 95% interval, from order statistics]. A round asks {calls} times one",
        f"call after another, then {4 * calls} times with {AT_ONCE} at once, in each of three ways in turning order;",
        "ratios and differences are taken within a round.",
        "",
        f"Machine: {machine['processor']}, {machine['cores']} cores, Python {machine['python']}, load average",
        f"{machine['load']} when it began.",
        "",
        "| | ms a call | calls a second | times the bare server | ms over bare | ms over the stack alone |",
        "|---|---|---|---|---|---|",
    ]
    names = {"one": "one after another", "many": f"{AT_ONCE} at once"}
    whats = {"bare": "bare server", "stack": "client stack, no HTTP of ours", "gateway": "gateway"}
    for key, row in told.items():
        load, way = key.split()
        lines.append(f"| {names[load]}: {whats[way]} | " + " | ".join(cell(value) for value in row.values()) + " |")
    lines += [
        "",
        "- The server is a stub in a process of its own that answers at once; a real model takes hundreds of",
        "  milliseconds. The `openai` client, the gateway and the stack share one process, as in a run.",
        "- The stack writes each call to disk before it is sent and each answer before it is handed on; calls under",
        "  way together share their flushes.",
        "",
    ]
    return "\n".join(lines)


def processor() -> str:
    """The processor's name."""
    try:
        lines = Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines()
    except OSError:
        return platform.processor() or platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


def main() -> None:
    parser = argparse.ArgumentParser(description="What the gateway costs.")
    parser.add_argument("--rounds", type=int, default=25)
    parser.add_argument("--calls", type=int, default=100)
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "gateway")
    args = parser.parse_args()
    load = [round(x, 1) for x in os.getloadavg()]
    machine = {
        "processor": processor(), "cores": os.cpu_count(), "python": platform.python_version(), "load": load,
        "openai": openai.__version__,
    }  # fmt: skip
    stub = subprocess.Popen(
        [sys.executable, "-c", STUB], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT
    )
    try:
        assert stub.stdout is not None
        url = stub.stdout.readline().strip()
        with tempfile.TemporaryDirectory() as folder:
            found = asyncio.run(measure(url, Path(folder) / "run", args.rounds, args.calls))
    finally:
        stub.terminate()
        stub.wait()
    told = summary(found)
    text = page(told, machine, args.rounds, args.calls)
    print(text)
    args.out.parent.mkdir(parents=True, exist_ok=True)
    record = {"machine": machine, "rounds": args.rounds, "calls": args.calls, "seconds_a_call": found, "summary": told}
    args.out.with_suffix(".json").write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
    args.out.with_suffix(".md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
