"""Scattered Forest Search inside a run: budget, resume and replay are the run's."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.llm.types import Request
from agentopt.run.files import open_run
from agentopt.run.replay import replay
from agentopt.testing import ScriptedLLM
from agentopt.testing.scripted import Reply


def model(request: Request) -> Reply:
    """A neighbour of the current pair; directions and insights that change with the seed."""
    path, draw = str(request.address.path if request.address else ""), request.seed or 0
    if "/scatter/" in path:
        return {"reflection": "r", "ideas": [f"Raise w by {draw % 5}.", f"Lower b by {draw % 7}."]}
    if "/scout/" in path:
        return {"insights": [f"Lesson {draw % 97}."]}
    found = re.findall(r"w = (-?\d+)\s+b = (-?\d+)", str(request.messages[-1].content))
    w, b = map(int, found[-1]) if found else (10, 10)
    return json.dumps({"suggestion": {"w": w + draw % 7 - 3, "b": b + draw % 5 - 2}})


def run(tmp_path: Path, **more: Any) -> Any:
    return agentopt.optimize(
        "line", task="linear_regression", task_args={"w": 15, "b": 14}, optimizer="sfs",
        optimizer_args={"seeds": 2, "notes": 2}, optimizer_model="scripted", clients={"scripted": ScriptedLLM(model)},
        proposals=3, steps=5, patience=9, progress=False, cache=False, name="forest", **more,
    )  # fmt: skip


def test_a_run_keeps_its_forest_and_replays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    result = run(tmp_path, budget="tokens=200000,calls=400")
    with open_run(result.dir) as store:
        steps = [e.data for e in store.events("step.started")]
        state: Any = [e.data for e in store.events("step.done")][-1]["optimizer"]
        sent = [str(e.data["address"]) for e in store.events("call.sent")]
    assert len(steps) >= 3 and all(s["remaining"]["tokens"] > 0 for s in steps)
    assert [s["remaining"]["calls"] for s in steps] == sorted((s["remaining"]["calls"] for s in steps), reverse=True)
    assert state["forest"]["nodes"] and state["insights"]["lines"] and state["asked"] == 2
    assert any("sfs/scatter/" in a for a in sent) and any("sfs/scout/" in a for a in sent)
    assert replay(result.dir).clean
