"""Where the shipped workspace folders are (``graphs/ tasks/ prompts/ evals/``), and the text of a shipped prompt."""

from __future__ import annotations

import functools
import tomllib
from pathlib import Path

from agentopt.errors import MissingDependency, UnknownName

__all__ = ["builtin_root", "shipped_prompt", "without_front_matter"]


@functools.cache
def builtin_root() -> Path:
    """The folder that holds the shipped ``graphs/ tasks/ prompts/ evals/``.

    In an installed wheel it is ``agentopt/_workspace``; in a checkout it is the checkout itself, told by its
    ``pyproject.toml``.

    Raises:
        MissingDependency: neither is there, so the installation is incomplete.
    """
    package = Path(__file__).resolve().parent
    if (shipped := package / "_workspace").is_dir():
        return shipped
    project = package.parent / "pyproject.toml"
    try:
        name = tomllib.loads(project.read_text("utf-8")).get("project", {}).get("name")
    except (OSError, tomllib.TOMLDecodeError):
        name = None
    if name == "agentopt":
        return package.parent
    raise MissingDependency(
        f"the shipped prompts and tasks are neither in {shipped} nor beside {package}: the installation is incomplete; "
        "`pip install --force-reinstall agentopt` brings them"
    )


def without_front_matter(text: str) -> str:
    """The text after a ``---`` block at its head, stripped; all of it where there is none.

    >>> without_front_matter("---\\nkind: text\\n---\\nSay hello.\\n")
    'Say hello.'
    >>> without_front_matter("Say --- hello.")
    'Say --- hello.'
    """
    head, separator, rest = text.removeprefix("\ufeff").partition("\n")
    if separator and head.strip() == "---":
        _, closed, body = f"\n{rest}".partition("\n---")
        if closed:
            return body.partition("\n")[2].strip()
    return text.strip()


def shipped_prompt(name: str) -> str:
    """The text of a shipped prompt file, such as ``meta/repair``.

    Raises:
        UnknownName: there is no such file.
    """
    folder = builtin_root() / "prompts"
    path = folder / f"{name}.md"
    if not path.is_file():
        known = [p.relative_to(folder).with_suffix("").as_posix() for p in folder.rglob("*.md")]
        raise UnknownName("shipped prompt", name, known)
    return without_front_matter(path.read_text("utf-8"))
