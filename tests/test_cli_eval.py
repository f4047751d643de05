"""``agentopt eval`` and ``agentopt compare`` as a person uses them, offline with the scripted model."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import agentopt
from agentopt.run.files import open_run
from agentopt.store import Store, blob_id

Cli = Callable[..., tuple[int, str, str]]

GONE = """
from pathlib import Path

from agentopt.errors import LLMError


def beginner(request):
    Path("asked").open("a").write("x")
    text = str(request.messages[-1].content)
    if Path("gone").exists() and any(f"{i}7 + " in text for i in range(10)):
        return LLMError("the model is gone")
    return "42"
"""


@pytest.fixture
def mending(new_workspace: Path) -> Path:
    """A workspace whose model is gone for some examples, as long as there is a file ``gone``."""
    (new_workspace / "scripted.py").write_text(GONE)
    (new_workspace / "gone").touch()
    return new_workspace


def asked(place: Path) -> int:
    return len((place / "asked").read_text())


def test_the_table_has_splits_costs_and_repeats(cli: Cli, new_workspace: Path) -> None:
    code, out, err = cli("eval", "--limit", "30", "--repeats", "2", "--split", "all")
    assert code == 0
    assert "60 evaluations of 30 examples, 2 times each" in err
    assert re.search(r"^solve on sums \(all\): 0\.\d+ \[0\.\d+, 0\.\d+\] on 30 examples$", out, re.MULTILINE)
    for name, n in (("all", 30), ("split search", 12), ("split validation", 6), ("split test", 12)):
        assert re.search(rf"^{name} +\d\.\d+  \[.*\] +{n} +{2 * n} ", out, re.MULTILINE), out
    assert "of 30 examples run 2 times:" in out
    assert "spent by agent: 60 calls, 60 evaluations" in out


def test_json_has_everything(cli: Cli, new_workspace: Path) -> None:
    found = json.loads(cli("eval", "--limit", "20", "-q", "--json", "--seed", "3")[1])
    assert (found["status"], found["complete"], found["planned"]) == ("evaluated", True, 20)
    assert [row["name"] for row in found["rows"]] == ["all"]
    assert len(found["outcomes"]) == found["rows"][0]["n_ok"] == 20
    assert found["config"]["seed"] == 3
    assert found["spend"]["agent"]["calls"] == 20


@pytest.mark.parametrize("split", ["search", "validation", "test", "all"])
def test_a_limit_counts_examples_of_the_split_that_is_evaluated(cli: Cli, new_workspace: Path, split: str) -> None:
    """Also when it goes on, and when it is replayed."""
    code, out, err = cli("eval", "--limit", "7", "--split", split, "--name", "e", "--budget", "calls=5", "-q")
    assert (code, "5 of 7 evaluations are done" in out) == (4, True), err
    code, out, err = cli("eval", "--resume", "e", "--limit", "7", "--add-budget", "calls=9", "-q", "--json")
    assert code == 0, err
    ended = json.loads(out)
    assert (ended["planned"], len(ended["outcomes"])) == (7, 7)
    assert {o["split"] for o in ended["outcomes"]} == ({"search", "validation", "test"} if split == "all" else {split})
    assert cli("replay", "e")[0] == 0


def test_an_evaluation_of_an_older_version_goes_on_with_the_examples_that_it_began_with(new_workspace: Path) -> None:
    """Its limit counted examples of all splits, and its log does not say of what."""
    done = agentopt.evaluate("solve", task="sums", limit=20, budget="calls=3", progress=False)
    splits = agentopt.load_task("sums").splits(limit=20)
    with open_run(done.dir) as run, Store(new_workspace / "runs" / "old") as old:
        assert run.started["limit_of"] == "search"
        began = {k: v for k, v in run.started.items() if k != "limit_of"}
        blobs = {n: json.dumps([e.model_dump(mode="json") for e in splits[n]]).encode() for n in began["splits"]}
        began["splits"] = {
            n: {"n": len(splits[n]), "hash": splits.hash(n), "examples": blob_id(blobs[n])} for n in blobs
        }
        old.append_now("run.started", began, list(blobs.values()))
    again = agentopt.resume("old", add_budget="calls=20", progress=False)
    assert (again.planned, len(again.outcomes)) == (8, 8)


def test_too_many_errors_stop_it_with_5_and_only_they_are_tried_again(cli: Cli, mending: Path) -> None:
    code, out, err = cli("eval", "--name", "e", "--fail-on-error", "0", "-j", "1")
    assert code == 5
    assert "more than --fail-on-error allows: stopped" in err
    assert "agentopt eval --resume e --retry-errors" in out
    before = asked(mending)
    assert cli("eval", "--resume", "e")[0] == 5
    assert asked(mending) == before
    (mending / "gone").unlink()
    code, out, _ = cli("eval", "--resume", "last", "--retry-errors", "--json")
    found = json.loads(out)
    assert (code, found["summary"]["n"], found["summary"]["n_infra"]) == (0, 36, 0)
    assert asked(mending) == 36 + 2, "only the lost one was asked again, after its two tries before"
    code, out, _ = cli("resume", "e", "-q")
    assert (code, "on 36 examples" in out) == (0, True)
    assert cli("replay", "e")[0] == 0


def test_an_evaluation_without_any_score_is_not_a_success(cli: Cli, new_workspace: Path) -> None:
    (new_workspace / "scripted.py").write_text(GONE.replace('any(f"{i}7 + " in text for i in range(10))', "True"))
    (new_workspace / "gone").touch()
    code, out, _ = cli("eval", "-q")
    assert code == 5
    assert "no score (36 cells lost to infrastructure errors" in out


def test_a_budget_that_ends_is_exit_code_4_and_more_of_it_goes_on(cli: Cli, mending: Path) -> None:
    (mending / "gone").unlink()
    code, out, err = cli("eval", "--name", "e", "--budget", "calls=10")
    assert (code, asked(mending)) == (4, 10)
    assert "the budget of 10 calls pays for about 10 of them" in err
    assert "10 of 36 evaluations are done: the budget ended" in out
    code, _, err = cli("eval", "--resume", "e", "--budget", "calls=99")
    assert code == 2
    assert "--budget: evaluation e was begun otherwise" in err
    assert "more budget is --add-budget" in err
    assert cli("eval", "--resume", "e", "--add-budget", "calls=26")[0] == 0
    assert asked(mending) == 36


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["--retry-errors"], "--retry-errors is for an evaluation that has begun: add --resume"),
        (["--add-budget", "calls=3"], "--add-budget is for an evaluation that has begun"),
        (["--fail-on-error", "1.5"], "give a share of the examples"),
        (["--gate", "90"], "--gate 90: the task's scores go from 0 to 1; give a mean in between"),
        (["--gate", "-0.1"], "--gate -0.1: the task's scores go from 0 to 1"),
        (["--gate", "nan"], "--gate nan: the task's scores go from 0 to 1"),
        (["--resume", "last"], "no evaluation has begun in runs: `agentopt eval` begins one"),
        (["--resume", "nothing"], "no run named 'nothing'"),
        (["--values", "nothing"], "no run named 'nothing'"),
    ],
)
def test_mistakes_are_one_line(cli: Cli, new_workspace: Path, args: list[str], says: str) -> None:
    code, _, err = cli("eval", *args)
    assert (code, len(err.strip().splitlines())) == (2, 1)
    assert says in err
    assert not list(new_workspace.glob("runs/*/run.sqlite"))


def test_it_goes_on_as_it_was_begun(cli: Cli, new_workspace: Path) -> None:
    assert cli("eval", "--name", "e", "--limit", "20", "--split", "test", "-q")[0] == 0
    same = ["--limit", "20", "--split", "test", "--task", "sums"]
    assert cli("eval", "solve", *same, "--resume", "last", "-q")[0] == 0, "the same command again, with --resume"
    assert cli("eval", "--resume", "e", "-j", "2", "-q")[0] == 0, "how many at once is no part of what it is"
    for other in (["--limit", "30"], ["--split", "all"], ["--seed", "1"], ["--values", "e"]):
        code, _, err = cli("eval", "--resume", "e", *other)
        assert code == 2
        assert f"{other[0]}: evaluation e was begun otherwise" in err
    assert cli("optimize", "-q", "--name", "o", "--steps", "1")[0] == 0
    code, _, err = cli("eval", "--resume", "o")
    assert (code, "o is an optimization: `agentopt resume o`" in err) == (2, True)


SLOW = "import time\n\n\ndef beginner(request):\n    time.sleep(0.03)\n    return '42'\n"


@pytest.mark.parametrize("command", [["resume"], ["eval", "--resume", "last"]], ids=" ".join)
def test_ctrl_c_keeps_what_is_paid_and_it_goes_on(new_workspace: Path, command: list[str]) -> None:
    (new_workspace / "scripted.py").write_text(SLOW)
    agentopt = [sys.executable, "-m", "agentopt"]
    process = subprocess.Popen(
        [*agentopt, "eval", "--name", "cut", "-j", "1", "--no-cache", "--repeats", "3"],
        cwd=new_workspace, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip
    deadline = time.monotonic() + 60
    while not (new_workspace / "runs" / "cut" / "run.sqlite").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert process.returncode == 130, err
    assert "Traceback" not in err
    found = re.search(r"(\d+) of 108 evaluations are done: interrupted; `agentopt resume cut` goes on", out)
    assert found is not None
    assert int(found[1]) < 108
    ran = subprocess.run(
        [*agentopt, *command, "--json"], cwd=new_workspace, capture_output=True, text=True, timeout=100, check=False
    )
    assert ran.returncode == 0, ran.stderr
    ended = json.loads(ran.stdout)
    assert (ended["status"], len(ended["outcomes"]), ended["spend"]["agent"]["calls"]) == ("evaluated", 108, 108)


def test_a_gate_that_no_mean_reaches_is_refused_when_it_goes_on(cli: Cli, new_workspace: Path) -> None:
    assert cli("eval", "--name", "e", "--limit", "4", "--budget", "calls=2", "-q", "--gate", "0")[0] == 4
    code, _, err = cli("eval", "--resume", "e", "--gate", "1.01", "--add-budget", "calls=2")
    assert (code, "--gate 1.01: the task's scores go from 0 to 1" in err) == (2, True)


def test_arguments_of_the_task_are_seen_wherever_a_run_is_named(cli: Cli, new_workspace: Path) -> None:
    assert cli("eval", "--limit", "4", "--task-arg", "seed=7", "--task-arg", "n=30", "-q")[0] == 0
    (folder,) = (new_workspace / "runs").iterdir()
    assert re.fullmatch(r"[\d-]+-solve-sums-seed7-n30", folder.name)
    assert cli("optimize", "--task-arg", "seed=9", "--steps", "1", "-q", "--name", "o")[0] == 0
    assert [row["task"] for row in json.loads(cli("runs", "--json")[1])] == ["sums(seed=7, n=30)", "sums(seed=9)"]
    assert "sums(seed=9)" in cli("runs")[1]
    assert "solve on sums(seed=7, n=30) (search): " in cli("show", folder.name)[1]
    assert "solve on sums(seed=9): optimizer" in cli("show", "o")[1]
    assert "(best: solve on sums(seed=9), scripted/beginner)" in cli("compare", "o@baseline", "o")[1]
    assert cli("report", "o")[0] == 0
    assert "<strong>sums(seed=9)</strong>" in (new_workspace / "runs" / "o" / "report.html").read_text()


def test_show_tells_an_evaluation(cli: Cli, new_workspace: Path) -> None:
    assert cli("eval", "--name", "e", "--limit", "20", "-q")[0] == 0
    code, out, _ = cli("show", "e")
    assert code == 0
    assert "solve on sums (search)" in out
    assert "traced; * may change" in out
    assert "no improvement" not in out


# -- compare ---------------------------------------------------------------------------------------------------------


def test_compare_several_by_split_with_examples(cli: Cli, new_workspace: Path) -> None:
    assert cli("optimize", "-q", "--name", "found", "--steps", "2")[0] == 0
    assert cli("eval", "-q", "--name", "before", "--split", "all")[0] == 0
    assert cli("eval", "-q", "--name", "after", "--split", "all", "--values", "found")[0] == 0
    code, out, _ = cli("compare", "before", "after", "found", "--examples")
    assert code == 0
    assert re.search(r"^b +test +36 +0 +0\.\d+ +1\.000 +\+0\.\d+ +\[\+.*\] +\S+ +better$", out, re.MULTILINE)
    assert re.search(r"^c +validation .* none: not a test$", out, re.MULTILINE)
    assert "Holm over 2 comparisons" in out
    assert "The sum of" in out.partition("output of a")[2]
    found = json.loads(cli("compare", "before", "after", "--json")[1])["comparisons"]
    assert [v["split"] for v in found] == ["test", "validation", "search"]
    assert found[0]["claim"]["verdict"] == "better"
    assert found[0]["changed"]
    assert found[1]["claim"] is None


def test_compare_refuses_what_cannot_be_compared(cli: Cli, new_workspace: Path) -> None:
    assert cli("eval", "-q", "--name", "sums")[0] == 0
    assert cli("eval", "-q", "--name", "others", "--task-arg", "seed=7")[0] == 0
    code, _, err = cli("compare", "sums", "others")
    assert (code, "the runs have no common examples" in err) == (2, True)
    code, _, err = cli("compare", "sums")
    assert (code, "name two or more" in err) == (2, True)
    code, _, err = cli("compare", "sums", "others", "--split", "train")
    assert (code, "--split 'train' is none of" in err) == (2, True)


# -- what a newcomer meets -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["../x", "a/b", "/tmp/x", "last", "q@baseline", "..", " "])
def test_a_name_that_is_none_is_refused(cli: Cli, new_workspace: Path, name: str) -> None:
    code, _, err = cli("eval", "--name", name)
    assert code == 2
    assert "a run's name is that of one folder" in err
    assert not (new_workspace / "x").exists()


def test_a_server_that_is_not_there_is_told_with_its_reason(cli: Cli, new_workspace: Path) -> None:
    code, out, _ = cli("eval", "--model", "http://127.0.0.1:9/v1#x", "--limit", "8", "-q")
    assert code == 5
    assert re.search(r"the first that was lost: .*127\.0\.0\.1:9|the first that was lost: .*cannot be reached", out)


def test_a_dry_run_knows_the_optimizer(cli: Cli, new_workspace: Path) -> None:
    assert cli("optimize", "--dry-run", "--optimizer", "opor")[0] == 2
    assert cli("optimize", "--dry-run", "--optimizer", "opro", "--optimizer-arg", "styl=short")[0] == 2
    assert cli("optimize", "--dry-run", "--optimizer", "opro", "--optimizer-arg", "style=short")[0] == 0


def test_a_run_is_not_compared_with_itself_and_runs_tells_its_mean(cli: Cli, new_workspace: Path) -> None:
    assert cli("eval", "--name", "one", "--split", "validation", "-q")[0] == 0
    code, _, err = cli("compare", "one", "last")
    assert code == 2
    assert "a run is not compared with itself" in err
    (row,) = json.loads(cli("runs", "--json")[1])
    assert row["score_baseline"] is not None


def test_a_file_that_does_not_parse_is_told_in_the_list(cli: Cli, new_workspace: Path) -> None:
    (new_workspace / "graphs" / "broken.py").write_text("def broken(:\n")
    code, out, err = cli("list", "graphs")
    assert code == 0
    assert "solve" in out
    assert "graphs/broken.py:1 does not parse" in err
