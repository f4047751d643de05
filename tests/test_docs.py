"""Every code block and every command of README.md and docs/*.md is executed.

``python`` blocks of a page run in order in one namespace; those with ``>>>`` run as doctests. In ``console`` and ``sh``
blocks, lines that begin with ``$ `` are commands, run by bash in order; ``cd`` and ``export`` last until the end of the
page. Output that is given below a command is compared (``...`` stands for anything); exit codes must be 0.

An HTML comment in the line before a block says more:

- ``<!-- test: workspace -->``  anywhere on the page: it begins in a fresh workspace, as ``agentopt init`` makes it
- ``<!-- test: model -->``      the block needs the weights of a real model
- ``<!-- test: exit N -->``     its last command ends with exit code N
- ``<!-- test: skip WHY -->``   not executed, and why (such as: needs a GPU)
"""

from __future__ import annotations

import doctest
import linecache
import os
import re
import shlex
import subprocess
import sys
import textwrap
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agentopt.workspace import init

ROOT = Path(__file__).resolve().parents[1]
PAGES = sorted([ROOT / "README.md", *(p for p in (ROOT / "docs").rglob("*.md") if "api" not in p.parts)])
FENCE = re.compile(r"^(?P<indent> *)(?P<fence>```+|~~~+) *(?P<language>\w*)[^\n]*$")
NOTE = re.compile(r"<!--\s*test:\s*(?P<what>.*?)\s*-->")
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
RUN, PYTHON = ("console", "sh", "bash", "shell"), ("python", "pycon", "py")


@dataclass
class Block:
    """A fenced block: its language, text, first line in the page, and the note before it."""

    language: str
    text: str
    line: int
    note: str = ""

    @property
    def needs_model(self) -> bool:
        return self.note in ("model", "skip-model")

    @property
    def skipped(self) -> bool:
        return self.note.startswith("skip ") or self.note == "skip-model"


@dataclass
class Command:
    """A command of a console block, and the output that is given for it."""

    line: int
    text: str
    output: list[str] = field(default_factory=list)


def blocks(page: str) -> list[Block]:
    """The fenced blocks of a page, with the ``test:`` comment of the last line that is not blank before them."""
    found: list[Block] = []
    lines = page.splitlines()
    note, at = "", 0
    while at < len(lines):
        opened = FENCE.match(lines[at])
        if opened is None:
            said = NOTE.search(lines[at])
            note = said["what"] if said else (note if not lines[at].strip() else "")
            at += 1
            continue
        end = at + 1
        while end < len(lines) and lines[end].strip() != opened["fence"]:
            end += 1
        text = textwrap.dedent("\n".join(lines[at + 1 : end])) + "\n"
        found.append(Block(opened["language"].lower(), text, at + 2, note))
        note, at = "", end + 1
    return found


def commands(block: Block) -> list[Command]:
    """The ``$ `` commands of a block; a backslash at the end of a line goes on in the next."""
    found: list[Command] = []
    going_on = False
    for number, line in enumerate(block.text.splitlines(), block.line):
        if going_on:
            found[-1].text += "\n" + line.removeprefix("> ")
        elif line.startswith("$ "):
            found.append(Command(number, line[2:]))
        elif found:
            found[-1].output.append(line)
        going_on = line.rstrip().endswith("\\") and (going_on or line.startswith("$ "))
    return found


class Page:
    """Runs the blocks of a page: one namespace, one working directory, one environment."""

    def __init__(self, path: Path, folder: Path) -> None:
        self.name = path.name
        self.namespace: dict[str, object] = {"__name__": f"page_{path.stem.replace('-', '_')}"}
        self.environ = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
        self.environ |= {"COLUMNS": "120", "PYTHONPATH": str(ROOT)}
        self.folder = folder

    def run(self, block: Block) -> None:
        if block.language in PYTHON:
            self._doctest(block) if ">>>" in block.text else self._python(block)
        elif block.language in RUN:
            expected = int(block.note.removeprefix("exit ")) if block.note.startswith("exit ") else 0
            listed = commands(block)
            for command in listed:
                self._command(command, expected if command is listed[-1] else 0)

    def _python(self, block: Block) -> None:
        file = self.folder / f"page_{self.name.partition('.')[0]}_{block.line}.py"
        file.write_text(block.text, encoding="utf-8")
        linecache.checkcache(str(file))
        self.namespace["__file__"] = str(file)
        exec(compile(block.text, str(file), "exec"), self.namespace)  # noqa: S102 - a page of ours

    def _doctest(self, block: Block) -> None:
        test = doctest.DocTestParser().get_doctest(block.text, self.namespace, self.name, self.name, block.line - 1)
        test.globs = self.namespace
        told: list[str] = []
        doctest.DocTestRunner(optionflags=OPTIONS).run(test, out=told.append, clear_globs=False)
        assert not told, "".join(told)

    def _command(self, command: Command, expected: int) -> None:
        kept = self.folder / ".state"
        script = f"{command.text}\ncode=$?\n(pwd; env -0) > {shlex.quote(str(kept))}\nexit $code\n"
        ran = subprocess.run(
            ["bash", "-c", script], cwd=Path.cwd(), env=self.environ, capture_output=True, text=True,
            timeout=100, check=False, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        where = f"{self.name}:{command.line}: $ {command.text}"
        assert ran.returncode == expected, f"{where}\nexit code {ran.returncode}\n{ran.stdout}{ran.stderr}"
        if not kept.exists():  # the command itself ended the shell
            return
        place, _, rest = kept.read_text(encoding="utf-8").partition("\n")
        kept.unlink()
        os.chdir(place)
        self.environ = dict(entry.split("=", 1) for entry in rest.split("\0") if "=" in entry)
        wanted = "\n".join(command.output).strip()
        if wanted:
            got = (ran.stdout + ran.stderr).strip()
            same = doctest.OutputChecker().check_output(wanted + "\n", got + "\n", OPTIONS)
            assert same, f"{where}\nthe page says:\n{wanted}\nit printed:\n{got}"


def _walk(path: Path, folder: Path, *, model: bool) -> None:
    text = path.read_text(encoding="utf-8")
    if any(match["what"] == "workspace" for match in NOTE.finditer(text)):
        init(folder / "ws")
        os.chdir(folder / "ws")
    page = Page(path, folder)
    for block in blocks(text):
        if not block.skipped and (model or not block.needs_model):
            page.run(block)


def _id(path: Path) -> str:
    return path.relative_to(ROOT).as_posix()


@pytest.mark.parametrize("path", PAGES, ids=_id)
def test_page(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Everything on the page that needs no model."""
    monkeypatch.chdir(tmp_path)
    _walk(path, tmp_path, model=False)


WITH_MODEL = [path for path in PAGES if any(b.note == "model" for b in blocks(path.read_text(encoding="utf-8")))]


@pytest.mark.model
@pytest.mark.parametrize("path", WITH_MODEL, ids=_id)
def test_page_with_a_real_model(path: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The whole page."""
    monkeypatch.chdir(tmp_path)
    _walk(path, tmp_path, model=True)


# -- the test of the test ------------------------------------------------------------------------------------------

SAMPLE = """
Text.

```python
x = 40
```

<!-- test: exit 3 -->
```console
$ cd inner && export WORD=hello
$ echo "$WORD" \\
  there; pwd
hello there
...inner
$ exit 3
```

```pycon
>>> x + 2
42
```

<!-- test: skip needs a GPU -->

```python
raise SystemExit
```
"""


def test_blocks_and_their_notes_are_found() -> None:
    found = blocks(SAMPLE)
    assert [(b.language, b.note) for b in found] == [
        ("python", ""), ("console", "exit 3"), ("pycon", ""), ("python", "skip needs a GPU"),
    ]  # fmt: skip
    assert [c.output for c in commands(found[1])] == [[], ["hello there", "...inner"], []]


def test_a_sample_page_runs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "inner").mkdir()
    (tmp_path / "sample.md").write_text(SAMPLE)
    _walk(tmp_path / "sample.md", tmp_path, model=False)
    assert Path.cwd() == tmp_path / "inner"


@pytest.mark.parametrize(
    "broken",
    ["```python\n1 / 0\n```", "```pycon\n>>> 1 + 1\n3\n```", "```sh\n$ exit 1\n```", "```console\n$ echo a\nb\n```"],
)
def test_a_wrong_page_fails(broken: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "page.md").write_text(broken)
    with pytest.raises((AssertionError, ZeroDivisionError)):
        _walk(tmp_path / "page.md", tmp_path, model=False)


def test_every_page_is_text_of_the_project() -> None:
    for path in PAGES:
        for block in blocks(path.read_text(encoding="utf-8")):
            assert block.note in ("", "model", "workspace") or block.note.startswith(("exit ", "skip ")), (path, block)
