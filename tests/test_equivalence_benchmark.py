"""The benchmark of equivalence: its counts are right, and a model can be asked in it."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from agentopt.evaluate.equivalence.pairs import make_pair
from agentopt.llm.context import Session
from agentopt.testing import ScriptedLLM

FILE = Path(__file__).parent / "benchmarks" / "equivalence.py"


@pytest.fixture(scope="module")
def bench() -> ModuleType:
    spec = importlib.util.spec_from_file_location("equivalence_benchmark", FILE)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def row(label: bool, verdict: str, **more: Any) -> dict[str, Any]:
    said = {
        "verdict": verdict,
        "proof": "",
        "witness": None,
        "checked": None,
        "reason": "",
        "cpu": 1.0,
        "wall": 1.0,
        **more,
    }
    return {"id": "x", "set": "generated", "variation": "c", "label": label, "ways": {"1": said}}


def test_counts(bench: ModuleType) -> None:
    rows = [
        row(True, "equivalent"), row(True, "undecided"), row(True, "not equivalent", witness="outside", checked=True),
        row(False, "equivalent"), row(False, "undecided"),
        row(False, "not equivalent", witness="outside", checked=False),
    ]  # fmt: skip
    found = bench.measure(rows, "1")
    assert (found["precision"], found["recall"]) == (1 / 2, 1 / 3)
    assert (found["refuted"], found["refuted_wrongly"]) == (2, 1)
    assert (found["witnesses"], found["witnesses_checked"]) == (2, 1)
    page = bench.markdown(bench.summary(rows), "command")
    assert "| c | other names | 2/2/2 |" in page and "were not on the machine" in page


async def test_a_model_proposes_and_the_check_decides(bench: ModuleType) -> None:
    pair = make_pair("c", 1)
    gold = pair.gold()
    assert gold is not None
    to_reference = [
        {"variable": t, "terms": [{"variable": n, "coefficient": float(c)} for n, c in e.terms.items()], "constant": 0}
        for t, e in gold.terms.items()
    ]
    model = ScriptedLLM([json.dumps({"to_reference": to_reference, "to_candidate": []})])
    session = Session(model, models={"judge": "scripted"}, role="judge")
    kept = {"id": pair.id, "set": "generated", "variation": "c", "label": True}
    found = await bench.judge_by_model(kept, pair.reference(), pair.candidate(), session)
    assert found["ways"]["3 model"]["verdict"] == "equivalent" and found["id"] == "c/1@scripted"
    assert bench.measure([found], "3 model")["recall"] == 1.0
