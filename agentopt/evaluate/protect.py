"""The evaluator is protected: what scores a run is hashed before and after, and a change is told."""

from __future__ import annotations

import contextlib
import hashlib
import inspect
import sys
import weakref
from collections.abc import Iterable
from functools import lru_cache
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from agentopt._imports import imports, modules
from agentopt.core.values import digest
from agentopt.evaluate.held import Held, users_own
from agentopt.evaluate.metric import Metric

__all__ = ["evaluator_hash", "scorer_differs"]

_FORM = "2:"
"""What is hashed, and how; another number when that changes."""

_Known = tuple[JsonValue, frozenset[Path]]
_known: dict[tuple[int, str], tuple[weakref.ref[Any], _Known]] = {}
"""What each living scorer held when it was first seen, and the files that define it."""


def evaluator_hash(scorer: Any) -> str:
    """sha256 of the scorer: what it holds, and the files that define it as they are on disk now.

    It holds its settings: attributes, default and bound arguments, variables of the functions around it, and prompts
    that it names. They are read once, when a scorer is first seen, so that what it keeps while it works (a cache, a
    count) is no change; a class that makes such things before its first run leaves them out of its ``__getstate__``.
    The files are those that define it and the user's own modules that these import. Libraries, folders and places in
    memory never enter: the hash is the same in every process, and a workspace may be moved. Before it stands the number
    of its form.

    >>> from agentopt.evaluate.scorers import numeric
    >>> evaluator_hash(numeric()) == evaluator_hash(numeric()) != evaluator_hash(numeric(tol=1))
    True
    """
    while isinstance(scorer, Metric):  # what it holds beside the metric are the task's examples
        scorer = scorer.__wrapped__
    told, files = _first_seen(scorer)
    return _FORM + digest([told, sorted([path.name, _hash_of(path)] for path in _with_imports(files))])


def scorer_differs(then: str, now: str) -> bool:
    """Whether two hashes are of different scorers; runs of earlier versions have hashes of less, which say nothing.

    >>> scorer_differs("2:ab", "2:cd"), scorer_differs("ab", "2:cd")
    (True, False)
    """
    return then.partition(":")[0] == now.partition(":")[0] and then != now


def _first_seen(scorer: Any) -> _Known:
    """What a scorer held when it was first seen."""
    owner, name = (scorer.__self__, scorer.__name__) if inspect.ismethod(scorer) else (scorer, "")
    key = (id(owner), name)
    if key in _known and _known[key][0]() is owner:
        return _known[key][1]
    held = Held(scorer)
    known = held.told, frozenset(held.files)
    with contextlib.suppress(TypeError):  # one that cannot be watched is read each time
        _known[key] = weakref.ref(owner, lambda _: _known.pop(key, None)), known
    return known


def _with_imports(files: Iterable[Path]) -> set[Path]:
    """The files, and what the user's own among them import of the user's own."""
    found: set[Path] = set()
    waiting = list(files)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        found.add(path)
        if path.suffix == ".py" and path.is_file() and users_own(path):
            near, names = _imports(path, path.read_bytes())
            far = [file for name in names for file in _modules(name)]
            waiting += [file for file in (*near, *far) if users_own(file)]
    return found


_imports = lru_cache(maxsize=256)(imports)


def _modules(name: str) -> list[Path]:
    """The files of a module and of the packages around it; none where it is of a library, or cannot be found."""
    top, *rest = name.split(".")
    if top in sys.stdlib_module_names or top == "agentopt":
        return []
    try:
        spec = PathFinder.find_spec(top)
    except (ImportError, ValueError):
        return []
    if spec is None:
        return []
    found = [Path(spec.origin).resolve()] if spec.origin else []
    if any(not users_own(path) for path in found):
        return []
    for folder in spec.submodule_search_locations or ():
        for depth in range(len(rest)):
            found += modules(Path(folder).resolve().joinpath(*rest[: depth + 1]))
    return found


def _hash_of(path: Path) -> str:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest()
    except OSError:
        return "no file"
