"""Whether problems have been used before, in this workspace, under the name of another task."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from agentopt.core.values import digest
from agentopt.errors import StoreError
from agentopt.evaluate.ledger import SplitLedger
from agentopt.workspace.roots import find_root

__all__ = ["used_elsewhere"]


def used_elsewhere(problems: Sequence[str], ledger: SplitLedger | None = None) -> tuple[str, ...]:
    """Notes on the problems of a task that runs have searched or chosen on as ``{"problem": text}`` of another task.

    Sets of this field share their texts: of OptiBench's 605 problems 190 are test problems of NL4OPT, word for word.

    Args:
        problems: texts.
        ledger: default that of the workspace; without one there is nothing to tell.

    >>> used_elsewhere([])
    ()
    """
    if ledger is None:
        root = find_root()
        path = root / ".agentopt" / "splits.sqlite" if root else None
        if path is None or not path.is_file():
            return ()
        ledger = SplitLedger(path)
    try:
        uses = ledger.used(_inputs(problems))
    except StoreError:
        return ()  # the run itself says so where it matters
    tuned = [use for use in uses if use.what in ("search", "validation")]  # looking at a score changes no agent
    if not tuned:
        return ()
    most = max(use.shared or 0 for use in tuned)
    runs = ", ".join(dict.fromkeys(use.run for use in tuned))
    return (
        f"up to {most} of these problems were already searched on under another task or protocol (by {runs}): a number"
        " on them is not fresh",
    )


def _inputs(problems: Iterable[str]) -> list[str]:
    """What the ledger knows an example by, where its input is the problem alone."""
    return [digest({"problem": problem}) for problem in problems]
