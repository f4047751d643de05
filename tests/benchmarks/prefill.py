"""What it saves that requests which begin alike have their common start read once.

    python tests/benchmarks/prefill.py --model local/qwen2.5-coder-1.5b --reps 5

Eight requests at once with one prompt, against eight at once with prompts of their own, of the same length; one token
of answer. Time is told as CPU seconds of the engine's process, which other work on the machine changes little, and as
seconds. Medians go to ``docs/results/prefill.json`` and ``prefill.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import random
import statistics
import time
from pathlib import Path
from typing import Any

from agentopt.llm.types import Message, Request
from agentopt.serve.local import LocalClient, provider

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
TICKS = os.sysconf("SC_CLK_TCK")
AT_ONCE, ALIKE, APART = 8, "one prompt", "prompts of their own"
WORDS = ("red", "blue", "tree", "house", "walk", "seven", "river", "stone")


def cpu_seconds(pid: int) -> float:
    """User and system time of a process so far."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def prompt(rng: random.Random, words: int) -> Request:
    """A request that reads so many random words and writes one token."""
    text = " ".join(rng.choices(WORDS, k=words))
    return Request(model="local/x", messages=(Message(role="user", content=text),), temperature=0.0, max_tokens=1)


async def timed(client: LocalClient, requests: list[Request]) -> dict[str, float]:
    """CPU seconds and seconds of some requests at once, and how many tokens they have."""
    pid = client.engine.pid
    assert pid is not None
    cpu, began = cpu_seconds(pid), time.perf_counter()
    answers = await asyncio.gather(*(client.complete(r) for r in requests))
    took = time.perf_counter() - began
    return {"cpu": cpu_seconds(pid) - cpu, "s": took, "tokens": sum(a.usage.input_tokens for a in answers)}


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """All measurements, by kind."""
    rng = random.Random(options.seed)
    client = provider(f"{options.model.removeprefix('local/')}?engine=openvino")
    rows: dict[str, list[dict[str, float]]] = {ALIKE: [], APART: []}
    try:
        await client.complete(prompt(rng, options.words))  # the first prompt of all pays for the engine's start
        for _ in range(options.reps):
            rows[ALIKE].append(await timed(client, [prompt(rng, options.words)] * AT_ONCE))
            rows[APART].append(await timed(client, [prompt(rng, options.words) for _ in range(AT_ONCE)]))
            print(json.dumps({k: v[-1] for k, v in rows.items()}), flush=True)
    finally:
        await client.aclose()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, {cpu_kind()}"
    return {"model": options.model, "reps": options.reps, "machine": machine, "rows": rows}


def cpu_kind() -> str:
    """What the CPU has for small numbers."""
    flags = set(Path("/proc/cpuinfo").read_text().partition("flags")[2].partition("\n")[0].split())
    there = [flag for flag in ("amx_tile", "avx512_bf16", "avx512_vnni", "avx_vnni") if flag in flags]
    return ", ".join(there) or "none of amx, bf16, vnni"


def markdown(result: dict[str, Any]) -> str:
    """The page."""
    out = [
        "# Prompts that begin alike",
        "",
        f"{AT_ONCE} requests at once to `{result['model']}`, one token of answer each, on {result['machine']}; medians "
        f"of {result['reps']}, lowest and highest in brackets. CPU seconds are those of the engine's process. Raw: "
        "[prefill.json](prefill.json); made by `python tests/benchmarks/prefill.py`.",
        "",
        "| | tokens | CPU seconds | seconds |",
        "| --- | --- | --- | --- |",
    ]
    for kind, rows in result["rows"].items():
        columns = [[row[key] for row in rows] for key in ("cpu", "s")]
        cells = [f"{statistics.median(v):.2f} [{min(v):.2f}, {max(v):.2f}]" for v in columns]
        out.append(f"| {kind} | {rows[0]['tokens']:.0f} | {' | '.join(cells)} |")
    middle = {kind: statistics.median(row["cpu"] for row in rows) for kind, rows in result["rows"].items()}
    return "\n".join([*out, "", f"{middle[APART] / middle[ALIKE]:.1f} times as fast (CPU seconds).", ""])


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="local/qwen2.5-coder-1.5b")
    parser.add_argument("--reps", type=int, default=5)
    parser.add_argument("--words", type=int, default=128)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", default=str(RESULTS))
    options = parser.parse_args()
    result = asyncio.run(measure(options))
    folder_out = Path(options.out)
    (folder_out / "prefill.json").write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")
    page = markdown(result)
    (folder_out / "prefill.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
