"""Prompt files: front matter, placeholders, identity, rewriting."""

from __future__ import annotations

import gc
from pathlib import Path

import pytest

from agentopt.errors import ConstraintError, UnknownName, UsageError
from agentopt.evaluate.data import without_download
from agentopt.workspace import Problem, check, placeholders, prompt, prompt_text, read_prompt, rewrite
from agentopt.workspace.loader import load_file
from agentopt.workspace.prompts import broken_placeholders
from agentopt.workspace.roots import Workspace, builtin_root

TEXT = """---
name: asker
description: how it is asked
constraint: keep {{problem}} exactly once
---

Solve this.

{{problem}}
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "agentopt.toml").write_text("")
    (tmp_path / "prompts" / "agents").mkdir(parents=True)
    (tmp_path / "prompts" / "agents" / "solver.md").write_text(TEXT)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_a_prompt_is_a_parameter_with_words_and_a_place(root: Path) -> None:
    made = prompt("agents/solver")
    assert (made.name, made.kind, made.description) == ("asker", "text", "how it is asked")
    assert made.value == "Solve this.\n\n{{problem}}"
    assert made.constraint == "keep {{problem}} exactly once"
    assert made.path == "prompts/agents/solver.md"
    assert prompt("solver") is made, "agents/ is looked in too, and one file is one parameter"
    assert prompt_text("agents/solver") == made.value


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("{{problem}", [(1, "{{problem}")]),
        ("Solve.\n\n{problem}}\n", [(3, "{problem}}")]),
        ("{{problem", [(1, "{{problem")]),
        ("{{ problem }} {{the problem}} {{a-b}}", [(1, "{{the problem}}"), (1, "{{a-b}}")]),
        ("{{a} and {{b}}", [(1, "{{a}")]),
        ("{{a}} {{ b }} {{{c}}} {d}", []),
        ('{"a": {"b": {}}} {{a}, {b}} \\frac{{x}}{2} {a: {b}}', []),
    ],
)
def test_what_is_no_placeholder_and_looks_like_one(text: str, found: list[tuple[int, str]]) -> None:
    assert broken_placeholders(text) == found


def test_check_tells_broken_placeholders_and_names_that_differ(root: Path) -> None:
    """The first is a problem: a run would go on with the braces. The second is allowed, and surprises."""
    (root / "prompts" / "broken.md").write_text("---\nname: broken\n---\n\nSolve.\n\n{{problem}\n")
    (root / "prompts" / "same.md").write_text("---\nname: same\n---\n{{problem}}\n")
    notes: list[Problem] = []
    problems = check(Workspace(root), notes=notes)
    assert [str(p) for p in problems] == [
        "prompts/broken.md: no placeholder, so nothing is put in there: '{{problem}' (line 7); one is written {{name}}"
    ]
    assert [note.where for note in notes] == ["prompts/agents/solver.md"]
    assert "the parameter 'asker'" in notes[0].what and "`prompt('agents/solver')` finds" in notes[0].what


def test_the_prompts_of_the_house_have_no_surprises() -> None:
    notes: list[Problem] = []
    house = Workspace(builtin_root())
    with without_download():
        assert not [p for p in check(house, notes=notes) if p.where.startswith("prompts/")]
    assert not notes


def test_one_file_is_one_parameter_until_it_changes(root: Path) -> None:
    first = prompt("solver")
    (root / "prompts" / "agents" / "solver.md").write_text("Another text: {{problem}}")
    second = prompt("solver")
    assert second is not first
    assert second.value == "Another text: {{problem}}"
    assert second.name == "solver"


def test_nobody_keeps_a_prompt_that_nobody_holds(root: Path) -> None:
    from agentopt.workspace import prompts

    held = prompt("solver")
    assert any(value is held for value in prompts._shared.values())
    del held
    gc.collect()
    assert not [key for key in prompts._shared if key[0].startswith(str(root))]


def test_placeholders_must_stay(root: Path) -> None:
    made = prompt("solver")
    assert made.check("Now: {{ problem }}") == "Now: {{ problem }}"
    with pytest.raises(ConstraintError, match=r"\{\{problem\}\}"):
        made.check("No place for it.")
    with pytest.raises(ConstraintError, match=r"\{\{other\}\}"):
        made.check("{{problem}} {{other}}")


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("---\nname: [\n---\nx", "front matter is not valid YAML"),
        ("---\n- a\n---\nx", "must be fields"),
        ("---\nnmae: x\n---\nx", "no such field in a prompt: nmae"),
        ("---\nplaceholders: problem\n---\nx", "must be a list of names"),
        ("---\nplaceholders: [problem]\n---\nx", "declares placeholders that its text lacks: problem"),
        ("---\nkind: number\n---\n3", "kind text, not 'number'"),
    ],
)
def test_bad_front_matter_is_one_line_with_the_file(root: Path, text: str, says: str) -> None:
    (root / "prompts" / "bad.md").write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        prompt("bad")
    assert "bad.md" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_not_utf8_is_said(root: Path) -> None:
    (root / "prompts" / "bad.md").write_bytes(b"\xff\xfe\xff")
    with pytest.raises(UsageError, match="not UTF-8"):
        prompt("bad")


def test_a_wrong_name_says_did_you_mean(root: Path) -> None:
    with pytest.raises(UnknownName, match=r"did you mean 'agents/solver'"):
        prompt("agents/slover")


def test_front_matter_survives_rewriting_to_the_byte(root: Path) -> None:
    path = root / "prompts" / "agents" / "solver.md"
    before = read_prompt(path)
    path.write_text(rewrite(path, "New text {{problem}}\n\n"))
    after = read_prompt(path)
    assert after.head == before.head == TEXT[: TEXT.index("\n\nSolve") + 1]
    assert after.text == "New text {{problem}}"
    assert path.read_text().endswith("{{problem}}\n")


@pytest.mark.parametrize("text", ["plain", "--- not front matter", "a\n---\nb: c\n---\n", ""])
def test_text_without_front_matter_is_all_text(root: Path, text: str) -> None:
    path = root / "prompts" / "plain.md"
    path.write_text(text)
    assert read_prompt(path).head == ""
    assert read_prompt(path).text == text.strip("\n")


def test_windows_line_ends(root: Path) -> None:
    path = root / "prompts" / "crlf.md"
    path.write_bytes(b"---\r\nname: w\r\n---\r\nhello {{x}}\r\n")
    file = read_prompt(path)
    assert (file.name, file.text, file.placeholders) == ("w", "hello {{x}}", ("x",))


def test_a_graph_finds_its_own_prompts_wherever_the_program_runs(
    root: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    (root / "graphs").mkdir()
    (root / "graphs" / "g.py").write_text("from agentopt import prompt\n\nP = prompt('solver')\n")
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "agentopt.toml").write_text("")
    (elsewhere / "prompts").mkdir()
    (elsewhere / "prompts" / "solver.md").write_text("the wrong one")
    monkeypatch.chdir(elsewhere)
    assert load_file(Workspace(root), root / "graphs" / "g.py").P.value.startswith("Solve this.")


def test_placeholder_names() -> None:
    assert placeholders("{{a}} {{ b_2 }} {{a}} {{1x}} {single} {{}}") == ("a", "b_2")
