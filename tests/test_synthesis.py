"""Synthesis end to end with a scripted model: grown, solved, asked, loaded; killed at every stage; hostile input."""

from __future__ import annotations

import asyncio
import json
import math
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agentopt import evaluate, load_task, resume
from agentopt.cli.synthesized import code_of_synthesis
from agentopt.core.values import canonical
from agentopt.errors import LLMError, MissingDependency, UnusableAnswer, UsageError
from agentopt.evaluate.programs import current_runner, use_runner
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.llm.types import Message, Request, Response
from agentopt.problems import generate
from agentopt.problems.dataset import OBJECTIVE, read_dataset
from agentopt.problems.programs import program
from agentopt.problems.steps import Demonstration
from agentopt.run.files import list_runs, open_run
from agentopt.run.synthesis import Synthesis, SynthesisOptions, synthesize
from agentopt.sandbox import Failure, Job, Limits, Result, open_sandbox
from agentopt.store import Store
from agentopt.testing import ScriptedLLM, StubReply, StubServer

pytest.importorskip("pyscipopt")
KNOBS: dict[str, Any] = {"kind": "linear", "singles": 1, "pairs": 0, "draws": 8, "round_size": 3, "threshold": 0.95,
                         "program_seconds": 60}  # fmt: skip
POOL = generate(16, seed=77, scenarios=["production", "diet", "knapsack", "cutting"], levels=["easy"])
FIRST = '## Define Variables:\nA.\n// {"a": "x"}\n'
TABLE = "\n\n| Thing | Number |\n| --- | --- |\n| one | 1 |"


def stage_of(request: Request) -> str:
    text = str(request.messages[-1].content)
    return (
        "grow" if "Write one new demonstration" in text else "code" if "Write a Python program" in text else "question"
    )


def scenario_of(request: Request) -> str:
    text = str(request.messages[-1].content)
    return text[text.index("## Define Variables:") : text.index("\n\nWrite ")]


class Author:
    """A model that knows our own problems: it retells, solves and asks them, as a function of the request."""

    def __init__(self) -> None:
        self.known = {}
        for p in POOL:
            for n in range(1, p.demonstration.constraints + 1):
                scenario = p.demonstration.prefix(n)
                formal = tuple(line for part in scenario.parts[2:] for line in part.formal)
                f = p.formulation.model_copy(update={"constraints": formal, "objective_meaning": OBJECTIVE})
                self.known[scenario.text] = (scenario, program(f))

    def __call__(self, request: Request) -> Any:
        stage = stage_of(request)
        if stage == "grow":
            assert request.temperature == 0.7 and request.seed is not None
            return f"Sure!\n\n{POOL[request.seed % len(POOL)].demonstration.text}"
        assert request.temperature == 0.0
        scenario, code = self.known[scenario_of(request)]
        if stage == "code":
            return f"Here it is:\n```python\n{code}```"
        return self.question(scenario, "Markdown table" in str(request.messages[-1].content))

    def question(self, scenario: Demonstration, table: bool) -> str:
        return " ".join(scenario.plain.split()) + (TABLE if table else "")


def make(folder: Path, reply: Any = None, **more: Any) -> tuple[Synthesis, ScriptedLLM]:
    llm = ScriptedLLM(reply or Author())
    knobs = {name: more.pop(name) for name in list(more) if name in SynthesisOptions.model_fields}
    run = {"model": llm, "runs_dir": folder, "name": "run", "progress": False, "cache": False, **more}
    return synthesize(SynthesisOptions(**{**KNOBS, **knobs}), **run), llm


@pytest.fixture(scope="module", autouse=True)
def place() -> Iterator[None]:
    """One sandbox for all tests of this file: starting one takes longer than what runs in it."""
    limits = Limits(memory=2 << 30, output=1 << 20, processes=128)
    with open_sandbox(require=["numpy", "pyscipopt"], limits=limits) as sandbox, use_runner(SandboxRunner(sandbox)):
        yield


@pytest.fixture(scope="module")
def whole(place: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Synthesis, ScriptedLLM]:
    """One synthesis to its end."""
    return make(tmp_path_factory.mktemp("whole"))


def asked(llm: ScriptedLLM) -> list[str]:
    return sorted(str(r.address) for r in llm.requests)


def test_grown_solved_asked_and_loaded_as_a_task(whole: Any) -> None:
    made, llm = whole
    assert made.status == "finished"
    counts = made.tally.counts
    assert counts["grow"] == 8 and counts["rows"] == len(made.rows) >= 4
    assert len(asked(llm)) == len(set(asked(llm))) == llm.calls
    assert sum(a.startswith("synthesis/grow/") for a in asked(llm)) == 8
    task = load_task("synthesized", path=str(made.path))
    assert len(task.examples) == len(made.rows)
    splits = task.splits()
    clusters = [{e.cluster for e in splits[name]} for name in ("search", "validation", "test")]
    assert not (clusters[0] & clusters[1] or clusters[0] & clusters[2] or clusters[1] & clusters[2])
    for row in made.rows:
        assert row.provenance["run"] and row.provenance["model"] == "scripted/llm" and row.provenance["seeds"]
        assert list(row.answers)[-1] == OBJECTIVE
        assert ("| --- |" in row.question) == row.table


def test_the_program_of_every_row_scores_1(whole: Any) -> None:
    task = load_task("synthesized", path=str(whole[0].path), seconds=60.0)
    for example in task.examples:
        said = asyncio.run(task.ascore(example, {"program": example.meta["program"]}))
        assert said.score == 1.0, said.text
        wrong = str(example.meta["program"]).replace("getVal(", "getVal(1 + ")
        assert asyncio.run(task.ascore(example, {"program": wrong})).score == 0.0


def test_every_number_adds_up(whole: Any) -> None:
    made, _ = whole
    c = made.tally.counts
    fell = {stage: sum(f.stage == stage for f in made.tally.fell) for stage in
            ("grow", "steps", "similarity", "code", "solver", "question", "leak", "duplicate")}  # fmt: skip
    assert c["grow"] - fell["grow"] - fell["steps"] == c["steps"]
    assert c["steps"] - fell["similarity"] == c["similarity"]
    assert c["problems"] - fell["code"] == c["code"]
    assert c["code"] - fell["solver"] == c["solver"]
    assert 2 * c["solver"] == c["questions"]
    assert c["questions"] - fell["question"] - fell["leak"] == c["leak"]
    assert c["leak"] - fell["duplicate"] == c["rows"]


def test_resuming_what_has_ended_asks_nothing_and_changes_nothing(whole: Any) -> None:
    made, _ = whole
    before, again = made.path.read_bytes(), ScriptedLLM(Author())
    done = resume(made.dir, model=again, progress=False)
    assert isinstance(done, Synthesis) and done.status == "finished"
    assert again.calls == 0 and made.path.read_bytes() == before
    with pytest.raises(UsageError, match="has made its data set"):
        resume(made.dir, model=again, add_budget="calls=5", progress=False)


class Killed(BaseException):
    """Stands for the end of a process between two events."""


@pytest.mark.parametrize("at", ["grow:0", "grow:3", "code:0", "code:4", "question:1", "question:6", "solved:2"])
def test_cut_off_at_any_stage_no_answer_is_asked_for_again(whole: Any, tmp_path: Path, at: str) -> None:
    stage, number = at.split(":")
    author, left = Author(), [int(number)]

    def reply(request: Request) -> Any:
        if stage_of(request) == stage:
            left[0] -= 1
            if left[0] < 0:
                raise Killed
        return author(request)

    def listener(event: Any) -> None:
        if stage == "solved" and event.type == "synthesis.solved":
            left[0] -= 1
            if left[0] < 0:
                raise Killed

    first = ScriptedLLM(reply)
    with pytest.raises(Killed):
        synthesize(
            SynthesisOptions(**KNOBS), model=first, runs_dir=tmp_path, name="run", progress=False, cache=False,
            on_event=listener,
        )  # fmt: skip
    with Store(tmp_path / "run", readonly=True) as store:
        answered = {e.data["address"] for e in store.events("call.received")}
        solved = [e.data["key"] for e in store.events("synthesis.solved")]
    second = ScriptedLLM(Author())
    done = resume("run", runs_dir=tmp_path, model=second, progress=False)
    assert isinstance(done, Synthesis) and done.status == "finished"
    assert not answered & set(asked(second))
    with Store(tmp_path / "run", readonly=True) as store:
        keys = [e.data["key"] for e in store.events("synthesis.solved")]
        assert keys[: len(solved)] == solved and len(set(keys)) == len(keys)
    full, _ = whole
    same = [(r.id, r.question, r.answers, r.program) for r in full.rows]
    assert [(r.id, r.question, r.answers, r.program) for r in done.rows] == same
    assert done.tally == full.tally


def test_the_end_of_a_budget_is_an_ending_and_more_goes_on(whole: Any, tmp_path: Path) -> None:
    full, llm = whole
    cut, first = make(tmp_path, budget=f"calls={llm.calls // 2}")
    assert cut.status == "budget" and first.calls <= llm.calls // 2
    assert 0 < len(cut.rows) < len(full.rows)
    assert "add-budget" in " ".join(cut.notes())
    second = ScriptedLLM(Author())
    done = resume("run", runs_dir=tmp_path, model=second, add_budget=f"calls={llm.calls}", progress=False)
    assert isinstance(done, Synthesis) and done.status == "finished"
    assert sorted([*asked(first), *asked(second)]) == asked(llm)
    assert [r.id for r in done.rows] == [r.id for r in full.rows]


def test_a_budget_of_nothing_makes_nothing_and_says_so(tmp_path: Path) -> None:
    made, llm = make(tmp_path, budget="calls=0")
    assert made.status == "budget" and llm.calls == 0 and made.rows == [] and made.tally.left == 3


def test_runs_shows_and_refusals_know_a_synthesis(whole: Any, capsys: Any) -> None:
    from agentopt import replay
    from agentopt.cli.synthesized import synthesized
    from agentopt.report import write_report
    from agentopt.run.versus import compare_runs

    made, _ = whole
    info = list_runs(made.dir.parent)[0]
    assert (info.graph, info.task, info.status) == ("resocratic", "ours", "finished")
    synthesized(made, as_json=False, fell=True)
    said = capsys.readouterr().out
    assert "rows of the data set" in said and str(made.path) in said
    with pytest.raises(UsageError, match="made a data set"):
        write_report(made.dir)
    with pytest.raises(UsageError, match="made a data set"):
        compare_runs("run", "run", runs_dir=str(made.dir.parent))
    with pytest.raises(UsageError, match="made a data set"):
        replay(made.dir)


# -- filters on hostile input ----------------------------------------------------------------------------------------


def one(tmp_path: Path, reply: Any, **more: Any) -> tuple[Synthesis, ScriptedLLM]:
    """One draw."""
    return make(tmp_path, reply, **{"draws": 1, "expand": False, **more})


def author_but(stage: str, answer: Any) -> Any:
    author = Author()
    return lambda request: answer(author, request) if stage_of(request) == stage else author(request)


def why(made: Synthesis) -> list[tuple[str, str]]:
    return [(f.stage, f.reason) for f in made.tally.fell]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", 'there is no "## Define Variables:"'),
        ("I cannot help with that.", 'there is no "## Define Variables:"'),
        ("## Define Variables:\n// {\"a\": \"x\"}\n", "there are no words before the formal lines"),
        (f"{FIRST}\n## Define Objective Function:\nB.\n// Maximize x\n", "no constraint"),
        ("## Define Variables:\nA.\n// x is a number\n", "no variable is named"),
        (f"{FIRST}And more.\n", "words follow the formal lines"),
        (f"{FIRST}\n## Generate Constraint-1:\nC.\n// x <= 1\n", "the header is"),
        (f"{FIRST}\n## Define Objective Function:\n...\n// Maximize x\n", "left out"),
        ("## Define Variables:\n" * 500, "there is no formal line"),
        ("\x00\x01\ufffd// ## \n" * 100, 'there is no "## Define Variables:"'),
    ],
)  # fmt: skip
def test_what_is_no_demonstration_falls_at_the_steps(tmp_path: Path, text: str, reason: str) -> None:
    made, llm = one(tmp_path, author_but("grow", lambda author, request: text))
    assert made.status == "finished" and made.rows == [] and llm.calls == 1
    ((stage, said),) = why(made)
    assert stage == "steps" and reason in said


def test_a_bad_tail_is_cut_and_the_good_prefix_goes_on(tmp_path: Path) -> None:
    def broken(author: Author, request: Request) -> str:
        return POOL[0].demonstration.text + "\n\n## Generate Constraint-9:\nNo.\n// nothing <= 3"

    made, _ = one(tmp_path, author_but("grow", broken), expand=True)
    assert made.tally.counts["steps"] == 1 and len(made.tally.cut) == 1
    assert made.tally.counts["problems"] == POOL[0].demonstration.constraints >= 2
    assert "Generate Constraint-9" in made.tally.cut[0].reason


def test_a_demonstration_cut_at_its_cap_loses_its_last_step(tmp_path: Path) -> None:
    def cut(author: Author, request: Request) -> Response:
        return Response(text=POOL[0].demonstration.text, finish="length")

    made, _ = one(tmp_path, author_but("grow", cut), expand=True)
    assert [f.reason.partition(" after")[0] for f in made.tally.cut] == ["it was cut off"]
    assert made.tally.counts["problems"] == POOL[0].demonstration.constraints - 1


def test_what_is_like_a_seed_or_an_earlier_one_is_dropped(tmp_path: Path) -> None:
    def parrot(author: Author, request: Request) -> str:
        text = str(request.messages[-1].content)
        return text[text.index("## Define Variables:") : text.index("\n\nWrite one new")]

    made, llm = make(tmp_path, author_but("grow", parrot), draws=3)
    assert {stage for stage, _ in why(made)} == {"similarity"} and llm.calls == 3
    assert all(reason.startswith("too similar: 1.00 to ") for _, reason in why(made))
    same, _ = make(tmp_path / "b", author_but("grow", lambda a, r: POOL[0].demonstration.text), draws=3)
    assert [f.stage for f in same.tally.fell].count("similarity") == 2
    assert "to draw 0" in str(why(same))


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda q: "What is best?", "too short"),
        (lambda q: q + "\n// 3*x <= 40", "leak"),
        (lambda q: q + " Generate Constraint-1", "leak"),
        (lambda q: re.sub(r"\d+", "some", q), "lost numbers"),
        (lambda q: q + TABLE + TABLE, "table"),
    ],
)
def test_questions_that_leak_or_lose_facts_fall(tmp_path: Path, spoil: Any, reason: str) -> None:
    def spoiled(author: Author, request: Request) -> str:
        return spoil(author(request))

    made, _ = one(tmp_path, author_but("question", spoiled), tables="no")
    assert made.rows == [] and [(s, r.partition(":")[0]) for s, r in why(made)] == [("leak", reason)]


@pytest.mark.parametrize(
    ("reply", "stage", "reason"),
    [
        ("I would use linear programming.", "code", "no program"),
        ("```python\nimport pyscipopt\nraise SystemExit(3)\n```", "solver", "crashed"),
        ("```python\nwhile True: pass\n```", "solver", "timeout"),
        ("```python\nprint('infeasible')\n```", "solver", "infeasible"),
        ("```python\nprint({'profit': 3})\n```", "solver", "no_answer"),
        ("```python\nimport socket\nsocket.create_connection(('127.0.0.1', 1))\n```", "solver", ""),
        ("```python\nopen('/etc/hostname', 'w')\n```", "solver", ""),
        (Response(text="```python\nimport pyscip", finish="length"), "code", "cut off"),
    ],
)
def test_programs_that_bring_no_optimum_fall(tmp_path: Path, reply: Any, stage: str, reason: str) -> None:
    seconds = 3 if reason == "timeout" else 60
    made, _ = one(tmp_path, author_but("code", lambda author, request: reply), program_seconds=seconds)
    ((fell, said),) = why(made)
    assert made.rows == [] and fell == stage and reason in said, said


class Breaking:
    """A sandbox that breaks down under the second program that it is given, however often, until it is mended."""

    isolation = None

    def __init__(self, inner: Any) -> None:
        self.inner, self.seen, self.mended = inner, [], False

    async def run(self, job: Job) -> Result:
        if job.source not in self.seen:
            self.seen.append(job.source)
        if self.seen.index(job.source) == 1 and not self.mended:
            return Result("lost", error=Failure("", "gone", 0, "the sandbox broke down: gone"))
        return await self.inner.run(job)


def test_a_program_lost_to_a_broken_sandbox_leaves_the_synthesis_to_be_resumed(whole: Any, tmp_path: Path) -> None:
    complete, _ = whole
    runner = current_runner()
    assert isinstance(runner, SandboxRunner)
    breaking = Breaking(runner.sandbox)
    with use_runner(SandboxRunner(breaking)):  # type: ignore[arg-type]
        made, llm = make(tmp_path)
        assert (made.status, made.lost, code_of_synthesis(made)) == ("errors", 1, 5)
        assert made.tally.left == 1 and len(made.rows) < len(complete.rows)
        assert any("1 program could not be run (the sandbox broke down: gone)" in line for line in made.notes())
        before = len(llm.requests)
        breaking.mended = True
        again = resume(made.dir, model=llm, progress=False)
    assert isinstance(again, Synthesis)
    assert (again.status, again.lost, code_of_synthesis(again)) == ("finished", 0, 0)
    assert [r.id for r in again.rows] == [r.id for r in complete.rows]
    assert {stage_of(r) for r in llm.requests[before:]} == {"question"}, "only what it had not come to is asked"


def test_a_data_set_without_a_row_says_why(tmp_path: Path) -> None:
    made, _ = make(tmp_path, author_but("code", lambda author, request: "I cannot."))
    assert (made.status, made.rows, code_of_synthesis(made)) == ("finished", [], 5)
    (said,) = [line for line in made.notes() if line.startswith("no row was made")]
    assert "most fell at code" in said and "the reply holds no program" in said


def test_values_that_are_not_as_declared_fall(tmp_path: Path) -> None:
    def half(author: Author, request: Request) -> str:
        names = re.findall(r'^"(.*)"$', str(request.messages[-1].content), re.MULTILINE)
        return f"```python\nimport json\nprint(json.dumps({dict.fromkeys(names, 2.5)}))\n```"

    made, _ = one(tmp_path, author_but("code", half))
    ((stage, reason),) = why(made)
    assert stage == "solver" and reason.startswith("not as declared")


def test_samples_must_agree(tmp_path: Path) -> None:
    def drunk(author: Author, request: Request) -> str:
        text = author.known[scenario_of(request)][1]
        if request.temperature:
            text = text.replace("getVal(goal)", f"getVal(goal) + {request.repeat}")
        return f"```python\n{text}```"

    made, _ = one(tmp_path / "all", author_but("code", drunk), samples=3)
    ((stage, reason),) = why(made)
    assert stage == "solver" and reason.startswith("programs disagree") and made.rows == []
    made, _ = one(tmp_path / "one", author_but("code", drunk), samples=3, agree=1)
    assert made.rows and made.rows[0].provenance["agreeing"] == 1
    sober = author_but("code", lambda a, r: f"```python\n{a.known[scenario_of(r)][1]}```")
    made, _ = one(tmp_path / "sober", sober, samples=3)
    assert made.rows and made.rows[0].provenance["agreeing"] == 3


def test_programs_that_agree_with_the_middle_one_keep_the_objective(tmp_path: Path) -> None:
    """The first and the last are further apart than what counts as the same; each is near the second."""

    def drifting(author: Author, request: Request) -> str:
        text = author.known[scenario_of(request)][1]
        return f"```python\n{text.replace('getVal(goal)', f'getVal(goal) * (1 + {request.repeat} * 0.9e-6)')}```"

    sober, _ = one(tmp_path / "sober", author_but("code", lambda a, r: f"```python\n{a.known[scenario_of(r)][1]}```"))
    made, _ = one(tmp_path / "drift", author_but("code", drifting), samples=3)
    assert made.rows and made.rows[0].provenance["agreeing"] == 3
    assert list(made.rows[0].answers) == list(sober.rows[0].answers), "every figure, the objective among them"


def test_a_model_that_cannot_be_asked_ends_the_run(tmp_path: Path) -> None:
    with pytest.raises(LLMError, match="no such key"):
        make(tmp_path, lambda request: LLMError("no such key"))


def test_a_call_that_fails_now_and_then_leaves_its_own_draw_to_be_resumed(whole: Any, tmp_path: Path) -> None:
    complete, llm = whole
    hiccup = LLMError("hiccup")
    made, first = make(tmp_path, lambda r: hiccup if str(r.address).startswith("synthesis/grow/1") else Author()(r))
    assert (made.status, made.lost, made.tally.left, code_of_synthesis(made)) == ("errors", 1, 1, 5)
    assert made.rows and not [f for f in made.tally.fell if f.stage == "grow"]
    (said,) = [line for line in made.notes() if "1 call to the model failed (LLMError: hiccup)" in line]
    assert "`agentopt resume run` tries again" in said
    second = ScriptedLLM(Author())
    done = resume("run", runs_dir=tmp_path, model=second, progress=False)
    assert isinstance(done, Synthesis) and (done.status, done.lost) == ("finished", 0)
    assert "synthesis/grow/1||0" in asked(second), "and what had not come of it"
    assert sorted({*asked(first), *asked(second)}) == asked(llm)
    assert {*asked(first)} & {*asked(second)} == {"synthesis/grow/1||0"}
    assert [r.id for r in done.rows] == [r.id for r in complete.rows] and done.tally == complete.tally


def test_an_answer_of_no_use_falls_and_is_not_asked_for_again(tmp_path: Path) -> None:
    made, _ = make(
        tmp_path, lambda r: UnusableAnswer("refused") if str(r.address).startswith("synthesis/grow/1") else Author()(r)
    )
    assert [(f.where, f.reason) for f in made.tally.fell if f.stage == "grow"] == [
        ("draw 1", "no answer of use: UnusableAnswer: refused")
    ]
    assert (made.status, made.lost, made.tally.left) == ("finished", 0, 0) and made.rows


class Mortal:
    """The replies of a server that breaks every connection, from a number of answers on until it is back."""

    def __init__(self, answers: float) -> None:
        self.left, self.author = answers, Author()

    def __call__(self, body: dict[str, Any]) -> Any:
        if self.left <= 0:
            return StubReply(break_after=0)
        self.left -= 1
        turns = tuple(Message(role=m["role"], content=m["content"]) for m in body["messages"])
        return self.author(
            Request(model="stub", messages=turns, temperature=body.get("temperature", 0.0), seed=body.get("seed"))
        )


def served(server: StubServer, folder: Path) -> Synthesis:
    """A small synthesis with a server."""
    knobs = SynthesisOptions(**{**KNOBS, "draws": 4, "round_size": 4, "expand": False, "tables": "no"})
    return synthesize(knobs, model=server.model, runs_dir=folder, name="run", progress=False, cache=False)


@pytest.fixture(scope="module")
def undisturbed(place: None, tmp_path_factory: pytest.TempPathFactory) -> tuple[Synthesis, list[str]]:
    """One to its end, and what was asked."""
    with StubServer(Mortal(math.inf)) as server:
        made = served(server, tmp_path_factory.mktemp("served"))
        return made, sorted(canonical(r.body) for r in server.requests)


@pytest.mark.parametrize("answers", [1, 6])
def test_a_server_that_dies_and_comes_back_is_asked_for_what_is_missing(
    undisturbed: Any, tmp_path: Path, answers: int
) -> None:
    def told(made: Synthesis) -> list[Any]:
        return [(r.id, r.question, r.answers, r.program) for r in made.rows]

    complete, payloads = undisturbed
    mortal = Mortal(answers)
    with StubServer(mortal) as server:
        cut = served(server, tmp_path)
        assert (cut.status, code_of_synthesis(cut)) == ("errors", 5)
        assert cut.lost >= 1 and cut.tally.left >= 1 and not [f for f in cut.tally.fell if "call" in f.reason]
        died = server.count
        mortal.left = math.inf
        done = resume("run", runs_dir=tmp_path, progress=False)
        first, second = server.requests[:died], server.requests[died:]
    assert isinstance(done, Synthesis) and (done.status, done.lost) == ("finished", 0)
    assert told(done) == told(complete) and done.tally == complete.tally and len(done.rows) >= 2
    assert sorted(canonical(r.body) for r in [*first[:answers], *second]) == payloads, "exactly what was missing"


def test_a_model_that_is_gone_ends_the_run_after_a_few_calls(tmp_path: Path) -> None:
    author = Author()
    made, llm = make(
        tmp_path, lambda r: author(r) if str(r.address).startswith("synthesis/grow/0") else LLMError("gone"),
        draws=40, round_size=20, singles=40, max_connections=1,
    )  # fmt: skip
    assert (made.status, made.lost) == ("errors", 5) and llm.calls <= 7
    assert any("5 calls to the model failed (LLMError: gone)" in line for line in made.notes())


# -- options, files, command line ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("knobs", "told"),
    [({"agree": 2}, "cannot agree"), ({"singles": 0, "pairs": 0}, "nothing is drawn"), ({"threshold": 2}, "less than")],
)
def test_impossible_knobs_are_refused(knobs: dict[str, Any], told: str) -> None:
    with pytest.raises(ValueError, match=told):
        SynthesisOptions(**knobs)


def test_seeds_from_a_file_and_those_that_cannot_be_used(tmp_path: Path) -> None:
    file = tmp_path / "seeds.json"
    good = {"scenario": POOL[0].demonstration.text, "kind": "linear", "name": "mine"}
    file.write_text(json.dumps([good, {"scenario": "nonsense", "kind": "linear"}]))
    made, llm = one(tmp_path, None, seeds=str(file))
    assert llm.calls >= 1
    with open_run(made.dir) as run:
        told = [e.data["text"] for e in run.events("warning")]
    assert any("the seed 1 is left out" in str(t) for t in told)
    for content in ("[]", "{}", "not json", '[{"scenario": 3}]'):
        file.write_text(content)
        with pytest.raises(UsageError):
            one(tmp_path / "x", None, seeds=str(file))
    with pytest.raises(UsageError):
        one(tmp_path / "x", None, seeds=str(tmp_path / "none.json"))
    assert not (tmp_path / "x").exists() or not list((tmp_path / "x").iterdir())


def test_published_seeds_are_used_where_the_data_are(tmp_path: Path) -> None:
    from agentopt.evaluate.data import missing_files, without_download
    from agentopt.run.synthesis.seeds import load_seeds

    if [f for f in missing_files("optibench") if "seed" in f]:
        with without_download(), pytest.raises(MissingDependency):
            load_seeds("published")
        pytest.skip("the published seeds are not on this machine")
    seeds, notes = load_seeds("published")
    assert len(seeds) == 25 and {s.kind for s in seeds} == {"linear", "nonlinear"}
    assert len([n for n in notes if "left out" in n]) == 2


def test_a_data_set_that_was_touched_is_refused(whole: Any, tmp_path: Path) -> None:
    lines = whole[0].path.read_text(encoding="utf-8").splitlines()
    row = json.loads(lines[0])
    row["question"] += " And 3 more."
    place = tmp_path / "d.jsonl"
    place.write_text("\n".join([json.dumps(row), *lines[1:]]), encoding="utf-8")
    with pytest.raises(UsageError, match=r"d\.jsonl:1: question of .* is not what was written"):
        read_dataset(place)
    for content in ("{}", "[]", "nope", '{"hashes": 1}'):
        place.write_text(content)
        with pytest.raises(UsageError, match=r"d\.jsonl:1"):
            read_dataset(place)
    with pytest.raises(UsageError, match="cannot be read"):
        read_dataset(tmp_path / "none")
    place.write_text("{}\n")
    with pytest.raises(UsageError, match=r":1 is no row of a data set \(it has no field 'hashes'\)"):
        read_dataset(place)
    place.write_text("")
    with pytest.raises(UsageError, match="has no problem with kind=linear and table=both"):
        load_task("synthesized", path=str(place), kind="linear")
    with pytest.raises(UsageError, match="path=FILE"):
        load_task("synthesized")


def test_an_evaluation_takes_the_data_set(whole: Any, tmp_path: Path) -> None:
    rows = {row.question: row.program for row in whole[0].rows}

    def reply(request: Request) -> str:
        text = str(request.messages[-1].content)
        return f"```python\n{rows[max((q for q in rows if q in text), key=len)]}```"

    answers = ScriptedLLM(reply)
    done = evaluate(
        "program_of_thought", task="synthesized", task_args={"path": str(whole[0].path), "seconds": 60.0},
        model=answers, split="all", runs_dir=tmp_path, progress=False, cache=False,
    )  # fmt: skip
    assert done.complete and done.summary.mean == 1.0
