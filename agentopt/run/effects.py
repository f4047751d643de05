"""The world of a cell: its random numbers, and the tape of what it takes from outside."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from typing import Any

from agentopt.core import Seed
from agentopt.core.effects import Tape, recording
from agentopt.core.values import digest
from agentopt.store import Store

__all__ = ["StoreTape", "World", "world"]

World = Callable[[str], AbstractContextManager[None]]
"""Scope of a cell (or of its scorer) to the context in which it runs."""


def world(seed: int, tape: Callable[[str], Tape]) -> World:
    """What makes cells repeatable: ``rng()`` depends on the run's seed and the cell, effects are kept on a tape."""

    @contextmanager
    def inside(scope: str) -> Iterator[None]:
        with Seed(int(digest([seed, scope])[:16], 16)), recording(tape(scope)):
            yield

    return inside


class StoreTape:
    """A tape in the run's log. What an earlier process of the run has written is given again, errors excepted.

    Args:
        store: the log.
        scope: first part of every place: the cell.
        known: effects that the log had when this process began, by place.
    """

    def __init__(self, store: Store, scope: str, known: Mapping[str, Mapping[str, Any]]) -> None:
        self._store, self._scope, self._known = store, scope, known

    @staticmethod
    def known(store: Store) -> dict[str, Mapping[str, Any]]:
        """The effects in a log, by place: the last of each."""
        found: dict[str, Mapping[str, Any]] = {}
        for event in store.events("effect"):
            data: Any = event.data
            found[data["place"]] = data["record"]
        return found

    def get(self, place: str) -> Mapping[str, Any] | None:
        """What an earlier process of the run wrote at a place; an error is not taken for granted but tried again."""
        record = self._known.get(f"{self._scope}|{place}")
        return None if record is None or "error" in record else record

    def put(self, place: str, record: Mapping[str, Any]) -> None:
        """Write a result down: it is on disk before any call that is made after it."""
        self._store.post("effect", {"place": f"{self._scope}|{place}", "record": dict(record)})
