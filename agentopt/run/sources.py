"""The code behind a run: the workspace files that it uses, and the libraries that these import."""

from __future__ import annotations

import builtins
import hashlib
import importlib.metadata
import importlib.util
import io
import os
import platform
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

import agentopt
from agentopt._imports import imports
from agentopt.errors import AgentOptError
from agentopt.llm.failures import redact
from agentopt.run.config import RunConfig
from agentopt.run.target import Target
from agentopt.workspace import find, names, search_path

__all__ = ["LARGEST", "Sources", "collect", "here", "opened", "version"]

LARGEST = 16 << 20
"""Bytes of the largest data file that is kept with a run."""
_LIBRARIES = ("numpy", "pydantic", "scipy")
_KEYS = (".env*", "*.pem", "*key*", "*token*", "*secret*", "credentials*")
_read_by: dict[tuple[str, Path], dict[Path, None]] = {}
"""Data files, in order, by the kind and the Python file whose loading opened them."""


@dataclass(slots=True)
class Sources:
    """Files by their place in the workspace, how the run's names are found in them, and versions of libraries."""

    files: dict[str, bytes] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    """``graph``, ``task``, ``optimizer``: ``place@name``, for those that are in a file."""
    versions: dict[str, str] = field(default_factory=dict)
    left_out: list[str] = field(default_factory=list)
    """Data files that may hold secrets: they are named and not kept."""


def collect(config: RunConfig, target: Target, given: frozenset[str], read: Mapping[str, list[Path]]) -> Sources:
    """The files that decide what a run does.

    Args:
        config: the run's configuration.
        target: its graph.
        given: kinds that came as objects: a bare name does not say where they are.
        read: files that were opened while a kind (graph, task) was loaded.

    Graph, task and optimizer with what they import from their workspace, the prompts of the parameters, the
    optimizers' prompts, and the data files in the workspace that the loading read, but for those
    that look like a key, hold one, or are ignored by git.
    """
    found = Sources(versions={"agentopt": agentopt.__version__, "python": platform.python_version()})
    imported = set(_LIBRARIES)
    for kind, name in (("graph", config.graph), ("task", config.task), ("optimizer", config.optimizer)):
        if ".py" not in name and kind in given:
            continue
        try:
            item = find(kind, name)
        except AgentOptError:
            continue  # an object made in Python, which has no file of its own
        root = item.workspace.root
        found.refs[kind] = item.ref
        imported |= _closure(item.path, root, found.files)
        known = _read_by.setdefault((kind, item.path), {})
        known.update(dict.fromkeys(path for path in read.get(kind, ()) if path.suffix != ".py"))
        data: dict[str, bytes] = {}
        for path in known:
            _add(path, root, data)
        secret = _ignored(root, list(data)) | {place for place, content in data.items() if _secret(place, content)}
        found.left_out += sorted(secret - found.files.keys() - set(found.left_out))
        found.files |= {place: data[place] for place in data.keys() - secret - found.files.keys()}
    for place in [str(own) for p in target.parameters.values() if (own := getattr(p, "path", None))]:
        if Path(place).is_absolute():  # a trained function's file, in a workspace or nowhere
            for workspace in search_path():
                _add(Path(place), workspace.root, found.files)
        elif (file := here(place)) is not None:
            found.files.setdefault(place, file.read_bytes())
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


class _Watch:
    """``open`` is replaced while anybody listens; each context has listeners of its own."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.users = 0
        self.original: Any = io.open
        self.listeners: ContextVar[tuple[list[Path], ...]] = ContextVar("agentopt_opened", default=())

    def __call__(self, file: Any, mode: str = "r", *args: Any, **kwargs: Any) -> Any:
        if isinstance(file, str | os.PathLike) and not set(mode) & set("wax+"):
            for found in self.listeners.get():
                found.append(Path(os.fsdecode(file)).absolute())
        return self.original(file, mode, *args, **kwargs)

    def use(self, change: int) -> None:
        with self.lock:
            if self.users == 0:
                self.original = io.open
            self.users += change
            builtins.open = io.open = self if self.users else self.original


_WATCH = _Watch()


@contextmanager
def opened() -> Iterator[list[Path]]:
    """Note the files that this context opens for reading inside; the list that it gives fills up."""
    found: list[Path] = []
    token = _WATCH.listeners.set((*_WATCH.listeners.get(), found))
    _WATCH.use(1)
    try:
        yield found
    finally:
        _WATCH.use(-1)
        _WATCH.listeners.reset(token)


def _secret(place: str, content: bytes) -> bool:
    """Whether a file is named as a key file is, or holds what looks like a key."""
    name, text = Path(place).name.lower(), content.decode("utf-8", "replace")
    return any(fnmatchcase(name, pattern) for pattern in _KEYS) or redact(text) != text


def _ignored(root: Path, places: list[str]) -> set[str]:
    """Those that git ignores; none where there is no repository or no git."""
    if not places:
        return set()
    command = ["git", "-C", str(root), "check-ignore", "-z", "--stdin"]
    try:
        done = subprocess.run(command, input="\0".join(places).encode(), capture_output=True, timeout=30, check=False)
    except (OSError, subprocess.SubprocessError):
        return set()
    return {os.fsdecode(name) for name in done.stdout.split(b"\0") if name}


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
        near, names = imports(path, files[place])
        libraries |= {name.partition(".")[0] for name in names}
        waiting += [file for file in near if file.is_relative_to(root)]
    return libraries - set(sys.stdlib_module_names) - {"agentopt"}
