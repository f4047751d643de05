"""What a run is called: the folder that it gets."""

from __future__ import annotations

import json
import re
import time
from collections.abc import Mapping
from pathlib import Path

from pydantic import JsonValue

from agentopt.errors import RunLocked, UsageError
from agentopt.run.config import RunConfig
from agentopt.store import Store

__all__ = ["new_folder"]


def new_folder(config: RunConfig, *, goes_on: bool = True) -> Path:
    """A folder for a new run: ``runs/<time>-<graph>-<task>-<arguments of the task>``, or the given name.

    ``goes_on`` says whether a run of this kind that is there already can be resumed.
    """
    place = Path(config.runs_dir)
    if config.name:
        _check_name(config.name)
        folder = place / config.name
        if _begun(folder):
            resume = f"`agentopt resume {config.name}`, or " if goes_on else ""
            raise UsageError(f"there is a run in {folder} already: {resume}choose another --name")
        return folder
    slug = "-".join(filter(None, [_slug(config.graph), _slug(config.task), _slug_of(config.task_args)]))
    stamp = time.strftime("%Y%m%d-%H%M%S")
    folder, number = place / f"{stamp}-{slug}", 2
    while folder.exists():
        folder, number = place / f"{stamp}-{slug}-{number}", number + 1
    return folder


def _check_name(name: str) -> None:
    """Refuse names that would lead out of the folder of runs, or that mean something else."""
    if name in (".", "..", "last") or any(c in name for c in "/\\@") or not name.strip() or name.startswith("-"):
        raise UsageError(
            f"--name {name!r}: a run's name is that of one folder, without / and @, and not `last`, which is the run "
            "that began last"
        )


def _begun(folder: Path) -> bool:
    """Whether a run has been made there; one that was killed before its first event has not."""
    if not (folder / "run.sqlite").exists():
        return False
    try:
        with Store(folder) as store:
            return store.last("run.started") is not None
    except RunLocked:
        return True


def _slug(name: str) -> str:
    name = name.rpartition("@")[2] or name
    return "".join(c if c.isalnum() or c in "._" else "-" for c in Path(name).stem)[:40].strip("-")


def _slug_of(args: Mapping[str, JsonValue]) -> str:
    """What tells the tasks of one name apart: texts as they are, other values behind their name.

    >>> _slug_of({"name": "navigate"}), _slug_of({"n": 20, "malformed": True}), _slug_of({"corpus": "./my/notes"})
    ('navigate', 'n20-malformed', 'my-notes')
    """
    parts = []
    for key, value in args.items():
        if value is not False and value is not None:
            text = value if isinstance(value, str) else key if value is True else f"{key}{json.dumps(value)}"
            parts.append("".join(c if c.isalnum() or c in "._" else "-" for c in text).strip("-."))
    return re.sub("-{2,}", "-", "-".join(filter(None, parts)))[:40].strip("-.")
