"""Whether the scorers of programs are right: every published solution passes, and every planted wrong one fails.

    python tests/benchmarks/code_scorers.py                      # HumanEval, HumanEval+, MBPP (sanitized) and MBPP+
    python tests/benchmarks/code_scorers.py --sets HumanEval --limit 20

Wrong programs are made from each published solution, so that they are wrong whatever the tests are: they return
nothing, raise, end the process, or return the right value changed (a number by more than any tolerance, a list by one
more element).
``cheats`` are programs that try to pass without an answer; what a test cannot see is told apart. Results go to
``docs/results/code_scorers.json`` and ``code_scorers.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import os
import platform
import re
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentopt import Example, load_task
from agentopt.evaluate import interval
from agentopt.evaluate.sandboxed import LIMITS, SandboxRunner
from agentopt.sandbox import open_sandbox

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
SETS: dict[str, tuple[str, dict[str, str]]] = {
    "HumanEval": ("humaneval", {}),
    "HumanEval+": ("humaneval", {"tests": "plus"}),
    "MBPP": ("mbpp", {}),
    "MBPP+": ("mbpp", {"tests": "plus"}),
}
CHANGED = """

def _changed(value):
    if isinstance(value, bool): return not value
    if isinstance(value, (int, float, complex)):
        return value + 1 + abs(value) if value == value and abs(value) < 1e15 else 0.5
    if isinstance(value, str): return value + "x"
    if isinstance(value, list): return [*value, 1]
    if isinstance(value, tuple): return (*value, 1)
    if isinstance(value, (set, frozenset)): return type(value)([*value, "one more"])
    if isinstance(value, dict): return {**value, "one more": 1}
    return 1 if value is None else None


def _wrap(right):
    return lambda *args, **kwargs: _changed(right(*args, **kwargs))


NAME = _wrap(NAME)
"""
WRONG = {
    "returns nothing": "\n\ndef NAME(*args, **kwargs):\n    return None\n",
    "returns something else": "\n\ndef NAME(*args, **kwargs):\n    return object()\n",
    "raises": "\n\ndef NAME(*args, **kwargs):\n    raise ValueError('no')\n",
    "right value, changed": CHANGED,
    "not there": "\n\ndel NAME\n",
}
"""What is put below a published solution; NAME is the function."""
LOOK = (
    "\n\ndef NAME(*args, **kwargs):\n    import json, os, re, struct, sys\n    frame = sys._getframe()\n"
    "    while 'job' not in frame.f_locals: frame = frame.f_back\n    source = frame.f_locals['job']['source']\n"
)
"""A program that finds the source of its job, and with it the test, in its own process."""
CHEATS = {
    "exits with 0": "import os\nos._exit(0)\n",
    "exits with SystemExit": "raise SystemExit(0)\n",
    "exits in the function": "\n\ndef NAME(*args, **kwargs):\n    import os\n    os._exit(0)\n",
    "closes its channel": "\n\ndef NAME(*args, **kwargs):\n    import os\n    os.closerange(0, 64)\n    os._exit(0)\n",
    "says that it is done": (
        "\n\ndef NAME(*args, **kwargs):\n    import json, os, struct\n"
        "    data = json.dumps({'op': 'done', 'status': 'ok', 'value': None, 'kind': 'value'}).encode()\n"
        "    os.write(3, struct.pack('>I', len(data)) + data)\n    os._exit(0)\n"
    ),
    "raises its test": f"{LOOK}    raise ValueError(source[-2000:])\n",
}
UNSEEN = {
    "says the word of the end": (
        f"{LOOK}    word = re.findall(r\"return '(\\w+)'\", source)[-1]\n"
        "    data = json.dumps({'op': 'done', 'status': 'ok', 'value': word, 'kind': 'value'}).encode()\n"
        "    os.write(3, struct.pack('>I', len(data)) + data)\n    os._exit(0)\n"
    ),
    "equal to everything": (
        "\n\nclass _Any(int):\n    __hash__ = int.__hash__\n    def __eq__(self, other): return True\n"
        "    def __ne__(self, other): return False\n\n\ndef NAME(*args, **kwargs):\n    return _Any()\n"
    ),
}
"""What a test cannot see that runs in the program's own process."""


def entry_of(example: Example) -> str:
    """The function that the tests call."""
    name = str((example.target or {}).get("entry_point", ""))  # type: ignore[union-attr]
    if not name:
        raise RuntimeError(f"{example.id} names no function")
    return name


async def judge(runner: SandboxRunner, example: Example, program: str) -> str:
    """``passed``, or how the first test that did not pass ended."""
    meta: Mapping[str, Any] = example.meta
    verdict = await runner.run(program, meta["tests"], setup=meta.get("setup", ""), seconds=meta.get("seconds", 5.0))
    if verdict.problem:
        return f"problem: {verdict.problem}"
    return next((f"{r.status}: {r.text[:160]}" for r in verdict.results if r.status != "passed"), "passed")


def plant(example: Example, addition: str) -> str:
    """A published solution with something below it."""
    return f"{example.meta['reference']}\n" + re.sub(r"\bNAME\b", entry_of(example), addition)


async def check(runner: SandboxRunner, name: str, options: argparse.Namespace) -> dict[str, Any]:
    """All programs of one data set."""
    task, args = SETS[name]
    examples = load_task(task, **args).examples[: options.limit]
    slots, began = asyncio.Semaphore(options.at_once), time.perf_counter()

    async def one(kind: str, example: Example, program: str) -> tuple[str, str, str]:
        async with slots:
            return kind, example.id, await judge(runner, example, program)

    programs = [("published", e, str(e.meta["reference"])) for e in examples]
    for kind, addition in {**WRONG, **CHEATS, **UNSEEN}.items():
        programs += [(kind, e, plant(e, addition)) for e in examples]
    rows = await asyncio.gather(*(one(*program) for program in programs))
    counts: dict[str, collections.Counter[str]] = collections.defaultdict(collections.Counter)
    odd = []
    for kind, which, said in rows:
        counts[kind][said.partition(":")[0]] += 1
        if (said == "passed") != (kind == "published") and kind not in UNSEEN:
            odd.append([kind, which, said])
    return {
        "problems": len(examples),
        "counts": {k: dict(v) for k, v in counts.items()},
        "odd": odd,
        "seconds": round(time.perf_counter() - began, 1),
    }


def markdown(found: Mapping[str, Any]) -> str:
    """The page."""
    out = [
        "# Scorers of programs",
        "",
        "Published solutions must pass, and programs that were made wrong must not. Each cell: how many were judged "
        f"right, of all. {found['machine']}; sandbox: {found['isolation']}. Raw: "
        "[code_scorers.json](code_scorers.json); made by `python tests/benchmarks/code_scorers.py`.",
        "",
        f"| program | {' | '.join(found['sets'])} |",
        f"| --- |{' --- |' * len(found['sets'])}",
    ]
    for kind in ("published", *WRONG, *CHEATS):
        cells = []
        for got in found["sets"].values():
            counts = got["counts"][kind]
            passed, n = counts.get("passed", 0), sum(counts.values())
            cells.append(f"{passed if kind == 'published' else n - passed} of {n}")
        out.append(f"| {kind} | {' | '.join(cells)} |")
    wrong, n = found["wrong"], found["judged"]
    low, high = interval([1.0] * wrong + [0.0] * (n - wrong))
    out += ["", f"Judged wrongly: {wrong} of {n} [{low:.5f}, {high:.5f}].", ""]
    for kind in UNSEEN:
        cells = [f"{name} {got['counts'][kind].get('passed', 0)} of {got['problems']}" for name, got in
                 found["sets"].items()]  # fmt: skip
        out += [f"Not seen by tests in the program's own process, and passed: {kind}: {', '.join(cells)}.", ""]
    for name, got in found["sets"].items():
        out += [f"- {name}: {kind}, {which}: {said}" for kind, which, said in got["odd"][:20]]
    return "\n".join(out).rstrip() + "\n"


def main() -> None:
    """Check, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sets", nargs="+", choices=list(SETS), default=list(SETS))
    parser.add_argument("--limit", type=int, help="problems of each set")
    parser.add_argument("--at-once", type=int, default=4)
    parser.add_argument("--out", default=str(RESULTS))
    options = parser.parse_args()
    found: dict[str, Any] = {"machine": f"{os.cpu_count()} cores, {platform.machine()}", "sets": {}}
    with open_sandbox(limits=LIMITS) as sandbox:
        found["isolation"] = sandbox.isolation.backend
        runner = SandboxRunner(sandbox)
        for name in options.sets:
            found["sets"][name] = asyncio.run(check(runner, name, options))
            print(name, json.dumps(found["sets"][name]), flush=True)
    found["wrong"] = sum(len(got["odd"]) for got in found["sets"].values())
    seen = ["published", *WRONG, *CHEATS]
    found["judged"] = sum(sum(got["counts"][kind].values()) for got in found["sets"].values() for kind in seen)
    out = Path(options.out)
    (out / "code_scorers.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    page = markdown(found)
    (out / "code_scorers.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
