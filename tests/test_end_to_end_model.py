"""The main job on a real small model: trace, optimize within a budget, test, load."""

from __future__ import annotations

from pathlib import Path

import pytest

import agentopt
from agentopt.run.files import open_run

MODEL = "local/qwen2.5-coder-0.5b"


@pytest.mark.model
@pytest.mark.timeout(400)
def test_an_agent_is_optimized_on_a_real_model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = agentopt.optimize(
        "cashier",
        task="bills",
        model=MODEL,
        optimizer="random",
        parameters=("shots",),
        limit=60,
        steps=2,
        proposals=3,
        budget="calls=220,seconds=330",
        runs_dir=str(tmp_path / "runs"),
        name="run",
        seed=1,
    )
    assert result.status == "finished"
    assert sum(spend.get("calls", 0) for spend in result.spend.values()) <= 220
    with open_run("run", tmp_path / "runs") as run:
        assert run.started["endpoints"]["agent"].startswith("sha256:")
        outcomes = run.outcomes(split="search")
        assert {o.status for o in outcomes} <= {"ok", "agent_error"}
        graph = run.graph(next(o for o in outcomes if o.status == "ok"))
        assert graph is not None
        assert {"llm", "call"} <= {record.kind for record in graph.nodes}
        assert len({o.candidate for o in outcomes}) > 1
        baseline, best = run.baseline(), run.best()
        assert baseline is not None
        assert best is not None
        if best != baseline:
            assert result.claim is not None
            assert result.claim.n == len(run.outcomes(best.id, "test"))
    answered = agentopt.resume("run", runs_dir=tmp_path / "runs")
    assert answered.claim == result.claim
