"""The measurement of self-correction at its smallest: what it writes, and that it goes on where it was stopped."""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))

import self_correction

from agentopt.errors import LLMError
from agentopt.evaluate import Example, Task
from agentopt.evaluate.modelling import all_figures
from agentopt.llm.types import Request
from agentopt.testing import ScriptedLLM

TASK = Task(
    "sums",
    [
        Example(
            id=f"sum-{i}",
            input={"problem": f"How much is {i} and {i} at most?", "names": ["sum"]},
            target={"sum": float(2 * i)},
            meta={"objective": "sum"},
            group="even" if i % 2 == 0 else "odd",
            cluster=f"c{i // 2}" if i < 4 else None,
        )
        for i in range(8)
    ],
    all_figures(),
)


class Model:
    """Right at once on 4 and 5; after a crash on 6; never on 7; the server is gone when 5 is asked for first."""

    def __init__(self, gone: bool = False) -> None:
        self.asked: Counter[int] = Counter()
        self.gone = gone

    def __call__(self, request: Request) -> str:
        turns = " ".join(str(m.content) for m in request.messages)
        i = int(turns.split(" at most?")[0].rsplit(" ", 1)[-1])
        self.asked[i] += 1
        if i == 5 and self.gone:
            raise LLMError("the server is gone")
        if i == 7:
            return f"I cannot, {self.asked[i]}."
        crash = "1 / 0\n" if i == 6 and len(request.messages) == 1 else ""
        return f'```python\n{crash}print({{"sum": {2 * i}}})\n```'


def options(folder: Path, **more: Any) -> Any:
    given = {"n": 8, "out": folder, "model": "scripted/one", **more}
    return self_correction.arguments([part for key, value in given.items() for part in (f"--{key}", str(value))])


async def test_pairs_are_measured_once_and_what_failed_is_measured_again(tmp_path: Path) -> None:
    model = Model(gone=True)
    first = await self_correction.run(options(tmp_path), ScriptedLLM(model), TASK)
    assert model.asked[6] == 2, "the first program is asked for once and is that of both arms"
    (table,) = first["tables"]
    assert table["table"][0]["n"] == 5, "one of each cluster, and the one that the server failed is left out"
    raw = tmp_path / "self_correction.jsonl"
    lines = raw.read_text().splitlines()
    raw.write_text("\n".join(lines) + "\n" + lines[-1][:40])  # killed while it wrote

    model = Model()
    second = await self_correction.run(options(tmp_path), ScriptedLLM(model), TASK)
    assert set(model.asked) == {5}
    (table,) = second["tables"]
    every, *kinds = table["table"]
    assert every["n"] == 6 == sum(row["n"] for row in kinds)
    assert every["without"]["mean"] == pytest.approx(4 / 6)
    assert every["with"]["mean"] == pytest.approx(5 / 6)
    assert (every["claim"]["gained"], every["claim"]["lost"], every["claim"]["p"]) == (1, 0, 1.0)
    assert every["without"]["calls"] == 1.0
    assert every["with"]["calls"] == pytest.approx(1 + (1 + 1) / 6)
    assert every["with"]["output_tokens"] > every["without"]["output_tokens"]
    assert every["rounds"] == pytest.approx(1 / 6), "a reply that is repeated is no round"
    rows = {
        row["example"]: row for row in map(json.loads, [x for x in raw.read_text().splitlines() if x.endswith("}")])
    }
    assert rows["sum-6"]["without"]["parts"]["crashed"] == 1.0
    assert rows["sum-7"]["with"]["parts"]["no_code"] == 1.0
    page = (tmp_path / "self_correction.md").read_text()
    assert "| all | 6 | 0.667 [" in page
    assert "1, 0" in page

    asked = ScriptedLLM(Model())
    await self_correction.run(options(tmp_path, rounds=1), asked, TASK)
    again = await self_correction.run(options(tmp_path, rounds=1, minutes=0), ScriptedLLM(Model()), TASK)
    assert asked.calls > 0
    assert len(again["tables"]) == 2, "other settings have a table of their own"


def test_problems_are_drawn_by_type_one_of_each_cluster_and_more_of_them_begin_with_the_same() -> None:
    found = [self_correction.drawn(TASK, n, seed=3) for n in (2, 8)]
    assert found[0] == found[1][:2]
    clusters = [e.cluster or e.id for e in found[1]]
    assert len(clusters) == len(set(clusters)) == 6
    assert self_correction.drawn(TASK, 8, seed=4) != found[1] or self_correction.drawn(TASK, 8, seed=5) != found[1]


async def test_no_problem_is_begun_when_the_time_is_over(tmp_path: Path) -> None:
    llm = ScriptedLLM(Model())
    found = await asyncio.wait_for(self_correction.run(options(tmp_path, minutes=0), llm, TASK), 60)
    assert llm.calls == 0
    assert found["tables"] == []
