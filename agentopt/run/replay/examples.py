"""The examples of a run against those that its task gives now."""

from __future__ import annotations

import difflib
from typing import Any

from agentopt.core.values import canonical
from agentopt.evaluate import Example
from agentopt.run.replay.divergence import Divergence
from agentopt.run.setup import Plan
from agentopt.run.stored import stored_examples
from agentopt.store import Store

__all__ = ["example_difference"]

_NAMES = ("search", "validation", "test")


def example_difference(store: Store, begun: dict[str, Any], plan: Plan) -> Divergence | None:
    """The first example of the run that the task does not give any more, or that lies in another split."""
    then = {n: list(stored_examples(store, begun, n).values()) for n in _NAMES}
    now = {n: list(plan.splits[n]) for n in _NAMES}
    had, has = ([e for part in side.values() for e in part] for side in (then, now))
    kept, known = {_key(e) for e in has}, {_key(e) for e in had}
    new = [e for e in has if _key(e) not in known]
    for name in _NAMES:
        for example in then[name]:
            if _key(example) not in kept:
                other = _closest(example, new)
                told = "is not among the task's examples now" if other is None else "has changed"
                return _divergence(f"an example of the {name} split {told}", name, example, other)
    for name in _NAMES:
        for old, present in zip(then[name], now[name], strict=False):
            if _key(old) != _key(present):
                return _divergence(f"the {name} split has its examples in another order", name, old, present)
        if len(then[name]) != len(now[name]):
            what = f"the {name} split had {len(then[name])} examples, now it has {len(now[name])}"
            return _divergence(what, name, (then[name] or now[name])[-1], (now[name] or then[name])[-1])
    return None


def _key(example: Example) -> str:
    return canonical(example.model_dump(mode="json"))


def _closest(example: Example, new: list[Example]) -> Example | None:
    """What it has become: the new example of the same id, else the one that reads most like it."""
    same = [e for e in new if e.id == example.id]
    close = difflib.get_close_matches(_key(example), [_key(e) for e in new], n=1, cutoff=0.0)
    return same[0] if same else next((e for e in new if close and _key(e) == close[0]), None)


def _divergence(what: str, split: str, old: Example, now: Example | None) -> Divergence:
    present = None if now is None else now.model_dump(mode="json")
    return Divergence(
        kind="example", what=what, phase=f"{split} split", example=old.id, recorded=old.model_dump(mode="json"),
        now=present,
    )  # fmt: skip
