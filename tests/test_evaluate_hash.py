"""The hash of a scorer sees all that its scores depend on, and nothing of the machine or process it is taken on."""

from __future__ import annotations

import functools
import gc
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import agentopt
from agentopt.errors import UsageError
from agentopt.evaluate import Example, Task, evaluator_hash, from_metric, protect
from agentopt.run.api import evaluate_async, resume_async
from agentopt.testing import ScriptedLLM


def closed(held: Any) -> Any:
    def score(example: Any, output: Any) -> bool:
        return bool(output == held)

    return score


def with_default(held: Any) -> Any:
    def score(example: Any, output: Any, by: Any = held) -> bool:
        return bool(output == by)

    return score


def with_keyword(held: Any) -> Any:
    def score(example: Any, output: Any, *, by: Any = held) -> bool:
        return bool(output == by)

    return score


def with_attribute(held: Any) -> Any:
    def score(example: Any, output: Any) -> bool:
        return bool(output == score.by)  # type: ignore[attr-defined]

    score.by = held  # type: ignore[attr-defined]
    return score


class Plain:
    def __init__(self, held: Any) -> None:
        self.held = held

    def __call__(self, example: Any, output: Any) -> bool:
        return bool(output == self.held)

    def method(self, example: Any, output: Any) -> bool:
        return bool(output == self.held)


class Slots:
    __slots__ = ("held",)

    def __init__(self, held: Any) -> None:
        self.held = held

    def __call__(self, example: Any, output: Any) -> bool:
        return bool(output == self.held)


@dataclass(frozen=True)
class Frozen:
    held: Any

    def __call__(self, example: Any, output: Any) -> bool:
        return bool(output == self.held)


def two(example: Any, output: Any, held: Any) -> bool:
    return bool(output == held)


def cached(held: Any) -> Any:
    return functools.lru_cache(closed(held))


WAYS: dict[str, Callable[[Any], Any]] = {
    "closure": closed,
    "default": with_default,
    "keyword default": with_keyword,
    "attribute of a function": with_attribute,
    "object": Plain,
    "slots": Slots,
    "dataclass": Frozen,
    "method": lambda held: Plain(held).method,
    "partial": lambda held: functools.partial(two, held=held),
    "closure in a closure": lambda held: closed(closed(held)),
    "object in an object": lambda held: Plain(Plain(held)),
    "cache": cached,
    "metric": lambda held: from_metric(closed(held), [("a", "b")]).scorer,
}


@pytest.mark.parametrize("way", WAYS)
def test_what_a_scorer_holds_is_seen(way: str) -> None:
    make = WAYS[way]
    assert evaluator_hash(make(1)) == evaluator_hash(make(1)) != evaluator_hash(make(1000))


@pytest.mark.parametrize(
    ("one", "other"),
    [
        (0, False), (1, 1.0), (float("nan"), float("inf")), (10**5000, 10**5001), ("a", "b"), ("\ud83d", "\ud83c"),
        (b"a", b"b"), ([1, [2]], [1, [3]]), ({"a": 1}, {"a": 2}), ({1, 2}, {1, 3}), (Decimal(1), Decimal(2)),
        (np.array([1, 2]), np.array([1, 3])), (np.float32(1), np.float32(2)), (Path("/a/b"), Path("/a/c")),
        (Example(input=1, target=2), Example(input=1, target=3)), (two, closed), (str, int), ("ab".find, "ac".find),
        (agentopt.Parameter("Judge", name="p"), agentopt.Parameter("Judge kindly", name="p")),
    ],
    ids=lambda value: type(value).__name__,
)  # fmt: skip
def test_values_of_every_kind_are_told_apart(one: Any, other: Any) -> None:
    assert evaluator_hash(closed(one)) == evaluator_hash(closed(one)) != evaluator_hash(closed(other))


def test_what_has_no_settings_is_told_by_its_type() -> None:
    assert evaluator_hash(closed(object())) == evaluator_hash(closed(object())) != evaluator_hash(closed(gc))
    assert evaluator_hash(Plain(ScriptedLLM(["a"]))) == evaluator_hash(Plain(ScriptedLLM(["b"])))
    loop: list[Any] = []
    loop.append(loop)
    assert evaluator_hash(closed(loop))
    assert evaluator_hash(max) != evaluator_hash(min)


def test_what_a_scorer_keeps_while_it_works_is_no_change() -> None:
    calls: list[int] = []

    def counting(example: Any, output: Any) -> float:
        calls.append(1)
        return 1.0

    judge = Plain({})
    before = evaluator_hash(counting), evaluator_hash(judge), evaluator_hash(judge.method)
    counting(None, None)
    judge.held["q"] = 1.0
    assert before == (evaluator_hash(counting), evaluator_hash(judge), evaluator_hash(judge.method))


def test_scorers_that_are_gone_are_forgotten() -> None:
    known = len(protect._known)
    scorers = [Plain(i) for i in range(50)]
    for scorer in scorers:
        evaluator_hash(scorer)
    assert len(protect._known) >= known + 50
    del scorers, scorer
    gc.collect()
    assert len(protect._known) <= known


SCORING = """
import functools, pathlib, threading, sys
from decimal import Decimal
sys.path.insert(0, "libs")
import weights
from evaluators.near import near

class Judge:
    def __init__(self, least):
        self.least, self.lock, self.place = least, threading.Lock(), pathlib.Path(__file__)
        self.words, self.folder, self.other = {"a", "b", "c", "dd", "eee"}, str(pathlib.Path(__file__).parent), object()
        self.rules = {"x": Decimal(1), frozenset({"p", "q", "r"}): [near, lambda: least]}
    def __call__(self, example, output):
        return len(output) >= self.least

def bound(least):
    judge = Judge(least)
    def close(example, output, words=frozenset({"one", "two", "three", "four"})):
        return judge(example, output) and weights.WEIGHT
    return functools.partial(close, words=judge.words | {"f"})
"""


def workspace(folder: Path) -> Path:
    (folder / "libs").mkdir(parents=True)
    (folder / "evaluators" / "near").mkdir(parents=True)
    (folder / "scoring.py").write_text(SCORING)
    (folder / "libs" / "weights.py").write_text("WEIGHT = 1\n")
    (folder / "evaluators" / "near" / "__init__.py").write_text("from .deep import near\n")
    (folder / "evaluators" / "near" / "deep.py").write_text("def near(a, b):\n    return a == b\n")
    return folder


def hashed(folder: Path, seed: str, before: str = "", run: str = "import scoring") -> str:
    code = f"{before}\nimport sys; sys.path.insert(0, '.')\n{run}\nfrom agentopt.evaluate import evaluator_hash\n"
    code += "print(evaluator_hash(scoring.bound(3)))"
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    return done.stdout.strip()


def test_the_hash_is_the_same_in_every_process_and_folder(tmp_path: Path) -> None:
    here = workspace(tmp_path / "here")
    shutil.copytree(here, there := tmp_path / "somewhere" / "else")
    found = {hashed(here, "1"), hashed(here, "2", "junk = [object() for _ in range(9999)]"), hashed(there, "3")}
    assert len(found) == 1


@pytest.mark.parametrize("helper", ["libs/weights.py", "evaluators/near/deep.py", "evaluators/near/__init__.py"])
def test_a_module_that_the_scorers_file_imports_is_seen(tmp_path: Path, helper: str) -> None:
    folder = workspace(tmp_path / "here")
    before = hashed(folder, "1")
    with open(folder / helper, "a") as file:
        file.write("# easier\n")
    assert hashed(folder, "1") != before


def test_the_prompt_that_a_scorer_names_is_seen(tmp_path: Path) -> None:
    folder = tmp_path / "ws"
    (folder / "prompts").mkdir(parents=True)
    (folder / "agentopt.toml").write_text('name = "mine"\n')
    (folder / "prompts" / "strict.md").write_text("Judge it.\n")
    (folder / "prompts" / "other.md").write_text("Answer {{question}}.\n")
    inline = (
        "import agentopt\ndef bound(n):\n    def score(e, o): return agentopt.llm(agentopt.prompt('strict')) == 'yes'"
    )
    above = (
        "import agentopt\nOTHER = agentopt.prompt('other')\nJUDGE = agentopt.prompt('strict')\n"
        "def asks(): return agentopt.llm(JUDGE)\ndef bound(n):\n    def score(e, o): return asks() == 'yes'"
    )
    for text in (inline, above):
        (folder / "scoring.py").write_text(f"{text}\n    return score\n")
        (folder / "prompts" / "strict.md").write_text("Judge it.\n")
        before = hashed(folder, "1")
        (folder / "prompts" / "other.md").write_text("Answer with care: {{question}}.\n")
        assert hashed(folder, "1") == before, "a prompt of the program is no part of the scorer"
        (folder / "prompts" / "strict.md").write_text("Say yes.\n")
        assert hashed(folder, "1") != before


def test_a_scorer_without_a_file_is_told_by_its_text() -> None:
    import linecache

    def made(text: str) -> Any:
        name, space = f"<cell {len(text)}>", {"__name__": "__main__"}
        linecache.cache[name] = (len(text), None, text.splitlines(keepends=True), name)
        exec(compile(text, name, "exec"), space)  # noqa: S102 -- as a notebook does
        return space["score"]

    strict, loose = "def score(example, output):\n    return 0\n", "def score(example, output):\n    return  1\n"
    assert evaluator_hash(made(strict)) == evaluator_hash(made(strict)) != evaluator_hash(made(loose))


STYLE = agentopt.Parameter("Answer {{question}}", name="style")


@agentopt.graph
async def answer(question: str) -> Any:
    return await agentopt.allm(STYLE, question=question)


async def test_a_run_does_not_go_on_with_another_tolerance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def task(tolerance: float) -> Task:
        def close(example: Example, output: Any) -> bool:
            assert isinstance(example.target, int)
            return abs(float(output) - example.target) <= tolerance

        return Task("t", [Example(input={"question": f"q{i}"}, target=i) for i in range(4)], close)

    llm = ScriptedLLM(lambda request: str(request.messages[-1].content)[-1])
    await evaluate_async(answer, task=task(0), model=llm, name="run", split="all", cache=False, budget="calls=2")
    with pytest.raises(UsageError, match="its settings"):
        await resume_async("run", graph=answer, task=task(10), clients={"given/model": llm}, add_budget="calls=9")
    result = await resume_async("run", graph=answer, task=task(0), clients={"given/model": llm}, add_budget="calls=9")
    assert (result.status, llm.calls) == ("evaluated", 4)
