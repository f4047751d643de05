"""``agentopt init``: a small workspace that works at once, without any model."""

from __future__ import annotations

import shutil
from pathlib import Path

from agentopt.errors import UsageError

__all__ = ["init"]

TEMPLATE = Path(__file__).parent / "template"


def init(folder: Path | str = ".", *, force: bool = False) -> list[Path]:
    """Copy the template workspace into ``folder``; returns the files written, relative to it.

    Raises ``UsageError`` when a file is already there, unless ``force`` is given; nothing is written then.
    """
    target = Path(folder)
    sources = sorted(p for p in TEMPLATE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    files = [Path(str(p.relative_to(TEMPLATE)).replace("dot-", ".")) for p in sources]
    taken = [f for f in files if (target / f).exists()]
    if taken and not force:
        raise UsageError(f"{target / taken[0]} is already there; choose an empty folder, or --force to overwrite")
    for source, file in zip(sources, files, strict=True):
        (target / file).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source, target / file)
    return files
