"""What installed packages offer: their entry points, read once for as long as nothing is installed."""

from __future__ import annotations

import functools
import importlib.metadata
import os
import sys
from importlib.metadata import EntryPoint

__all__ = ["entry_points"]


def entry_points(group: str) -> tuple[EntryPoint, ...]:
    """Those of a group, by name. Python's own function opens a file of every package at each call.

    They are read anew when ``sys.path`` or one of its folders has changed, as installing a package does.

    >>> [entry.name for entry in entry_points("console_scripts") if entry.value == "agentopt.cli:main"]
    ['agentopt']
    """
    return _read(group, tuple((place, _changed(place)) for place in sys.path))


def _changed(place: str) -> int:
    try:
        return os.stat(place or ".").st_mtime_ns
    except OSError:
        return 0


@functools.lru_cache(maxsize=8)
def _read(group: str, places: tuple[tuple[str, int], ...]) -> tuple[EntryPoint, ...]:
    return tuple(sorted(importlib.metadata.entry_points(group=group), key=lambda entry: entry.name))
