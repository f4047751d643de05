"""Names to objects: roots, search order, shadowing, the loader, bad input."""

from __future__ import annotations

import inspect
import os
import sys
import time
from pathlib import Path

import pytest

from agentopt.errors import MissingDependency, UnknownName, UsageError
from agentopt.workspace import (
    Workspace,
    builtin_root,
    find,
    find_root,
    items,
    load_graph,
    load_item,
    load_optimizer,
    load_task,
    names,
    require_root,
    search_path,
)
from agentopt.workspace.loader import load_file


def write(path: Path, text: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    write(tmp_path / "agentopt.toml", 'name = "mine"\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path


GRAPH = '''
from agentopt import graph

@graph
def {name}(x):
    """Say {word}."""
    return "{word}"
'''


def test_root_is_the_nearest_parent_with_a_marker(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    deep = root / "a" / "b"
    deep.mkdir(parents=True)
    monkeypatch.chdir(deep)
    assert find_root() == root
    write(root / "a" / "pyproject.toml", '[project]\nname = "x"\n')
    assert find_root() == root, "a pyproject.toml without [tool.agentopt] is no workspace"
    write(root / "a" / "pyproject.toml", '[tool.agentopt]\nname = "inner"\n')
    assert find_root() == root / "a"
    assert Workspace(root / "a").name == "inner"


def test_no_root_names_the_command_that_makes_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert find_root() is None
    with pytest.raises(UsageError, match="agentopt init"):
        require_root()


def test_broken_toml_is_one_line_with_the_file(root: Path) -> None:
    write(root / "agentopt.toml", "name = \n")
    with pytest.raises(UsageError, match=r"agentopt\.toml is not valid TOML"):
        _ = Workspace(root).config


def test_the_shipped_folders_are_found_last() -> None:
    path = search_path()
    assert path[-1].root == builtin_root()
    assert path[-1].source == "built-in"
    assert (builtin_root() / "prompts").is_dir()


def test_yours_shadows_the_built_in(root: Path) -> None:
    taken = items(Workspace(builtin_root()), "prompt")[0].name
    write(root / "prompts" / f"{taken}.md", "mine")
    found = [item for item in names("prompt") if item.name == taken]
    assert [item.workspace.source for item in found] == ["yours", "built-in"]
    assert find("prompt", taken).path.read_text() == "mine"


def test_listing_imports_nothing(root: Path) -> None:
    write(root / "graphs" / "one.py", "raise SystemExit('imported')\n" + GRAPH.format(name="one", word="one"))
    write(root / "graphs" / "broken.py", "def (:\n")
    write(root / "graphs" / "_private.py", GRAPH.format(name="hidden", word="x"))
    found = items(Workspace(root), "graph")
    assert [(i.name, i.ref, i.about) for i in found] == [("one", "graphs/one.py@one", "Say one.")]


def test_assigned_tasks_are_listed(root: Path) -> None:
    write(root / "tasks" / "t.py", "from agentopt import Task, task\nsums = Task('sums', [], None)\nother = 3\n")
    assert [i.name for i in items(Workspace(root), "task")] == ["sums"]


def test_name_file_and_path_find_the_same(root: Path) -> None:
    write(root / "graphs" / "two.py", GRAPH.format(name="a", word="A") + GRAPH.format(name="b", word="B"))
    same = {
        str(find("graph", name).path) for name in ("a", "two@a", "./graphs/two.py@a", str(root / "graphs/two.py@a"))
    }
    assert same == {str(root / "graphs" / "two.py")}
    with pytest.raises(UsageError, match=r"use \./graphs/two\.py@NAME \(there: \./graphs/two\.py@a, .*@b\)"):
        find("graph", "./graphs/two.py")


def test_a_wrong_name_says_did_you_mean(root: Path) -> None:
    write(root / "graphs" / "answer.py", GRAPH.format(name="answer", word="x"))
    with pytest.raises(UnknownName, match=r"no graph named 'anwser'; did you mean 'answer'\?"):
        load_graph("anwser")
    with pytest.raises(UsageError, match=r"defines no 'anser'; did you mean 'answer'\?"):
        load_graph("./graphs/answer.py@anser")
    with pytest.raises(UsageError, match=r"no file '\./nothere\.py'"):
        load_graph("./nothere.py@x")


def test_a_graph_outside_any_workspace_loads_by_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    write(tmp_path / "loose.py", GRAPH.format(name="loose", word="free"))
    assert load_graph("./loose.py")("x") == "free"


def test_loader_keeps_generic_names_out_of_sys_modules(root: Path) -> None:
    before = set(sys.modules)
    write(root / "tasks" / "deep" / "demo.py", "from .helper import VALUE\n\ndef f():\n    return VALUE\n")
    write(root / "tasks" / "deep" / "helper.py", "VALUE = 41\n")
    module = load_file(Workspace(root), root / "tasks" / "deep" / "demo.py")
    assert module.f() == 41
    assert "return VALUE" in inspect.getsource(module.f)
    new = {name.partition(".")[0] for name in set(sys.modules) - before}
    assert not new & {"tasks", "graphs", "prompts", "evals", "demo", "helper"}


def test_a_changed_file_is_loaded_anew(root: Path) -> None:
    file = write(root / "graphs" / "g.py", "VALUE = 1\n")
    assert load_file(Workspace(root), file).VALUE == 1
    assert load_file(Workspace(root), file) is load_file(Workspace(root), file)
    write(file, "VALUE = 'two'\n")
    assert load_file(Workspace(root), file).VALUE == "two"


def test_a_file_that_is_written_twice_in_a_second_is_read_as_it_is(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    for value in (1, 2):
        file = write(root / "graphs" / "g.py", f"VALUE = {value}\n")
        os.utime(file, ns=(10**18 + value, 10**18 + value))
        found = load_file(Workspace(root), file).VALUE
        assert found == value
    assert sys.dont_write_bytecode is False


@pytest.mark.parametrize(
    ("text", "kind", "says"),
    [
        ("x = 1\ny = x / 0\n", UsageError, r"graphs/bad\.py:2: ZeroDivisionError"),
        ("def f(:\n", UsageError, r"graphs/bad\.py:1: SyntaxError"),
        ("import not_there_at_all\n", MissingDependency, "pip install not_there_at_all"),
        ("from .neighbour import x\n", UsageError, r"there is no graphs/neighbour\.py"),
    ],
)
def test_a_file_that_does_not_import_is_one_line_with_file_and_line(
    root: Path, text: str, kind: type[UsageError], says: str
) -> None:
    file = write(root / "graphs" / "bad.py", text)
    with pytest.raises(kind, match=says) as caught:
        load_file(Workspace(root), file)
    assert "\n" not in str(caught.value)
    write(file, "x = 1\n")
    assert load_file(Workspace(root), file).x == 1, "a failed import leaves nothing behind"


def test_a_class_becomes_an_instance(root: Path) -> None:
    write(root / "graphs" / "agent.py", "class Agent:\n    def __call__(self, x):\n        return x + 1\n")
    assert load_graph("./graphs/agent.py@Agent")(1) == 2
    write(root / "graphs" / "number.py", "value = 3\n")
    with pytest.raises(UsageError, match="is int, not something that can be called"):
        load_graph("./graphs/number.py@value")


def test_tasks_take_arguments_and_refuse_unknown_ones(root: Path) -> None:
    write(
        root / "tasks" / "count.py",
        "from agentopt import task\n\n@task\ndef count(n: int = 3):\n"
        "    return [(str(i), i) for i in range(n)], lambda example, output: output == example.target\n",
    )
    assert len(load_task("count").examples) == 3
    assert len(load_task("count", n=7).examples) == 7
    with pytest.raises(UsageError, match="'m'"):
        load_task("count", m=7)


def test_optimizers_load_from_files(root: Path) -> None:
    methods = "".join(f"    def {name}(self, *a): ...\n" for name in ("ask", "tell", "state", "load"))
    mine = f"class Mine:\n    name = 'mine'\n    def __init__(self, k=1):\n        self.k = k\n{methods}"
    write(root / "mine.py", mine)
    assert load_optimizer("./mine.py@Mine", k=5).k == load_optimizer("./mine.py@mine", k=5).k == 5
    assert load_optimizer("./mine.py").k == 1
    write(root / "two.py", mine + mine.replace("Mine", "Other"))
    with pytest.raises(UsageError, match="does not say which optimizer"):
        load_optimizer("./two.py")
    with pytest.raises(UsageError, match=r"q.*\(it takes: k\)"):
        load_optimizer("./mine.py@Mine", q=5)
    with pytest.raises(UnknownName):
        load_optimizer("nothing")


def test_load_item_names_what_is_missing(root: Path) -> None:
    write(root / "graphs" / "answer.py", GRAPH.format(name="answer", word="x"))
    item = find("graph", "answer")
    assert load_item(item)("x") == "x"


def test_what_is_installed_meanwhile_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentopt.workspace.plugins import entry_points

    def install(name: str) -> list[str]:
        info = tmp_path / f"{name}-1.0.dist-info"
        info.mkdir()
        (info / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n")
        (info / "entry_points.txt").write_text(f"[agentopt.some]\n{name} = {name}:main\n")
        return [entry.name for entry in entry_points("agentopt.some")]

    assert entry_points("agentopt.some") == ()
    monkeypatch.syspath_prepend(tmp_path)
    assert install("two") == ["two"]
    time.sleep(0.02)  # the clock of the folder's time is coarse
    assert install("one") == ["one", "two"]
