"""The published data sets as tasks: whole, split, scored by type, usable from the command line."""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from pathlib import Path
from typing import Any

import pytest

from agentopt import load_task
from agentopt.cli.app import execute
from agentopt.errors import UnknownName, UsageError
from agentopt.evaluate import Example, SplitSpec, Task, exact
from agentopt.evaluate.data_catalogue import data_sets
from agentopt.testing import StubServer
from agentopt.workspace import init

ROOT = Path(__file__).resolve().parents[1]
DATA = os.environ.get("AGENTOPT_DATA", "")
needs_data = pytest.mark.skipif(not DATA, reason="AGENTOPT_DATA names no folder of data sets")
BBH = [file.removesuffix(".json") for file in data_sets()["bbh"].files]
HERE = [name for name in BBH if DATA and (Path(DATA) / "bbh" / f"{name}.json").is_file()]
SETS = ["gsm8k", "svamp", "multiarith", "aqua"]


def made(name: str, **args: Any) -> Task:
    task: Task = load_task(name, **args) if name in SETS else load_task("bbh", name=name, **args)
    return task


@needs_data
@pytest.mark.parametrize("name", [*SETS, *BBH])
def test_every_target_is_right_in_every_usual_form_and_nothing_is_for_nothing(name: str) -> None:
    if name not in SETS and name not in HERE:
        pytest.skip(f"bbh/{name}.json is not in the data folder")
    task = made(name)
    assert len({e.id for e in task.examples}) == len(task.examples)
    for example in task.examples[:: 7 if name == "gsm8k" else 1]:
        for form in ("{}", "Answer: {}", "The answer is {}.", "Let me think.\n\n**Answer:** {}"):
            said = task.score(example, form.format(example.target))
            assert said.score == 1.0, (example.id, form, said.text)
        for reply in ("", "I do not know.", "Answer:"):
            assert task.score(example, reply).score == 0.0


@needs_data
@pytest.mark.parametrize("name", [*SETS, *HERE])
def test_splits_are_disjoint_fixed_by_the_seed_and_stratified(name: str) -> None:
    task = made(name)
    splits, again, other = task.splits(), made(name).splits(), task.splits(seed=1)
    parts = {s: {e.id for e in splits[s]} for s in ("search", "validation", "test")}
    assert not (parts["search"] & parts["validation"] or (parts["search"] | parts["validation"]) & parts["test"])
    assert [e.id for e in splits.search] == [e.id for e in again.search]
    assert parts["search"] != {e.id for e in other.search}
    pool = [e for e in task.examples if e.id not in task.test_only]
    shares = Counter(e.group for e in pool)
    for group, count in shares.items():
        expected = count / len(pool) * len(splits.search)
        assert abs(sum(e.group == group for e in splits.search) - expected) <= 2, group


@needs_data
def test_the_sizes_of_the_splits() -> None:
    sizes = {}
    for name in [*SETS, *HERE]:
        splits = made(name).splits()
        sizes[name] = (len(splits.search), len(splits.validation), len(splits.test))
    assert sizes["gsm8k"] == (261, 261, 1319)
    assert sizes["svamp"] == (200, 200, 600)
    assert sizes["multiarith"] == (116, 116, 348)
    assert sizes["boolean_expressions"] == (50, 50, 150)
    assert sizes["movie_recommendation"] == (50, 50, 149)
    assert sizes["causal_judgement"] == (38, 37, 112)


@needs_data
def test_gsm8k_keeps_the_split_of_its_makers() -> None:
    task = made("gsm8k")
    for seed in (0, 1):
        splits = task.splits(seed=seed)
        assert all(e.id.startswith("train-") for e in (*splits.search, *splits.validation))
        assert all(e.id.startswith("test-") for e in splits.test)
    small = task.splits(limit=70)
    assert (len(small.search), len(small.validation), len(small.test)) == (10, 10, 50)
    assert {e.id for e in small.test} <= {e.id for e in task.splits().test}
    wide = task.with_split(search=2000, validation=500, test=1000).splits()
    assert (len(wide.search), len(wide.validation), len(wide.test)) == (2000, 500, 1000)
    with pytest.raises(UsageError, match="7473 examples for search and validation"):
        task.with_split(search=7000, validation=1000, test=10).splits()
    with pytest.raises(UsageError, match="1319 examples for test"):
        task.with_split(search=10, validation=10, test=1320).splits()


def test_a_published_test_set_is_never_searched_on_not_even_in_other_words() -> None:
    held = [Example(id=f"t{i}", input=f"Test question {i}", target="x") for i in range(10)]
    free = [Example(id=f"f{i}", input=f"Free question {i}", target="x") for i in range(20)]
    near = [Example(id=f"n{i}", input=f"TEST  question {i}.", target="y") for i in range(2)]
    spec = SplitSpec(search=0.5, validation=0.25, test=0.25)
    task = Task("kept", [*free, *near, *held], exact(), split=spec, test_only=frozenset(e.id for e in held))
    splits = task.splits()
    assert {e.id[0] for e in (*splits.search, *splits.validation)} == {"f"}
    assert {e.id[0] for e in splits.test} == {"t"}
    assert (len(splits.search), len(splits.validation), len(splits.test)) == (10, 5, 2)
    with pytest.raises(UsageError, match="test"):
        Task("none", free, exact(), split=spec, test_only=frozenset({"not there"})).splits()


@needs_data
def test_gsm8k_targets_are_the_last_numbers_of_the_answers() -> None:
    rows = [json.loads(line) for line in (Path(DATA) / "gsm8k" / "test.jsonl").read_text("utf-8").splitlines()]
    targets = {e.id: e.target for e in made("gsm8k").examples}
    for index, row in enumerate(rows):
        assert targets[f"test-{index}"] == float(row["answer"].split("####")[1].replace(",", ""))


@needs_data
def test_the_misspelt_type_of_svamp_is_grouped_as_it_is_meant_and_told() -> None:
    task = made("svamp")
    counts = {"Subtraction": 531, "Addition": 195, "Common-Division": 166, "Multiplication": 108}
    assert Counter(e.group for e in task.examples) == counts
    assert any("misspelt" in note for note in task.notes)


@needs_data
def test_rows_that_repeat_are_left_out_and_told() -> None:
    task = made("multiarith")
    assert len(task.examples) == 580
    assert "20 of 600 examples repeat an earlier one and were left out" in task.notes


@needs_data
def test_malformed_rows_are_left_out_with_a_reason_and_kept_on_request() -> None:
    task, whole = made("movie_recommendation"), made("movie_recommendation", malformed=True)
    assert len(task.examples) == 249 and "movie_recommendation-163" not in {e.id for e in task.examples}
    assert any(note.startswith("row 163 was left out: ") for note in task.notes)
    assert len(whole.examples) == 250 and whole.notes == ()
    bad = next(e for e in whole.examples if e.id == "movie_recommendation-163")
    assert whole.score(bad, "Answer: Monsters, Inc").score == 1.0
    assert whole.score(bad, "Answer: (A)").score == whole.score(bad, "(A) Monsters or (B) Inc").score == 0.0


def test_an_unknown_task_of_big_bench_hard_is_told() -> None:
    with pytest.raises(UnknownName, match="did you mean 'word_sorting'"):
        made("word_sortings")
    with pytest.raises(UsageError, match="did you mean 'malformed'"):
        made("word_sorting", malformd=True)


def published(name: str) -> list[dict[str, str]]:
    """Rows of the form of a task whose file may not be at hand; they are made up."""
    rows = data_sets()["bbh"].files[f"{name}.json"].rows
    if name == "web_of_lies":
        return [
            {"input": f"Question: {i} lies. Does {i} tell the truth?", "target": "Yes" if i % 2 else "No"}
            for i in range(rows)
        ]
    found = []
    for i in range(rows):
        options = f"\nOptions:\n(A) made up {i}\n(B) other {i}"
        found.append({"input": f"Question {i}?{options}", "target": "(A)" if i % 2 else "(B)"})
    if name == "ruin_names":
        found[99]["target"] = found[144]["target"] = "no letter"
    if name == "snarks":
        found[88]["input"] = "Question 88?\nOptions:\n(A) made up 88"
    return found


@pytest.mark.parametrize(
    ("name", "left_out"),
    [("penguins_in_a_table", 0), ("ruin_names", 2), ("snarks", 1), ("temporal_sequences", 0), ("web_of_lies", 0)],
)
def test_files_without_a_known_sha256_are_used_and_told(
    name: str, left_out: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = published(name)
    content = json.dumps({"canary": "made up", "examples": rows}).encode()
    (tmp_path / "bbh").mkdir()
    (tmp_path / "bbh" / f"{name}.json").write_bytes(content)
    monkeypatch.setenv("AGENTOPT_DATA", str(tmp_path))
    task, whole = made(name), made(name, malformed=True)
    assert len(task.examples) == len(rows) - left_out and len(whole.examples) == len(rows)
    assert hashlib.sha256(content).hexdigest() in task.notes[0]
    assert sum("was left out" in note for note in task.notes) == left_out
    for example in whole.examples:
        assert whole.score(example, f"Answer: {example.target}").score == 1.0
        assert whole.score(example, "Answer: neither").score == 0.0
    assert task.splits().test


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


def test_an_eval_without_the_data_says_where_it_is_to_be_had(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("AGENTOPT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("AGENTOPT_DATA_URL", "http://127.0.0.1:9")
    monkeypatch.setattr("agentopt.evaluate.data_fetch.time.sleep", lambda seconds: None)
    with pytest.raises(SystemExit) as ended:
        execute(("eval", "zero_shot", "--task", "svamp", "--model", "http://127.0.0.1:9/v1#none"))
    assert ended.value.code != 0
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "svamp/SVAMP.json" in told and "AGENTOPT_DATA" in told
    assert f"(looked in {tmp_path / 'cache' / 'agentopt' / 'data' / 'svamp'} (the cache))" in told


def test_check_of_a_workspace_names_data_that_are_not_here(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Which data, where they were looked for, and what to do; a task of one's own takes a built-in one's place."""
    folder, cache = tmp_path / "data", tmp_path / "cache"
    monkeypatch.setenv("AGENTOPT_DATA", str(folder))
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache))
    (folder / "svamp").mkdir(parents=True)
    (folder / "svamp" / "SVAMP.json").touch()
    (folder / "gsm8k").mkdir()
    (folder / "gsm8k" / "test.jsonl").touch()
    init(tmp_path / "ws")
    (tmp_path / "ws" / "tasks" / "aqua.py").write_text(
        "from agentopt import task\nfrom agentopt.evaluate import exact\n\n"
        "@task\ndef aqua():\n    return [(i, i) for i in range(9)], exact()\n"
    )
    with pytest.raises(SystemExit) as ended:
        execute(("check", str(tmp_path / "ws")))
    assert ended.value.code == 0
    (line,) = [line for line in capsys.readouterr().out.splitlines() if "not on this machine" in line]
    assert "of built-in tasks: bbh (27 of 27 files), " in line and ", gsm8k (train.jsonl), humaneval (" in line
    assert ", multiarith (MultiArith.json), " in line and "; looked" in line
    assert "svamp" not in line and "aqua" not in line
    assert f"looked in {folder} (AGENTOPT_DATA) and {cache / 'agentopt' / 'data'} (the cache): using a task" in line
    with pytest.raises(SystemExit):
        execute(("check", str(tmp_path / "ws"), "--json"))
    absent = json.loads(capsys.readouterr().out)["absent"]
    assert {"where": "built-in: tasks/gsm8k.py@gsm8k", "what": "train.jsonl"} in absent
    assert {entry["where"].rpartition("@")[2] for entry in absent} == {
        "bbh", "complexor", "gsm8k", "humaneval", "industryor", "mamo", "mbpp", "multiarith", "nl4opt", "nlp4lp",
        "optibench",
    }  # fmt: skip


def test_check_and_list_know_the_tasks(
    capsys: pytest.CaptureFixture[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without the data nothing is fetched, no problem is found, and what was not checked is told."""
    monkeypatch.delenv("AGENTOPT_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with pytest.raises(SystemExit):
        execute(("check", str(ROOT), "--json"))
    checked = json.loads(capsys.readouterr().out)
    absent = {one["where"] for one in checked["absent"]}
    assert absent >= {f"tasks/{name}.py@{name}" for name in (*SETS, "bbh")}
    assert not [p for p in checked["problems"] if p["where"] in absent]
    with pytest.raises(SystemExit):
        execute(("list", "tasks", "--json"))
    assert {"gsm8k", "svamp", "multiarith", "aqua", "bbh"} <= {t["name"] for t in json.loads(capsys.readouterr().out)}
