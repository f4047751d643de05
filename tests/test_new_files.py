"""A new optimizer, task, graph and prompt: one file each in a fresh workspace, found, checked and run."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

Cli = Callable[..., tuple[int, str, str]]

PROMPT = """---
name: doubler
description: how a number is put to the model
constraint: keep {{twice}} exactly once
---
Work this out.

{{twice}}
"""

GRAPH = '''
from agentopt import graph, llm, node, prompt

DOUBLER = prompt("doubler")


@node
def spelled(number: int) -> str:
    """A number plus itself."""
    return f"{number} + {number}"


@graph
def doubling(number: int) -> str:
    """Double a number, with a model that can only add."""
    return llm(DOUBLER, twice=spelled(number)).strip()
'''

TASK = '''
from agentopt import Example, task
from agentopt.evaluate import exact


@task
def doubles(n: int = 60):
    """Double the number. The answer is the number alone."""
    return [Example(input={"number": i}, target=str(2 * i), group="even" if i % 2 == 0 else "odd")
            for i in range(10, 10 + n)], exact()
'''

OPTIMIZER = '''
from agentopt import Candidate, Proposal


class Endings:
    """Puts one of a few sentences in front of every text."""

    name = "endings"

    def __init__(self, sentences: str = "Be quick.|Check the carry, answer with the number only."):
        self.left = sentences.split("|")

    async def ask(self, view, n):
        now, self.left = self.left[:n], self.left[n:]
        texts = {k: spec.value for k, spec in view.parameters.items() if spec.kind == "text"}
        return [
            Proposal(candidate=Candidate(values={k: f"{said} {text}" for k, text in texts.items()}), operator="ending")
            for said in now
        ]

    def tell(self, outcomes):
        pass

    def state(self):
        return {"left": self.left}

    def load(self, state):
        self.left = state["left"]
'''

FILES = {
    "prompts/doubler.md": PROMPT,
    "graphs/doubling.py": GRAPH,
    "tasks/doubles.py": TASK,
    "optimizers/endings.py": OPTIMIZER,
}
COMMAND = ("optimize", "doubling", "--task", "doubles", "--optimizer", "endings", "--name", "new", "--patience", "2")


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Cli) -> Path:
    """A workspace made by ``agentopt init``, with the four files."""
    monkeypatch.chdir(tmp_path)
    assert cli("init", "mine")[0] == 0
    monkeypatch.chdir(tmp_path / "mine")
    for name, text in FILES.items():
        assert not Path(name).exists()
        Path(name).write_text(text)
    return tmp_path / "mine"


def test_one_file_each_is_found_checked_and_run(cli: Cli, place: Path) -> None:
    rows = {(r["kind"], r["name"]): r for r in json.loads(cli("list", "--json")[1]) if r["source"] == "yours"}
    assert rows.keys() >= {
        ("prompt", "doubler"), ("graph", "doubling"), ("task", "doubles"), ("optimizer", "endings"),
    }  # fmt: skip
    assert rows["optimizer", "endings"]["about"] == "Puts one of a few sentences in front of every text."
    assert rows["optimizer", "endings"]["ref"] == "optimizers/endings.py@Endings"
    code, out, _ = cli("check")
    assert code == 0
    assert "2 graphs, 2 tasks, 2 prompts, 1 evals, 1 optimizers; no problems" in out
    code, out, err = cli(*COMMAND)
    assert code == 0, err
    assert "test: better" in out
    best = json.loads((place / "runs" / "new" / "best" / "candidate.json").read_text())
    assert best["values"]["doubler"].startswith("Check the carry, answer with the number only. Work this out.")
    code, out, _ = cli("eval", "doubling", "--task", "doubles", "--values", "new", "-q")
    assert code == 0
    assert "group even" in out
    assert "1.000" in out
    assert cli("resume", "new")[0] == 0
    code, out, _ = cli("replay", "new")
    assert (code, "clean" in out) == (0, True)
    assert cli("apply", "new")[0] == 0
    assert "Check the carry, answer with the number only." in (place / "prompts" / "doubler.md").read_text()


def test_a_run_keeps_the_optimizers_file(cli: Cli, place: Path) -> None:
    assert cli(*COMMAND, "-q")[0] == 0
    (place / "optimizers" / "endings.py").write_text(OPTIMIZER.replace("Be quick.", "Be slow."))
    assert cli("replay", "new", "--trust")[0] == 0, "the stored file is executed"
    code, out, _ = cli("replay", "new", "--code", "current")
    assert code != 0
    assert "Be quick." in out


@pytest.mark.parametrize(
    "name", ["./optimizers/endings.py", "./optimizers/endings.py@endings", "./optimizers/endings.py@Endings",
             "endings@endings"],
)  # fmt: skip
def test_an_optimizer_can_be_named_by_its_file(cli: Cli, place: Path, name: str) -> None:
    code, _, err = cli("optimize", "doubling", "--task", "doubles", "--optimizer", name, "--steps", "1", "-q")
    assert code == 0, err


def test_its_options_are_checked_and_its_name_goes_first(cli: Cli, place: Path) -> None:
    code, out, _ = cli(*COMMAND, "-q", "--optimizer-arg", "sentences=Check the carry, answer with the number only.")
    assert (code, "test: better" in out) == (0, True)
    command = (*COMMAND[:6], "--name", "other")
    code, _, err = cli(*command, "--optimizer-arg", "sentence=x")
    assert code == 2
    assert "did you mean 'sentences'" in err
    code, _, err = cli("optimize", "--optimizer", "ending")
    assert code == 2
    assert "did you mean 'endings'" in err
    mine = OPTIMIZER.replace('name = "endings"', 'name = "random"')
    (place / "optimizers" / "mine.py").write_text(mine)
    rows = [r for r in json.loads(cli("list", "optimizers", "--json")[1]) if r["name"] == "random"]
    assert [r["source"] for r in rows] == ["yours", "built-in"]
    assert rows[1]["shadowed_by"] == "yours: optimizers/mine.py@Endings"
    assert cli("optimize", "--optimizer", "random", "--name", "mine", "--patience", "1", "-q")[0] == 0
    best = json.loads((place / "runs" / "mine" / "best" / "candidate.json").read_text())
    assert best["values"]["solver"].startswith("Check the carry, answer with the number only.")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ('class Half:\n    name = "half"\n    def ask(self, view, n): ...\n', "it has no tell, state, load"),
        ('class Needs:\n    name = "needs"\n    def __init__(self, x): ...\n    def ask(self, view, n): ...\n', "'x'"),
        ('import nothere\nclass Torn:\n    name = "torn"\n    def ask(self, view, n): ...\n', "nothere"),
    ],
)  # fmt: skip
def test_check_says_what_is_wrong_with_an_optimizer(cli: Cli, place: Path, text: str, says: str) -> None:
    (place / "optimizers" / "bad.py").write_text(text)
    code, out, _ = cli("check")
    assert code == 1
    assert "optimizers/bad.py" in out
    assert says in out


def test_the_scripted_model_keeps_the_placeholders_of_any_prompt(cli: Cli, place: Path) -> None:
    """The greeter of the quick start, whose prompt has a placeholder of its own."""
    Path("prompts/greeter.md").write_text("Greet {{name}}.\n")
    Path("graphs/greeter.py").write_text(
        "from agentopt import graph, prompt, render\n\nGREETER = prompt('greeter')\n\n\n"
        "@graph\ndef greeter(name: str) -> str:\n    return render(GREETER, name=name)\n"
    )
    Path("tasks/polite.py").write_text(
        "from agentopt import Example, task\nfrom agentopt.evaluate import contains\n\n\n"
        "@task\ndef polite(n: int = 30):\n"
        '    """Greet politely: the answer must hold the word Dear and the name."""\n'
        "    return [Example(input={'name': f'P{i}'}, target=f'Dear P{i}') for i in range(n)], contains()\n"
    )
    for optimizer in ("optoprime", "random"):
        code, out, err = cli("optimize", "greeter", "--task", "polite", "--optimizer", optimizer, "-q")
        assert code == 0, err
        assert "test: better" in out, optimizer


# -- what an example's keys mean -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signature", "body", "input", "says"),
    [
        ("name: str", "name", "{'who': f'Ada{i}'}",
         "wrong takes name, the examples have who: rename one side, or annotate name as dict to get the whole input"),
        ("name", "name", "{'who': f'Ada{i}'}", "annotate name as dict"),
        ("name, tone='plain'", "name", "{'tone': f'warm{i}'}", "takes name, tone=..., the examples have tone"),
        ("name, tone", "name", "{'name': f'Ada{i}'}", "takes name, tone, the examples have name"),
        ("name, tone", "name", "f'Ada{i}'", "takes name, tone, the examples have one str: give a dict with a key"),
        ("", "'x'", "f'Ada{i}'", "takes nothing, the examples have one str"),
    ],
)  # fmt: skip
def test_keys_that_fit_no_argument_are_refused_before_anything_runs(
    cli: Cli, place: Path, signature: str, body: str, input: str, says: str
) -> None:
    Path("graphs/wrong.py").write_text(
        f"from agentopt import Parameter, graph\n\nP = Parameter('a', name='p')\n\n\n"
        f"@graph\ndef wrong({signature}):\n    return P + {body}\n"
    )
    Path("tasks/odd.py").write_text(
        "from agentopt import Example, task\nfrom agentopt.evaluate import exact\n\n\n"
        f"@task\ndef odd():\n    return [Example(input={input}, target=i) for i in range(20)], exact()\n"
    )
    for command in ("eval", "optimize"):
        code, _, err = cli(command, "wrong", "--task", "odd")
        assert code == 2
        assert says in err
    assert not list(place.glob("runs/*"))


@pytest.mark.parametrize("hint", ["dict", "dict[str, str]", "'Mapping[str, str]'", "dict | None", "Any"])
def test_a_graph_whose_one_argument_is_a_dict_gets_the_whole_input(cli: Cli, place: Path, hint: str) -> None:
    Path("graphs/whole.py").write_text(
        "from collections.abc import Mapping\nfrom typing import Any\n\nfrom agentopt import Parameter, graph\n\n"
        f"P = Parameter('a', name='p')\n\n\n@graph\ndef whole(row: {hint}):\n    return P + row['who']\n"
    )
    Path("tasks/odd.py").write_text(
        "from agentopt import Example, task\nfrom agentopt.evaluate import exact\n\n\n"
        "@task\ndef odd():\n    return [Example(input={'who': 'b', 'n': i}, target='ab') for i in range(20)], exact()\n"
    )
    code, out, _ = cli("eval", "whole", "--task", "odd", "-q")
    assert (code, "1.000" in out) == (0, True)
