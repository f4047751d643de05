"""What a run keeps of its workspace: no secret, nobody else's file; and the watch on ``open`` that finds the files."""

from __future__ import annotations

import builtins
import subprocess
import threading
from pathlib import Path

import pytest

import agentopt
from agentopt.llm.failures import redact
from agentopt.llm.types import without_key
from agentopt.run.replay import replay
from agentopt.run.sources import opened
from agentopt.store import Store
from agentopt.testing import ScriptedLLM

FILES = {
    "agentopt.toml": "",
    "data/private.txt": "patients",
    "data/notes.txt": "AKIAIOSFODNN7EXAMPLE",
    "data/plain.txt": "plain",
    "data/ignored.txt": "big",
    "provider.pem": "---",
    "apikey.txt": "abc",
    "graphs/keyed.py": """
from pathlib import Path
import agentopt
ROOT = Path(__file__).parent.parent
for name in ("apikey.txt", "provider.pem", "data/notes.txt", "data/plain.txt", "data/ignored.txt"):
    (ROOT / name).read_text()
STYLE = agentopt.Parameter("Say", name="style")

@agentopt.graph
def keyed(question):
    return agentopt.llm(f"{STYLE.value} {question.value}")
""",
}
TASK = """
from pathlib import Path
from agentopt import task
DATA = (Path(__file__).parent.parent / "data/private.txt").read_text() if "{name}" == "own" else ""

@task
def {name}():
    return [({{"question": f"q{{i}}"}}, "x") for i in range(12)], lambda example, output: output == example.target
"""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    files = FILES | {f"tasks/{name}.py": TASK.format(name=name) for name in ("own", "other")}
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def evaluated(task: str) -> tuple[set[str], list[str]]:
    agentopt.evaluate("keyed", task=task, model=ScriptedLLM(lambda r: "x"), name=task, cache=False)
    with Store(Path("runs") / task, readonly=True) as store:
        begun = store.last("run.started")
    assert begun is not None
    sources, left_out = begun.data["sources"], begun.data["left_out"]
    assert isinstance(sources, dict)
    assert isinstance(left_out, list)
    return {name for name in sources if not name.startswith("prompts/")}, [str(name) for name in left_out]


def test_keys_and_ignored_files_are_named_and_not_kept(place: Path) -> None:
    subprocess.run(["git", "init", "-q"], check=True)
    (place / ".gitignore").write_text("data/ignored.txt\n")
    kept, left_out = evaluated("own")
    assert kept == {"graphs/keyed.py", "tasks/own.py", "data/plain.txt", "data/private.txt"}
    assert left_out == ["apikey.txt", "data/ignored.txt", "data/notes.txt", "provider.pem"]
    result = replay("own")
    assert result.clean, result.summary()
    assert any(note.startswith("not kept with the run") and "apikey.txt" in note for note in result.notes)


def test_a_file_of_another_task_is_not_kept(place: Path) -> None:
    assert "data/private.txt" in evaluated("own")[0]
    kept, left_out = evaluated("other")
    assert kept == {"graphs/keyed.py", "tasks/other.py", "data/plain.txt", "data/ignored.txt"}
    assert "data/notes.txt" in left_out, "also of a module that was imported before"


def test_threads_that_watch_side_by_side_leave_open_as_it_was(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("")
    (tmp_path / "b").write_text("")
    original, found = builtins.open, {}
    both, left = threading.Barrier(2), threading.Event()

    def watch(name: str, first: bool) -> None:
        with opened() as seen:
            both.wait(10)
            (tmp_path / name).read_text()
            both.wait(10)
            if not first:
                left.wait(10)
        found[name] = seen
        left.set()

    threads = [threading.Thread(target=watch, args=pair) for pair in (("a", True), ("b", False))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert builtins.open is original
    assert found == {"a": [tmp_path / "a"], "b": [tmp_path / "b"]}


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("key AIzaSyD-verysecret0123456789", "key ***"),
        ("ghp_abcdefghijklmnop gho_abcdefghijklmnop github_pat_abc_defghijk", "*** *** ***"),
        ("AKIAIOSFODNN7EXAMPLE xoxb-1234-abcdef", "*** ***"),
        ("https://h/v1?api-key=S3cret&v=2", "https://h/v1?api-key=***&v=2"),
        ("https://h/v1?v=2&api_key=S3&token=T&key=K", "https://h/v1?v=2&api_key=***&token=***&key=***"),
        ("a monkey=1, max_tokens=2, high_quality", "a monkey=1, max_tokens=2, high_quality"),
    ],
)
def test_keys_of_more_providers_are_not_told(text: str, shown: str) -> None:
    assert redact(text) == shown


def test_a_key_that_is_set_later_is_not_told_either(monkeypatch: pytest.MonkeyPatch) -> None:
    assert redact("say plainlookingvalue") == "say plainlookingvalue"
    monkeypatch.setenv("LATER_PROVIDER_KEY", "plainlookingvalue")
    assert redact("say plainlookingvalue") == "say ***"


def test_a_model_is_written_down_without_the_secrets_of_its_query() -> None:
    model = "https://me:pw@h:8000/v1?v=2&api-key=S&access_token=T#m"
    assert without_key(model) == "https://h:8000/v1?v=2#m"
