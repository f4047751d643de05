"""Where a run stands: the fold of its log."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agentopt.core.values import Budget, Candidate, Proposal
from agentopt.evaluate import Claim
from agentopt.run.archive import Archive
from agentopt.run.stored import stored_clusters
from agentopt.store import Store

__all__ = ["State", "fold", "whole_budget"]


@dataclass(slots=True)
class State:
    """What the log says so far."""

    archive: Archive
    baseline: Candidate | None = None
    incumbent: str | None = None
    step: int = 0
    """The step to do next."""
    stale: int = 0
    """Steps in a row without a new incumbent."""
    optimizer: Mapping[str, Any] | None = None
    """The optimizer's state after its last ask or tell."""
    asked: list[Proposal] | None = None
    """Proposals of the step to do next, when it had asked already."""
    judged: bool = False
    """Whether those proposals have been admitted or rejected already."""
    noise: Mapping[str, Any] | None = None
    ended: str | None = None
    """Why the search ended; None while it goes on."""
    chosen: str | None = None
    """The candidate that validation chose."""
    claim: Claim | None = None
    finished: str | None = None
    """Status of the finished run."""


_FOLDED = (
    "candidate", "baseline", "noise.done", "step.asked", "step.admitted", "step.done", "search.ended",
    "search.reopened", "validation.done", "claim", "run.finished", "run.resumed",
)  # fmt: skip


def fold(store: Store, first: Mapping[str, Any], *, damaged: bool = False) -> State:
    """Read the log into a state. ``first`` is its first event; cells and calls are read from their tables.

    ``damaged``: examples that cannot be read are done without, as to show a run needs none.
    """
    low, high = first["score_range"]
    archive = Archive((low, high), lambda: stored_clusters(store, first, damaged=damaged))
    state = State(archive)
    for event in store.events(*_FOLDED):
        data: Any = event.data
        match event.type:
            case "candidate":
                candidate = Candidate.model_validate(data["candidate"])
                archive.add(candidate, data["step"], data["operator"])
            case "baseline":
                state.baseline = Candidate.model_validate(data["candidate"])
                archive.add(state.baseline, -1, "baseline")
                state.incumbent = state.baseline.id
            case "noise.done":
                state.noise = data
            case "step.asked":
                state.asked, state.judged = [Proposal.model_validate(p) for p in data["proposals"]], False
                state.optimizer = data["optimizer"]
            case "step.admitted":
                state.judged = True
            case "step.done":
                state.step, state.optimizer = data["step"] + 1, data["optimizer"]
                state.stale = 0 if data["incumbent"] != state.incumbent else state.stale + 1
                state.incumbent, state.asked, state.judged = data["incumbent"], None, False
            case "search.ended":
                state.ended = data["reason"]
            case "search.reopened":
                state.ended, state.chosen, state.finished = None, None, None
            case "validation.done":
                state.chosen = data["chosen"]
            case "claim":
                state.claim = Claim.model_validate(data["claim"])
            case "run.finished":
                state.finished = data["status"]
            case "run.resumed":
                state.finished = None
    for outcome in store.cells():
        if outcome.candidate in archive:
            archive.put(outcome)
    return state


def whole_budget(store: Store, first: Budget) -> Budget:
    """What a run may spend: the budget that it began with, and all that was added to it."""
    for event in store.events("run.resumed"):
        first = first.plus(Budget.model_validate(event.data.get("add_budget") or {}))
    return first
