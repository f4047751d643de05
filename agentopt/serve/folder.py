"""The models folder: where weights lie, what is installed, and the lock that keeps two pulls apart.

Each model has a folder of its own with the weights, copies in another tensor type where an engine needs one, and
``manifest.json``, which is written last: a model without it is not installed.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from pydantic import Field, ValidationError

from agentopt.core.values import Frozen
from agentopt.errors import MissingDependency, UsageError
from agentopt.serve.entries import find

__all__ = [
    "File",
    "Manifest",
    "installed",
    "lock",
    "manifest",
    "models_dir",
    "partial_dir",
    "path",
    "remove",
    "weights",
]


class File(Frozen):
    """A file of an installed model."""

    file: str
    """Its name within the model's folder."""
    bytes: int
    """Its size."""
    sha256: str
    """Its sha256."""
    source: str
    """Where it came from: ``hub``, ``packages``, or ``reencoded``."""


class Manifest(Frozen):
    """What an installed model consists of."""

    schema_version: int = 1
    """Version of this file's form."""
    name: str
    """Name in the catalogue."""
    weights: File
    """The file as its makers published it."""
    engines: dict[str, File] = Field(default_factory=dict)
    """Engine name to the copy made for it."""


def models_dir() -> Path:
    """The models folder: ``$AGENTOPT_MODELS``, or ``~/.cache/agentopt/models``."""
    given = os.environ.get("AGENTOPT_MODELS")
    if given:
        return Path(given).expanduser()
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "agentopt" / "models"


def partial_dir(name: str) -> Path:
    """Where an unfinished download of ``name`` waits to go on."""
    return models_dir() / ".partial" / name


def manifest(name: str) -> Manifest | None:
    """What is installed under ``name``; None when it is not, or when a file is missing or has another size."""
    folder = models_dir() / name
    try:
        found = Manifest.model_validate_json((folder / "manifest.json").read_text("utf-8"))
    except (OSError, ValidationError):
        return None
    for file in (found.weights, *found.engines.values()):
        try:
            if (folder / file.file).stat().st_size != file.bytes:
                return None
        except OSError:
            return None
    return found


def installed(name: str) -> bool:
    """Whether the weights of ``name`` are here, whole, with the catalogue's sha256 and every copy its engines need."""
    model, found = find(name), manifest(name)
    return found is not None and found.weights.sha256 == model.sha256 and set(model.reencode) <= set(found.engines)


def weights(name: str, engine: str = "") -> File:
    """The file that ``engine`` reads (the published one when it needs no copy).

    Raises:
        UnknownName: no such model.
        MissingDependency: it is not installed; names the command that brings it.
    """
    model = find(name)
    found = manifest(name) if installed(name) else None
    if found is None:
        raise MissingDependency(
            f"the weights of local/{name} are not in {models_dir()}: run `agentopt models pull {name}`"
            f" ({model.bytes / 1e6:.0f} MB)"
        )
    return found.engines.get(engine, found.weights)


def path(name: str, engine: str = "") -> Path:
    """Path of the weights of ``name``, or of the copy that ``engine`` reads.

    Raises:
        UnknownName: no such model.
        MissingDependency: it is not installed; names the command that brings it.
    """
    return models_dir() / name / weights(name, engine).file


def remove(name: str) -> int:
    """Delete ``name`` and what is left of an unfinished download of it. Returns the bytes freed.

    Raises:
        UnknownName: no such model.
        UsageError: another process is pulling it just now.
    """
    find(name)
    with lock(name, wait=False):
        freed = 0
        for folder in (models_dir() / name, partial_dir(name)):
            if folder.is_symlink():
                folder.unlink()
                continue
            freed += sum(f.stat().st_size for f in folder.rglob("*") if f.is_file() and not f.is_symlink())
            shutil.rmtree(folder, ignore_errors=True)
    return freed


def write_manifest(found: Manifest) -> None:
    """Write the manifest in one step: it is there whole or not at all."""
    target = models_dir() / found.name / "manifest.json"
    target.parent.mkdir(parents=True, exist_ok=True)
    scratch = target.with_suffix(".tmp")
    scratch.write_text(json.dumps(found.model_dump(mode="json"), indent=1) + "\n", "utf-8")
    os.replace(scratch, target)


@contextmanager
def lock(name: str, *, wait: bool = True, on_wait: Callable[[], None] | None = None) -> Iterator[None]:
    """Hold the lock of ``name`` among processes. The system frees it when its holder dies.

    Args:
        name: the model.
        wait: wait for the holder; otherwise raise at once.
        on_wait: called once when somebody else holds it.

    Raises:
        UsageError: it is held and ``wait`` is False.
    """
    folder = models_dir() / ".locks"
    folder.mkdir(parents=True, exist_ok=True)
    with open(folder / name, "a+b") as file:
        told = False
        while not _try_lock(file.fileno()):
            if not wait:
                raise UsageError(f"another process is busy with local/{name}: wait for it to end, then try again")
            if on_wait and not told:
                on_wait()
                told = True
            time.sleep(0.2)
        yield


def _try_lock(descriptor: int) -> bool:
    if sys.platform == "win32":
        import msvcrt

        try:
            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True
    import fcntl

    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
