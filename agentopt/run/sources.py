"""The code behind a run: the workspace files that it uses, and the libraries that these import."""

from __future__ import annotations

import ast
import builtins
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import platform
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import agentopt
from agentopt.errors import AgentOptError
from agentopt.run.config import RunConfig
from agentopt.run.target import Target
from agentopt.workspace import find, names, search_path

__all__ = ["LARGEST", "Sources", "collect", "here", "opened", "version"]

LARGEST = 16 << 20
"""Bytes of the largest data file that is kept with a run."""
_LIBRARIES = ("numpy", "pydantic", "scipy")
_read_by: dict[Path, list[Path]] = {}  # data files by the Python file whose loading opened them


@dataclass(slots=True)
class Sources:
    """Files by their place in the workspace, how the run's names are found in them, and versions of libraries."""

    files: dict[str, bytes] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    """``graph``, ``task``, ``optimizer``: ``place@name``, for those that are in a file."""
    versions: dict[str, str] = field(default_factory=dict)


def collect(config: RunConfig, target: Target, given: frozenset[str], read: list[Path]) -> Sources:
    """The files that decide what a run does.

    Args:
        config: the run's configuration.
        target: its graph.
        given: kinds that came as objects: a bare name does not say where they are.
        read: files that were opened while graph and task were loaded.

    Graph, task and optimizer with what they import from their workspace, the prompts of the parameters, the
    optimizers' prompts, and the data files in the workspace that the loading read.
    """
    found = Sources(versions={"agentopt": agentopt.__version__, "python": platform.python_version()})
    imported = set(_LIBRARIES)
    for kind, name in (("graph", config.graph), ("task", config.task), ("optimizer", config.optimizer)):
        if ".py" not in name and (kind in given or kind == "optimizer"):
            continue
        try:
            item = find(kind, name)
        except AgentOptError:
            continue  # an object made in Python, which has no file of its own
        root = item.workspace.root
        found.refs[kind] = item.ref
        imported |= _closure(item.path, root, found.files)
        _read_by.setdefault(item.path, []).extend(read)
        for path in dict.fromkeys(_read_by[item.path]):
            _add(path, root, found.files)
    for place in [getattr(p, "path", None) for p in target.parameters.values()]:
        file = here(str(place)) if place else None
        if file is not None:
            found.files.setdefault(str(place), file.read_bytes())
    for item in names("prompt"):
        if item.name.startswith("meta/"):
            _add(item.path, item.workspace.root, found.files)
    found.versions |= {name: told for name in sorted(imported) if (told := version(name))}
    return found


def here(place: str) -> Path | None:
    """The file that has this place in a workspace at hand, or below the working directory; None when there is none."""
    roots = [*(w.root for w in search_path()), Path.cwd()]
    return next((path for root in roots if (path := root / place).is_file()), None)


def version(name: str) -> str:
    """The version of what is imported as ``name``; of a module that is not installed, a hash of its file."""
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        pass
    try:
        spec = importlib.util.find_spec(name)
    except (ImportError, ValueError):
        return ""
    file = Path(spec.origin) if spec is not None and spec.origin else None
    if file is None or not file.is_file():
        return ""
    if file.name != "__init__.py" or "site-packages" not in file.parts:
        return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()[:16]}"
    owners: Mapping[str, list[str]] = importlib.metadata.packages_distributions()
    return next((importlib.metadata.version(owner) for owner in owners.get(name, ())), "")


@contextmanager
def opened() -> Iterator[list[Path]]:
    """Note the files that are opened for reading inside; the list that it gives fills up."""
    found: list[Path] = []
    original = io.open

    def noted(file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, str | os.PathLike) and not set(mode) & set("wax+"):
            found.append(Path(os.fsdecode(file)).absolute())
        return original(file, mode, *args, **kwargs)

    builtins.open = io.open = noted
    try:
        yield found
    finally:
        builtins.open = io.open = original


def _add(path: Path, root: Path, files: dict[str, bytes]) -> None:
    """Take a file in, when it is a visible one of the workspace."""
    path = path.resolve()
    if not path.is_relative_to(root) or not path.is_file() or path.stat().st_size > LARGEST:
        return
    place = path.relative_to(root)
    if not any(part.startswith(".") for part in place.parts):
        files.setdefault(place.as_posix(), path.read_bytes())


def _closure(path: Path, root: Path, files: dict[str, bytes]) -> set[str]:
    """Take in a Python file and what it imports relatively; returns the names of the libraries that they import."""
    libraries: set[str] = set()
    waiting = [path]
    while waiting:
        path = waiting.pop()
        place = path.relative_to(root).as_posix()
        if place in files:
            continue
        files[place] = path.read_bytes()
        try:
            tree = ast.parse(files[place])
        except (SyntaxError, ValueError):
            continue
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                libraries |= {alias.name.partition(".")[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and node.level == 0:
                libraries.add((node.module or "").partition(".")[0])
            elif isinstance(node, ast.ImportFrom):
                folder = path.parents[node.level - 1]
                stem = folder.joinpath(*(node.module or "").split("."))
                tried = [stem.with_suffix(".py"), *(stem / f"{alias.name}.py" for alias in node.names)]
                waiting += [p for p in (*tried, stem / "__init__.py") if p.is_file() and p.is_relative_to(root)]
    return libraries - set(sys.stdlib_module_names) - {"agentopt"}
