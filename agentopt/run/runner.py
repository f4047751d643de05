"""The loop of a run: baseline, noise, steps of ask, race and tell, validation, and one test.

Every phase looks first at what the log already has, so that a resumed run is the same program on a longer log.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any

from agentopt.core.values import Candidate, Outcome, Proposal, digest
from agentopt.errors import BudgetExhausted, LLMError, UsageError
from agentopt.evaluate import Example, aa_summary, evaluator_hash
from agentopt.evaluate.summary import counted
from agentopt.optim.invariants import check as check_invariants
from agentopt.run.cells import Cell
from agentopt.run.finals import test, touch, validate
from agentopt.run.forecast import NOISE_EXAMPLES, CallCost, dearest, forecast, kept_back, measured
from agentopt.run.pace import Pace
from agentopt.run.parts import Parts, numbers_of
from agentopt.run.race import Heat, race
from agentopt.run.sentinel import other_values, sight
from agentopt.run.state import State
from agentopt.run.view import RunView, left, left_at_first

__all__ = ["Runner"]


_CHANGED = "the files of the scorer have changed since the run began"


class Runner:
    """Runs the phases that the state has not been through yet.

    Args:
        parts: what it works with.
        state: the fold of the log so far.
    """

    def __init__(self, parts: Parts, state: State) -> None:
        self._p, self._s = parts, state
        self._config, self._store, self._ledger = parts.config, parts.store, parts.ledger
        self._search = {e.id: e for e in parts.splits.search}
        self._pace = Pace(parts.store)
        self.stopping = False

    def stop(self) -> None:
        """End early: what is in flight is finished and committed, nothing new is begun."""
        self.stopping = self._p.cells.stopping = True

    async def run(self) -> str:
        """Go through the phases; returns the run's status: ``finished`` or ``budget``.

        Raises ``BudgetTooSmall`` before the first call, ``LLMError`` when the model cannot be reached at all, and
        ``asyncio.CancelledError`` when it was stopped.
        """
        state = self._s
        status = "finished"
        if state.claim is not None:  # killed between the claim and the end
            await self._store.append("run.finished", {"status": status, "spend": self._spend()})
            return status
        try:
            await self._baseline()
            await self._sentinel()
            await self._noise()
            if state.ended is None:
                await self._search_phase()
            self._hold(validation=False)
            await validate(self._p, state, self._evaluate)
            self._ledger.hold({})
            await test(self._p, state, self._tested)
        except BudgetExhausted as end:
            status = "budget"
            await self._store.append("budget.exhausted", {"axis": end.axis, "message": str(end)})
        if state.claim is None and self._scorer_changed():
            await self._store.append("warning", {"text": _CHANGED})
        await self._store.append("run.finished", {"status": status, "spend": self._spend()})
        return status

    def _scorer_changed(self) -> bool:
        """Whether the files of the scorer are not those that the scores of this run were made with."""
        begun = [e.data["evaluator"] for e in self._store.events("run.started", "run.resumed") if "evaluator" in e.data]
        return bool(begun) and begun[-1] != evaluator_hash(self._p.task.scorer)

    def _keep_scorer(self) -> None:
        if self._scorer_changed():
            raise UsageError(f"{_CHANGED}, so nothing is claimed: restore them and resume, or start a new run")

    async def _tested(self, candidates: Sequence[Candidate], examples: Sequence[Example], split: str) -> list[Outcome]:
        """The test's cells, with the scorer looked at before and after: a claim rests on one kind of scores."""
        self._keep_scorer()
        outcomes = await self._evaluate(candidates, examples, split)
        self._keep_scorer()
        return outcomes

    # -- the phases ----------------------------------------------------------------------------------------------

    async def _baseline(self) -> None:
        state = self._s
        plan = forecast(self._config, self._p.splits, self._p.cost)
        if state.baseline is None:
            await self._store.append("forecast", {"lines": list(plan.lines())})
            baseline = self._p.target.baseline()
            for note in self._p.task.notes:
                await self._store.append("warning", {"text": note})
            await self._store.append("baseline", {"candidate": baseline.model_dump(mode="json")})
            state.baseline, state.incumbent = baseline, baseline.id
            state.archive.add(baseline, -1, "baseline")
            touch(self._p, "search", "search")
            touch(self._p, "validation", "validation")
        self._ledger.hold(plan.held)
        new = state.step == 0 and state.noise is None
        begun = self._ledger.elapsed
        outcomes = await self._evaluate([state.baseline], list(self._search.values()), "search")
        if new:
            failed = [o for o in outcomes if o.status == "infra_error"]
            scored = state.archive.scored(state.baseline.id)
            cost = self._dearest()
            await self._store.append(
                "baseline.done",
                {
                    "id": state.baseline.id, "mean": scored.mean, "n": scored.n, "low": scored.low, "high": scored.high,
                    "infra_errors": len(failed), "calls_per_cell": cost.calls, "tokens_per_cell": cost.tokens,
                    "seconds": self._ledger.elapsed - begun, "cells": len(outcomes),
                },
            )  # fmt: skip
            await self._doubts(outcomes, scored.n)
        if not self._past_baseline():
            forecast(self._config, self._p.splits, self._dearest(), remaining=self._free())
        self._hold()

    async def _doubts(self, outcomes: Sequence[Outcome], scored: int) -> None:
        """Say when the program fails on examples; stop when nothing has a score, for then nothing can be compared."""
        errors = [o for o in outcomes if o.status in ("agent_error", "timeout")]
        if errors:
            last = (errors[0].error or "").strip().splitlines()[-1:]
            text = f"{len(errors)} of {len(outcomes)} evaluations of the baseline failed in the program; the first: "
            await self._store.append("warning", {"text": text + "".join(last)[:200]})
        if outcomes and not scored:
            said = next((o.error or (o.feedback.text if o.feedback else "") for o in outcomes), "")
            raise UsageError(
                f"no example of the baseline has a score, so nothing can be compared; the first: {said[:300]}"
            )

    def _past_baseline(self) -> bool:
        """Whether the budget has been found sufficient before: what came after that is in the log."""
        state = self._s
        assert state.baseline is not None
        return (
            state.noise is not None
            or self._store.last("sentinel") is not None
            or bool(self._store.cells(state.baseline.id, "noise"))
        )

    def _dearest(self) -> CallCost:
        """What a cell of the dearest candidate so far costs; the estimate before any has run."""
        base = 0
        costs = []
        for entry in self._s.archive:
            size = sum(len(v.encode()) for v in entry.candidate.values.values() if isinstance(v, str))
            base = base or size
            most = self._p.cost.most_tokens + max(0, size - base)
            if cost := measured([o.metrics for o in entry.outcomes.values()], most):
                costs.append(cost)
        return dearest(costs) if costs else self._p.cost

    def _hold(self, *, validation: bool = True) -> None:
        """Keep back what the end of the run needs."""
        self._ledger.hold(kept_back(self._config, self._p.splits.sizes, self._dearest(), validation=validation))

    async def _sentinel(self) -> None:
        """Prove that a candidate's values reach the program; refuse to search where no parameter is read."""
        state, specs = self._s, self._p.target.specs
        values = other_values(specs)
        if state.step or state.ended is not None or self._store.last("sentinel") is not None or not values:
            return
        assert state.baseline is not None
        examples = list(self._search.values())
        seen = await sight(self._p.cells, self._store, state.baseline, values, examples, self._config.seed)
        await self._store.append("sentinel", asdict(seen))
        if not seen.examples:
            return
        if not seen.read:
            raise UsageError(
                f"none of the parameters {', '.join(sorted(values))} was read on {seen.examples} examples, so every "
                "candidate would be scored as the baseline: read them inside the graph's call, not when the file is "
                "imported, not through a cache, and in own threads within `agentopt.copy_context`"
            )
        told = counted(seen.examples, "example")
        for name in seen.unread:
            text = f"parameter {name} was not read on {told}: to change it changes nothing there"
            await self._store.append("warning", {"text": text})
        if not seen.changed:
            text = f"other values of {', '.join(seen.read)} changed neither calls nor outputs of {told}"
            await self._store.append("warning", {"text": text})

    async def _noise(self) -> None:
        state = self._s
        assert state.baseline is not None
        if state.noise is not None:
            return
        examples = list(self._search.values())[:NOISE_EXAMPLES]
        again = await self._evaluate([state.baseline], examples, "noise", repeats=[self._config.repeats])
        first = [state.archive[state.baseline.id].outcomes.get((e.id, 0)) for e in examples]
        summary = aa_summary(
            [(a, b) for a, b in zip(first, again, strict=True) if a is not None], self._p.task.score_range
        )
        state.noise = summary.model_dump(mode="json")
        await self._store.append("noise.done", state.noise)

    async def _search_phase(self) -> None:
        state = self._s
        if state.optimizer is not None:
            self._p.optimizer.load(state.optimizer)
        reason = ""
        while not (reason := self._enough()):
            self._hold()
            try:
                await self._step()
            except BudgetExhausted as end:
                reason = f"the search budget ended ({end})"
                await self._store.append("budget.exhausted", {"axis": end.axis, "message": str(end)})
                break
        state.ended = reason
        await self._store.append("search.ended", {"reason": reason})

    def _enough(self) -> str:
        """Why the search is over; empty while it is not."""
        state, config = self._s, self._config
        if config.steps is not None and state.step >= config.steps:
            return f"{config.steps} steps are done"
        if state.stale >= config.patience:
            return f"{state.stale} steps in a row brought no new incumbent"
        assert state.incumbent is not None
        if self._hurried():
            return "the deadline of the budget leaves just the time for validation and test"
        best = state.archive.scored(state.incumbent)
        if best.mean is not None and best.mean >= self._p.task.score_range[1]:
            return "the incumbent has full marks on the search split"
        return ""

    def _hurried(self) -> bool:
        """Whether one more step would take the time that validation and test need, at the pace so far."""
        left = self._ledger.remaining().seconds
        if left is None:
            return False
        self._pace.look()
        _, validation, test_size = self._p.splits.sizes
        cells = ((self._config.finalists + 1) * validation + 2 * test_size) * self._config.repeats
        return left < 1.2 * self._pace.seconds(cells) + self._pace.longest_step

    async def _step(self) -> None:
        """Ask, admit, race, tell: one step, committed piece by piece."""
        state, step = self._s, self._s.step
        assert state.incumbent is not None
        begun = {"step": step, "incumbent": state.incumbent, "remaining": left(self._ledger)}
        if state.asked is None:
            await self._store.append("step.started", begun)
        view = self._view(step)
        if state.asked is None:
            state.asked = await self._p.optimizer.ask(view, self._config.proposals)
            dumped = [p.model_dump(mode="json") for p in state.asked]
            asked = {"step": step, "proposals": dumped, "optimizer": self._p.optimizer.state()}
            await self._store.append("step.asked", asked)
        admitted = await self._admit(step, view, state.asked)
        heats = await self._race(step, admitted) if admitted else []
        ahead = [heat for heat in heats if heat.complete and heat.difference > 0]  # paired: on the same examples
        won = max(ahead, key=lambda heat: heat.difference).id if ahead else state.incumbent
        best = state.archive.scored(won)
        if best.candidate.id != state.incumbent:
            await self._store.append("incumbent", {"step": step, "id": best.candidate.id, **numbers_of(best)})
        new = [o for id_ in admitted for o in state.archive.outcomes(id_, "search")]
        self._p.optimizer.tell(new)
        state.stale = state.stale + 1 if best.candidate.id == state.incumbent else 0
        state.incumbent, state.step, state.asked, state.judged = best.candidate.id, step + 1, None, False
        await self._store.append(
            "step.done",
            {
                "step": step, "incumbent": best.candidate.id, **numbers_of(best),
                "heats": [{"id": h.id, "n": h.n, "difference": h.difference if h.n else None, "complete": h.complete,
                           "ended": h.ended} for h in heats],
                "optimizer": self._p.optimizer.state(), "spend": self._spend(),
            },
        )  # fmt: skip

    async def _admit(self, step: int, view: RunView, proposals: Sequence[Proposal]) -> list[str]:
        """Check proposals before anything is paid for them; returns the ids of those that may be evaluated."""
        state = self._s
        if state.judged:
            return [e.candidate.id for e in state.archive if e.step == step]
        admitted: list[str] = []
        for number, proposal in enumerate(proposals):
            candidate = proposal.candidate
            others = [state.archive[id_].candidate for id_ in admitted]
            broken = [(v.rule, str(v)) for v in check_invariants(proposal, view, others=others)]
            known = candidate.id in state.archive and state.archive[candidate.id].step != step
            if not broken and (known or candidate.id in admitted):  # also where near-duplicates are let through
                broken.append(("duplicate", "these values have been evaluated already"))
            note = {"step": step, "number": number, "id": candidate.id, "operator": proposal.operator,
                    "why": proposal.why, "rejected": list(proposal.rejected)}  # fmt: skip
            if broken:
                told = {"reasons": [reason for _, reason in broken], "rules": [rule for rule, _ in broken]}
                await self._store.append("proposal.rejected", note | told | {"values": dict(candidate.values)})
                continue
            await self._store.append(
                "candidate",
                {"candidate": candidate.model_dump(mode="json"), "step": step, "operator": proposal.operator},
            )
            await self._store.append("proposal.accepted", note)
            state.archive.add(candidate, step, proposal.operator)
            admitted.append(candidate.id)
        state.judged = True
        await self._store.append("step.admitted", {"step": step, "ids": list(admitted)})
        return admitted

    async def _race(self, step: int, ids: list[str]) -> list[Heat]:
        state = self._s
        assert state.incumbent is not None
        order = list(self._search)
        size = self._config.minibatch or max(8, len(order) // 4)
        rng = random.Random(int(digest([self._config.seed, "minibatch", step])[:16], 16))
        minibatch = rng.sample(order, min(size, len(order)))

        async def evaluate(who: Sequence[str], on: Sequence[str]) -> Mapping[str, Mapping[str, float]]:
            candidates = [state.archive[id_].candidate for id_ in who]
            await self._evaluate(candidates, [self._search[e] for e in on], "search")
            return {id_: state.archive.means(id_, "search", on) for id_ in who}

        incumbent = state.archive.means(state.incumbent, "search")
        return await race(ids, incumbent, minibatch, order, evaluate, self._p.task.score_range)

    # -- inside --------------------------------------------------------------------------------------------------

    async def _evaluate(
        self, candidates: Sequence[Candidate], examples: Sequence[Example], split: str, repeats: Sequence[int] = ()
    ) -> list[Outcome]:
        """Run what is missing of candidates × examples × repeats, a candidate's examples together."""
        cells = [
            Cell(candidate, example, split, repeat)
            for candidate in candidates
            for example in examples
            for repeat in (repeats or range(self._config.repeats))
        ]
        try:
            outcomes = await self._p.cells.run(cells)
        finally:
            for outcome in self._p.cells.committed(cells):
                self._s.archive.put(outcome)
        failed = [o for o in outcomes if o.status == "infra_error"]
        if len(failed) >= 4 and len(failed) * 2 > len(outcomes):
            raise LLMError(
                f"{len(failed)} of {len(outcomes)} {split} evaluations failed outside the program; the first: "
                f"{failed[0].error} (mend it, then `agentopt resume {self._store.folder}`)"
            )
        return outcomes

    def _view(self, step: int) -> RunView:
        state = self._s
        assert state.baseline is not None
        assert state.incumbent is not None
        return RunView(
            step=step,
            objective=self._p.task.objective,
            parameters=self._p.target.specs,
            baseline=state.baseline,
            best=state.archive.scored(state.incumbent),
            archive=state.archive.before(step),
            examples=self._search,
            store=self._store,
            client=self._p.client,
            config=self._config,
            prompt=self._p.prompt,
            score_range=self._p.task.score_range,
            remaining=left_at_first(self._store, step),
        )

    def _free(self) -> Any:
        """What is left of the budget, the hold for the end not taken off."""
        self._ledger.hold({})
        return self._ledger.remaining()

    def _spend(self) -> dict[str, Any]:
        spend: dict[str, Any] = self._ledger.by_role()
        return spend | {"run": {"seconds": round(self._ledger.elapsed, 3)}}
