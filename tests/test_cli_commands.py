"""The commands, from a fresh workspace to an applied prompt, offline with the scripted model."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import typer

from agentopt.cli.app import COMMANDS, execute
from agentopt.cli.outcome import interrupted
from agentopt.run.lifetime import begun
from agentopt.store import Store
from agentopt.workspace import init

Cli = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def optimized(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A workspace with one finished optimization named ``first``."""
    root = tmp_path_factory.mktemp("optimized") / "ws"
    init(root)
    here = Path.cwd()
    os.chdir(root)
    try:
        with pytest.raises(SystemExit) as ended:
            execute(["optimize", "-q", "--name", "first", "--optimizer", "optoprime"])
        assert not ended.value.code
    finally:
        os.chdir(here)
    return root


@pytest.fixture
def done(optimized: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A copy of that workspace, as the working directory."""
    shutil.copytree(optimized, tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"


# -- the overview and mistakes -------------------------------------------------------------------------------------


def test_help_lists_every_command_and_imports_none(cli: Cli) -> None:
    code, out, _ = cli("--help")
    assert code == 0
    assert all(re.search(rf"^  {name} ", out, re.MULTILINE) for name in COMMANDS)
    script = (
        "import sys\nfrom agentopt.cli.app import execute\n"
        "try:\n    execute(['--help'])\nexcept SystemExit:\n    pass\n"
        "heavy = {'openai', 'litellm', 'networkx', 'numpy', 'scipy', 'rich.markdown', 'agentopt.run'}\n"
        "sys.stderr.write(' '.join(sorted(heavy & set(sys.modules))))"
    )
    ran = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert ran.stderr == ""


@pytest.mark.parametrize("name", sorted(COMMANDS))
def test_every_command_has_help(cli: Cli, name: str) -> None:
    code, out, _ = cli(name, "--help")
    assert code == 0
    assert f"agentopt {name}" in out


def test_version(cli: Cli) -> None:
    assert cli("--version")[1].startswith("agentopt 0.1.0")


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["optimise"], "Did you mean 'optimize'"),
        (["optimize", "--taks", "x"], "No such option"),
        (["optimize", "solv"], "no graph named 'solv'; did you mean 'solve'?"),
        (["optimize", "--task", "sms"], "no task named 'sms'; did you mean 'sums'?"),
        (["optimize", "--optimizer", "optoprim"], "did you mean 'optoprime'?"),
        (["optimize", "--budget", "calls=abc"], "'abc' is not a number"),
        (["optimize", "--budget", "calls=5"], "cannot pay for the least that a run needs"),
        (["optimize", "--limit", "0"], "--limit: Input should be greater than 0"),
        (["optimize", "--limit", "many"], "--limit: Input should be a valid integer"),
        (["optimize", "--task-arg", "n"], "--task-arg 'n' is not KEY=VALUE"),
        (["optimize", "--task-arg", "m=3"], "'m'"),
        (["optimize", "--model", "openai/some"], "export OPENAI_API_KEY"),
        (["optimize", "--model", "scripted/beginer"], "did you mean 'beginner'?"),
        (["eval", "--split", "train"], "--split 'train' is none of search, validation, test, all"),
        (["run"], "no input"),
        (["run", "solve", "x", "--graph", "gif"], "--graph 'gif' is none of"),
        (["show"], "no optimization has begun in runs"),
        (["show", "nothing"], "no run named 'nothing'"),
        (["resume", "nothing"], "no run named 'nothing'"),
        (["apply", "nothing"], "no run named 'nothing'"),
        (["list", "grafs"], "did you mean 'graphs'?"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_code_2(cli: Cli, new_workspace: Path, args: list[str], says: str) -> None:
    code, _, err = cli(*args)
    assert code == 2
    assert says in err
    assert "Traceback" not in err
    assert len(err.strip().splitlines()) == 1 or err.startswith("Usage:")
    assert not list(new_workspace.glob("runs/*/best")), "nothing was run"


def test_outside_a_workspace_the_command_is_named(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = cli("check")
    assert code == 2
    assert "agentopt init" in err
    code, _, err = cli("optimize")
    assert code == 2
    assert "a graph and --task must be given" in err


# -- the workspace -------------------------------------------------------------------------------------------------


def test_init_makes_a_workspace_that_checks(cli: Cli, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    code, out, _ = cli("init", "mine")
    assert code == 0
    assert "cd mine && agentopt optimize" in out
    code, out, _ = cli("check", "mine")
    assert (code, "no problems" in out) == (0, True)
    (tmp_path / "mine" / "prompts" / "solver.md").write_text("my own {{problem}}")
    code, _, err = cli("init", "mine")
    assert code == 2
    assert "already there" in err
    assert (tmp_path / "mine" / "prompts" / "solver.md").read_text() == "my own {{problem}}"


def test_check_lists_every_problem(cli: Cli, new_workspace: Path) -> None:
    (new_workspace / "graphs" / "bad.py").write_text(
        "from agentopt import graph\nimport nothere\n\n@graph\ndef g(x): ...\n"
    )
    (new_workspace / "prompts" / "bad.md").write_text("---\nnmae: x\n---\n")
    (new_workspace / "tasks" / "few.py").write_text(
        "from agentopt import task\n\n@task\ndef few():\n    return [], max\n"
    )
    (new_workspace / "evals" / "bad.py").write_text(
        "from agentopt.evaluate import Eval, evaluation\n\n@evaluation\ndef bad():\n"
        "    return Eval(task='sums', graph='nowhere')\n"
    )
    with (new_workspace / "agentopt.toml").open("a") as toml:
        toml.write("sede = 3\n")
    code, out, _ = cli("check")
    assert code == 1
    for said in ("graphs/bad.py", "nothere", "nmae", "no examples", "evals/bad.py", "nowhere", "did you mean 'seed'"):
        assert said in out, said
    code, out, _ = cli("check", "--json")
    assert code == 1
    assert len(json.loads(out)["problems"]) >= 5


def test_list_says_where_a_name_comes_from(cli: Cli, new_workspace: Path) -> None:
    rows = json.loads(cli("list", "--json")[1])
    mine = {(r["kind"], r["name"]) for r in rows if r["source"] == "yours"}
    assert mine == {("graph", "solve"), ("task", "sums"), ("prompt", "solver"), ("eval", "sums_by_carry")}
    assert {r["name"] for r in rows if r["kind"] == "optimizer"} >= {"optoprime", "paraphrase", "random"}
    assert all(r["about"] for r in rows if r["kind"] == "optimizer")
    code, out, _ = cli("list", "graphs")
    assert code == 0
    assert "solve" in out
    assert "sums" not in out


# -- running -------------------------------------------------------------------------------------------------------


def test_run_prints_the_answer(cli: Cli, new_workspace: Path) -> None:
    code, out, _ = cli("run", "solve", "17 + 25")
    assert code == 0
    assert "42" in out
    code, out, _ = cli("run", "solve", "--input", "problem=17 + 25", "--json")
    found = json.loads(out)
    assert "42" in found["output"]
    assert {n["kind"] for n in found["graph"]["nodes"]} >= {"param", "render", "llm", "call"}


FAILS = """
from agentopt import graph, node


@node
def inner(x):
    return 1 / 0


@graph
async def bad(x):
    try:
        return inner(x)
    except ZeroDivisionError as problem:
        raise ValueError("no") from problem


@graph
def worse(x):
    try:
        bare("x")
    except KeyError as problem:
        raise ExceptionGroup("many", [problem]) from None


def bare(x):
    return {}[x]
"""


@pytest.mark.parametrize(
    ("graph", "frames", "last"),
    [("bad", ["bad", "inner", "bad"], "ValueError: no"), ("worse", ["worse", "worse", "bare"], "KeyError: 'x'"),
     ("./graphs/fails.py@bare", ["bare"], "KeyError: 'x'")],
)  # fmt: skip
def test_run_shows_the_users_own_frames_alone(
    cli: Cli, new_workspace: Path, monkeypatch: pytest.MonkeyPatch, graph: str, frames: list[str], last: str
) -> None:
    (new_workspace / "graphs" / "fails.py").write_text(FAILS)
    code, _, err = cli("run", graph, "x")
    assert code == 1
    assert [line.rpartition(" in ")[2] for line in err.splitlines() if line.lstrip(" |").startswith("File ")] == frames
    assert last in err.rstrip(" +-\n").splitlines()[-1]
    assert "InNode" not in err
    monkeypatch.setenv("AGENTOPT_TRACEBACK", "1")
    assert "agentopt/run/target.py" in cli("run", graph, "x")[2]


def test_eval_has_interval_and_gate(cli: Cli, new_workspace: Path) -> None:
    code, out, _ = cli("eval", "--limit", "30", "-q")
    assert code == 0
    assert re.search(r"solve on sums \(search\): 0\.\d+ \[0\.\d+, 0\.\d+\] on \d+ examples", out)
    code, out, err = cli("eval", "--limit", "30", "-q", "--gate", "0.99", "--json")
    assert code == 3
    assert "gate not met" in err
    assert json.loads(out)["summary"]["n"] > 0


def test_optimize_ends_with_a_test_and_writes_best(optimized: Path) -> None:
    best = json.loads((optimized / "runs" / "first" / "best" / "candidate.json").read_text())
    assert best["values"] != best["baseline"]
    assert best["claim"].startswith("better")
    assert (optimized / "runs" / "first" / "best" / "solver.md").is_file()


def test_progress_is_plain_lines_when_not_a_terminal(cli: Cli, new_workspace: Path) -> None:
    code, out, err = cli("optimize", "--steps", "1", "--optimizer", "paraphrase", "--json")
    assert code == 0
    assert json.loads(out)["status"] == "finished"
    assert "\x1b" not in err
    assert err.index("examples:") < err.index("baseline ") < err.index("step 1"), "the forecast comes first"


def test_compare_pairs_two_runs(cli: Cli, done: Path) -> None:
    code, out, _ = cli("compare", "first@baseline", "first")
    assert code == 0
    assert out.startswith("a: first (baseline: solve on sums")
    assert re.search(r"b against a, test examples: better: .* McNemar p", out)
    code, out, _ = cli("compare", "first@baseline", "first", "--split", "search", "--json")
    (found,) = json.loads(out)["comparisons"]
    assert (code, found["split"], found["b"]["which"]) == (0, "search", "best")
    assert found["notes"]
    code, _, err = cli("compare", "first", "frist")
    assert code == 2
    assert "did you mean 'first'" in err


def test_dry_run_calls_nothing(cli: Cli, new_workspace: Path) -> None:
    code, out, _ = cli("optimize", "--dry-run")
    assert code == 0
    assert "parameters: solver" in out
    assert "least needed" in out
    assert not (new_workspace / "runs").exists()


def test_dry_run_refuses_what_a_run_would_refuse_and_prices_are_given_by_model(cli: Cli, new_workspace: Path) -> None:
    code, _, err = cli("optimize", "--dry-run", "--model", "openai/no-such-model", "--budget", "usd=5")
    assert code == 2
    assert "the price of openai/no-such-model is not known" in err or "OPENAI_API_KEY" in err
    code, out, err = cli(
        "optimize", "--dry-run", "--model", "http://127.0.0.1:9/v1#m", "--budget", "usd=50",
        "--prices", "http://127.0.0.1:9/v1#m=[1,2]",
    )  # fmt: skip
    assert code == 0, err
    assert "usd" in out


def test_a_budget_that_ends_before_an_improvement_is_exit_code_4(cli: Cli, new_workspace: Path) -> None:
    (new_workspace / "scripted.py").write_text("def beginner(request):\n    return 'no idea'\n")
    code, out, _ = cli("optimize", "-q", "--budget", "calls=280", "--optimizer", "random", "--patience", "99")
    assert code == 4
    assert "the search budget ended" in out


# -- looking -------------------------------------------------------------------------------------------------------


def test_show_tells_result_steps_change_and_graph(cli: Cli, done: Path) -> None:
    code, out, _ = cli("show")
    assert code == 0
    for said in ("test: better", "incumbent", "solver, as the run found it:", "<- output", "p:solver"):
        assert said in out, said
    record = json.loads(cli("show", "first", "--json")[1])
    assert record["claim"]["n"] > 0
    assert record["steps"]
    assert record["config"]["graph"] == "solve"


@pytest.mark.parametrize(
    ("form", "has"), [("mermaid", "solver"), ("dot", "digraph"), ("svg", "<svg"), ("json", '"nodes"')]
)
def test_show_draws(cli: Cli, done: Path, form: str, has: str) -> None:
    code, out, _ = cli("show", "--graph", form)
    assert code == 0
    assert has in out
    code, out, _ = cli("show", "--graph", form, "--candidate", "baseline", "--out", f"pictures/g.{form}")
    assert code == 0
    assert has in (done / "pictures" / f"g.{form}").read_text()


def test_runs_lists_them(cli: Cli, done: Path) -> None:
    (done / "runs" / "torn").mkdir()
    (done / "runs" / "torn" / "run.sqlite").write_bytes(b"not a database at all" * 100)
    rows = {row["name"]: row for row in json.loads(cli("runs", "--json")[1])}
    assert rows["first"]["score_best"] > rows["first"]["score_baseline"]
    assert rows["torn"]["status"] == "damaged"
    assert cli("runs")[0] == 0


def test_apply_shows_the_diff_then_writes(cli: Cli, done: Path) -> None:
    before = (done / "prompts" / "solver.md").read_text()
    code, out, _ = cli("apply", "--dry-run")
    assert code == 0
    assert "-Solve this problem." in out
    assert (done / "prompts" / "solver.md").read_text() == before
    code, out, _ = cli("apply")
    assert code == 0
    after = (done / "prompts" / "solver.md").read_text()
    assert after.split("---")[1] == before.split("---")[1], "front matter is kept"
    assert after.split("---")[2] != before.split("---")[2]
    code, out, _ = cli("apply")
    assert "has the new text already" in out
    (done / "prompts" / "solver.md").write_text("edited by hand: {{problem}}\n")
    code, _, err = cli("apply")
    assert code == 2
    assert "--force" in err
    assert "edited by hand" in (done / "prompts" / "solver.md").read_text()
    assert cli("apply", "--force")[0] == 0
    assert "edited by hand" not in (done / "prompts" / "solver.md").read_text()


def test_apply_writes_what_was_not_shown_to_be_better_only_when_told(cli: Cli, done: Path) -> None:
    before = (done / "prompts" / "solver.md").read_text()
    code, out, err = cli("optimize", "-q", "--name", "small", "--optimizer", "optoprime", "--limit", "10")
    assert code == 0, err
    assert "test: cannot be shown" in out
    code, out, _ = cli("apply", "small", "--dry-run", "--json")
    assert (code, json.loads(out)["improved"]) == (0, False)
    code, out, err = cli("apply", "small")
    assert code == 2
    assert "cannot be shown" in out and "no test has shown" in err and "--unproven" in err
    assert (done / "prompts" / "solver.md").read_text() == before
    assert cli("apply", "small", "--unproven")[0] == 0
    assert (done / "prompts" / "solver.md").read_text() != before


def test_the_best_values_can_be_run_and_scored(cli: Cli, done: Path) -> None:
    assert cli("run", "solve", "17 + 25", "--run", "first")[1] == "42\n"
    code, out, _ = cli("eval", "-q", "--values", "first", "--split", "validation", "--gate", "0.9")
    assert (code, "(validation): 1.000" in out) == (0, True)


def test_resume_of_a_finished_run_asks_nothing(cli: Cli, done: Path) -> None:
    (done / "scripted.py").write_text("def beginner(request):\n    raise RuntimeError('asked')\n")
    code, out, _ = cli("resume", "first")
    assert code == 0
    assert "test: better" in out


def test_cache(cli: Cli, done: Path) -> None:
    assert json.loads(cli("cache", "stats", "--json")[1])["entries"] >= 0
    assert "forgotten" in cli("cache", "clear")[1]
    assert json.loads(cli("cache", "stats", "--json")[1])["entries"] == 0


def test_doctor_never_shows_a_key(cli: Cli, new_workspace: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-very-secret")
    code, out, err = cli("doctor", "--json")
    assert code == 0
    assert "very-secret" not in out + err
    found = {f["name"]: f for f in json.loads(out)}
    assert found["OPENAI_API_KEY"]["detail"] == "set"
    assert found["ANTHROPIC_API_KEY"]["detail"] == "not set"
    assert all(f["fix"] for f in found.values() if f["state"] == "missing")
    assert cli("doctor")[0] == 0


# -- Ctrl-C --------------------------------------------------------------------------------------------------------

WAITS = """
import time
from pathlib import Path

from agentopt.llm.types import Request

HERE = Path(__file__).parent


def beginner(request: Request):
    (HERE / "asked").touch()
    while not (HERE / "go").exists():
        time.sleep(0.02)
    return "no idea"
"""


@pytest.mark.timeout(300)
def test_ctrl_c_saves_and_names_the_resume_command(new_workspace: Path) -> None:
    (new_workspace / "scripted.py").write_text(WAITS)
    command = [sys.executable, "-m", "agentopt", "optimize", "--name", "cut", "-j", "1", "--no-cache"]
    process = subprocess.Popen(command, cwd=new_workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    while not (new_workspace / "asked").exists():  # the run is under way: it waits for its first answer
        assert process.poll() is None, process.communicate()
        time.sleep(0.05)
    process.send_signal(signal.SIGINT)
    (new_workspace / "go").touch()
    out, err = process.communicate(timeout=120)
    assert process.returncode == 130, err
    assert "agentopt resume cut" in out + err
    assert "Traceback" not in err
    command = [sys.executable, "-m", "agentopt", "resume", "cut", "-q"]
    ran = subprocess.run(command, cwd=new_workspace, capture_output=True, text=True, timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    assert "no improvement shown" in ran.stdout


@pytest.mark.parametrize("began", [True, False])
def test_an_interrupt_before_a_run_has_begun_leaves_nothing_to_resume(
    began: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)

    def work() -> None:
        with interrupted("runs"), begun(Path("runs/cut")), Store("runs/cut") as store:
            if began:
                store.append_now("run.started", {})
            raise KeyboardInterrupt

    with pytest.raises(typer.Exit) as ended:
        work()
    assert ended.value.exit_code == 130
    told = "`agentopt resume cut` goes on" if began else "nothing was begun"
    assert capsys.readouterr().err == f"interrupted: {told}\n"
    assert Path("runs/cut").exists() is began


@pytest.mark.parametrize("said", ["agentopt.toml", "environment"])
def test_every_command_looks_for_runs_where_they_are_made(
    cli: Cli, new_workspace: Path, monkeypatch: pytest.MonkeyPatch, said: str
) -> None:
    if said == "environment":
        monkeypatch.setenv("AGENTOPT_RUNS_DIR", "elsewhere")
    else:
        settings = new_workspace / "agentopt.toml"
        settings.write_text(settings.read_text().replace("[run]", '[run]\nruns_dir = "elsewhere"'))
    assert cli("eval", "--limit", "4", "--budget", "calls=2", "-q", "--name", "first")[0] == 4
    assert cli("eval", "--limit", "4", "-q", "--name", "second")[0] == 0
    assert [path.name for path in (new_workspace / "elsewhere").glob("*/run.sqlite")] == ["run.sqlite"] * 2
    assert cli("resume", "first", "--add-budget", "calls=2", "-q")[0] == 0
    for command in ("show first", "runs", "compare first second", "report first", "replay first"):
        code, out, err = cli(*command.split())
        assert (code, "first" in out + err) == (0, True), (command, out, err)
    assert cli("rescore", "first", "-q")[0] == 0
    assert cli("show", "first", "--runs-dir", "runs")[0] == 2, "what is given goes before what is said"
    assert not (new_workspace / "runs").exists()
