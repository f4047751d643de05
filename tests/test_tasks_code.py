"""HumanEval and MBPP as tasks: what is asked, how it is judged, and that no optimizer sees how."""

from __future__ import annotations

import ast
import gzip
import hashlib
import importlib
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentopt import load_task
from agentopt._code import broken, defines
from agentopt.errors import MissingData, UsageError
from agentopt.evaluate import Checked, Task, Verdict, use_runner
from agentopt.evaluate import data as reading
from agentopt.evaluate.data import without_download
from agentopt.evaluate.data_catalogue import data_sets
from agentopt.evaluate.data_fetch import address
from agentopt.testing import ScriptedLLM
from agentopt.workspace import find

SIZES = {
    ("humaneval", "base"): 164, ("humaneval", "plus"): 164,
    ("mbpp", "sanitized"): 427, ("mbpp", "full"): 974, ("mbpp", "plus"): 378,
}  # fmt: skip


def loaded(name: str, tests: str) -> Task:
    """The task; skipped where the data are not on this machine."""
    try:
        with without_download():
            return load_task(name, tests=tests)
    except MissingData as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize(("name", "tests"), SIZES)
def test_every_problem_asks_for_a_function_that_its_reference_defines(name: str, tests: str) -> None:
    task = loaded(name, tests)
    assert len(task.examples) == SIZES[name, tests]
    for example in task.examples:
        meta: Any = example.meta
        target: Any = example.target
        assert defines(meta["reference"], target["entry_point"]), example.id
        assert meta["tests"] and not any(map(broken, meta["tests"])) and not broken(meta.get("setup", "")), example.id
        assert "\r" not in json.dumps([example.input, meta]), example.id
        asked = str(example.input)
        assert target["entry_point"] in asked and meta["reference"] not in asked, example.id


@pytest.mark.parametrize(("name", "tests"), SIZES)
def test_no_test_is_where_an_optimizer_looks(name: str, tests: str) -> None:
    task = loaded(name, tests)
    for example in task.examples:
        meta: Any = example.meta
        seen = json.dumps([example.input, example.target])
        shown = 1 if name == "mbpp" else 0  # MBPP shows its first test, which alone tells the name
        assert sum(json.dumps(test)[1:-1] in seen for test in set(meta["tests"])) <= shown, example.id
    assert (
        task.examples[0].target
        != load_task(name, tests=next(t for n, t in SIZES if n == name and t != tests)).examples[0].target
    )


def test_the_makers_split_is_kept() -> None:
    task = loaded("mbpp", "full")
    splits = task.splits()
    assert len(task.test_only) == 500
    assert {e.id for e in splits.test} <= task.test_only
    assert not {e.id for e in (*splits.search, *splits.validation)} & task.test_only


def test_rows_that_need_care_get_it() -> None:
    by_id = {e.id: e for e in loaded("mbpp", "full").examples}
    for id in ("Mbpp/367", "Mbpp/927"):
        meta: Any = by_id[id].meta
        assert "Node" in meta["setup"] and "class Node" in meta["reference"], "the setup runs after the program"
    assert dict(by_id["Mbpp/123"].meta)["seconds"] == 20.0


class _Reference:
    """Passes what it knows for a reference, by its text alone: nothing is executed."""

    def __init__(self, task: Task) -> None:
        self.known = {tuple(str(e.meta["reference"]).split()) for e in task.examples}

    async def run(self, program: str, tests: Sequence[str], *, setup: str = "", seconds: float = 5.0) -> Verdict:
        status: Any = "passed" if tuple(program.split()) in self.known else "failed"
        return Verdict(results=tuple(Checked(status=status) for _ in tests))


@pytest.mark.parametrize(("name", "tests"), SIZES)
async def test_every_reference_reaches_its_tests_whole(name: str, tests: str) -> None:
    """What a model answers goes through the reading of answers: no reference is cut or bent by it."""
    task = loaded(name, tests)
    with use_runner(_Reference(task)):
        for example in task.examples:
            fenced = f"Here it is.\n```python\n{example.meta['reference']}\n```\nGood luck."
            for answer in (str(example.meta["reference"]), fenced):
                assert (await task.ascore(example, answer)).score == 1.0, example.id
            assert (await task.ascore(example, "def other(): pass")).score == 0.0


async def test_a_bare_body_is_a_program_too() -> None:
    task = loaded("humaneval", "base")
    with use_runner(_Reference(task)):
        for example in task.examples:
            body = str(example.meta["reference"]).removeprefix(str(example.meta["prompt"]))
            assert (await task.ascore(example, body)).score == 1.0, example.id


async def test_the_graph_answers_what_the_task_asks() -> None:
    """``coder`` on HumanEval, with a model that knows the references."""
    from agentopt.llm.context import Session, use_session
    from agentopt.workspace import load_graph

    task = loaded("humaneval", "base")
    by_prompt = {str(e.meta["prompt"]).strip(): str(e.meta["reference"]) for e in task.examples}

    def know(request: Any) -> str:
        text = str(request.messages[-1].content)
        return next(f"```python\n{ref}\n```" for prompt, ref in by_prompt.items() if prompt in text)

    with use_session(Session(ScriptedLLM(know), models={"agent": "any"})), use_runner(_Reference(task)):
        for example in task.examples[:5]:
            answer = await load_graph("coder")(**dict(example.input))  # type: ignore[call-overload, arg-type]
            assert (await task.ascore(example, getattr(answer, "value", answer))).score == 1.0


# -- files ---------------------------------------------------------------------------------------------------------


def test_where_the_originals_are() -> None:
    sets = data_sets()
    assert sets["humaneval"].licence == "MIT" and sets["mbpp"].licence == "CC-BY-4.0"
    from agentopt.evaluate.data_catalogue import find_set

    urls = [
        address(found, expected.packed or file)
        for name in ("humaneval", "mbpp")
        for file in sets[name].files
        for found, expected in [find_set(name, file)]
    ]
    assert [url.removeprefix("https://raw.githubusercontent.com/") for url in urls] == [
        "openai/human-eval/6d43fb980f9fee3c892a914eda09951f772ad10d/data/HumanEval.jsonl.gz",
        "evalplus/humanevalplus_release/200defce9e3429d28ca215b6dd061c0f7f31c18b/HumanEvalPlus-OriginFmt.jsonl.gz",
        "google-research/google-research/30adf0ec5f35f9609c2f1d896005e184195d9146/mbpp/mbpp.jsonl",
        "patdfb/TPC-EES/30c8c572bfcd0fc5fa537210710d7fde134e4868/mbpp/sanitized-mbpp.json",
        "evalplus/mbppplus_release/dadf43da556a00f7bacd71cb154f2932757d9144/MbppPlus-OriginFmt.jsonl.gz",
    ]


def test_a_file_that_is_packed_at_its_origin_is_unpacked_and_proven(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded("humaneval", "base")
    plain = (Path(os.environ["AGENTOPT_DATA"]) / "humaneval" / "HumanEval.jsonl").read_bytes()
    row = importlib.import_module("pydantic").create_model("Row", task_id=(str, ...))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.delenv("AGENTOPT_DATA")

    def bring(packed: bytes) -> None:
        def fetch(url: str, target: Path, expected: Any, check: Any) -> None:
            assert url.endswith("HumanEval.jsonl.gz") and expected.bytes is None
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(packed)
            check(target)

        monkeypatch.setattr(reading, "fetch", fetch)

    bring(gzip.compress(plain))
    assert len(reading.read_rows("humaneval", "HumanEval.jsonl", row).rows) == 164
    kept = tmp_path / "agentopt" / "data" / "humaneval" / "HumanEval.jsonl"
    assert hashlib.sha256(kept.read_bytes()).hexdigest() == hashlib.sha256(plain).hexdigest()
    for wrong, reason in ((b"not gzip", "cannot be unpacked"), (gzip.compress(plain[:-40]), "is not HumanEval")):
        kept.unlink()
        bring(wrong)
        with pytest.raises(UsageError, match=reason):
            reading.read_rows("humaneval", "HumanEval.jsonl", row)


def test_a_packed_file_that_is_cut_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded("mbpp", "plus")
    whole = (Path(os.environ["AGENTOPT_DATA"]) / "mbpp" / "MbppPlus-OriginFmt.jsonl.gz").read_bytes()
    (tmp_path / "mbpp").mkdir()
    monkeypatch.setenv("AGENTOPT_DATA", str(tmp_path))
    for content, reason in ((whole[:-9], "bytes: it is cut"), (whole[:-9] + b"123456789", "cannot be unpacked|sha256")):
        (tmp_path / "mbpp" / "MbppPlus-OriginFmt.jsonl.gz").write_bytes(content)
        with pytest.raises(UsageError, match=reason):
            load_task("mbpp", tests="plus")


def test_the_tasks_only_read(tmp_path: Path) -> None:
    """Neither file of tasks calls what executes."""
    for name in ("humaneval", "mbpp"):
        tree = ast.parse(find("task", name).path.read_text("utf-8"))
        called = {
            node.func.id for node in ast.walk(tree) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
        }
        assert not called & {"exec", "eval", "compile", "__import__"}
