"""The code of a replay: the files that are stored in the run, or those of the workspace at hand."""

from __future__ import annotations

import platform
import shutil
import sys
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import agentopt
from agentopt.core.values import Budget
from agentopt.errors import UsageError
from agentopt.run.config import RunConfig
from agentopt.run.sources import here, version
from agentopt.store import Store
from agentopt.workspace import Workspace, find, prompt_text, read_prompt, search_path

__all__ = ["changed_files", "changed_versions", "extracted", "fresh", "stored_config", "stored_prompt", "write_code"]


MODULES = "agentopt_ws_"
"""How the names of workspace modules begin."""


def write_code(store: Store, sources: Mapping[str, str], folder: Path) -> list[Path]:
    """Write the stored files below a folder. Raises ``StoreError`` for a file that is missing or damaged."""
    written = []
    for place, id_ in sources.items():
        path = (folder / place).resolve()
        if not path.is_relative_to(folder.resolve()):
            raise UsageError(f"the run's file {place!r} would lie outside of {folder}; nothing was written")
        content = store.blob(id_)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        written.append(path)
    return written


def changed_files(store: Store, sources: Mapping[str, str]) -> list[str]:
    """The stored files that are missing at hand, or differ."""
    at_hand = {place: here(place) for place in sources}
    return [p for p, id_ in sources.items() if (path := at_hand[p]) is None or path.read_bytes() != store.blob(id_)]


def changed_versions(versions: Mapping[str, str]) -> list[str]:
    """Python and the libraries that have another version than when the run was made."""
    own = {"python": platform.python_version(), "agentopt": agentopt.__version__}
    now = {name: own.get(name) or version(name) or "missing" for name in versions}
    changed = [name for name in versions if now[name] != versions[name]]
    return [f"{name} {versions[name]} when the run was made, {now[name]} now" for name in changed]


@contextmanager
def fresh() -> Iterator[None]:
    """Workspace files are imported anew inside; what this process has imported of them comes back afterwards."""
    kept = {name: module for name, module in sys.modules.items() if name.startswith(MODULES)}
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    for name in kept:
        del sys.modules[name]
    try:
        yield
    finally:
        for name in [name for name in sys.modules if name.startswith(MODULES)]:
            del sys.modules[name]
        sys.modules.update(kept)
        sys.dont_write_bytecode = written


@contextmanager
def extracted(store: Store, sources: Mapping[str, str], left_out: Iterable[str] = ()) -> Iterator[Path]:
    """The stored files as a workspace of their own, for as long as the block lasts.

    ``left_out`` are files that the run did not keep: they are those at hand, where there are any.
    """
    folder = Path(tempfile.mkdtemp(prefix="agentopt-replay-")).resolve()
    try:
        write_code(store, sources, folder)
        for place in left_out:
            path = (folder / place).resolve()
            if path.is_relative_to(folder) and (own := here(place)) is not None:
                path.parent.mkdir(parents=True, exist_ok=True)
                shutil.copyfile(own, path)
        (folder / "agentopt.toml").touch()
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def stored_config(
    config: RunConfig, refs: Mapping[str, str], folder: Path | None, given: Mapping[str, Any]
) -> RunConfig:
    """The configuration with names that lead into ``folder``; without a budget, for nothing is spent.

    Raises ``UsageError`` for what is neither in a stored file nor given as an object.
    """
    update: dict[str, Any] = {"budget": Budget()}
    for kind in ("graph", "task", "optimizer") if folder is not None else ():
        if kind in refs:
            update[kind] = f"{folder}/{refs[kind]}"
        elif given.get(kind) is None and kind != "optimizer":
            raise UsageError(
                f"the run's {kind} {getattr(config, kind)!r} was made in Python and is in no file of its own: "
                f"give it with agentopt.replay(..., {kind}=...)"
            )
    return config.model_copy(update=update)


def stored_prompt(folder: Path | None, name: str) -> str:
    """The text of a prompt file, from the stored ones first."""
    if folder is None:
        return prompt_text(name)
    return read_prompt(find("prompt", name, [Workspace(folder), *search_path()]).path).text
