"""The tasks of optimization problems on the real data: rows, labels, clusters, notes, and a run on each."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt import load_graph, load_task
from agentopt.core.values import digest
from agentopt.errors import MissingData, UnknownName
from agentopt.evaluate.data import missing_files, places, without_download
from agentopt.evaluate.ledger import SplitLedger
from agentopt.evaluate.modelling import optimal_value, solve_reply
from agentopt.evaluate.modelling.overlap import used_elsewhere
from agentopt.evaluate.programs import current_runner
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.testing import ScriptedLLM

LABELLED = [
    ("nl4opt", {}, 289), ("nl4opt", {"labels": "sirl"}, 245), ("nl4opt", {"labels": "llmopt"}, 230),
    ("mamo", {}, 642), ("mamo", {"labels": "raw"}, 652), ("mamo", {"part": "complex"}, 203),
    ("mamo", {"part": "complex", "labels": "optimind"}, 210), ("industryor", {}, 100),
    ("industryor", {"labels": "optimind"}, 99), ("nlp4lp", {}, 242), ("nlp4lp", {"subset": "confirmed"}, 178),
    ("complexor", {}, 18),
]  # fmt: skip


def here(name: str, file: str) -> None:
    """Skip where a file is on none of the places."""
    if file in missing_files(name):
        pytest.skip(
            f"NOT TESTED ON THE REAL DATA: {name}/{file} is not on this machine; AGENTOPT_DATA names its folder"
        )


@pytest.fixture
def optibench() -> Any:
    here("optibench", "OptiBench.json")
    return load_task("optibench")


def test_the_rows_of_optibench(optibench: Any) -> None:
    types = Counter(e.group for e in optibench.examples)
    assert types == {"linear-notable": 342, "linear-table": 80, "nonlinear-notable": 133, "nonlinear-table": 50}
    assert len({e.cluster for e in optibench.examples}) == 466
    assert sum(len(e.target) for e in optibench.examples) == 2186
    assert sum(e.meta["objective"] is None for e in optibench.examples) == 3
    assert [len(load_task("optibench", subset=s).examples) for s in ("sound", "confirmed")] == [601, 403]
    official = load_task("optibench", protocol="official").examples[0]
    assert set(official.input) == {"problem"} and official.target == optibench.examples[0].target
    assert any("NL4OPT" in note for note in optibench.notes) and any("row 24" in note for note in optibench.notes)


def test_objectives_and_the_confirmed_rows_are_those_of_the_notes_beside_the_data(optibench: Any) -> None:
    notes = next((f for _, p in places() if (f := p / "optibench" / "label_notes.jsonl").is_file()), None)
    if notes is None:
        pytest.skip("label_notes.jsonl is not beside the data")
    told = [json.loads(line) for line in notes.read_text("utf-8").splitlines()]
    by_id = {e.id: e for e in optibench.examples}
    for row in told:
        example = by_id[f"optibench-{row['index']}"]
        assert example.meta["objective"] == row["objective_key"] and example.meta["confirmed"] == row["kept_by_llm4or"]
        same = {e.id for e in optibench.examples if e.cluster == example.cluster} - {example.id}
        assert same == {f"optibench-{index}" for index in row["same_answer_group"]}


def test_no_answer_is_on_two_sides_of_a_split(optibench: Any) -> None:
    for seed in range(3):
        split = optibench.splits(seed=seed)
        sides = [{e.cluster for e in part} for part in (split.search, split.validation, split.test)]
        assert sum(map(len, sides)) == 466
        assert (len(split.search), len(split.validation), len(split.test)) == (121, 121, 363)


@pytest.mark.parametrize(("name", "args", "rows"), LABELLED, ids=lambda value: str(value))
def test_labelled_sets_say_whose_labels_and_which_tolerance(name: str, args: dict[str, str], rows: int) -> None:
    try:
        with without_download():
            task = load_task(name, **args)
    except MissingData as error:
        pytest.skip(f"NOT TESTED ON THE REAL DATA: {error}")
    assert len(task.examples) == rows
    assert all(e.meta["labels"] and e.meta["tolerance"] == task.scorer.tolerance for e in task.examples)
    assert task.name.endswith(str(task.examples[0].meta["labels"]))
    assert any("tolerance" in note for note in task.notes)
    assert task.splits().test


def test_a_version_that_a_part_does_not_have() -> None:
    with pytest.raises(UnknownName, match="mamo easy"):
        load_task("mamo", labels="optimind")


def test_a_file_that_was_made_anew_is_not_fetched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AGENTOPT_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(MissingData, match=r"cannot be fetched.*LLMOPT.*AGENTOPT_DATA"):
        load_task("complexor")


def test_problems_that_were_searched_on_under_another_name(tmp_path: Path) -> None:
    ledger = SplitLedger(tmp_path / "splits.sqlite")
    a, b, c = ({"problem": text} for text in "abc")
    assert used_elsewhere([a, b], ledger) == () and not ledger.path.exists()
    for what in ("claim", "evaluate", "compare"):
        ledger.touch(what, "run-0", what, examples=[digest(a)])
        assert used_elsewhere([a, b], ledger) == ()
    ledger.touch("searched", "run-1", "search", examples=[digest(a), digest(c)])
    ledger.touch("chosen", "run-2", "validation", examples=[digest(a)])
    (said,) = used_elsewhere([a, b], ledger)
    assert said.startswith("1 of these problems were") and "another task or protocol (by run-1, run-2)" in said
    assert used_elsewhere([{**a, "names": ["x"]}], ledger) == ()


def test_each_protocol_knows_what_was_tuned_on_in_the_shape_of_the_other(
    optibench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "agentopt.toml").touch()
    monkeypatch.chdir(tmp_path)
    ledger = SplitLedger(tmp_path / ".agentopt" / "splits.sqlite")
    task = {"json": optibench, "official": load_task("optibench", protocol="official")}

    def said(protocol: str) -> list[str]:
        return [note for note in load_task("optibench", protocol=protocol).notes if "not fresh" in note]

    for own, other, n in (("json", "official", 7), ("official", "json", 5)):
        before = said(own)
        ledger.touch(own, f"tuned on {own}", "search", examples=[digest(e.input) for e in task[own].examples[:n]])
        assert said(own) == before, "its own shape is for the run to tell"
        (note,) = said(other)
        assert note.startswith(f"{n} of these problems") and f"(by tuned on {own})" in note


def test_an_official_number_is_told_that_nl4opt_was_tuned_on(optibench: Any, tmp_path: Path) -> None:
    nl4opt, official = load_task("nl4opt"), load_task("optibench", protocol="official")
    ledger = SplitLedger(tmp_path / "splits.sqlite")
    ledger.touch("nl4opt", "tuned", "search", examples=[digest(e.input) for e in nl4opt.examples])
    shared, runs = ledger.tuned(digest(e.input) for e in official.examples)
    assert shared > 100 and runs == ["tuned"]


RIGHT = """```python
import json
print(json.dumps({figures}))
```"""


@pytest.mark.timeout(600)  # a busy machine takes its time to import the solvers
def test_a_run_of_program_of_thought(optibench: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    by_text = {str(e.input["problem"]): e.target for e in optibench.examples}

    def reply(request: Any) -> str:
        asked = request.messages[-1].content
        target = next(target for text, target in by_text.items() if text in asked)
        assert all(json.dumps(name, ensure_ascii=False) in asked for name in target)
        return RIGHT.replace("{figures}", repr(target))

    done = agentopt.evaluate(
        load_graph("program_of_thought"), task=optibench, clients={"m": ScriptedLLM(reply)}, model="m", split="test",
        limit=6,
    )  # fmt: skip
    assert len(done.outcomes) == 6
    assert all(o.score == 1 and o.feedback and o.feedback.parts["code_pass"] == 1 for o in done.outcomes)


@pytest.mark.timeout(600)
@pytest.mark.parametrize("name", ["optibench_zero_shot", "optibench_few_shot"])
def test_a_run_of_the_official_protocol(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here("optibench", "OptiBench.json")
    monkeypatch.chdir(tmp_path)
    task = load_task("optibench", protocol="official")
    by_text = {str(e.input["problem"]): e.target for e in task.examples}

    def reply(request: Any) -> str:
        system, asked = (message.content for message in request.messages)
        target: Any = next(target for text, target in by_text.items() if text in asked)
        assert "PySCIPOpt" in system and "from pyscipopt import Model" in asked and request.max_tokens == 2048
        lines = "".join(f"print({f'{label}: {value}'!r})\n" for label, value in target.items())
        return f"```python\nprint('-' * 10)\n{lines}```"

    done = agentopt.evaluate(
        load_graph(name), task=task, clients={"m": ScriptedLLM(reply)}, model="m", split="test", limit=4
    )
    assert [o.score for o in done.outcomes] == [1.0] * 4


@pytest.mark.timeout(600)
def test_an_agent_runs_programs_in_the_sandbox_of_its_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An agent that mends its own program: what it runs and what the scorer runs share one sandbox."""
    monkeypatch.chdir(tmp_path)
    places: list[int] = []

    @agentopt.node
    async def ran(reply: str) -> dict[str, Any]:
        runner = current_runner()
        assert isinstance(runner, SandboxRunner)
        places.append(id(runner.sandbox))
        return (await solve_reply(reply, ["objective"])).model_dump()

    @agentopt.graph
    async def mending(problem: str) -> dict[str, Any]:
        solved, rounds = await ran(await agentopt.allm(MENDING, problem=problem, told="")), 0
        while solved["status"] != "ok" and rounds < 2:
            rounds += 1
            solved = await ran(await agentopt.allm(MENDING, problem=problem, told=solved["status"]))
        return {"program": solved["program"], "rounds": rounds}

    def reply(request: Any) -> str:
        broken = "crashed" not in request.messages[-1].content
        return f"```python\n{'1 / 0' if broken else ''}\nprint({{'objective': 7}})\n```"

    MENDING = agentopt.Parameter("Solve.\n{{problem}}\n{{told}}", name="mending")
    examples = [agentopt.Example(input={"problem": f"p{i}"}, target={"objective": 7.0}) for i in range(6)]
    task = agentopt.Task("sevens", examples, optimal_value())
    done = agentopt.evaluate(mending, task=task, clients={"m": ScriptedLLM(reply)}, model="m", split="all")
    assert [(o.score, o.feedback.parts["rounds"]) for o in done.outcomes if o.feedback] == [(1.0, 1.0)] * 6
    assert len(set(places)) == 1
