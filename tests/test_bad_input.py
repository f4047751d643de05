"""Bad input inside whole runs: useless answers of the optimizer's model, data files that are not the original.

Each is refused as the options say and written down with its reason; none ends a run, and none is paid for twice.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.errors import MissingData, UsageError
from agentopt.evaluate import data_catalogue
from agentopt.evaluate.data_catalogue import DataFile, DataSet
from agentopt.llm.types import Request, Response
from agentopt.run.files import open_run
from agentopt.testing import ScriptedLLM
from agentopt.testing.scripted import Reply

INSTRUCTION = agentopt.Parameter("Say it.\n\n{{word}}", name="instruction")


@agentopt.graph
def say(word: str) -> Any:
    return agentopt.render(INSTRUCTION, word=word)


def suggestion(text: str) -> str:
    return json.dumps({"suggestion": {"instruction": text}})


ANSWERS: list[tuple[Reply, str]] = [
    ("", "the answer is empty"),
    ("I would rather not.", "no complete JSON object"),
    (suggestion(""), "the text is empty"),
    (suggestion("word " * 200), "at most 500"),
    (suggestion("Say it in 2 steps."), "the digit '2'"),
    (suggestion("Sag es \u201elaut\u201c."), "curly quotes"),
    (
        suggestion("\u0421\u043a\u0430\u0436\u0438 \u044d\u0442\u043e."),
        "CYRILLIC letters",
    ),
    (suggestion("say  it."), "the same as an earlier candidate"),
    (suggestion("Say <INS> it."), "the mark <INS>"),
    (suggestion("Say {{other}} it."), "{{other}}"),
    (Response(text='{"suggestion": {"instruc', finish="length"), "cut off"),
]


def in_turn(answers: list[Reply]) -> Callable[[Request], Reply]:
    turns = itertools.cycle(answers)
    return lambda request: next(turns)


def reasons(folder: Path) -> str:
    """Everything that the log says against a proposal."""
    with open_run(folder) as run:
        events = [e.data for e in run.events("proposal.accepted", "proposal.rejected")]
    return "\n".join(str(r) for data in events for key in ("rejected", "reasons") for r in data.get(key) or ())


@pytest.mark.parametrize("style", ["full", "paper"])
def test_useless_answers_are_written_down_and_never_end_a_run(style: str, tmp_path: Path) -> None:
    """With the paper's style there is no JSON: what comes has no marker, and that is what is said of it."""
    answers = [answer for answer, _ in ANSWERS]
    result = agentopt.optimize(
        say, task=[(f"w{i}", f"w{i}") for i in range(20)], metric=lambda gold, prediction, trace: False,
        optimizer="opro", optimizer_args={"style": style, "answer": "json" if style == "full" else "text",
        "samples": len(ANSWERS), "digits": False, "quotes": "refuse"}, optimizer_model="scripted",
        clients={"scripted": ScriptedLLM(in_turn(answers))}, proposals=len(ANSWERS), steps=2, name="run",
        runs_dir=tmp_path, progress=False,
    )  # fmt: skip
    assert (result.status, result.claim) == ("finished", None)
    assert result.best == result.baseline
    said = reasons(tmp_path / "run")
    wanted = [reason for _, reason in ANSWERS] if style == "full" else ["no text between [ and ]"]
    assert not [reason for reason in wanted if reason not in said], said
    assert agentopt.resume(tmp_path / "run", progress=False).status == "finished"


@pytest.mark.parametrize(
    ("tour", "reason"),
    [
        ("0,1,2,3,4,5,6,7,8,8", "come twice"),
        ("0,1,2,3,4,5,6,7,8", "too short"),
        ("1,0,2,3,4,5,6,7,8,9", "begins at 1, not at 0"),
        ("0,1,2,3,4,5,6,7,8,12", "are missing"),
        ("0,one,2", "too short"),
    ],
)
def test_tours_that_are_none_are_written_down_and_never_end_a_run(tour: str, reason: str, tmp_path: Path) -> None:
    model = ScriptedLLM(lambda request: f"<trace>{tour}</trace>")
    result = agentopt.optimize(
        "tour", task="tsp", optimizer="opro", clients={"scripted": model}, optimizer_model="scripted",
        optimizer_args={"style": "paper", "starts": 0, "samples": 2, "retries": 1}, proposals=2, steps=1, name="run",
        runs_dir=tmp_path, progress=False,
    )  # fmt: skip
    assert result.status == "finished"
    assert result.best == result.baseline
    assert reason in reasons(tmp_path / "run")


# -- data files ------------------------------------------------------------------------------------------------------

RIGHT = "".join(json.dumps({"question": f"{i} + {i}", "answer": 2 * i}) + "\n" for i in range(30)).encode()
TASK = """
from pydantic import BaseModel

from agentopt import task
from agentopt.evaluate import exact
from agentopt.evaluate.data import read_rows


class Row(BaseModel):
    question: str
    answer: int


@task
def doubles():
    return [(row.question, row.answer) for row in read_rows("doubles", "rows.jsonl", Row).rows], exact()
"""


@pytest.fixture
def data(new_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The file of a data set that the workspace's task ``doubles`` reads, whole at first."""
    known = DataFile(rows=30, bytes=len(RIGHT), sha256=hashlib.sha256(RIGHT).hexdigest())
    made = DataSet(
        title="Doubles", repo="somebody/doubles", commit="0" * 40, folder="", form="lines", licence="MIT",
        files={"rows.jsonl": known},
    )  # fmt: skip
    monkeypatch.setattr(data_catalogue, "data_sets", lambda: {"doubles": made})
    monkeypatch.setenv("AGENTOPT_DATA", str(new_workspace / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(new_workspace / "cache"))
    monkeypatch.setenv("AGENTOPT_DATA_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("agentopt.evaluate.data_fetch.time.sleep", lambda seconds: None)
    (new_workspace / "tasks" / "doubles.py").write_text(TASK)
    place = new_workspace / "data" / "doubles" / "rows.jsonl"
    place.parent.mkdir(parents=True)
    place.write_bytes(RIGHT)
    return place


BROKEN = [
    (RIGHT[:-9], "it is cut or another version"),
    (RIGHT.replace(b"1 + 1", b"1 - 1"), "its sha256 is"),
    (RIGHT.replace(b'"answer": 2}', b'"result": 2}'), "row 1, field answer: field required"),
]


@pytest.mark.parametrize(("content", "reason"), BROKEN, ids=["cut", "checksum", "schema"])
def test_a_data_file_that_changed_under_a_run_stops_it_in_one_line_and_loses_nothing(
    data: Path, content: bytes, reason: str
) -> None:
    done = agentopt.evaluate("solve", task="doubles", name="e", budget="calls=4", progress=False)
    assert (done.status, len(done.outcomes)) == ("budget", 4)
    data.write_bytes(content)
    for go_on in (
        lambda: agentopt.resume("e", add_budget="calls=20", progress=False),
        lambda: agentopt.evaluate("solve", task="doubles", name="new", progress=False),
        lambda: agentopt.optimize("solve", task="doubles", name="new", steps=1, progress=False),
    ):
        with pytest.raises(UsageError, match=re.escape(reason)) as refused:
            go_on()
        assert "\n" not in str(refused.value) and str(data) in str(refused.value)
    assert not Path("runs/new").exists(), "nothing was begun"
    assert data.read_bytes() == content, "what is the user's is not replaced"
    data.write_bytes(RIGHT)
    again = agentopt.resume("e", add_budget="calls=20", progress=False)
    assert (again.complete, again.spend["agent"]["calls"]) == (True, 12)


def test_a_data_file_that_is_gone_says_where_it_was_looked_for(data: Path) -> None:
    data.unlink()
    with pytest.raises(MissingData, match=re.escape(f"(looked in {data.parent} (AGENTOPT_DATA) and ")):
        agentopt.evaluate("solve", task="doubles", progress=False)
