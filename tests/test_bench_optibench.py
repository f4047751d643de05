"""The table of OptiBench: lines that outlive their run, one a problem, and rates by type that are made of them."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from agentopt import Example, Feedback, Task
from agentopt.core.values import Outcome
from agentopt.workspace import load_eval

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import optibench
from opro_search import finished

KINDS = "linear-notable", "linear-table"
EXAMPLES = [
    Example(
        id=f"p{i}", input=i, target={"x": 1}, group=KINDS[i % 2], cluster=f"c{i // 2}",
        meta={"wrong": False, "confirmed": i > 1},
    )
    for i in range(6)
]  # fmt: skip
TASK = Task("optibench", EXAMPLES, lambda example, output: 0.0)


def outcome(number: int, score: float | None, status: str = "ok") -> Outcome:
    said = None if score is None else Feedback(score=score, text="said", parts={"code_pass": 1.0, "crashed": 0.0})
    return Outcome(
        candidate="c", example=f"p{number}", status=status, feedback=said, metrics={"output_tokens": 10.0 * number}
    )


def test_lines_outlive_a_run_and_its_machine(tmp_path: Path) -> None:
    pinned, raw, by_id = load_eval("optibench"), tmp_path / "optibench.jsonl", {e.id: e for e in EXAMPLES}
    code = optibench.protocol(pinned)
    first = optibench.lines([outcome(0, 1.0), outcome(1, 0.0), outcome(2, None, "infra_error")], by_id, "m", code)
    assert [row["example"] for row in first] == ["p0", "p1"], "what the world lost is asked again"
    optibench.write(raw, first)
    with raw.open("a") as file:
        file.write('{"key": "half a li')  # killed while it wrote
    optibench.write(raw, optibench.lines([outcome(2, 1.0), outcome(3, None, "agent_error")], by_id, "m", code))
    rows = list(finished(raw).values())
    assert [(row["example"], row["score"]) for row in rows] == [("p0", 1.0), ("p1", 0.0), ("p2", 1.0), ("p3", None)]

    (table,) = optibench.summarise(rows, pinned, TASK)["tables"]
    every, *kinds = table["table"]
    assert (table["n"], table["of"], every["score"]["n"], every["score"]["mean"]) == (4, 6, 4, 0.5)
    assert [(row["name"], row["score"]["mean"]) for row in kinds] == [("linear-notable", 1.0), ("linear-table", 0.0)]
    assert every["measures"]["code_pass"]["mean"] == pytest.approx(3 / 4), "a program that is not there did not run"
    assert every["output_tokens"] == 15.0
    page = optibench.markdown(optibench.summarise(rows, pinned, TASK))
    assert "## m, 4 of 6 problems" in page
    assert "| all | 4 | 0.500 [" in page


def test_how_much_an_engine_does_at_once_is_no_other_model() -> None:
    assert optibench.named("local/small?max_seqs=32") == optibench.named("local/small") == "local/small"
