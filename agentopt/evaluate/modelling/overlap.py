"""Whether problems have been used before, in this workspace, under the name of another task."""

from __future__ import annotations

from collections.abc import Iterable

from pydantic import JsonValue

from agentopt.core.values import digest
from agentopt.errors import StoreError
from agentopt.evaluate.ledger import SplitLedger
from agentopt.workspace.roots import find_root

__all__ = ["used_elsewhere"]


def used_elsewhere(inputs: Iterable[JsonValue], ledger: SplitLedger | None = None) -> tuple[str, ...]:
    """Notes on the problems of a task that runs have searched or chosen on in the shape of another task or protocol.

    Sets of this field share their texts: of OptiBench's 605 problems 190 are test problems of NL4OPT, word for word. A
    ledger knows an example by its input, so it takes ``{"problem": ...}`` and the same with ``names`` for two; uses in
    the task's own shape it tells every evaluation by itself.

    Args:
        inputs: the problems as inputs of the other tasks.
        ledger: default that of the workspace; without one there is nothing to tell.

    >>> used_elsewhere([])
    ()
    """
    if ledger is None:
        root = find_root()
        if root is None:
            return ()
        ledger = SplitLedger(root / ".agentopt" / "splits.sqlite")
    try:
        return ledger.not_fresh(map(digest, inputs), "these problems", " under another task or protocol")
    except StoreError:
        return ()  # the run itself says so where it matters
