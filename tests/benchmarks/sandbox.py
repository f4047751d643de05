"""The sandbox against a fresh interpreter for each job, and against evalplus's checker: latency and jobs a second.

    python tests/benchmarks/sandbox.py                    # full: about five minutes on two idle cores
    python tests/benchmarks/sandbox.py --rounds 2 --dry   # to see that it works; writes nothing

Two jobs: a trivial function, and one that uses numpy and lets SCIP solve a knapsack; each has a sandbox with its
imports. The ways take turns in rounds, so that what else the machine does falls on all of them. evalplus (in its
own environment under .venvs/) forks the process that calls it, with the imports done there, and isolates nothing by
namespaces or system calls; ``subprocess`` isolates nothing at all. Needs pyscipopt: ``pip install 'agentopt[evals]'``.
"""

from __future__ import annotations

import argparse
import asyncio
import functools
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from agentopt.sandbox import Job, Limits, open_sandbox
from agentopt.sandbox.served import ServedSandbox

ROOT = Path(__file__).resolve().parents[2]
RESULTS = ROOT / "docs" / "results"
PEER = ROOT / ".venvs" / "sandbox-evalplus"
PACKAGES = (["--no-deps", "evalplus==0.3.1"], ["numpy", "psutil", "pyscipopt"])

TRIVIAL = "def f(x):\n    return x + 1\n"
SOLVER = """
import numpy as np
from pyscipopt import Model, quicksum

def f(n):
    weights = np.arange(1, n + 1) * 3 % 17 + 1
    values = np.arange(1, n + 1) * 7 % 23 + 1
    model = Model()
    model.hideOutput()
    take = [model.addVar(vtype="B") for _ in range(n)]
    model.addCons(quicksum(int(w) * x for w, x in zip(weights, take)) <= int(weights.sum()) // 2)
    model.setObjective(quicksum(int(v) * x for v, x in zip(values, take)), "maximize")
    model.optimize()
    return round(model.getObjVal())
"""
IMPORTS = ["numpy", "pyscipopt"]
JOBS: dict[str, dict[str, Any]] = {
    "trivial": {"source": TRIVIAL, "args": [1], "imports": []},
    "numpy and SCIP": {"source": SOLVER, "args": [20], "imports": IMPORTS},
}
TARGETS = "trivial job under 10 ms in the median; numpy and SCIP at least 20 times faster than a fresh interpreter"

FRESH = "import json, sys\nrequest = json.load(sys.stdin)\nspace = {}\nexec(compile(request['source'], 'job', 'exec'), space)\nprint(json.dumps(space['f'](*request['args'])))"  # noqa: E501


def environment() -> Path:
    """The interpreter that has evalplus; its environment is made when it is missing."""
    python = PEER / "bin" / "python"
    if not (PEER / "ready").exists():
        print(f"making the environment of evalplus under {PEER} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(PEER)], check=True)
        for packages in PACKAGES:
            subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
        (PEER / "ready").touch()
    return python


class Evalplus:
    """A process that runs jobs through evalplus's checker and says how long each took."""

    def __init__(self) -> None:
        command = [str(environment()), str(Path(__file__).with_name("sandbox_evalplus.py"))]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def times(self, job: dict[str, Any], n: int) -> list[float]:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps({**job, "jobs": n}) + "\n")
        self.process.stdin.flush()
        return list(json.loads(self.process.stdout.readline()))


def fresh(job: dict[str, Any]) -> Any:
    request = json.dumps({"source": job["source"], "args": job["args"]})
    done = subprocess.run([sys.executable, "-c", FRESH], input=request, capture_output=True, text=True, check=True)
    return json.loads(done.stdout)


def sandboxed(box: ServedSandbox, job: dict[str, Any]) -> Any:
    result = box.run_sync(Job(source=job["source"], entry="f", args=job["args"]))
    assert result.ok, result
    return result.value


def timed(call: Callable[[dict[str, Any]], Any], job: dict[str, Any], n: int) -> list[float]:
    took = []
    for _ in range(n):
        began = time.perf_counter()
        value = call(job)
        took.append(time.perf_counter() - began)
        assert value == job["expected"]
    return took


def flow(box: ServedSandbox, job: dict[str, Any], n: int) -> float:
    """Jobs a second, as many at a time as there are servers."""

    async def all_of_them() -> None:
        one = Job(source=job["source"], entry="f", args=job["args"])
        for result in await asyncio.gather(*(box.run(one) for _ in range(n))):
            assert result.ok, result

    began = time.perf_counter()
    asyncio.run(all_of_them())
    return n / (time.perf_counter() - began)


def summary(took: list[float]) -> dict[str, float]:
    ordered = sorted(took)
    p99 = ordered[min(len(ordered) - 1, int(0.99 * len(ordered)))]
    return {"n": len(took), "median_ms": 1e3 * statistics.median(took), "p99_ms": 1e3 * p99,
            "per_second": len(took) / sum(took)}  # fmt: skip


def measure(rounds: int) -> dict[str, Any]:
    cores = len(os.sched_getaffinity(0))
    limits = Limits(wall=60.0, cpu=60.0)
    took: dict[str, dict[str, list[float]]] = {name: {} for name in JOBS}
    flows: dict[str, list[float]] = {name: [] for name in JOBS}
    peer = Evalplus()
    with ExitStack() as stack:
        boxes = {
            name: stack.enter_context(open_sandbox("auto", servers=cores, preload=job["imports"], limits=limits))
            for name, job in JOBS.items()
        }
        for name, job in JOBS.items():
            job["expected"] = fresh(job)
            flow(boxes[name], job, 2 * cores)  # all servers are started
        for i in range(rounds):
            for name, job in JOBS.items():
                of, box = took[name], boxes[name]
                of.setdefault("sandbox", []).extend(timed(functools.partial(sandboxed, box), job, 20))
                of.setdefault("fresh interpreter", []).extend(timed(fresh, job, 4))
                of.setdefault("evalplus", []).extend(peer.times(job, 10))
                flows[name].append(flow(box, job, 20 * cores))
            print(f"round {i + 1} of {rounds}", flush=True)
        isolation = str(boxes["trivial"].isolation)
    assert peer.process.stdin
    peer.process.stdin.close()
    peer.process.wait()
    return {
        "machine": {"cores": cores, "cpu": platform.processor() or platform.machine(), "kernel": platform.release(),
                    "python": platform.python_version(), "load": os.getloadavg()[0]},
        "isolation": isolation,
        "latency": {name: {way: summary(times) for way, times in of.items()} for name, of in took.items()},
        "flow": {name: statistics.median(values) for name, values in flows.items()},
    }  # fmt: skip


def page(found: dict[str, Any]) -> str:
    lines = ["# The sandbox, a fresh interpreter, and evalplus's checker", ""]
    lines += [f"One process after the other, in turns. Target: {TARGETS}.", ""]
    lines += [
        "| job | way | n | median ms | p99 ms | jobs/s one at a time | times the sandbox |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, ways in found["latency"].items():
        base = ways["sandbox"]["median_ms"]
        for way, got in ways.items():
            figures = f"{got['median_ms']:.2f} | {got['p99_ms']:.2f} | {got['per_second']:.1f}"
            lines.append(f"| {name} | {way} | {got['n']} | {figures} | {got['median_ms'] / base:.1f} |")
    machine = found["machine"]
    lines += [
        "",
        f"With {machine['cores']} servers at a time: "
        + ", ".join(f"{value:.0f} jobs/s ({name})" for name, value in found["flow"].items())
        + ".",
        "",
    ]
    lines += [f"Isolation: {found['isolation']}.", ""]
    lines += [
        f"{machine['cores']} cores, kernel {machine['kernel']}, Python {machine['python']}, load {machine['load']:.1f} "
        "at the end. evalplus 0.3.1 forks its caller and confines by rlimits only. `python tests/benchmarks/sandbox.py`"
    ]
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--dry", action="store_true", help="write nothing")
    options = parser.parse_args()
    found = measure(options.rounds)
    text = page(found)
    print(text)
    if not options.dry:
        (RESULTS / "sandbox.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
        (RESULTS / "sandbox.md").write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
