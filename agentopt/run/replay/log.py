"""A store that compares: what the loop appends in a replay, against what it appended when the run was made."""

from __future__ import annotations

import json
import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from agentopt.core.values import Outcome
from agentopt.errors import BudgetExhausted
from agentopt.run.replay.divergence import Diverged, Divergence, RecordEnds, first_difference, plain
from agentopt.run.replay.record import SPINE, Part
from agentopt.store import Event, Store

__all__ = ["Comparing", "Report", "short"]

_IGNORED = {"spend", "elapsed", "seconds", "remaining"}
"""Fields of events that tell of time and money, not of what was decided."""
_PROPOSALS = {"step.asked", "proposal.accepted", "proposal.rejected", "candidate", "step.admitted"}


class Report:
    """What was compared so far, and the differences that were found. Any thread may report."""

    def __init__(self) -> None:
        self.found: list[Divergence] = []
        self.counts = {"calls": 0, "cells": 0, "decisions": 0, "effects": 0, "timeouts": 0}
        self.used: set[str] = set()
        """Places of the effects that were performed again."""
        self.told: Callable[[Divergence], None] = lambda divergence: None
        """Called with each difference."""
        self._lock = threading.Lock()

    def count(self, what: str) -> None:
        """One more that is the same."""
        with self._lock:
            self.counts[what] += 1

    def diverge(self, divergence: Divergence) -> Diverged:
        """Note a difference; returns what is to be raised."""
        with self._lock:
            self.found.append(divergence)
        self.told(divergence)
        return Diverged(divergence.what)

    def first(self) -> Divergence | None:
        """Of what was under way when the first difference was found: the one that stands first in the log."""
        return min(self.found, key=lambda d: d.seq or 0, default=None)


class Comparing(Store):
    """A run's log, open for reading: what the loop appends is compared with what it appended then.

    Args:
        folder: the run.
        part: what is compared; what the log had before it is what the loop finds.
        report: where differences go.
    """

    def __init__(self, folder: Path, part: Part, report: Report) -> None:
        super().__init__(folder, readonly=True)
        self._part, self._report = part, report
        self._left = deque(part.spine)
        self._phase = "baseline"
        self._step: int | None = None
        self._seen = [event for event in super().events() if event.seq <= part.begin]
        for event in self._seen:
            self._pass(event)

    async def append(self, type: str, data: Mapping[str, Any], blobs: Iterable[bytes] = ()) -> Event:
        """Compare an event of the loop; nothing is written."""
        return self.append_now(type, data, blobs)

    def append_now(self, type: str, data: Mapping[str, Any], blobs: Iterable[bytes] = ()) -> Event:
        """As ``append``."""
        now = Event(seq=0, time=0.0, type=type, data={k: v for k, v in plain(dict(data)).items() if k not in _IGNORED})
        if type not in SPINE:
            self._seen.append(now)
            return now
        if not self._left:
            raise RecordEnds
        then = self._left[0]
        old = {k: v for k, v in then.data.items() if k not in _IGNORED}
        if then.type != type:
            what = f"the run went on with {then.type}, the replay with {type}"
            raise self.differs("decision", what, then, {"event": then.type, **old}, {"event": type, **now.data})
        found = first_difference(old, now.data)
        if found is not None:
            place, a, b = found
            kind: Any = "proposal" if type in _PROPOSALS else "parameters" if type == "baseline" else "decision"
            what = f"{type}: {place} was {short(a)}, now it is {short(b)}"
            raise self.differs(kind, what, then, old, now.data)
        self._left.popleft()
        self._report.count("decisions")
        self._seen.append(then)
        self._pass(then)
        return now

    def differs(self, kind: Any, what: str, then: Event | None, recorded: Any, now: Any, **where: Any) -> Diverged:
        """Report a difference with where the loop is."""
        seq = where.pop("seq", then.seq if then is not None else None)
        here = {"phase": self._phase, "step": self._step, "seq": seq, **where}
        return self._report.diverge(Divergence(kind=kind, what=what, recorded=plain(recorded), now=plain(now), **here))

    def absent(self, kind: Any, what: str, now: Any, **where: Any) -> BaseException:
        """What to raise for something that the log does not have: the end of a budget or of the log, or a difference.

        The budget's refusal depends on what else was under way, so it is taken from the log.
        """
        if not self._left:
            return RecordEnds()
        if self._left[0].type == "budget.exhausted":
            data: Any = self._left[0].data
            return BudgetExhausted(data["axis"], data["message"])
        return self.differs(kind, what, None, None, now, seq=self._left[0].seq, **where)

    @property
    def next(self) -> Event | None:
        """The loop's next event in the log."""
        return self._left[0] if self._left else None

    def events(self, *types: str, since: int = 0) -> Iterator[Event]:
        """Events that the loop found when it began, and those that it has come by since."""
        return (e for e in list(self._seen) if (not types or e.type in types) and (e.seq > since or not since))

    def last(self, type: str) -> Event | None:
        """The latest of these of a type."""
        return next(reversed(list(self.events(type))), None)

    def cells(self, candidate: str | None = None, split: str | None = None) -> list[Outcome]:
        """Outcomes of these events."""
        found = [Outcome.model_validate(event.data["outcome"]) for event in self.events("cell")]
        last = {(o.candidate, o.example, o.repeat): o for o in found}
        return [o for o in last.values() if candidate in (None, o.candidate) and split in (None, o.split)]

    def _pass(self, event: Event) -> None:
        """Know which phase comes after an event."""
        match event.type:
            case "baseline.done":
                self._phase = "noise"
            case "step.started":
                self._step = int(str(event.data["step"])) + 1
                self._phase = f"step {self._step}"
            case "search.ended":
                self._phase, self._step = "validation", None
            case "validation.done":
                self._phase = "test"


def short(value: Any, width: int = 60) -> str:
    """A JSON value in at most so many characters."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= width else f"{text[: width - 1]}…"
