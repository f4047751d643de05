"""The evaluator is protected: what scores a run is hashed before and after, and a change is told."""

from __future__ import annotations

import dataclasses
import functools
import hashlib
import inspect
import re
from pathlib import Path
from typing import Any

from agentopt.core.values import digest

__all__ = ["evaluator_hash"]


def evaluator_hash(scorer: Any) -> str:
    """sha256 of the scorer: its settings, and the bytes of the files that define it as they are on disk now.

    Folders never enter, so that a workspace may be moved.

    >>> from agentopt.evaluate.scorers import numeric
    >>> evaluator_hash(numeric()) == evaluator_hash(numeric()) != evaluator_hash(numeric(tol=1))
    True
    """
    parts: list[str] = []
    queue: list[Any] = [scorer]
    seen: set[int] = set()
    while queue:
        item = queue.pop()
        if id(item) in seen:
            continue
        seen.add(id(item))
        if isinstance(item, functools.partial):
            queue.append(item.func)
            parts.append(_shown((item.args, sorted(item.keywords.items()))))
            continue
        definition = item if inspect.isroutine(item) or inspect.isclass(item) else type(item)
        parts.append(f"{definition.__module__.rsplit('.', 1)[-1]}.{definition.__qualname__}")
        if dataclasses.is_dataclass(item) and not isinstance(item, type):
            parts.append(_shown(item))
        try:
            file = inspect.getsourcefile(inspect.unwrap(definition))
            parts.append(hashlib.sha256(Path(file).read_bytes()).hexdigest() if file else "")
        except (TypeError, OSError):
            parts.append("no file")
        wrapped = getattr(item, "__wrapped__", None)
        if wrapped is not None:
            queue.append(wrapped)
    return digest(parts)


def _shown(settings: Any) -> str:
    """Settings as text, without the places in memory that a ``repr`` may tell."""
    return re.sub(r" at 0x[0-9a-fA-F]+", "", repr(settings))
