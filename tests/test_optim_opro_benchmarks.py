"""The benchmarks of OPRO at their smallest: what they write, and that they go on where they were stopped."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from typing import Any

from agentopt.llm.types import Request
from agentopt.testing import ScriptedLLM

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

import opro_numbers


def guess(request: Request) -> str:
    """Neighbours of the best pair or tour that the meta-prompt shows."""
    told, draw = str(request.messages[-1].content), random.Random(request.seed)
    if pairs := re.findall(r"w=(-?\d+), b=(-?\d+)", told):
        w, b = map(int, pairs[-1])
        return f"[{w + draw.randint(-2, 2)}, {b + draw.randint(-2, 2)}]"
    tour = [int(i) for i in re.findall(r"<trace> ?([\d,]+)", told)[-1].split(",")]
    i, j = sorted(draw.sample(range(1, len(tour)), 2))
    tour[i : j + 1] = reversed(tour[i : j + 1])
    return f"<trace>{','.join(map(str, tour))}</trace>"


async def test_numbers_are_measured_once_and_kept(tmp_path: Path) -> None:
    options = opro_numbers.arguments(
        [
            "--reps",
            "1",
            "--instances",
            "1",
            "--points",
            "10",
            "--steps",
            "3",
            "--tour-steps",
            "3",
            "--out",
            str(tmp_path),
        ]
    )
    model = ScriptedLLM(guess)
    first = await opro_numbers.run(options, model)
    assert model.calls > 100
    raw = (tmp_path / "opro_numbers.jsonl").read_text().splitlines()
    assert len(raw) == 3 * (len(opro_numbers.LINES) + 1) == first["searches"]
    rows: list[dict[str, Any]] = [json.loads(line) for line in raw]
    starts = {row["method"]: row["best"][0] for row in rows if row["task"] == "tsp"}
    assert len(set(starts.values())) == 1, "every method begins at the same points"
    assert all(row["explored"] <= 5 + 8 * row["steps"] for row in rows)
    page = (tmp_path / "opro_numbers.md").read_text()
    assert "| 36, -1 | far outside | OPRO |" in page and "0.0 / 0.0 / 0.0" in page
    (tmp_path / "opro_numbers.jsonl").write_text("\n".join(raw[:-1]) + "\n" + raw[-1][:30])
    again = ScriptedLLM(guess)
    second = await opro_numbers.run(options, again)
    assert again.calls <= model.calls / 10
    assert second["lines"] == first["lines"]
