"""The benchmarks of OPRO at their smallest: what they write, and that they go on where they were stopped."""

from __future__ import annotations

import json
import random
import re
import sys
from pathlib import Path
from typing import Any

import pytest

from agentopt.llm.types import Request
from agentopt.testing import ScriptedLLM

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

import opro_ablation
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
    given = "--reps 1 --instances 1 --points 10 --steps 2 --tour-steps 2 --out OUT --answers OUT/answers"
    options = opro_numbers.arguments(given.replace("OUT", str(tmp_path)).split())
    model = ScriptedLLM(guess)
    first = await opro_numbers.run(options, model)
    assert model.calls > 60
    raw = (tmp_path / "opro_numbers.jsonl").read_text().splitlines()
    assert len(raw) == 3 * (len(opro_numbers.LINES) + 1) == first["searches"]
    rows: list[dict[str, Any]] = [json.loads(line) for line in raw]
    starts = {row["method"]: row["best"][0] for row in rows if row["task"] == "tsp"}
    assert len(set(starts.values())) == 1, "every method begins at the same points"
    assert all(row["explored"] <= 5 + 8 * row["steps"] for row in rows)
    page = (tmp_path / "opro_numbers.md").read_text()
    assert "| 36, -1 | far outside | OPRO |" in page and "0.0 / 0.0 / 0.0" in page
    (tmp_path / "opro_numbers.jsonl").write_text("\n".join(raw[:4]) + "\n" + raw[-1][:30])
    again = ScriptedLLM(guess)
    second = await opro_numbers.run(options, again)
    assert again.calls == 0, "a search that was cut has the answers that it was given"
    assert second["lines"] == first["lines"]


@pytest.mark.slow
async def test_an_ablation_is_resumed_and_measured_once(tmp_path: Path) -> None:
    def reply(request: Request) -> str | dict[str, Any]:
        told = str(request.messages[-1].content)
        if request.role == "agent":
            words = {"money": "billing", "password": "account", "parcel": "shipping"}
            known = next((topic for word, topic in words.items() if word in told.split("\n\n")[-1]), "technical")
            return known if "care" in told or (request.seed or 0) % 3 else "no idea"
        draw = random.Random(request.seed)
        manner = draw.choice(["with care", "at once", "in a word", "as an expert", "after a second look"])
        style = draw.choice(["Please sort", "Sort", "Classify"])
        return {"suggestion": {"sorter": f"{style} it {manner} as billing, technical, account or shipping."}}

    options = opro_ablation.arguments(
        f"--model scripted --optimizer-model scripted --limit 16 --seeds 2 --steps 2 --samples 3 "
        f"--runs {tmp_path}/runs --out {tmp_path}".split()
    )
    model = ScriptedLLM(reply)
    summary = await opro_ablation.run(options, {"scripted": model})
    assert [row["arm"] for row in summary["table"]] == list(opro_ablation.ARMS)
    assert all(row["runs"] == 2 for row in summary["table"])
    asked = {str(r.messages[-1].content) for r in model.requests if r.role == "optimizer"}
    assert any("the best one first" in told for told in asked) and any("in no order" in told for told in asked)
    assert any("score:" not in told for told in asked) and any("<INS>" not in told for told in asked)
    kept = (tmp_path / "opro_ablation.jsonl").read_text().splitlines()
    curves = [json.loads(line)["curve"] for line in kept]
    assert all(len(c) == 3 and c == sorted(c) for c in curves)
    (tmp_path / "opro_ablation.jsonl").write_text("\n".join(kept[:-1]) + "\n")
    again = ScriptedLLM(reply)
    assert (await opro_ablation.run(options, {"scripted": again}))["table"] == summary["table"]
    assert again.calls == 0, "the run that was finished is read, not made again"
    assert "| scores: none | 2 |" in (tmp_path / "opro_ablation.md").read_text()


def test_a_run_with_another_model_or_size_is_another_run() -> None:
    def folder(*given: str) -> str:
        return opro_ablation.folder_of("order: random", 0, opro_ablation.arguments(given))

    assert folder() == folder("--seeds", "5", "--minutes", "3"), "how many are made is no matter of one"
    others = [("--model", "a"), ("--optimizer-model", "a"), ("--steps", "7"), ("--samples", "4"), ("--limit", "40"),
              ("--style", "paper"), ("--task", "bills"), ("--graph", "clerk"), ("--parameters", "place")]  # fmt: skip
    assert len({folder(), *(folder(*other) for other in others)}) == len(others) + 1
