"""The comparison on HumanEval, with a scripted model and a runner that runs nothing: resumable, paired, no oracle."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from agentopt import load_task
from agentopt.errors import MissingData, UsageError
from agentopt.evaluate import Checked, Verdict
from agentopt.evaluate.data import without_download
from agentopt.llm.types import Request
from agentopt.testing import ScriptedLLM
from agentopt.testing.scripted import Reply

HERE = Path(__file__).parent / "benchmarks"
METHODS = ["SFS", "repeated sampling", "line refinement"]


def bench(name: str) -> Any:
    """A module of the benchmarks."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    return importlib.import_module(name)


@pytest.fixture(autouse=True)
def _data() -> None:
    try:
        with without_download():
            load_task("humaneval")
    except MissingData as missing:
        pytest.skip(str(missing))


def model(request: Request) -> Reply:
    """Programs whose number decides what they pass; tests that say which function they are of."""
    path, draw = str(request.address.path if request.address else ""), request.seed or 0
    text = str(request.messages[-1].content)
    if path == "tests":
        name = re.findall(r"tests of (\w+)", text)[0]
        return {"tests": [f"assert {name}({i}) == {draw % 7}" for i in range(6)]}
    if "/scatter/" in path:
        return {"reflection": "r", "ideas": [f"Turn knob {draw % 89}.", f"Open door {draw % 83}."]}
    if "/scout/" in path:
        return {"insights": [f"Lesson {draw % 97}."]}
    name = re.findall(r"def (\w+)", text)[-1]
    return f"```python\ndef {name}():\n    return {draw % 50}\n```"


class Runner:
    """Programs below 10 are right; the own tests pass for those below 20, one by one more."""

    def __init__(self) -> None:
        self.ran: list[tuple[str, tuple[str, ...]]] = []

    async def run(self, program: str, tests: Sequence[str], *, setup: str = "", seconds: float = 5.0) -> Verdict:
        self.ran.append((program, tuple(tests)))
        number = int((re.findall(r"    return (\d+)\n$", program) or ["0"])[0])
        limit = 20 if len(tests) > 1 else 10
        return Verdict(
            results=tuple(Checked(status="passed" if number < limit + i * 4 else "failed") for i, _ in enumerate(tests))
        )


def options(folder: Path, *more: str) -> Any:
    given = ["--problems", "4", "--solutions", "4", "--raw", str(folder / "raw.jsonl"), "--out", str(folder)]
    return bench("forest").arguments([*given, "--answers", str(folder / "a.sqlite"), "--methods", *METHODS, *more])


async def test_it_measures_writes_the_page_and_goes_on_where_it_stopped(tmp_path: Path) -> None:
    module, runner = bench("forest"), Runner()
    llm = ScriptedLLM(model)
    cut = await module.run(options(tmp_path, "--minutes", "0"), llm, runner)
    assert (
        "found" not in cut
        and llm.calls == 0
        and "Not through: SFS (0 problems done)" in (tmp_path / "forest.md").read_text()
    )
    whole = await module.run(options(tmp_path), llm, runner)
    calls, lines = llm.calls, (tmp_path / "raw.jsonl").read_text().splitlines()
    assert len(lines) == 4 + 3 * 4 and not whole["unfinished"]
    assert set(whole["found"]["methods"]) == set(METHODS) and whole["found"]["n"] == 4
    page = (tmp_path / "forest.md").read_text()
    assert "n = 4 problems" in page and "Own tests: 24 on 4 problems" in page
    again = await module.run(options(tmp_path), llm, runner)
    assert llm.calls == calls and again == whole
    (tmp_path / "raw.jsonl").write_text("\n".join(lines[:-2]) + "\n" + lines[-1][:50])
    mended = await module.run(options(tmp_path), llm, runner)
    assert llm.calls == calls, "answers are kept, too"
    assert mended["found"]["methods"]["SFS"] == whole["found"]["methods"]["SFS"]


async def test_no_search_sees_the_truth(tmp_path: Path) -> None:
    llm = ScriptedLLM(model)
    await bench("forest").run(options(tmp_path), llm, Runner())
    asked = "\n".join(str(m.content) for r in llm.requests for m in r.messages)
    for example in load_task("humaneval").examples:
        tests: Any = example.meta["tests"]
        reference = str(example.meta["reference"]).removeprefix(str(example.meta["prompt"]))
        assert tests[0] not in asked and (len(reference) < 60 or reference not in asked)
    rows = [json.loads(line) for line in (tmp_path / "raw.jsonl").read_text().splitlines()]
    found = [row for row in rows if "method" in row]
    assert {row["problem"] for row in found if row["method"] == "SFS"} == {row["problem"] for row in found}


async def test_programs_run_only_where_they_are_told_to(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="MODULE:FUNCTION"):
        await bench("forest").run(options(tmp_path, "--runner", "no.such:place"))
    with pytest.raises(UsageError, match="async def run"):
        bench("forest").runner_of("builtins:dict")

    class Broken(Runner):
        async def run(self, program: str, tests: Sequence[str], **_: Any) -> Verdict:
            return Verdict(problem="no namespaces here")

    with pytest.raises(UsageError, match="no namespaces here"):
        await bench("forest").run(options(tmp_path), ScriptedLLM(model), Broken())
