"""Kill -9 at random and at chosen instants, again and again, and count what it costs.

    python tests/benchmarks/crash.py                        # 300 kills, 2 runs side by side, and the control
    python tests/benchmarks/crash.py --kills 20 --out /tmp  # a quick look
    python tests/benchmarks/crash.py --control --kills 20   # the journal switched off, alone: it must fail

Runs (``crash_program.py``) are killed until the number is reached and then go on to their end. A stub server in a
process of its own, whose answers are a function of the request, writes down every request; the program writes down
what it has been given. Both are held against each other and against a run that nobody killed. Writes
``docs/results/crash.json`` and ``docs/results/crash.md``.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import platform
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any

from crash_audit import audit, end_state, read_requests, totals
from crash_page import page

from agentopt.errors import StoreError
from agentopt.store import Store

HERE = Path(__file__).resolve().parent
ROOT = HERE.parent.parent
SEEDS = 3
ANYWHERE = ("random", "random", "transaction", "commit", "checkpoint", "reserve", "sent", "stream", "answered")
AFTER = {"transaction": 25, "commit": 15, "checkpoint": 15, "reserve": 10, "sent": 10, "stream": 40, "answered": 10,
         "ask": 5, "validation": 12, "test": 12}  # fmt: skip
"""How often a point is passed before the kill, at most."""


def plan(rng: random.Random) -> list[list[str]]:
    """The kills of one run, by stage: before each ask, before and in validation, in the test, at the end."""

    def mixed(n: int) -> list[str]:
        return [rng.choice(ANYWHERE) for _ in range(n)]

    asks = [[*mixed(n), *["ask"] * times] for n, times in ((4, 2), (3, 1), (3, 1))]
    return [*asks, [*mixed(3), "validation"], ["validation"], [*mixed(1), "test", "test", "claim", "claimed"], ["best"]]


def stage(folder: Path) -> int:
    """How far a run is: asks, then the end of the search, validation and claim."""
    try:
        with Store(folder, readonly=True) as store:
            return sum(len(list(store.events(t))) for t in ("step.asked", "search.ended", "validation.done", "claim"))
    except StoreError:
        return 0


class Count:
    """How many kills are still to be made."""

    def __init__(self, kills: int) -> None:
        self.left = kills
        self._lock = threading.Lock()

    def take(self) -> bool:
        """Whether one more may be planned."""
        with self._lock:
            self.left -= 1
            return self.left >= 0

    def give_back(self) -> None:
        """The process ended before its kill came."""
        with self._lock:
            self.left += 1


def drive(
    folder: Path,
    name: str,
    seed: int,
    model: str,
    stages: list[list[str]],
    count: Count,
    control: bool = False,
    examples: int = 30,
) -> list[str]:
    """Make one run, killed as planned and as long as the count lasts; returns where it was killed, by generation."""
    rng, killed = random.Random(f"{name} {seed}"), list[str]()
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "1", "AGENTOPT_RUNS_DIR": "runs"}
    with (folder / f"{name}.err").open("w") as errors:
        process = subprocess.Popen(
            [sys.executable, str(HERE / "crash_program.py"), str(folder / name)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=environment,
        )  # fmt: skip
    assert process.stdin is not None
    assert process.stdout is not None
    while True:
        points = next((points for points in stages[stage(folder / name / "runs" / "run") :] if points), None)
        point = points.pop(0) if points and count.take() else ""
        order = {
            "generation": len(killed),
            "run": name,
            "seed": seed,
            "examples": examples,
            "model": model,
            "control": control,
            "point": point,
            "after": rng.randint(1, AFTER.get(point, 1)),
            "seconds": rng.uniform(0.02, 0.6),
            "jitter": rng.uniform(0, 0.003) if point in ("commit", "checkpoint") else 0.0,
        }
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        code = json.loads(process.stdout.readline() or "1")
        if code == 0:
            if point:
                count.give_back()
            break
        if code != -9:
            raise SystemExit(f"{name} failed at {order}: {(folder / f'{name}.err').read_text()[-2000:]}")
        killed.append(point)
    process.stdin.close()
    process.wait()
    return killed


@contextmanager
def serving(log: Path) -> Iterator[str]:
    """The stub server in a process of its own; gives its model string."""
    command = [sys.executable, str(HERE / "crash_server.py"), str(log)]
    server = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert server.stdin is not None
    assert server.stdout is not None
    try:
        yield server.stdout.readline().strip()
    finally:
        server.stdin.close()
        server.wait()


def bench(kills: int, side_by_side: int, control: bool, folder: Path) -> dict[str, Any]:
    """All runs of one arm, audited."""
    began, load = time.time(), os.getloadavg()
    folder = folder.resolve()
    folder.mkdir(parents=True)
    with serving(folder / "requests") as model, ThreadPoolExecutor(side_by_side) as pool:
        list(pool.map(lambda seed: drive(folder, f"whole{seed}", seed, model, [], Count(0)), range(SEEDS)))
        count, names, made, lock = Count(kills), itertools.count(), dict[str, list[str]](), threading.Lock()

        def work(_: int) -> None:
            while count.left > 0:
                with lock:
                    number = next(names)
                name = f"run{number}"
                made[name] = drive(folder, name, number % SEEDS, model, plan(random.Random(name)), count, control)
                done = kills - max(0, count.left)
                print(f"{name}: {len(made[name])} kills; {done} of {kills}, {time.time() - began:.0f} s", flush=True)

        list(pool.map(work, range(side_by_side)))
    requests = read_requests(folder / "requests")
    states = [end_state(folder / f"whole{seed}") for seed in range(SEEDS)]
    assert all(state["claim"] is not None and state["status"] == "finished" for state in states)
    rows = [audit(folder, f"whole{seed}", [], requests, None) for seed in range(SEEDS)]
    assert all(row["requests"] == row["calls"] == row["charged_calls"] for row in rows), rows
    rows = [audit(folder, name, killed, requests, states[int(name[3:]) % SEEDS]) for name, killed in made.items()]
    return {"seconds": round(time.time() - began, 1), "load": [round(x, 1) for x in load], "runs": rows,
            "uninterrupted_calls": [len(s["outcomes"]) for s in states], "totals": totals(rows)}  # fmt: skip


def main() -> None:
    """Kill, count, print, write."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--control-kills", type=int, default=60, help="kills of the control that goes with it")
    parser.add_argument("--processes", type=int, default=2, help="runs side by side")
    parser.add_argument("--control", action="store_true", help="only the control; nothing is written")
    parser.add_argument("--keep", type=Path, help="a new folder for the runs, kept")
    parser.add_argument("--out", type=Path, default=ROOT / "docs" / "results")
    args = parser.parse_args()
    data: dict[str, Any] = {"machine": {"cores": os.cpu_count(), "python": platform.python_version(),
                                        "sqlite": __import__("sqlite3").sqlite_version}}  # fmt: skip
    with tempfile.TemporaryDirectory() if args.keep is None else nullcontext(args.keep) as place:
        if not args.control:
            data["journal"] = bench(args.kills, args.processes, False, Path(place) / "journal")
        kills = args.kills if args.control else args.control_kills
        if kills:
            data["control"] = bench(kills, args.processes, True, Path(place) / "control")
    text = page(data)
    print(text)
    if not args.control:
        args.out.mkdir(parents=True, exist_ok=True)
        (args.out / "crash.json").write_text(json.dumps(data, indent=1) + "\n", encoding="utf-8")
        (args.out / "crash.md").write_text(text, encoding="utf-8")
        sums = data["journal"]["totals"]
        broken = [key for key in ("asked_again", "lost", "beyond", "unequal") if sums[key]]
        if broken:
            raise SystemExit(f"a promise is broken: {', '.join(broken)}")
    if "control" in data and not data["control"]["totals"]["asked_again"]:
        raise SystemExit("the control did not fail: the benchmark shows nothing")


if __name__ == "__main__":
    main()
