"""``kill -9`` at any moment of a synthesis: no committed answer is asked again, and the data set is the same."""

from __future__ import annotations

import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import pytest

from agentopt.problems import generate
from agentopt.problems.dataset import OBJECTIVE, read_dataset
from agentopt.problems.programs import program

pytest.importorskip("pyscipopt")
PROGRAM = textwrap.dedent(
    """
    import sys

    import agentopt
    from agentopt.run.synthesis import SynthesisOptions, synthesize

    if __name__ == "__main__":
        what, folder, url = sys.argv[1:]
        if what == "start":
            knobs = SynthesisOptions(kind="linear", singles=1, pairs=0, draws=6, round_size=2, threshold=0.95,
                                     program_seconds=60)
            synthesize(knobs, model=url, runs_dir=folder, name="run", cache=False, max_connections=4,
                       budget="calls=500")
        else:
            agentopt.resume("run", runs_dir=folder)
    """
)
POOL = generate(6, seed=78, scenarios=["production", "diet", "cutting"], levels=["easy"])
KNOWN: dict[str, tuple[str, str]] = {}
for _p in POOL:
    for _n in range(1, _p.demonstration.constraints + 1):
        _s = _p.demonstration.prefix(_n)
        _limits = tuple(line for part in _s.parts[2:] for line in part.formal)
        _f = _p.formulation.model_copy(update={"constraints": _limits, "objective_meaning": OBJECTIVE})
        KNOWN[_s.text] = (" ".join(_s.plain.split()), program(_f))


def reply(body: dict[str, Any]) -> str:
    """A function of the request alone."""
    text = str(body["messages"][-1]["content"])
    if "Write one new demonstration" in text:
        return POOL[int(body["seed"]) % len(POOL)].demonstration.text
    question, code = KNOWN[text[text.index("## Define Variables:") : text.index("\n\nWrite ")]]
    if "Write a Python program" in text:
        return f"```python\n{code}```"
    return question + ("\n\n| A | B |\n| --- | --- |\n| one | 1 |" if "Markdown table" in text else "")


def start(folder: Path, what: str, url: str) -> subprocess.Popen[str]:
    place = folder / "program.py"
    place.write_text(PROGRAM)
    command = [sys.executable, str(place), what, str(folder / "runs"), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=folder)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_killed_again_and_again_it_makes_the_same_data_set(kill_again_and_again: Any) -> None:
    whole, cut = kill_again_and_again(reply, start, seed=5, part=4)
    told = [
        [(r.id, r.question, r.answers, r.program) for r in read_dataset(folder / "runs" / "run" / "dataset.jsonl")]
        for folder in (whole, cut)
    ]
    assert told[0] == told[1] and len(told[0]) >= 4
