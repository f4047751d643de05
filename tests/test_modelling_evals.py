"""The evals of optimization problems: pinned, found, and measured once with a scripted model."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentopt import load_task
from agentopt.evaluate.data import missing_files
from agentopt.run.measure import measure
from agentopt.testing import ScriptedLLM
from agentopt.workspace import load_eval

OPTIBENCH = ("optibench", "optibench_zero_shot", "optibench_few_shot")
SETS = ("nl4opt", "mamo_easy", "mamo_complex", "industryor", "nlp4lp", "complexor")


@pytest.mark.parametrize("name", [*OPTIBENCH, *SETS])
def test_an_eval_pins_task_graph_and_decoding(name: str) -> None:
    made = load_eval(name)
    assert (made.split, made.temperature, made.max_tokens, made.repeats) == ("all", 0.0, 2048, 1)
    assert made.published and all(0 <= row.score <= 1 for row in made.published if row.measure != "rounds")
    assert {measure.name for measure in made.measures} >= {"code_pass", "timeout", "not_optimal", "crashed"}


def test_the_papers_rows_are_marked_with_their_protocol() -> None:
    rows = {(r.model, r.measure): r for r in load_eval("optibench_few_shot").published}
    assert rows["GPT-4o", "score"].score == 0.694 and rows["GPT-4o", "code_pass"].score == 0.917
    assert rows["GPT-4o", "nonlinear_table"].n == 50 and "few-shot" in rows["GPT-4o", "score"].protocol
    assert {r.measure for r in load_eval("optibench").published} == {"objective_1e-6"}
    ast = [r for r in load_eval("nl4opt").published if r.measure == "rounds"]
    assert [r.score for r in ast] == [1.38]
    assert "AST, whose count may begin at 1" in ast[0].protocol


@pytest.mark.timeout(600)  # a busy machine takes its time to import the solvers
def test_an_eval_is_measured(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if missing_files("optibench"):
        pytest.skip("NOT TESTED ON THE REAL DATA: optibench is not on this machine; AGENTOPT_DATA names its folder")
    monkeypatch.chdir(tmp_path)
    task = load_task("optibench")
    by_text: dict[str, Any] = {str(e.input["problem"]): e for e in task.examples}  # type: ignore[index]

    def reply(request: Any) -> str:
        example = next(e for text, e in by_text.items() if text in request.messages[-1].content)
        if example.meta["objective"] and int(example.id[10:]) % 2:  # every figure but the objective is right
            figures = {**example.target, example.meta["objective"]: -1.0}
        else:
            figures = example.target
        return f"```python\nimport json\nprint(json.dumps({figures!r}))\n```"

    done = measure("optibench", clients={"m": ScriptedLLM(reply)}, model="m", limit=12)
    assert done.measured is not None
    rows = {row.name: row for row in done.measured.measures}
    assert done.summary.n == 12 and 0 < done.summary.mean < 1
    assert rows["code_pass"].mean == 1.0 and rows["crashed"].mean == 0.0
    assert rows["variables"].mean == 1.0 and rows["objective_1e-4"].mean == pytest.approx(done.summary.mean, abs=0.2)
