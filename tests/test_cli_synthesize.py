"""``agentopt synthesize``, ``resume`` and ``show`` as a person uses them, offline with a scripted model."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from agentopt.problems.dataset import OBJECTIVE, read_dataset

pytest.importorskip("pyscipopt")
Cli = Callable[..., tuple[int, str, str]]
SCRIPTED = '''
import re

SCENARIO = """## Define Variables:
A luthier builds violins and cellos, whole ones only.
// {"The number of violins": "violins", "range": "violins >= 0", "type": "integer"}
// {"The number of cellos": "cellos", "range": "cellos >= 0", "type": "integer"}

## Define Objective Function:
A violin brings $700 and a cello brings $900. How many of each bring the most?
// Maximize 700*violins + 900*cellos

## Generate Constraint-1:
A violin takes 60 hours and a cello 90 hours. There are 400 hours.
// 60*violins + 90*cellos <= 400"""
PROGRAM = """```python
import json
best = max((700*v + 900*c, v, c) for v in range(9) for c in range(9) if 60*v + 90*c <= 400)
print(json.dumps({"The number of violins": best[1], "The number of cellos": best[2], "%s": best[0]}))
```"""


def luthier(request):
    text = str(request.messages[-1].content)
    if "Write one new demonstration" in text:
        return SCENARIO
    if "Write a Python program" in text:
        return PROGRAM
    table = "\\n\\n| Instrument | Hours |\\n| --- | --- |\\n| violin | 60 |"
    words = " ".join(re.sub(r"(?m)^(//|##).*$", "", SCENARIO).split())
    return words + (table if "Markdown table" in text else "")
'''  # fmt: skip
FLAGS = ("--model", "scripted/luthier", "--name", "run", "--kind", "linear", "--draws", "4", "--round-size", "2",
         "--program-seconds", "60")  # fmt: skip


@pytest.fixture
def workshop(new_workspace: Path) -> Path:
    (new_workspace / "scripted.py").write_text(SCRIPTED % OBJECTIVE)
    return new_workspace


def test_a_budget_that_ends_a_resume_and_a_look(cli: Cli, workshop: Path) -> None:
    code, out, err = cli("synthesize", *FLAGS, "--budget", "calls=3", "--out", "made.jsonl")
    assert code == 4
    assert "4 draws from 23 seeds" in err and "the budget is 3 calls" in err
    assert "add-budget" in out and read_dataset("made.jsonl") == []
    code, out, err = cli("resume", "run", "--add-budget", "calls=50")
    assert code == 0
    assert "round 2 (4 of 4 draws)" in err
    rows = read_dataset(Path("runs") / "run" / "dataset.jsonl")
    assert [(r.table, r.answers[OBJECTIVE]) for r in rows] == [(False, 4400.0), (True, 4400.0)]
    code, out, _ = cli("show", "run")
    assert code == 0 and "similarity  too similar" in out and "rows of the data set" in out
    code, out, _ = cli("show", "run", "--json")
    told = json.loads(out)
    assert told["counts"]["rows"] == 2 and len(told["fell"]) == 3 and told["status"] == "finished"
    code, out, _ = cli("runs")
    assert code == 0 and "ours" in out
    code, _, err = cli("report", "run")
    assert code == 2 and "made a data set" in err


@pytest.mark.parametrize(
    ("flags", "told"),
    [
        (("--agree", "3"), "cannot agree"),
        (("--kind", "cubic"), "--kind"),
        (("--draws", "0"), "--draws"),
        (("--threshold", "7"), "--threshold"),
        (("--budget", "evaluations=3"), "evaluates nothing"),
        (("--seeds", "nowhere.json"), "no such JSON file"),
        (("--out", "no/such/folder/x.jsonl"), "there is no folder"),
        (("--model", "scripted/nobody"), "nobody"),
    ],
)
def test_mistakes_are_one_line_and_leave_nothing_behind(
    cli: Cli, workshop: Path, flags: tuple[str, ...], told: str
) -> None:
    code, _, err = cli("synthesize", *FLAGS, *flags)
    assert code == 2 and told in err and "Traceback" not in err
    assert not (workshop / "runs" / "run").exists()
