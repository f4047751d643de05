"""How fast a run works: read from its log, so that a resumed run knows what the one before had seen."""

from __future__ import annotations

from typing import Any

from agentopt.core.values import Outcome
from agentopt.store import Event, Store

__all__ = ["Pace"]

_PAUSE = 0.1
"""Seconds between two cells that still count as work: what is between them is the run's own."""


class Pace:
    """Time in which cells were under way, over the cells that really ran.

    A cell whose calls were all answered by the response cache took no time worth counting, nor did one that found
    answers in the journal of a process that was cut off: both are left out. The time between processes is not in the
    run's clock.

    Args:
        store: the log. What it has is read at ``look``, once.
    """

    def __init__(self, store: Store) -> None:
        self._store = store
        self._seq, self._now = 0, 0.0
        self._heard: set[str] = set()
        """Scopes that had an answer in the process that is read now; ``_asked``: one that was really asked for."""
        self._asked: set[str] = set()
        self._answered_before: set[str] = set()
        self._spans: list[tuple[float, float]] = []
        self._busy, self._cells = 0.0, 0
        self._step_began: float | None = None
        self.longest_step = 0.0
        """Seconds of the longest step."""

    def look(self) -> None:
        """Read what came since the last look."""
        for event in self._store.events(
            "run.resumed", "call.received", "cell", "step.started", "step.done", since=self._seq
        ):
            self._seq = event.seq
            self._read(event)

    def seconds(self, cells: int) -> float:
        """How long so many cells will take; 0 where none has really run yet."""
        return self._busy / self._cells * cells if self._cells else 0.0

    def _read(self, event: Event) -> None:
        data: Any = event.data
        match event.type:
            case "run.resumed":
                self._answered_before |= self._heard
                self._heard, self._asked = set(), set()
            case "call.received":
                scope = data["address"].partition("|")[0].removesuffix("/judge")
                self._heard.add(scope)
                if not data["response"]["cached"]:
                    self._asked.add(scope)
            case "cell":
                self._now = data.get("elapsed", self._now)
                self._cell(Outcome.model_validate(data["outcome"]))
            case "step.started":
                self._step_began = self._now
            case "step.done":
                self._now = data["spend"]["run"]["seconds"]
                if self._step_began is not None:
                    self.longest_step = max(self.longest_step, self._now - self._step_began)

    def _cell(self, outcome: Outcome) -> None:
        scope = f"cell/{outcome.candidate}/{outcome.example}/{outcome.repeat}"  # as ``scope_of`` has it
        if scope in self._answered_before or (scope in self._heard and scope not in self._asked):
            return
        self._cells += 1
        begin, end = self._now - outcome.metrics.get("seconds", 0.0), self._now
        while self._spans and self._spans[-1][1] + _PAUSE >= begin:
            before = self._spans.pop()
            self._busy -= before[1] - before[0]
            begin, end = min(begin, before[0]), max(end, before[1])
        self._spans.append((begin, end))
        self._busy += end - begin
