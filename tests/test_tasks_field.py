"""The published data sets as tasks: whole, split, scored by type, usable from the command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from agentopt import load_task
from agentopt.cli.app import execute
from agentopt.testing import StubServer

ROOT = Path(__file__).resolve().parents[1]
needs_data = pytest.mark.skipif(
    not os.environ.get("AGENTOPT_DATA"), reason="AGENTOPT_DATA names no folder of data sets"
)


@needs_data
def test_an_eval_from_the_command_line(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that always says True is right on exactly the examples whose target is True."""
    monkeypatch.chdir(tmp_path)
    command = ["eval", "zero_shot", "--task", "bbh", "--task-arg", "name=boolean_expressions", "--limit", "40"]
    with StubServer(lambda request: "Answer: True") as server, pytest.raises(SystemExit) as ended:
        execute((*command, "--split", "all", "--model", server.model, "--json", "--no-cache"))
    assert ended.value.code == 0
    result = json.loads(capsys.readouterr().out)
    splits = load_task("bbh", name="boolean_expressions").splits(limit=40)
    examples = [*splits.search, *splits.validation, *splits.test]
    assert len(examples) == 40 == server.count
    assert result["summary"]["mean"] == pytest.approx(sum(e.target == "True" for e in examples) / 40)
