"""Prompts: Markdown files with YAML front matter. No text that a model reads is written in Python.

::

    ---
    name: solver
    description: how the problem is put to the model
    constraint: keep {{problem}} exactly once; at most 400 words
    ---
    Solve the problem. Give the number only.

    {{problem}}

All fields are optional. ``name`` is the parameter's name (default: the file's), ``kind`` is text, ``description`` and
``constraint`` are words that an optimizer is shown, ``placeholders`` lists the names that the text must have. The
parameter itself admits no text that loses a placeholder.
"""

from __future__ import annotations

import re
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from weakref import WeakValueDictionary

import yaml

from agentopt.errors import UsageError
from agentopt.workspace.listing import Item
from agentopt.workspace.resolve import find
from agentopt.workspace.roots import builtin_root, find_root, search_path

if TYPE_CHECKING:
    from agentopt.core import Parameter

__all__ = ["PromptFile", "broken_placeholders", "placeholders", "prompt", "prompt_text", "read_prompt", "rewrite"]

FIELDS = {"name", "kind", "description", "constraint", "placeholders", "about"}
_HOLE = re.compile(r"\{\{\s*([A-Za-z_][A-Za-z0-9_]*)\s*\}\}")
_BROKEN = re.compile(
    r"\{\{[ \t]*[A-Za-z_][\w .-]*(?:\}(?!\})|$)|(?<!\{)\{[ \t]*[A-Za-z_]\w*[ \t]*\}\}"
    r"|(?P<no_name>\{\{(?![ \t]*[A-Za-z_]\w*[ \t]*\}\})[ \t]*\w[\w .-]*\}\})"
)
_FENCE = re.compile(r"\A---[ \t]*\r?\n(.*?)^---[ \t]*(?:\r?\n|\Z)", re.DOTALL | re.MULTILINE)

# One file is one Parameter for as long as somebody holds it, so that two graphs that share a prompt share its value.
_shared: WeakValueDictionary[tuple[str, int, int], Any] = WeakValueDictionary()


def placeholders(text: str) -> tuple[str, ...]:
    """Names of the ``{{name}}`` in a text, each once, in order.

    >>> placeholders("{{a}} and {{ b }} and {{a}}")
    ('a', 'b')
    """
    return tuple(dict.fromkeys(_HOLE.findall(text)))


def broken_placeholders(text: str) -> list[tuple[int, str]]:
    """What looks like a placeholder and is none, so that it is never filled: its line, from 1, and itself.

    That is ``{{a}`` and ``{a}}`` where the braces of the line do not pair, and ``{{a b}}``, which is no name.

    >>> broken_placeholders("{{a}} and {{ b }}\\n{{c} and {{d-e}}\\n{\\"f\\": {g}}")
    [(2, '{{c}'), (2, '{{d-e}}')]
    """
    found = []
    for number, line in enumerate(text.split("\n"), 1):
        pairs = line.count("{") == line.count("}")
        found += [(number, m[0]) for m in _BROKEN.finditer(line) if m["no_name"] or not pairs]
    return found


@dataclass(frozen=True)
class PromptFile:
    """A prompt as it is on disk. ``head`` is the front matter, fences included, exactly as written."""

    path: Path
    name: str
    text: str
    head: str = ""
    kind: str = "text"
    description: str = ""
    constraint: str = ""
    placeholders: tuple[str, ...] = ()


def read_prompt(path: Path) -> PromptFile:
    """Read a prompt file. Raises ``UsageError`` with file and field when its front matter is wrong."""
    try:
        whole = path.read_text(encoding="utf-8")
    except UnicodeDecodeError as problem:
        raise UsageError(f"{path} is not UTF-8 text: {problem}") from None
    found = _FENCE.match(whole)
    head, body = (found.group(0), whole[found.end() :]) if found else ("", whole)
    text = body.strip("\r\n").rstrip()
    try:
        fields = (yaml.safe_load(found.group(1)) or {}) if found else {}
    except yaml.YAMLError as problem:
        raise UsageError(f"{path}: the front matter is not valid YAML: {_one_line(problem)}") from None
    if not isinstance(fields, dict):
        raise UsageError(f"{path}: the front matter must be fields such as `name: solver`, not {type(fields).__name__}")
    unknown = set(fields) - FIELDS
    if unknown:
        raise UsageError(
            f"{path}: no such field in a prompt: {', '.join(sorted(map(str, unknown)))} "
            f"(there are {', '.join(sorted(FIELDS))})"
        )
    holes = fields.get("placeholders")
    if holes is not None and not (isinstance(holes, list) and all(isinstance(h, str) for h in holes)):
        raise UsageError(f"{path}: placeholders must be a list of names, not {holes!r}")
    missing = [h for h in holes or () if h not in placeholders(text)]
    if missing:
        raise UsageError(f"{path}: declares placeholders that its text lacks: {', '.join(missing)}")
    return PromptFile(
        path=path,
        name=str(fields.get("name") or path.stem),
        text=text,
        head=head,
        kind=str(fields.get("kind") or "text"),
        description=str(fields.get("description") or fields.get("about") or ""),
        constraint=str(fields.get("constraint") or ""),
        placeholders=tuple(holes) if holes is not None else placeholders(text),
    )


def rewrite(path: Path, text: str, *, head: str | None = None) -> str:
    """The new content of a prompt file: its front matter as it is, and ``text`` below."""
    if head is None:
        head = read_prompt(path).head if path.exists() else ""
    return f"{head}{text.strip(chr(10)).rstrip()}\n"


def prompt_text(name: str) -> str:
    """The text of a prompt, by name (``meta/optoprime``) or path, without its front matter.

    >>> prompt_text("no/such/prompt")
    Traceback (most recent call last):
        ...
    agentopt.errors.UnknownName: no prompt named 'no/such/prompt' (`agentopt list` shows all)
    """
    return read_prompt(find("prompt", name, search_path(caller=_caller())).path).text


def prompt(name: str) -> Parameter[str]:
    """A trainable text, from a Markdown file.

    Args:
        name: path below ``prompts/`` without ``.md`` (``agents/solver``; ``solver`` finds it too), or ``./file.md``.

    Returns:
        The `Parameter`; its name is the front matter's ``name``, or the file's. Asking twice gives the same object,
        as long as the file has not changed.

    Raises:
        UnknownName: no such prompt; the message has a suggestion.
        UsageError: the front matter is wrong.
    """
    caller = _caller()
    item = find("prompt", name, search_path(caller=caller))
    status = item.path.stat()
    key = (str(item.path), status.st_mtime_ns, status.st_size)
    known = _shared.get(key)
    if known is None:
        known = _shared[key] = _parameter(item)
    return known  # type: ignore[no-any-return]


def _parameter(item: Item) -> Any:
    from agentopt.core import Parameter

    file = read_prompt(item.path)
    if file.kind != "text":
        raise UsageError(f"{item.path}: a prompt has kind text, not {file.kind!r}")
    return Parameter(
        file.text,
        name=file.name,
        kind="text",
        description=file.description,
        constraint=file.constraint,
        path=item.workspace.relative(item.path),
    )


def _caller() -> str | None:
    """File of the first frame outside this module, when it lies in a workspace that is not the built-in one."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_globals.get("__name__", "").startswith("agentopt."):
        frame = frame.f_back  # type: ignore[assignment]
    file = frame.f_globals.get("__file__") if frame is not None else None
    if not file:
        return None
    root = find_root(file)
    return file if root is not None and root != builtin_root() else None


def _one_line(problem: Exception) -> str:
    return " ".join(str(problem).split())
