"""Programs against their tests, in the sandbox: what passes, what does not, and whose fault it was."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.errors import UsageError
from agentopt.evaluate import Example, Task, passes
from agentopt.evaluate.programs import Verdict, program_of
from agentopt.evaluate.sandboxed import LIMITS, SandboxRunner, shared_runner, shown
from agentopt.run.api import evaluate_async
from agentopt.run.files import open_run
from agentopt.sandbox import Job, Result, open_sandbox
from agentopt.testing import ScriptedLLM


@pytest.fixture(scope="module")
def runner() -> Iterator[SandboxRunner]:
    try:
        sandbox = open_sandbox(limits=LIMITS, servers=2)
    except UsageError as lacking:
        pytest.skip(str(lacking))
    with sandbox:
        yield SandboxRunner(sandbox)


def run(runner: Any, program: str, *tests: str, **more: Any) -> Verdict:
    verdict: Verdict = asyncio.run(runner.run(program, tests, **more))
    return verdict


ENDS = {
    "wrong": ("def f(x): return 3", "failed", "AssertionError: got 3, expected 2"),
    "raises": ("def f(x): return 1 / 0", "error", "ZeroDivisionError: division by zero"),
    "no such name": ("def g(x): return 2", "error", "NameError: name 'f' is not defined"),
    "does not parse": ("def f(x: return 2", "error", "SyntaxError"),
    "hangs": ("def f(x):\n    while True: pass", "timeout", "it used more than"),
    "exits well": ("raise SystemExit(0)", "error", "SystemExit"),
    "is gone": ("import os\nos._exit(0)", "error", "it ended without a result"),
    "swallows the test": ("def f(x): return 3\nx = '''", "error", "SyntaxError"),
    "floods": ("def f(x):\n    while True: print('x' * 1000)", "error", "it printed more than"),
    "eats memory": ("def f(x): return len(bytearray(8 << 30))", "error", "MemoryError"),
}


@pytest.mark.parametrize("kind", ENDS)
def test_how_a_program_can_fail(runner: SandboxRunner, kind: str) -> None:
    program, status, text = ENDS[kind]
    (found,) = run(runner, program, "assert f(1) == 2", seconds=1.0).results
    assert found.status == status and text in found.text


def test_each_test_begins_afresh_and_the_setup_comes_after_the_program(runner: SandboxRunner) -> None:
    program = "calls = []\ndef f(x):\n    calls.append(x)\n    return len(calls)"
    verdict = run(runner, program, "assert f(0) == ONE", "assert f(0) == ONE", setup="ONE = f(0) and 2")
    assert verdict.passed and verdict.seconds > 0


def test_annotations_are_evaluated_as_python_does(runner: SandboxRunner) -> None:
    """A forgotten import is a failure, as it is when the published tests are run."""
    (found,) = run(runner, "def f(x: List[int]): return 2", "assert f(1) == 2").results
    assert found.text == "NameError: name 'List' is not defined"


def test_a_said_end_is_none(runner: SandboxRunner) -> None:
    """A program that sends what a finished job sends has not reached the end of its test."""
    forged = (
        "import json, os, struct\n"
        "data = json.dumps({'op': 'done', 'status': 'ok', 'value': 1, 'kind': 'value'}).encode()\n"
        "os.write(3, struct.pack('>I', len(data)) + data)\nos._exit(0)"
    )
    (found,) = run(runner, forged, "assert False").results
    assert found.status == "error"


TELLS = """
import sys
def f(x):
    frame = sys._getframe()
    while "job" not in frame.f_locals:
        frame = frame.f_back
    source = frame.f_locals["job"]["source"]
    test = source[source.rindex("def check"):]
    raise RAISED
"""


@pytest.mark.parametrize(
    ("raised", "said"),
    [
        ("ValueError(test)", "1 of 1 tests fail; the first with an error (ValueError)"),
        ("type(test, (Exception,), {})", "1 of 1 tests fail; the first with an error"),
        ("AssertionError(test)", "1 of 1 tests fail; the first with a wrong result"),
        ("SystemExit(test)", "1 of 1 tests fail; the first with an error (SystemExit)"),
    ],
)
def test_a_program_cannot_tell_of_its_hidden_tests(runner: SandboxRunner, raised: str, said: str) -> None:
    program, test = TELLS.replace("RAISED", raised), "def check(g):\n    assert g('SECRET') == 2\ncheck(f)"
    verdict = run(runner, program, test)
    assert "SECRET" in verdict.results[0].text, "it reads its test"
    example = Example(input="q", target={"entry_point": "f"}, meta={"tests": [test]})
    feedback = asyncio.run(Task("t", [example], passes(runner)).ascore(example, program))
    assert (feedback.score, feedback.text) == (0.0, said)


def test_a_comparison_tells_what_was_found_and_nothing_else_is_changed() -> None:
    assert "got" in shown("assert f([1]) == {'a': 2}")
    for test in (
        "assert f(1)",
        "assert f(1) == 2, 'said'",
        "assert f(1) < 2",
        "assert 1 == f(2) == 1",
        "x = 1",
        "assert (",
    ):
        assert shown(test) == test


class Broken:
    """A sandbox that breaks down under so many jobs."""

    def __init__(self, runner: SandboxRunner, times: int) -> None:
        self.runner, self.times = runner, times

    async def run(self, job: Job) -> Result:
        self.times -= 1
        return Result("lost") if self.times >= 0 else await self.runner.sandbox.run(job)


def test_a_sandbox_that_breaks_down_is_no_fault_of_the_program(runner: SandboxRunner) -> None:
    good, test = "def f(x): return 2", "assert f(1) == 2"
    once: Any = Broken(runner, 1)
    always: Any = Broken(runner, 9)
    assert run(SandboxRunner(once), good, test).passed
    verdict = run(SandboxRunner(always), good, test)
    assert verdict.problem and not verdict.results


def test_without_a_named_place_the_process_has_a_sandbox_of_its_own(runner: SandboxRunner) -> None:
    assert run(shared_runner(), "def f(x): return 2", "assert f(1) == 2").passed


WORDS = agentopt.Parameter("Write f. {{problem}}", name="words")


@agentopt.graph
async def writer(problem: str) -> Any:
    return await agentopt.allm(WORDS, problem=problem)


async def test_an_evaluation_of_programs_opens_a_sandbox_and_records_it(
    runner: SandboxRunner, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    meta = {"tests": ["assert f(2) == 4"], "prompt": "def f(x):\n"}
    examples = [Example(input={"problem": f"p{i}"}, target={"entry_point": "f", "n": i}, meta=meta) for i in range(8)]
    task = Task("doubling", examples, passes(), objective="double")
    llm = ScriptedLLM(lambda r: "def f(x): return x * 2" if "p3" in str(r.messages) else "import os\nos._exit(0)")
    done = await evaluate_async(writer, task=task, split="all", model=llm, runs_dir=str(tmp_path), progress=False)
    assert done.summary.mean == pytest.approx(1 / 8) and {o.status for o in done.outcomes} == {"ok"}
    with open_run(done.dir) as opened:
        (said,) = opened.events("sandbox")
        assert said.data["backend"] in ("local", "bubblewrap") and not said.data["weak"]


def test_a_program_that_begins_with_a_future_import_keeps_it_first() -> None:
    prompt = "from math import sqrt\n\ndef f(x):\n"
    joined = program_of(
        "from __future__ import annotations\n\ndef f(x): return sqrt(x)", entry_point="f", prompt=prompt
    )
    assert joined.startswith("from __future__ import annotations\nfrom math import sqrt\n")
    compile(joined, "joined", "exec")
