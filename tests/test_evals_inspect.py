"""Logs and tasks of inspect-ai, with inspect's own reader and runner. Skipped where it is not installed."""

from __future__ import annotations

import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentopt import Example, Feedback, Task, graph
from agentopt._aio import run_sync, running_loop
from agentopt.core.values import Outcome
from agentopt.errors import MissingDependency, UsageError
from agentopt.evaluate import Eval, Measure
from agentopt.export import inspect_log
from agentopt.run.evaluation import evaluate_async, evaluation_of
from agentopt.run.versus import compare_runs
from agentopt.sandbox import Job, open_sandbox
from agentopt.sandbox.served import ServedSandbox

Cli = Callable[..., tuple[int, str, str]]
THERE = importlib.util.find_spec("inspect_ai") is not None
needs_inspect = pytest.mark.skipif(not THERE, reason="NOT TESTED WITH INSPECT: pip install 'agentopt[inspect]'")
slow_import = pytest.mark.timeout(900)


@graph
def echo(word: str) -> Any:
    if word == "breaks":
        raise ValueError("no")
    return {"said": word}


def scored(example: Example, output: Any) -> Feedback:
    if example.input == "lost":
        raise KeyError("a bug")
    return Feedback(score=float(output["said"] < "m"), text="as it is", parts={"length": len(output["said"])})


WORDS = ("a", "breaks", "lost", "z", "k", "q")
PINNED = Eval(task="words", graph="echo", name="words_all", repeats=2, measures=[Measure("length", kind="mean")])


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    task = Task("words", [Example(input=w, target=w, meta={"kind": "word"}) for w in WORDS], scored)
    done = run_sync(
        evaluate_async(echo, task=task, split="all", pinned=PINNED, repeats=2, progress=False, name="first")
    )
    return done.dir


def test_without_inspect_it_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError(f"No module named {name!r}", name="inspect_ai")

    monkeypatch.setattr(inspect_log.importlib, "import_module", missing)
    with pytest.raises(MissingDependency, match=r"pip install 'agentopt\[inspect\]'"):
        inspect_log.library("log")


def test_another_ending_is_refused(cli: Cli, run: Path) -> None:
    code, _, err = cli("export", "first", "out.txt")
    assert code == 2 and "an .eval or a .json file" in err


@needs_inspect
@slow_import
def test_a_run_is_a_log_that_inspect_reads_and_that_comes_back_whole(cli: Cli, run: Path) -> None:
    from inspect_ai.log import read_eval_log

    from agentopt.export.inspect_read import import_log, read_log

    assert cli("export", "first", "logs/out.eval")[:2] == (0, "logs/out.eval\n")
    log = read_eval_log("logs/out.eval")
    done = evaluation_of(run)
    assert log.status == "success"
    assert (log.eval.task, log.eval.task_version, log.eval.config.epochs) == ("words_all", 1, 2)
    assert log.results is not None
    table = {score.name: {k: m.value for k, m in score.metrics.items()} for score in log.results.scores}
    assert table["score"]["mean"] == done.summary.mean
    assert table["length"]["n"] == 4, "of a raw part a failure counts for nothing"
    assert log.samples is not None and len(log.samples) == 12
    by_input = {(s.input, s.epoch): s for s in log.samples}
    assert by_input["a", 1].scores["score"].value == 1.0
    assert by_input["a", 2].scores["length"].value == 1.0
    assert json.loads(by_input["z", 1].output.completion) == {"said": "z"}
    assert by_input["breaks", 1].scores["score"].value == 0.0
    assert "ValueError" in by_input["breaks", 1].scores["score"].explanation
    assert by_input["lost", 1].error is not None and not by_input["lost", 1].scores

    back = read_log("logs/out.eval")
    assert back.made_here and back.task == "words"

    def plain(outcomes: Any) -> list[dict[str, Any]]:  # inspect sorts samples by their ids
        made = [o.model_dump(exclude={"candidate", "trace"}) for o in outcomes]
        return sorted(made, key=lambda o: (o["example"], o["repeat"]))

    assert plain(back.outcomes) == plain(done.outcomes)
    assert {e.id: e for e in back.examples} == done.examples
    folder = import_log("logs/out.eval")
    assert import_log("logs/out.eval") == folder
    assert evaluation_of(folder).summary.model_dump(exclude={"n_cells"}) == done.summary.model_dump(exclude={"n_cells"})
    code, out, _ = cli("compare", "logs/out.eval", "first")
    assert code == 0
    assert "is a log of inspect of its task words" in out
    found = compare_runs(str(folder), "first")
    assert (found.split, found.n, found.difference) == ("all", 5, 0.0)
    for command in ("resume", "replay"):
        assert cli(command, folder.name)[0] == 2
    (run / "nothing.eval").write_bytes(b"PK nothing")
    with pytest.raises(UsageError, match="cannot be read as a log"):
        read_log(run / "nothing.eval")


def answered(input: list[Any], tools: Any, tool_choice: Any, config: Any) -> Any:
    """What the stand-in for a model says: the sum, and too much where the numbers end with 5."""
    from inspect_ai.model import ModelOutput, ModelUsage

    first, second = (int(n) for n in input[-1].text.split("\n")[-1].split(" + "))
    text = f"It is {first + second}." if first % 10 == 5 else str(first + second)
    made = ModelOutput.from_content("mockllm/model", text)
    made.usage = ModelUsage(input_tokens=7, output_tokens=3, total_tokens=10)
    assert config.max_tokens == 512
    return made


@needs_inspect
@slow_import
def test_an_eval_is_a_task_of_inspect_and_its_log_compares_with_our_run(
    cli: Cli, new_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import inspect_ai
    from inspect_ai._util.registry import registry_lookup
    from inspect_ai.model import get_model

    from agentopt.export.inspect_read import read_log
    from agentopt.export.inspect_registry import register
    from agentopt.export.inspect_task import as_inspect

    (new_workspace / "prompts" / "solver.md").write_text("Solve.\n\n{{problem}}\n")
    model = get_model("mockllm/model", custom_outputs=answered, memoize=False)
    task = as_inspect("sums_by_carry")
    (log,) = inspect_ai.eval(task, model=model, log_dir="logs", display="none")
    assert log.status == "success", log.error
    assert log.results is not None and log.samples is not None
    assert len(log.samples) == 36
    metrics = {name: m.value for score in log.results.scores for name, m in score.metrics.items()}
    right = sum(1 for s in log.samples if not s.input.split(" + ")[0].endswith("5"))
    assert metrics["mean"] == pytest.approx(right / 36)
    assert {"no carry", "with carry"} <= set(metrics)
    assert log.stats.model_usage["mockllm/model"].output_tokens == 36 * 3

    assert cli("eval", "sums_by_carry", "-q", "--name", "ours")[0] == 0
    found = read_log(log.location)
    assert found.made_here is False
    assert [o.status for o in found.outcomes] == ["ok"] * 36
    code, out, err = cli("compare", log.location, "ours")
    assert code == 0, err
    assert " 18 " in out

    assert "sums_by_carry" in register()
    assert registry_lookup("task", "agentopt/sums_by_carry") is not None


def pair(example: Example) -> str | None:
    """Numbers in pairs; those above 15 have no partner."""
    return f"pair {example.meta['n'] // 2}" if example.meta["n"] < 16 else None  # type: ignore[operator]


@graph
def guesses(n: int) -> Any:
    return n


def lucky(example: Example, output: Any) -> float:
    return float(output % 4 < 2)


def numbers(cluster: Callable[[int], str | None]) -> Task:
    made = [Example(input={"n": n}, target=n, cluster=cluster(n), meta={"n": n}) for n in range(24)]
    return Task("numbers", made, lucky)


def worse(example: Example, output: Any) -> float:
    return float(output > 12 and output % 4 < 2)


@needs_inspect
@slow_import
@pytest.mark.parametrize("named", ["by the eval", "by the examples"])
def test_logs_are_compared_by_the_clusters_of_their_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, named: str
) -> None:
    from agentopt.export.inspect_log import write_log
    from agentopt.export.inspect_read import import_log

    monkeypatch.chdir(tmp_path)
    by_eval = named == "by the eval"
    pinned = Eval(task="numbers", graph="guesses", name="numbers_all", group=pair if by_eval else None)
    folders = []
    for name, scorer in (("a", worse), ("b", lucky)):
        task = numbers(lambda n: f"pair {n // 2}" if n < 16 and not by_eval else None)
        task = Task("numbers", task.examples, scorer)
        done = run_sync(evaluate_async(guesses, task=task, split="all", pinned=pinned, name=name, progress=False))
        assert done.summary.n_clusters == 16
        folders.append(import_log(write_log(done.dir, f"{name}.eval")))
        assert evaluation_of(folders[-1]).summary.model_dump() == done.summary.model_dump()
    direct, through = compare_runs("a", "b", split="all").claim, compare_runs(*map(str, folders)).claim
    assert direct is not None and through is not None
    assert direct.test == through.test == "permutation by cluster"
    assert direct.p == through.p == 2 / 2**4  # numbers 0, 1, 4, 5, 8, 9 and 12: in four clusters
    assert (direct.low, direct.high) == (through.low, through.high)


PAIRED = """
import agentopt


@agentopt.graph
async def asks(problem: str) -> str:
    return await agentopt.allm(problem)


def right(example: agentopt.Example, output: str) -> float:
    return float(output == example.target)


@agentopt.task
def paired() -> agentopt.Task:
    made = [
        agentopt.Example(
            input={"problem": f"{n} + 1"}, target=str(n + 1), cluster=f"pair {n // 2}" if n < 16 else None
        )
        for n in range(24)
    ]
    return agentopt.Task("paired", made, right)
"""


@needs_inspect
@slow_import
def test_a_task_of_inspect_has_clusters_also_where_some_examples_have_none(new_workspace: Path) -> None:
    import inspect_ai
    from inspect_ai.model import get_model

    from agentopt.export.inspect_read import import_log, read_log
    from agentopt.export.inspect_task import as_inspect

    (new_workspace / "tasks" / "paired.py").write_text(PAIRED)
    model = get_model("mockllm/model", custom_outputs=answered, memoize=False)
    task = as_inspect(Eval(task="paired", graph="./tasks/paired.py@asks", name="paired_all", split="all"))
    (log,) = inspect_ai.eval(task, model=model, log_dir="logs", display="none")
    assert log.status == "success", log.error
    assert log.results is not None and log.samples is not None
    assert {s.metadata["cluster"] for s in log.samples if s.metadata["cluster"] == s.id} == {
        s.id for s in log.samples if int(str(s.target)) > 16
    }
    found = read_log(log.location)
    assert len({e.cluster for e in found.examples}) == 16
    assert {type(e.input) for e in found.examples} == {dict}, "as our runs have them, so that they are paired"
    assert evaluation_of(import_log(log.location)).summary.n_clusters == 16


TRACED = """
from typing import Any

import agentopt


@agentopt.node
def doubled(problem: str) -> str:
    return problem * 2


@agentopt.graph
async def twice(problem: str) -> str:
    return str(doubled(await agentopt.allm(problem)))


def by_trace(example: agentopt.Example, output: Any, trace: Any) -> agentopt.Feedback:
    names = [node.meta.name for node in trace.nodes]
    found = [node.value for node in trace.nodes if node.meta.name == "doubled"]
    text = f"{'doubled' in names} {found[:1]} {trace.output is not None}"
    return agentopt.Feedback(score=float("doubled" in names), text=text)


@agentopt.task
def traced() -> agentopt.Task:
    examples = [agentopt.Example(input=f"{n} + 1", target="") for n in range(6)]
    return agentopt.Task("traced", examples, by_trace)
"""


@needs_inspect
@slow_import
def test_the_scorer_is_given_the_trace_also_when_a_log_is_scored_anew(
    new_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import inspect_ai
    from inspect_ai.model import get_model

    from agentopt.export.inspect_task import as_inspect

    (new_workspace / "tasks" / "traced.py").write_text(TRACED)
    model = get_model("mockllm/model", custom_outputs=answered, memoize=False)
    task = as_inspect(Eval(task="traced", graph="./tasks/traced.py@twice", name="traced_all", split="all"))
    (log,) = inspect_ai.eval(task, model=model, log_dir="logs", display="none")
    assert log.status == "success", log.error
    assert log.samples is not None
    first = [sample.scores["score"] for sample in log.samples if sample.scores]
    assert [score.value for score in first] == [1.0] * 6, first[0].explanation
    again = inspect_ai.score(log, task.scorer, action="overwrite", display="none")
    assert again.samples is not None
    assert [s.scores["score"].value for s in again.samples if s.scores] == [1.0] * 6


RUNNING = """
from typing import Any

import agentopt
from agentopt.evaluate.programs import current_runner


@agentopt.node
async def tried(program: str) -> dict[str, Any]:
    runner: Any = current_runner()
    verdict = await runner.run(program, ["assert f(1) == 2"])
    return {"program": program, "seconds": runner.seconds, "passed": verdict.passed}


@agentopt.graph
async def coder(problem: str) -> Any:
    return await tried(await agentopt.allm(problem))


class runs:
    needs_program_runner = True
    program_seconds = 7.0

    async def __call__(self, example: agentopt.Example, output: Any) -> agentopt.Feedback:
        runner: Any = current_runner()
        verdict = await runner.run(output["program"], ["assert f(3) == 6"])
        known = (output["passed"], output["seconds"], runner.seconds) == (True, 7.0, 7.0)
        return agentopt.Feedback(score=float(verdict.passed and known), text=verdict.problem or str(output))


@agentopt.task
def programs() -> agentopt.Task:
    return agentopt.Task("programs", [agentopt.Example(input=f"double {n}") for n in range(6)], runs())
"""


def programmed(input: list[Any], tools: Any, tool_choice: Any, config: Any) -> Any:
    """A stand-in for a model that writes one program."""
    from inspect_ai.model import ModelOutput, ModelUsage

    made = ModelOutput.from_content("mockllm/model", "def f(x): return 2 * x")
    made.usage = ModelUsage(input_tokens=7, output_tokens=3, total_tokens=10)
    return made


@needs_inspect
@slow_import
def test_a_task_opens_one_sandbox_for_its_agents_and_its_scorer(
    new_workspace: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import inspect_ai
    from inspect_ai.model import get_model

    from agentopt.evaluate import sandboxed
    from agentopt.export.inspect_task import as_inspect
    from agentopt.run import codeplace

    opened: list[ServedSandbox] = []

    def opens(*args: Any, **more: Any) -> ServedSandbox:
        assert running_loop() is None, "the loop has other samples to serve"
        opened.append(open_sandbox(*args, **more))
        return opened[-1]

    for module in (codeplace, sandboxed):
        monkeypatch.setattr(module, "open_sandbox", opens)
    (new_workspace / "tasks" / "programs.py").write_text(RUNNING)
    model = get_model("mockllm/model", custom_outputs=programmed, memoize=False)
    tasks = [
        as_inspect(Eval(task="programs", graph="./tasks/programs.py@coder", name=name, split="all"))
        for name in ("programs_a", "programs_b")
    ]
    assert not opened, "a task that is only looked at opens none"
    logs = inspect_ai.eval(tasks, model=model, log_dir="logs", display="none", max_tasks=2)
    for log in logs:
        assert log.status == "success", log.error
        assert log.samples is not None
        scores = [sample.scores["score"] for sample in log.samples if sample.scores]
        assert [score.value for score in scores] == [1.0] * 6, scores[0].explanation
    assert len(opened) == 2
    for sandbox in opened:
        with pytest.raises(UsageError, match="closed"):
            sandbox.run_sync(Job(source="1"))
    for _ in range(2):  # each time in an event loop of its own
        again = inspect_ai.score(logs[0], tasks[0].scorer, action="overwrite", display="none")
        assert again.samples is not None
        assert [s.scores["score"].value for s in again.samples if s.scores] == [1.0] * 6
    assert len(opened) == 3
    opened[-1].close()


FAILING = """
import agentopt
import agentopt.errors


@agentopt.node
async def asked(word: str) -> str:
    if word == "breaks":
        raise ValueError("no number in it")
    return await agentopt.allm(word)


@agentopt.graph
async def answers(word: str) -> str:
    if word == "stops":
        raise SystemExit(3)
    try:
        return str(await asked(word.removesuffix(", and hidden")))
    except agentopt.errors.LLMError:
        if "hidden" in word:
            return "never mind"
        raise


def scored(example: agentopt.Example, output: str) -> float:
    if output == "loses":
        raise KeyError("a bug")
    return 1.0


@agentopt.task
def failing() -> agentopt.Task:
    words = ("right", "breaks", "stops", "gone", "gone, and hidden", "flaky", "loses")
    return agentopt.Task(
        "failing", [agentopt.Example(id=w, input=w) for w in words], scored, score_range=(-1.0, 1.0)
    )
"""


class Failing:
    """A stand-in for a model that is not there for one question, and for another only when it is asked again."""

    def __init__(self) -> None:
        self.asked: list[str] = []

    def __call__(self, input: list[Any], tools: Any, tool_choice: Any, config: Any) -> Any:
        from inspect_ai.model import ModelOutput, ModelUsage

        word = input[-1].text
        self.asked.append(word)
        if word == "gone" or (word == "flaky" and self.asked.count(word) == 1):
            raise RuntimeError("the server is gone")
        made = ModelOutput.from_content("mockllm/model", word)
        made.usage = ModelUsage(input_tokens=7, output_tokens=3, total_tokens=10)
        return made


@needs_inspect
@slow_import
def test_what_fails_is_sorted_as_in_a_run_of_ours_and_ends_no_other_sample(new_workspace: Path) -> None:
    import inspect_ai
    from inspect_ai.model import get_model

    from agentopt.export.inspect_task import as_inspect

    (new_workspace / "tasks" / "failing.py").write_text(FAILING)
    task = as_inspect(Eval(task="failing", graph="./tasks/failing.py@answers", name="failing_all", split="all"))

    def samples(**more: Any) -> tuple[Any, dict[str, Any]]:
        model = get_model("mockllm/model", custom_outputs=Failing(), memoize=False)
        (log,) = inspect_ai.eval(task, model=model, log_dir="logs", display="none", **more)
        return log, {sample.id: sample for sample in log.samples or ()}

    log, found = samples()
    assert log.status == "success", log.error
    scores = {id_: sample.scores["score"] for id_, sample in found.items() if sample.scores}
    assert {id_: score.value for id_, score in scores.items()} == {"right": 1.0, "breaks": -1.0, "stops": -1.0}
    assert scores["breaks"].explanation == "agent_error: ValueError: no number in it"
    assert scores["stops"].explanation == "agent_error: SystemExit: 3"
    errors = {id_: sample.error.message for id_, sample in found.items() if sample.error}
    assert set(errors) == {"gone", "gone, and hidden", "flaky", "loses"}
    assert "the server is gone" in errors["gone"] and "KeyError" in errors["loses"]
    assert log.results.scores[0].metrics["mean"].value == pytest.approx(-1 / 3)
    log.samples = [sample for sample in log.samples if sample.id != "loses"]
    again = inspect_ai.score(log, task.scorer, action="overwrite", display="none")
    anew = {sample.id: sample.scores["score"].value for sample in again.samples or () if sample.scores}
    assert anew == {id_: score.value for id_, score in scores.items()}

    log, found = samples(retry_on_error=1)
    assert found["flaky"].error is None and found["flaky"].scores["score"].value == 1.0
    assert found["gone"].error is not None
    log, _ = samples(fail_on_error=True)
    assert log.status == "error"
    log, found = samples(token_limit=5)
    assert found["right"].limit.type == "token" and found["right"].error is None
    assert found["right"].scores["score"].value == -1.0
    assert found["right"].scores["score"].explanation == "timeout: a limit of inspect has ended it"


@needs_inspect
@slow_import
def test_what_other_logs_score_is_read_as_inspect_reads_it() -> None:
    from inspect_ai.log import EvalSample
    from inspect_ai.model import ChatMessageSystem, ChatMessageUser, ModelOutput
    from inspect_ai.scorer import Score

    from agentopt.export.inspect_read import _cell

    def cell(value: Any, **more: Any) -> Outcome:
        scores = {"match": Score(value=value, explanation="why"), "other": Score(value=3)}
        asked = [ChatMessageSystem(content="be brief"), ChatMessageUser(content="2 + 2")]
        sample = EvalSample(
            id=7, epoch=2, input=asked, target=["4"], output=ModelOutput.from_content("m", "4"), scores=scores, **more
        )
        example, outcome = _cell(sample)
        assert (example.id, example.input, example.target) == ("7", "2 + 2", "4")
        return outcome

    assert [cell(v).score for v in ("C", "I", "P", "N", True, 0.25, "0.5")] == [1, 0, 0.5, 0, 1, 0.25, 0.5]
    assert cell({"a": 1, "b": "C", "c": 0.4}).score == pytest.approx(0.8)
    assert cell("C").feedback == Feedback(score=1.0, text="why", parts={"other": 3.0})
    assert cell("who knows").score is None
    assert cell("C").repeat == 1
