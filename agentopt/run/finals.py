"""The end of a run: validation chooses, one test on untouched examples decides what may be claimed."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from agentopt.core.values import Candidate, Outcome, digest
from agentopt.evaluate import Claim, Example, Touch, compare
from agentopt.evaluate.splits import SplitName
from agentopt.run.parts import Parts, numbers_of
from agentopt.run.state import State
from agentopt.store import Store

__all__ = ["labelled", "named", "scored_again", "test", "touch", "user", "validate"]

Evaluate = Callable[[Sequence[Candidate], Sequence[Example], str], Awaitable[list[Outcome]]]
"""Runs candidates on the examples of a split, and puts the outcomes into the archive."""


async def validate(parts: Parts, state: State, evaluate: Evaluate) -> None:
    """The finalists and the baseline on the validation split; the best there goes to the test.

    Finalists are the candidates with the highest means among those that ran on (nearly) the whole search split and
    are ahead of the baseline there. On equal validation scores the search score decides.
    """
    if state.chosen is not None or state.baseline is None:
        return
    base = state.archive.scored(state.baseline.id)
    ahead = [
        s
        for s in state.archive.before(state.step + 1)
        if s.mean is not None and s.n >= 0.9 * len(parts.splits.search) and s.mean > (base.mean or 0.0)
    ]
    finalists = sorted(ahead, key=lambda s: (-(s.mean or 0.0), s.step))[: parts.config.finalists]
    scores: dict[str, dict[str, Any]] = {}
    chosen = state.baseline.id
    if finalists:
        pool = [state.baseline, *(s.candidate for s in finalists)]
        await evaluate(pool, parts.splits.validation, "validation")
        ranked = [(state.archive.scored(c.id, "validation"), state.archive.scored(c.id)) for c in pool]
        scores = {v.candidate.id: numbers_of(v) for v, _ in ranked}
        chosen = max(ranked, key=lambda pair: (pair[0].mean or 0.0, pair[1].mean or 0.0))[0].candidate.id
    state.chosen = chosen
    await parts.store.append("validation.done", {"chosen": chosen, "scores": scores})


async def test(parts: Parts, state: State, evaluate: Evaluate) -> None:
    """The chosen candidate against the baseline on the test split, once, with one exact test.

    When the baseline itself was chosen there is nothing to claim, and the test split stays untouched.
    """
    if state.claim is not None or state.baseline is None or state.chosen in (None, state.baseline.id):
        return
    assert state.chosen is not None
    earlier = touch(parts, "test", "claim")
    pair = (state.baseline, state.archive[state.chosen].candidate)
    outcomes = await evaluate(pair, parts.splits.test, "test")
    clusters = state.archive.clusters
    result = compare(outcomes, pair[0].id, pair[1].id, score_range=parts.task.score_range, clusters=clusters)
    state.claim = result = labelled(result, earlier)
    touched = sorted({use.run for use in earlier})
    await parts.store.append("claim", {"claim": result.model_dump(mode="json"), "touched_by": touched})


def labelled(claim: Claim, earlier: Sequence[Touch]) -> Claim:
    """The claim with the earlier uses of its examples: by how many, and of how many examples where that is known."""
    shared = {use.split: use.shared for use in earlier}
    known = sum(n or 0 for n in shared.values()) if shared and None not in shared.values() else None
    return claim.model_copy(update={"touches": len({use.run for use in earlier}), "touched_examples": known})


def touch(parts: Parts, split: SplitName, what: str) -> list[Touch]:
    """Write in the workspace ledger that a split is used; returns the earlier uses of its examples by other runs."""
    if not parts.splits[split]:
        return []
    examples = [digest(e.input) for e in parts.splits[split]]  # another target makes no new example
    return parts.splits_ledger.touch(parts.splits.hash(split), user(parts.store), what, examples=examples)


def user(store: Store) -> str:
    """How the ledger names a run: the same wherever two runs of one name lie."""
    return named(store.folder.name, store.id)


def scored_again(started: Mapping[str, Any]) -> list[Mapping[str, Any]]:
    """The runs whose answers a run has, where it scored them again: ``run`` and ``id`` of each, the last first."""
    again = started.get("rescored")
    return [again, *again.get("before", ())] if again else []


def named(run: str, id_: str) -> str:
    """The same by a run's name and id."""
    return f"{run} ({id_[:8]})"
