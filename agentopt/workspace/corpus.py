"""Texts to look things up in: from a folder, from a file, or made by a task together with its questions."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

from agentopt.errors import UsageError
from agentopt.workspace.listing import Item
from agentopt.workspace.resolve import find, load_item
from agentopt.workspace.roots import Workspace, search_path

__all__ = ["Passage", "read_corpus", "task_part"]


class Passage(NamedTuple):
    """A piece of a corpus that is found and read as a whole."""

    title: str
    text: str


def read_corpus(name: str) -> tuple[Passage, ...]:
    """The passages of a corpus.

    Args:
        name: a folder (its ``.md`` and ``.txt`` files, each a passage with its name as the title), a ``.jsonl`` file
            (an object with ``title`` and ``text`` a line), or a task whose file defines ``corpus(...)``, with arguments
            as in ``almanac?seed=3``.

    Raises:
        UsageError: nothing is there, or it is not of this form.

    >>> read_corpus("almanac")[0].title != read_corpus("almanac?seed=1")[0].title
    True
    """
    path = Path(name).expanduser()
    if path.is_dir():
        files = sorted(file for file in path.rglob("*") if file.suffix in (".md", ".txt"))
        found = [Passage(file.relative_to(path).with_suffix("").as_posix(), _read(file)) for file in files]
    elif path.suffix == ".jsonl":
        found = [_passage(line, f"{name}:{i}") for i, line in enumerate(_read(path).splitlines(), 1) if line.strip()]
    else:
        return _made(name, tuple(search_path()))
    if not found:
        raise UsageError(f"corpus {name} is empty: a folder has .md or .txt files, a .jsonl file one object a line")
    return tuple(found)


def task_part(task: str, part: str) -> Any:
    """What the file of a task defines beside the task: its corpus, the rules of its game, ...

    Raises:
        UnknownName: no such task.
        UsageError: its file defines no such thing.
    """
    return load_item(replace(_found(task, tuple(search_path())), name=part))


@lru_cache(maxsize=64)
def _found(task: str, path: tuple[Workspace, ...]) -> Item:
    """The file of a task: to find it every file of the workspaces is looked into."""
    return find("task", task, path)


@lru_cache(maxsize=16)
def _made(name: str, path: tuple[Workspace, ...]) -> tuple[Passage, ...]:
    task, _, text = name.partition("?")
    try:
        arguments = {key: int(value) for key, _, value in (part.partition("=") for part in text.split("&") if part)}
        made = task_part(task, "corpus")(**arguments)
    except (TypeError, ValueError) as problem:
        raise UsageError(f"corpus {name!r}: {problem}; write a task with whole numbers, as in almanac?seed=3") from None
    return tuple(Passage(title, body) for title, body in made)


def _read(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as problem:
        raise UsageError(f"corpus {path} cannot be read: {problem}") from None


def _passage(line: str, where: str) -> Passage:
    try:
        entry = json.loads(line)
        return Passage(str(entry["title"]), str(entry["text"]))
    except (ValueError, KeyError, TypeError):
        raise UsageError(f"{where}: a line of a corpus is an object with title and text, not {line[:60]!r}") from None
