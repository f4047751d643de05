"""OPRO on a real small model: it gives the asked form, and what it does not is recorded."""

from __future__ import annotations

from pathlib import Path

import pytest

import agentopt
from agentopt.run.files import open_run


@pytest.mark.model
@pytest.mark.timeout(400)
def test_a_small_model_proposes_pairs_that_can_be_evaluated(tmp_path: Path) -> None:
    result = agentopt.optimize(
        "line", task="linear_regression", optimizer="opro", optimizer_model="local/qwen2.5-coder-0.5b",
        optimizer_args={"samples": 4, "start_low": 10, "start_high": 20, "max_tokens": 80},
        proposals=4, steps=4, patience=9, runs_dir=tmp_path, name="run", progress=False,
    )  # fmt: skip
    made = [s for s in result.archive if s.operator == "opro"]
    assert made, "of 8 answers at least one is a new pair"
    assert all(-50 <= value <= 50 for s in made for value in s.candidate.values.values() if isinstance(value, int))
    assert result.spend["optimizer"]["calls"] >= 4
    with open_run("run", tmp_path) as run:
        asked = [e.data for e in run.store.events("proposal.accepted", "proposal.rejected")]
    useless = [reason for data in asked for reason in data["rejected"]]
    assert len(made) + len(useless) >= 8
