"""Where workspaces are: the user's, those of installed packages, and the built-in one.

A workspace is a folder with ``agentopt.toml`` (or a ``pyproject.toml`` that has ``[tool.agentopt]``) and any of
``graphs/ tasks/ prompts/ evals/ optimizers/`` in it. Names are looked up in this order: the workspace of the calling
file, the user's (nearest parent of the working directory), packages with an entry point in the group
``agentopt.workspaces``, and the one that agentopt ships.
"""

from __future__ import annotations

import hashlib
import importlib.util
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from agentopt._builtin import builtin_root
from agentopt.errors import UsageError
from agentopt.workspace.plugins import entry_points

__all__ = ["FOLDERS", "Workspace", "builtin_root", "find_root", "require_root", "search_path"]

FOLDERS = ("graphs", "tasks", "prompts", "evals", "optimizers")
GROUP = "agentopt.workspaces"


@dataclass(frozen=True)
class Workspace:
    """A folder in which names are looked up. ``source`` is ``yours``, ``built-in`` or the package that brings it."""

    root: Path
    source: str = "yours"

    @property
    def module(self) -> str:
        """Name of the empty parent module under which this workspace's files are imported."""
        return "agentopt_ws_" + hashlib.sha256(str(self.root).encode()).hexdigest()[:12]

    @cached_property
    def config(self) -> Mapping[str, Any]:
        """The content of ``agentopt.toml`` or of ``[tool.agentopt]``; empty where there is neither."""
        return _read_config(self.root) or {}

    @property
    def name(self) -> str:
        """What it is called in listings."""
        return str(self.config.get("name") or self.root.name)

    def relative(self, path: Path) -> str:
        """``path`` as seen from the root, with forward slashes; the whole path when it lies elsewhere."""
        try:
            return path.relative_to(self.root).as_posix()
        except ValueError:
            return path.as_posix()


def _read_toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as problem:
        raise UsageError(f"{path} is not valid TOML: {problem}") from None


def _read_config(folder: Path) -> dict[str, Any] | None:
    own, project = folder / "agentopt.toml", folder / "pyproject.toml"
    if own.is_file():
        return _read_toml(own)
    if project.is_file() and "[tool.agentopt" in project.read_text(encoding="utf-8", errors="replace"):
        table = _read_toml(project).get("tool", {}).get("agentopt")
        return table if isinstance(table, dict) else None
    return None


def find_root(start: Path | str | None = None) -> Path | None:
    """The nearest folder at or above ``start`` (a file or folder; default the working directory) that is a workspace.

    >>> find_root("/") is None
    True
    """
    here = Path(start or Path.cwd()).absolute().resolve()
    for folder in (here, *here.parents):
        if (folder / "agentopt.toml").is_file() or ((folder / "pyproject.toml").is_file() and _is_project(folder)):
            return folder
    return None


def _is_project(folder: Path) -> bool:
    try:
        return _read_config(folder) is not None
    except UsageError:
        return False


def require_root(start: Path | str | None = None) -> Path:
    """As `find_root`, but raises ``UsageError`` where there is none."""
    root = find_root(start)
    if root is None:
        raise UsageError(
            f"no workspace at or above {Path(start or Path.cwd())}: `agentopt init` makes one here "
            "(any folder with an agentopt.toml is one)"
        )
    return root


def _installed() -> Iterator[Workspace]:
    for entry in entry_points(GROUP):
        spec = importlib.util.find_spec(entry.module.partition(".")[0])
        places = list(spec.submodule_search_locations or ()) if spec else []
        inner = [*entry.module.split(".")[1:], *(entry.attr.split(".") if entry.attr else ())]
        for place in places[:1]:
            folder = Path(place, *inner).resolve()
            if folder.is_dir():
                yield Workspace(folder, entry.name)


def search_path(start: Path | str | None = None, *, caller: Path | str | None = None) -> list[Workspace]:
    """Workspaces in the order in which a name is looked up; the first that has it wins.

    ``caller`` is a file: when it lies in a workspace of its own (not the built-in one), that one comes first, so that
    a graph finds its own prompts wherever the program was started.
    """
    builtin = builtin_root()
    shared = [*_installed(), Workspace(builtin, "built-in")]
    roots = {w.root for w in shared}
    yours = [find_root(caller)] if caller else []
    yours.append(find_root(start))
    own = [Workspace(r, "yours") for r in yours if r is not None and r not in roots]
    return list({w.root: w for w in [*own, *shared]}.values())
