"""Runs that train code, from the command line: a claim, a replay, a report, and a diff of the source."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from agentopt.run.files import open_run

Cli = Callable[..., tuple[int, str, str]]

GRAPH = '''"""Squares."""

from agentopt import graph, trainable


@trainable(description="the square of a number")
def square(x: int) -> int:
    return x + x


@graph
def squared(x: int) -> int:
    return square(x)
'''
TASK = """from agentopt import Example, Task, exact, task


@task
def squares() -> Task:
    examples = [Example(id=str(i), input={"x": i}, target=i * i) for i in range(3, 63)]
    return Task(name="squares", examples=examples, scorer=exact())
"""


@pytest.fixture
def squares(new_workspace: Path) -> Path:
    (new_workspace / "graphs" / "square.py").write_text(GRAPH)
    (new_workspace / "tasks" / "squares.py").write_text(TASK)
    return new_workspace


def test_optimize_report_replay_apply(squares: Path, cli: Cli) -> None:
    import agentopt
    from agentopt.testing import ScriptedLLM

    source = "import math\n\n\ndef square(x: int) -> int:\n    return int(math.pow(x, 2))"
    bad = "def square(x: int) -> int:\n    return y * x"

    def answer(request: object) -> str:
        import json

        text = str(request)
        value = source if "return y * x" in text else bad
        return json.dumps({"reasoning": "r", "suggestion": {"square.code": value}, "square.code": value})

    client = ScriptedLLM(answer)
    result = agentopt.optimize(
        "squared", task="squares", optimizer="optoprime", optimizer_args={"reasoning": False}, optimizer_model=client,
        budget="calls=400", steps=4, proposals=1, progress=False, name="code",
    )  # fmt: skip
    assert result.claim is not None and result.claim.verdict == "better", result
    assert "math.pow" in str(result.best.values["square.code"])
    with open_run(Path("runs") / "code") as run:
        (place,) = run.events("sandbox")
        assert place.data["weak"] is False
    code, out, err = cli("report", "code")
    assert code == 0, out + err
    assert "math.pow" in next((Path("runs") / "code").glob("*.html")).read_text(encoding="utf-8")
    assert agentopt.load("runs/code")(x=7) == 49
    code, out, _ = cli("apply", "code", "--dry-run")
    assert code == 0 and "-    return x + x" in out and "+    return int(math.pow(x, 2))" in out
    code, out, err = cli("apply", "code")
    assert code == 0, out + err
    text = (squares / "graphs" / "square.py").read_text()
    assert '@trainable(description="the square of a number")\ndef square(x: int) -> int:\n    return int(' in text
    assert "import math" in text and text.endswith("    return square(x)\n")


MODEL = """
def coder(request):
    text = str(request)
    value = "def square(x: int) -> int:\\n    return y * x"
    if "return y * x" in text:
        value = "import math\\n\\n\\ndef square(x: int) -> int:\\n    return int(math.pow(x, 2))"
    return {"reasoning": "r", "suggestion": {"square.code": value}}
"""


@pytest.mark.timeout(400)
def test_the_command_line_trains_and_replays_code(squares: Path, cli: Cli) -> None:
    (squares / "scripted.py").write_text(MODEL)
    code, out, err = cli(
        "optimize", "squared", "--task", "squares", "--model", "scripted/coder", "--budget", "evaluations=400",
        "--proposals", "1", "--name", "line", "--quiet",
    )  # fmt: skip
    assert code == 0, out + err
    assert "test: better: 1.00 against 0.00" in out, out
    code, out, err = cli("replay", "line")
    assert code == 0 and "clean:" in out, out + err
    code, out, err = cli("report", "line")
    assert code == 0, out + err
    page = (Path("runs") / "line" / "report.html").read_text(encoding="utf-8")
    assert "math.pow" in page
    code, out, _ = cli("apply", "line", "--dry-run")
    assert code == 0 and "-    return x + x" in out and "+    return int(math.pow(x, 2))" in out


FOREST = """
import re


def coder(request):
    path, draw = str(request.address.path if request.address else ""), request.seed or 0
    if "/scatter/" in path:
        return {"reflection": "r", "ideas": [f"Multiply, plan {draw % 5}.", f"Add in a loop, plan {draw % 7}."]}
    if "/scout/" in path:
        return {"insights": [f"Lesson {draw % 97}."]}
    bodies = ["print('got', x)\\n    return 3 * x", "return x * x", "return x ** x", "raise ValueError(x)"]
    return {"suggestion": {"square.code": "def square(x: int) -> int:\\n    " + bodies[draw % 4]}}
"""


@pytest.mark.timeout(400)
def test_scattered_forest_search_trains_code_from_the_command_line(squares: Path, cli: Cli) -> None:
    (squares / "scripted.py").write_text(FOREST)
    code, out, err = cli(
        "optimize", "squared", "--task", "squares", "--optimizer", "sfs", "--optimizer-arg", "seeds=2", "--model",
        "scripted/coder", "--budget", "evaluations=600", "--proposals", "3", "--name", "forest", "--quiet",
    )  # fmt: skip
    assert code == 0, out + err
    assert "test: better: 1.00 against 0.00" in out, out
    with open_run(Path("runs") / "forest") as run:
        assert [e.data["weak"] for e in run.events("sandbox")] == [False]
        sent = [str(e.data["address"]) for e in run.events("call.sent")]
        assert run.best() is not None and "x * x" in str(run.best().values["square.code"])  # type: ignore[union-attr]
    assert any("sfs/" in address for address in sent)
    code, out, err = cli("replay", "forest")
    assert code == 0 and "clean:" in out, out + err
    code, out, _ = cli("apply", "forest", "--dry-run")
    assert code == 0 and "+    return x * x" in out


PRINTING = GRAPH.replace("    return x + x", "    print('doubling', x)\n    return x + x")


@pytest.mark.timeout(400)
def test_prints_and_a_weak_sandbox_are_shown(squares: Path, cli: Cli, monkeypatch: pytest.MonkeyPatch) -> None:
    import dataclasses

    from agentopt.sandbox.served import ServedSandbox

    whole = ServedSandbox.isolation
    gone = {"landlock": "the kernel has none"}
    monkeypatch.setattr(
        ServedSandbox, "isolation", property(lambda self: dataclasses.replace(whole.fget(self), lacking=gone))
    )  # fmt: skip
    (squares / "graphs" / "square.py").write_text(PRINTING)
    (squares / "scripted.py").write_text(MODEL)
    code, out, err = cli(
        "optimize", "squared", "--task", "squares", "--model", "scripted/coder", "--budget", "evaluations=400",
        "--steps", "1", "--proposals", "1", "--name", "weak", "--allow-weak-sandbox", "--quiet",
    )  # fmt: skip
    assert code == 0, out + err
    code, out, _ = cli("show", "weak", "--candidate", "baseline")
    assert code == 0 and "weak sandbox: local, without landlock: the kernel has none" in out, out
    assert "printed: doubling" in out, out
    with open_run(Path("runs") / "weak") as run:
        baseline = run.baseline()
        assert baseline is not None and run.graph(run.outcomes(baseline.id)[0]).printed.startswith("printed:\ndoubling")  # type: ignore[union-attr]
    code, out, err = cli("report", "weak")
    assert code == 0, out + err
    page = (Path("runs") / "weak" / "report.html").read_text(encoding="utf-8")
    assert "weak isolation" in page and "the kernel has none" in page and "doubling" in page
