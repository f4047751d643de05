"""The world of a cell: its random numbers, and the tape of what it takes from outside."""

from __future__ import annotations

import copy
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
    """A tape in the run's log. What is written there is given again, errors excepted.

    So an effect is performed once, also where its cell is run anew: by a later process, or by this one after an error.

    Args:
        store: the log.
        scope: first part of every place: the cell.
        known: effects in the log, by place; what is put is added. The tapes of a run share it.
    """

    def __init__(self, store: Store, scope: str, known: dict[str, Mapping[str, Any]]) -> None:
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
        """What was written at a place; an error is not taken for granted but tried again."""
        record = self._known.get(f"{self._scope}|{place}")
        return None if record is None or "error" in record else copy.deepcopy(record)

    def put(self, place: str, record: Mapping[str, Any]) -> None:
        """Write a result down: it is on disk before any call that is made after it."""
        at, kept = f"{self._scope}|{place}", copy.deepcopy(dict(record))  # the program may change what it gets
        self._store.post("effect", {"place": at, "record": kept})
        self._known[at] = kept
