"""What differs: comparison of what a run did then and what it does now, and the first difference in words."""

from __future__ import annotations

import difflib
import json
import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, Literal

from pydantic import JsonValue

from agentopt.core.values import Frozen, Outcome, canonical

__all__ = ["Diverged", "Divergence", "Kind", "RecordEnds", "first_difference", "node_difference", "plain", "told"]

Kind = Literal[
    "call", "outcome", "node", "decision", "proposal", "parameters", "example", "effect", "order", "blob", "network",
    "error",
]  # fmt: skip


class Divergence(Frozen):
    """The first place where a replay does not do what the run did, with what was recorded and what came now."""

    kind: Kind
    """What differs: a call's payload, an outcome, a traced node, a decision of the loop, a proposal, the parameters of
    the search, an example, an effect, the order of completions, a blob of the file, or how the replay ended."""
    what: str
    """The difference in one line."""
    phase: str = ""
    """baseline, noise, ``step 3`` (the first step is 1), validation, test."""
    step: int | None = None
    """The step, counted from 1; None outside the search."""
    candidate: str | None = None
    """Candidate id."""
    example: str | None = None
    """Example id."""
    path: str | None = None
    """Path of node calls, as in the traced graph."""
    address: str | None = None
    """Address of the call or place of the effect."""
    seq: int | None = None
    """The event of the log with which it was compared."""
    recorded: JsonValue = None
    """What the run's log has."""
    now: JsonValue = None
    """What the replay brought."""

    @property
    def where(self) -> str:
        """Phase, candidate, example and node path, as far as they are known."""
        named = (("candidate", self.candidate), ("example", self.example), ("node", self.path), ("event", self.seq))
        return ", ".join(filter(None, [self.phase, *(f"{name} {value}" for name, value in named if value)]))

    def diff(self) -> list[str]:
        """Recorded against now, as lines of a unified diff."""
        then, now = _lines(self.recorded), _lines(self.now)
        return list(difflib.unified_diff(then, now, "recorded", "now", lineterm="", n=2))


class Diverged(BaseException):
    """Ends what is under way after a difference. Not an ``Exception``: no program under replay may catch it."""


class RecordEnds(BaseException):
    """The run was cut off here: there is nothing further to compare with."""


def plain(value: Any) -> Any:
    """A value as it is after having been stored."""
    return json.loads(json.dumps(value, ensure_ascii=False, default=repr))


def first_difference(then: Any, now: Any, place: str = "") -> tuple[str, Any, Any] | None:
    """Place and both values of the first difference of two JSON values; None where there is none.

    Numbers are the same up to a relative difference of 1e-9: another machine may add up in another way.

    >>> first_difference({"a": [1, 2]}, {"a": [1, 3]})
    ('a[1]', 2, 3)
    >>> first_difference({"p": 0.1 + 0.2}, {"p": 0.3}) is None
    True
    """
    if isinstance(then, Mapping) and isinstance(now, Mapping):
        for key in dict.fromkeys([*then, *now]):
            inner = f"{place}.{key}" if place else str(key)
            if (key in then) != (key in now):
                return inner, then.get(key), now.get(key)
            if (found := first_difference(then[key], now[key], inner)) is not None:
                return found
        return None
    if isinstance(then, list) and isinstance(now, list) and len(then) == len(now):
        pairs = enumerate(zip(then, now, strict=True))
        return next((found for i, (a, b) in pairs if (found := first_difference(a, b, f"{place}[{i}]"))), None)
    if isinstance(then, int | float) and isinstance(now, int | float):
        equal = isinstance(then, bool) == isinstance(now, bool) and math.isclose(then, now, rel_tol=1e-9, abs_tol=1e-12)
    else:
        equal = then == now
    return None if equal else (place, then, now)


def told(outcome: Outcome) -> dict[str, Any]:
    """An outcome without what depends on the time and the machine: seconds, places in tracebacks, the trace's id."""
    data: dict[str, Any] = outcome.model_dump(mode="json", exclude={"trace"})
    data["metrics"].pop("seconds", None)
    data["error"] = _reason(outcome.error)
    return data


def node_difference(then: Mapping[str, Any], now: Mapping[str, Any]) -> tuple[str, Any, Any] | None:
    """Path and both sides of the first traced node that differs between two graphs; None where none does.

    Nodes are found by their path, name and kind, so the order in which concurrent branches were made does not count.
    """
    old, new = _nodes(then), _nodes(now)
    for key in dict.fromkeys([*old, *new]):
        if old.get(key) != new.get(key):
            path, name, _ = key
            return path or name, _shown(old.get(key)), _shown(new.get(key))
    return None


def _nodes(graph: Mapping[str, Any]) -> dict[tuple[str, str, str], list[str]]:
    found: dict[tuple[str, str, str], list[str]] = {}
    for node in graph["nodes"]:
        value = node["value"] if node["exact"] else _ADDRESS.sub("0x", str(node["value"]))
        side = {"value": value, "constants": node["constants"], "error": _reason(node["error"])}
        found.setdefault((node["path"], node["name"], node["kind"]), []).append(
            _ADDRESS.sub("0x", canonical(plain(side)))
        )
    return {key: sorted(values) for key, values in found.items()}


def _shown(values: list[str] | None) -> Any:
    if values is None:
        return None
    return json.loads(values[0]) if len(values) == 1 else [json.loads(v) for v in values]


_ADDRESS = re.compile(r"0x[0-9a-fA-F]{4,}")
_PLACE = re.compile(r" |Traceback|called from |at \S+:\d+ in |>>>")


def _reason(error: str | None) -> str | None:
    """What a traceback says without files, lines and addresses of objects."""
    if error is None:
        return None
    kept = [line for line in error.splitlines() if line and not _PLACE.match(line)]
    return _ADDRESS.sub("0x", "\n".join(kept))


def _lines(value: Any) -> list[str]:
    return list(_written(value, ""))


def _written(value: Any, indent: str) -> Iterator[str]:
    """A JSON value as lines; texts of several lines as such, so that a diff shows the line that differs."""
    if isinstance(value, Mapping):
        for key, inner in value.items():
            if isinstance(inner, Mapping | list) or (isinstance(inner, str) and "\n" in inner):
                yield f"{indent}{key}:"
                yield from _written(inner, indent + "  ")
            else:
                yield f"{indent}{key}: {json.dumps(inner, ensure_ascii=False)}"
    elif isinstance(value, list):
        for inner in value:
            lines = list(_written(inner, indent + "  "))
            yield from ([f"{indent}- {lines[0].lstrip()}", *lines[1:]] if lines else [f"{indent}- []"])
    elif isinstance(value, str):
        yield from (f"{indent}{line}" for line in value.splitlines() or [""])
    else:
        yield f"{indent}{json.dumps(value)}"
