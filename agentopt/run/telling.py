"""What a person is told of a run while it goes on: a line for each thing worth knowing, and a sign of life."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Mapping
from typing import Any, Protocol

from agentopt._text import number, short
from agentopt.core.values import Candidate

__all__ = ["EventLike", "Telling", "sentence"]

EVERY = 15.0
"""Seconds without a line after which the evaluations so far are told."""


class EventLike(Protocol):
    """What subscribers of a run get."""

    @property
    def type(self) -> str:
        """Such as ``step.done``."""
        ...

    @property
    def data(self) -> Mapping[str, Any]:
        """What happened."""
        ...


class Telling:
    """A subscriber of a run's events that puts them into words.

    Args:
        say: takes a line; prints it on stderr by default.
        every: seconds without a line after which the evaluations so far are told.
    """

    def __init__(self, say: Callable[[str], None] | None = None, every: float = EVERY) -> None:
        self._say, self._every = say or _stderr, every
        self._values: dict[str, Mapping[str, Any]] = {}
        self._incumbent = ""
        self._cells = self._errors = 0
        self._phase, self._evaluates = "", False
        self._begin = self._said = time.monotonic()

    @property
    def counted(self) -> str:
        """``132 evaluations, 2 failed, 41 s``"""
        failed = f", {self._errors} failed" if self._errors else ""
        return f"{self._cells} evaluations{failed}, {time.monotonic() - self._begin:.0f} s"

    def __call__(self, event: EventLike) -> None:
        """Take an event in."""
        if event.type == "cell":
            self._cells += 1
            self._errors += event.data.get("outcome", {}).get("status", "ok") != "ok"
            self._enter(str(event.data.get("outcome", {}).get("split", "")))
        if event.type in ("run.started", "run.resumed"):
            self._evaluates = event.data.get("kind") == "evaluate" or "retry_errors" in event.data
        if event.type in ("baseline", "candidate"):
            candidate = Candidate.model_validate(event.data["candidate"])
            self._values[candidate.id] = candidate.values
            if event.type == "baseline":
                self._incumbent = candidate.id
        if event.type == "step.done":
            self._incumbent = event.data["incumbent"]
        text = sentence(event)
        if event.type == "proposal.accepted" and self._incumbent in self._values:  # not first thing in a resumption
            text += f": {changes(self._values[self._incumbent], self._values[event.data['id']])}"
        if not text and time.monotonic() - self._said > self._every:
            text = f"  {self.counted}"
        if text:
            self._said = time.monotonic()
            self._say(text)

    def _enter(self, split: str) -> None:
        """Tell the phase of an optimization that the first cell of it shows: what follows may take a while."""
        if split != self._phase and not self._evaluates and split in _PHASES:
            self._said = time.monotonic()
            self._say(_PHASES[split])
        self._phase = split


def _stderr(text: str) -> None:
    sys.stderr.write(f"{text}\n")
    sys.stderr.flush()


def _score(data: Mapping[str, Any]) -> str:
    """``0.512 [0.401, 0.620] n=40``"""
    text = number(data.get("mean"))
    if data.get("low") is not None and data.get("high") is not None:
        text += f" [{number(data['low'])}, {number(data['high'])}]"
    return f"{text} n={data['n']}" if data.get("n") is not None else text


def _heats(data: Mapping[str, Any]) -> str:
    heats = data.get("heats") or ()
    done = sum(1 for h in heats if h.get("complete"))
    return f"{len(heats)} raced, {done} to the end; " if heats else "nothing to race; "


def _validation(data: Mapping[str, Any]) -> str:
    scores = data.get("scores") or {}
    if not scores:
        return "validation: no candidate beats the baseline on the search split; nothing to validate"
    listed = ", ".join(f"{id_[:8]} {_score(s)}" for id_, s in scores.items())
    return f"validation: {listed}; {str(data.get('chosen', ''))[:8]} goes to the test"


def _round(data: Mapping[str, Any]) -> str:
    counts = data["tally"]["counts"]
    steps = ("grow", "steps", "similarity", "problems", "solver", "rows")
    told = " → ".join(str(counts.get(name, 0)) for name in steps)
    return (
        f"round {data['number'] + 1} ({data['draws']} of {data['planned']} draws): {told} "
        f"(asked → well formed → unlike → problems → solved → questions); {data['rows']} rows so far"
    )


def _added(data: Mapping[str, Any]) -> str:
    total, added = data.get("budget") or {}, data.get("add_budget") or {}
    sums = (
        f"{total[axis] - more:g} + {more:g} = {total[axis]:g} {axis}" for axis, more in added.items() if axis in total
    )
    return f"budget: {', '.join(sums)}" if added else ""


def _noise(data: Mapping[str, Any]) -> str:
    from agentopt.evaluate import AASummary

    return str(AASummary.model_validate(data).sentence)


def _reasons(data: Mapping[str, Any]) -> list[str]:
    """Why a proposal is rejected: first what was wrong with it, then that what is left of it is a duplicate."""
    reasons = list(data.get("reasons") or ())
    return [*(data.get("rejected") or ()), *reasons] if "duplicate" in (data.get("rules") or ()) else reasons


def changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    """What differs between two candidates' values, in a few words.

    >>> changes({"shots": 0, "request": "Answer.", "tone": "plain"}, {"shots": 3, "request": "Think.", "tone": "plain"})
    'shots 0 → 3; request "Think."'
    """
    told = [
        f'{name} "{short(value, 60)}"'
        if isinstance(value, str) and len(value) + len(str(old.get(name))) > 12
        else f"{name} {short(old.get(name), 30)} → {short(value, 30)}"
        for name, value in new.items()
        if value != old.get(name)
    ]
    return "; ".join(told)


_PHASES = {
    "noise": "A/A: the baseline once more on some examples, to see what differs by chance",
    "validation": "validation: the baseline and the finalists, on examples that the search has not used",
    "test": "test: the chosen candidate and the baseline, once, on untouched examples",
}
"""Split of a cell to what is told when the first of them is done."""
_SENTENCES: dict[str, Callable[[Mapping[str, Any]], str]] = {
    "forecast": lambda d: "\n".join(d.get("lines", ())),
    "baseline.done": lambda d: f"baseline {_score(d)} on the search split",
    "noise.done": _noise,
    "step.started": lambda d: f"step {d['step'] + 1}: asking the optimizer",
    "proposal.accepted": lambda d: ": ".join(
        filter(None, (f"  proposal {str(d.get('id', ''))[:8]}", short(d.get("why", ""), 90)))
    ),
    "proposal.rejected": lambda d: f"  rejected {str(d.get('id', ''))[:8]}: {short('; '.join(_reasons(d)), 120)}",
    "incumbent": lambda d: f"  new incumbent {str(d.get('id', ''))[:8]} {_score(d)} on the search split",
    "step.done": lambda d: f"step {d['step'] + 1} done: {_heats(d)}best so far {_score(d)}",
    "search.ended": lambda d: f"search ended: {d.get('reason', '')}",
    "validation.done": _validation,
    "synthesis.round": _round,
    "run.resumed": _added,
    "budget.exhausted": lambda d: f"budget: {d.get('message') or d.get('axis', '')}",
    "warning": lambda d: f"warning: {d.get('message') or d.get('text', '')}",
}


def sentence(event: EventLike) -> str:
    """What a person is told of an event; empty for those that are only counted."""
    say = _SENTENCES.get(event.type)
    return say(event.data) if say is not None else ""
