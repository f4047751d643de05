"""What our evaluation costs a request: against the bare ``openai`` client and against inspect-ai, on the same samples.

    python tests/benchmarks/harness.py                    # five minutes; writes docs/results/harness.{json,md}
    python tests/benchmarks/harness.py --samples 100 --rounds 1 --delays 0.05 --out /tmp/harness      # a quick look
    python tests/benchmarks/harness.py --profile 300      # where the time of a request goes, on our side

A stub server for each delay, in a process of its own, answers after that time. Three programs ask it the same samples
with as many connections, each in a process of its own, and warm up before each measurement: the bare client (no record
of anything); ``evaluate`` (each call journaled before it is sent, each answer and each outcome on disk before it is
used); and inspect-ai with its own log. A round takes every delay, and the three in turning order; figures are medians
over rounds of requests a second and of the ratio to the bare client of the same round. What there is is written after
each round, so a run may be ended at any time. inspect-ai runs in this environment where it is installed, else in one of
its own.
"""

from __future__ import annotations

import argparse
import asyncio
import cProfile
import gc
import importlib.util
import json
import os
import platform
import pstats
import statistics
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[2]
WAYS = ("bare", "agentopt", "inspect")
TITLES = {"bare": "bare `openai` client", "agentopt": "`agentopt.evaluate`", "inspect": "inspect-ai"}
WARM = 20
"""Samples that are asked before the clock starts."""
NEAR = 0.9
"""The least share of the bare client's throughput that is told as near it."""
STUB = """
import sys
from agentopt.testing import StubReply, StubServer
delay = float(sys.argv[1])
def reply(body):
    return StubReply(text=body["messages"][-1]["content"].split()[-1], delay=delay)
with StubServer(reply) as server:
    print(server.url, flush=True)
    sys.stdin.read()
"""


@contextmanager
def stub(delay: float) -> Iterator[str]:
    """The URL of a server that answers the last word of the question after so many seconds."""
    command = [sys.executable, "-c", STUB, str(delay)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        try:
            yield process.stdout.readline().strip()
        finally:
            process.terminate()


def questions(first: int, samples: int) -> list[tuple[str, str]]:
    """Samples that no other round has: a question and the answer to it."""
    return [(f"Say this number and nothing else: {n}", str(n)) for n in range(first, first + samples)]


# -- the programs that are measured -----------------------------------------------------------------------------------


async def bare(url: str, asked: list[tuple[str, str]], connections: int) -> tuple[float, float]:
    """Seconds, and the mean score, of the bare client."""
    import openai

    client = openai.AsyncOpenAI(base_url=url, api_key="none", max_retries=0)
    slots = asyncio.Semaphore(connections)

    async def one(question: str, answer: str) -> float:
        async with slots:
            turns: Any = [{"role": "user", "content": question}]
            made = await client.chat.completions.create(model="stub", messages=turns, max_tokens=50, temperature=0.0)
        return float(made.choices[0].message.content == answer)

    begun = time.perf_counter()
    scores = await asyncio.gather(*(one(*pair) for pair in asked))
    taken = time.perf_counter() - begun
    await client.close()
    return taken, statistics.fmean(scores)


async def ours(url: str, asked: list[tuple[str, str]], connections: int) -> tuple[float, float]:
    """The same of ``evaluate``: from its call to its result, with the run's file opened, written and read again."""
    import agentopt
    from agentopt.evaluate import exact
    from agentopt.run.evaluation import evaluate_async

    @agentopt.graph
    async def ask(question: str) -> str:
        return str(await agentopt.allm("{{question}}", question=question))

    task = agentopt.Task("numbers", [agentopt.Example(input=q, target=a) for q, a in asked], exact())
    with tempfile.TemporaryDirectory() as place:
        begun = time.perf_counter()
        done = await evaluate_async(
            ask, task=task, split="all", model=f"{url}#stub", max_connections=connections, max_tokens=50, cache=False,
            progress=False, runs_dir=place,
        )  # fmt: skip
        return time.perf_counter() - begun, float(done.summary.mean or 0.0)


def serve(run: Callable[[str, list[tuple[str, str]], int], tuple[float, float]]) -> None:
    """For each line of stdin (URL, first sample, samples, connections): warm up, measure, print what was found."""
    for line in sys.stdin:
        url, first, samples, connections = json.loads(line)
        run(url, questions(first, WARM), connections)
        gc.collect()
        begun = time.process_time()
        seconds, score = run(url, questions(first + WARM, samples), connections)
        print(json.dumps({"seconds": seconds, "cpu": time.process_time() - begun, "score": score}), flush=True)


def inspect_python() -> str:
    """An interpreter that has inspect-ai: this one, or one of an environment that is made for it."""
    if importlib.util.find_spec("inspect_ai") is not None:
        return sys.executable
    python = ROOT / ".venvs" / "harness-inspect" / "bin" / "python"
    if not (python.parents[1] / "ready").exists():
        print(f"making an environment for inspect-ai under {python.parents[1]} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-q", "inspect-ai", "openai"], check=True)
        (python.parents[1] / "ready").touch()
    return str(python)


class Worker:
    """A program that is measured, in a process of its own."""

    def __init__(self, way: str, python: str) -> None:
        self.way = way
        self._said = tempfile.TemporaryFile("w+")  # noqa: SIM115
        if way == "inspect":
            command = [python, str(Path(__file__).with_name("harness_inspect.py"))]
        else:
            command = [sys.executable, __file__, "--worker", way]
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._said, text=True,
            env={**os.environ, "OPENAI_API_KEY": ""},
        )  # fmt: skip

    def measure(self, *numbers: Any) -> dict[str, float]:
        """One measurement: URL, first sample, samples, connections."""
        assert self._process.stdin is not None and self._process.stdout is not None
        print(json.dumps(numbers), file=self._process.stdin, flush=True)
        line = next((line for line in self._process.stdout if line.startswith('{"seconds"')), None)
        if line is None:
            self._said.seek(0)
            raise RuntimeError(f"{self.way} failed: {self._said.read().strip()[-2000:]}")
        found: dict[str, float] = json.loads(line)
        if found["score"] != 1.0:
            raise RuntimeError(f"{self.way} scored {found['score']}: it did not measure the same")
        return found

    def __enter__(self) -> Worker:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        self._process.wait()
        self._said.close()


# -- figures ----------------------------------------------------------------------------------------------------------


def summary(rounds: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Medians by delay and way: requests a second, the ratio to the bare client, milliseconds over it a request."""
    seconds: dict[tuple[float, str], list[float]] = defaultdict(list)
    cpu: dict[tuple[float, str], list[float]] = defaultdict(list)
    for one in rounds:
        seconds[one["delay"], one["way"]].append(one["seconds"] / one["samples"])
        cpu[one["delay"], one["way"]].append(one["cpu"] / one["samples"])
    return [
        {
            "delay": delay,
            "way": way,
            "rounds": len(taken),
            "cpu_ms_a_request": statistics.median(1e3 * c for c in cpu[delay, way]),
            "requests_a_second": statistics.median(1 / s for s in taken),
            "times_bare": statistics.median(b / s for s, b in zip(taken, seconds[delay, "bare"], strict=True)),
            "ms_over_bare": statistics.median(
                1e3 * (s - b) for s, b in zip(taken, seconds[delay, "bare"], strict=True)
            ),
        }
        for (delay, way), taken in sorted(seconds.items(), key=lambda item: (item[0][0], WAYS.index(item[0][1])))
    ]


def page(found: dict[str, Any]) -> str:
    """The results as Markdown."""
    m, rows = found["machine"], found["summary"]
    lines = [
        "# The evaluation harness, measured",
        "",
        f"Made by `{found['command']}`; every round is in `harness.json` beside this page. {found['samples']} samples "
        f"a round with {found['connections']} connections; a stub server answers after the delay that stands in the "
        "first column. Figures are medians over rounds; ratios and differences are taken within a round.",
        "",
        f"Machine: {m['processor']}, {m['cores']} cores, Python {m['python']}, load average {m['load']} when it began. "
        f"openai {m['openai']}, inspect-ai {m['inspect_ai']}.",
        "",
        "| server's delay, ms | program | rounds | requests a second | throughput, bare = 1 | ms a request over it "
        "| CPU ms a request |",
        "|---:|---|---:|---:|---:|---:|---:|",
    ]
    lines += [
        f"| {1e3 * r['delay']:.0f} | {TITLES[r['way']]} | {r['rounds']} | {r['requests_a_second']:.1f} | "
        f"{r['times_bare']:.3f} | {r['ms_over_bare']:+.3f} | {r['cpu_ms_a_request']:.2f} |"
        for r in rows
    ]
    return "\n".join(
        [
            *lines,
            "",
            *told_plainly(rows, found["connections"]),
            "",
            "- The bare client keeps nothing. `agentopt.evaluate` has each call on disk before it is sent, and each "
            "answer, its traced graph and its outcome before they are used; its time is from the call to the result, "
            "with opening and reading its file. inspect-ai writes its own log; its time is that of its `eval`.",
            "- CPU is that of the program's own process, all threads: what other work on the machine does to the clock "
            "does not enter it.",
            "- A delay of 0 shows the work of a request alone; a real model takes hundreds of milliseconds.",
            "",
        ]
    )


def told_plainly(rows: list[dict[str, Any]], connections: int) -> list[str]:
    """Where a program has at least ``NEAR`` of the bare client's throughput, and where it has not, in words."""
    said = []
    for way in [way for way in WAYS if way != "bare" and any(r["way"] == way for r in rows)]:
        parts = [
            f"{word} at a delay of {' and '.join(at)} ms"
            for word, at in (
                ("**yes**", [f"{1e3 * r['delay']:.0f}" for r in rows if r["way"] == way and r["times_bare"] >= NEAR]),
                ("**no**", [f"{1e3 * r['delay']:.0f}" for r in rows if r["way"] == way and r["times_bare"] < NEAR]),
            )
            if at
        ]
        said.append(
            f"- {TITLES[way]} with {connections} connections has at least {NEAR:.0%} of the bare client's throughput: "
            f"{'; '.join(parts)}."
        )
    return said


def machine(python: str) -> dict[str, Any]:
    """What it was measured on."""
    code = "import importlib.metadata as m, sys; print(m.version(sys.argv[1]))"
    found = (subprocess.run([python, "-c", code, name], capture_output=True, text=True, check=False)
             for name in ("openai", "inspect-ai"))  # fmt: skip
    versions = [done.stdout.strip() or "not measured" for done in found]
    model = next((line.partition(":")[2].strip() for line in Path("/proc/cpuinfo").read_text().splitlines()
                  if line.startswith("model name")), platform.processor())  # fmt: skip
    return {
        "processor": model, "cores": os.cpu_count(), "python": platform.python_version(), "openai": versions[0],
        "inspect_ai": versions[1], "load": [round(v, 1) for v in os.getloadavg()],
    }  # fmt: skip


def profiled(samples: int, connections: int) -> None:
    """Where the time of a request goes on our side, in CPU time of the thread that serves the loop."""
    with stub(0.0) as url:
        asyncio.run(bare(url, questions(0, WARM), connections))
        begun = time.process_time()
        asyncio.run(bare(url, questions(0, samples), connections))
        plain = time.process_time() - begun
        asyncio.run(ours(url, questions(0, WARM), connections))
        begun = time.process_time()
        asyncio.run(ours(url, questions(0, samples), connections))
        whole = time.process_time() - begun
        profile = cProfile.Profile(time.thread_time)
        profile.enable()
        asyncio.run(ours(url, questions(WARM, samples), connections))
        profile.disable()
    print(f"CPU ms a request, all threads: {1e3 * whole / samples:.2f}, bare client {1e3 * plain / samples:.2f}")
    table: Any = pstats.Stats(profile)
    rows = []
    for (file, line, name), (_, calls, own, whole, _) in table.stats.items():
        if file.startswith(str(ROOT / "agentopt")) or own > 2e-5 * samples:
            rows.append((own, whole, calls, f"{'/'.join(Path(file).parts[-2:])}:{line} {name}"))
    print("under the profiler, microseconds a request: itself, with what it calls; calls a request")
    for order in (0, 1):
        for own, whole, calls, place in sorted(rows, key=lambda row: -row[order])[:40]:
            print(f"{1e6 * own / samples:9.1f} {1e6 * whole / samples:9.1f} {calls / samples:7.2f}  {place}")
        print()


def main() -> None:
    """Measure, print, write."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--samples", type=int, default=400)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--connections", type=int, default=32)
    parser.add_argument("--delays", type=float, nargs="+", default=[0.0, 0.1, 0.5], help="seconds")
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=list(WAYS))
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results" / "harness")
    parser.add_argument("--profile", type=int, metavar="SAMPLES")
    parser.add_argument("--worker", choices=WAYS[:2], help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        run = bare if args.worker == "bare" else ours
        return serve(lambda *asked: asyncio.run(run(*asked)))
    if args.profile:
        return profiled(args.profile, args.connections)
    if "bare" not in args.ways:
        parser.error("--ways needs bare: the others are told against it")
    python = inspect_python() if "inspect" in args.ways else sys.executable
    told = machine(python)
    command = " ".join(["python tests/benchmarks/harness.py", *sys.argv[1:]])
    rounds: list[dict[str, Any]] = []
    result = {
        "command": command, "machine": told, "samples": args.samples, "connections": args.connections,
        "summary": [], "rounds": rounds,
    }  # fmt: skip
    args.out.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as held:
        urls = {delay: held.enter_context(stub(delay)) for delay in args.delays}
        workers = [held.enter_context(Worker(way, python)) for way in args.ways]
        first = 0
        for turn in range(args.rounds):
            for delay, url in urls.items():
                for worker in (workers[(turn + i) % len(workers)] for i in range(len(workers))):
                    found = worker.measure(url, first, args.samples, args.connections)
                    first += args.samples + WARM
                    rounds.append({"delay": delay, "round": turn, "way": worker.way, "samples": args.samples, **found})
                    rate = args.samples / found["seconds"]
                    print(f"round {turn + 1}, {delay:g} s, {worker.way}: {rate:.1f} a second", flush=True)
            result["summary"] = summary(rounds)
            args.out.with_suffix(".json").write_text(json.dumps(result, indent=1) + "\n")
            args.out.with_suffix(".md").write_text(page(result))
    print(page(result))


if __name__ == "__main__":
    main()
