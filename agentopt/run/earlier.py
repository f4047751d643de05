"""A run of an earlier process, opened to go on with it: what it was, what it has used, and whether it is the same."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, NoReturn, cast

from pydantic import JsonValue

from agentopt.core.values import Budget
from agentopt.errors import UsageError
from agentopt.evaluate import evaluator_hash
from agentopt.evaluate.protect import scorer_differs
from agentopt.run import setup
from agentopt.run.config import RunConfig
from agentopt.run.state import State, fold, whole_budget
from agentopt.store import Store, blob_id

__all__ = ["Earlier"]


@dataclass(slots=True)
class Earlier:
    """What the log of a run says to the process that goes on with it.

    Args:
        store: the log, open for writing.
        first: what ``run.started`` says.
        config: the run's, with the budget that has been added to it so far.
        state: the fold of the log.
        known: seconds that earlier processes have written down.
        elapsed: seconds that they have used; a process that was killed could not write its own down.
    """

    store: Store
    first: dict[str, Any]
    config: RunConfig
    state: State
    known: float
    elapsed: float

    @classmethod
    def of(cls, store: Store) -> Earlier:
        """Read a log; raises ``UsageError`` for a run that has not begun."""
        begun = store.last("run.started")
        if begun is None:
            raise UsageError(f"run {store.folder.name} has not begun: nothing was paid, start it again")
        first: dict[str, Any] = dict(begun.data)
        config = RunConfig.model_validate(first["config"])
        budget = whole_budget(store, config.budget)
        state = fold(store, first)
        known = store.spend().get("run", {}).get("seconds", 0.0)
        last = store.last("cell")
        elapsed = max(known, cast("float", last.data.get("elapsed", 0.0)) if last else 0.0)
        return cls(store, first, config.model_copy(update={"budget": budget}), state, known, elapsed)

    @property
    def name(self) -> str:
        """The run's name."""
        return self.store.folder.name

    def add(self, given: Budget | str | None) -> Budget:
        """Add to the budget, where that changes something; returns what is added.

        Raises ``UsageError`` when nothing is added, or to an axis that the run's budget does not have.
        """
        extra = Budget.parse(given) if isinstance(given, str) else given or Budget()
        if given is not None:
            amounts = extra.model_dump(exclude_none=True)
            if not any(amounts.values()):
                raise UsageError("--add-budget adds nothing: give it as calls=200,usd=1")
            budget = self.config.budget
            for axis in amounts:
                if getattr(budget, axis) is None:
                    raise UsageError(
                        f"run {self.name} has no limit on {axis}, so nothing is added to it; its budget is {budget}"
                    )
        self.config = self.config.model_copy(update={"budget": self.config.budget.plus(extra)})
        return extra

    def refuse_rescored(self) -> None:
        """Refuse to go on with a run that has the answers of another one, or of another program's log."""
        if said := self.first.get("rescored"):
            raise UsageError(
                f"run {self.name} has the answers of {said['run']}, scored again, and no program to ask with: "
                f"`agentopt rescore {said['run']}` scores them once more"
            )
        if said := self.first.get("imported"):
            raise UsageError(f"run {self.name} was made from a log of {said['from']}: there is nothing to go on with")

    def check_objects(self, graph: Any, task: Any) -> None:
        """Refuse to look for what was made in Python and is in no file of its own, before anything is imported."""
        for kind, thing in (("task", task), ("graph", graph)):
            if thing is None and kind not in self.first.get("refs", {kind: ""}):
                raise UsageError(
                    f"the {kind} of run {self.name} was made in Python and is in no file of its own: go on from there "
                    f"with agentopt.resume({self.name!r}, {kind}=...)"
                )

    def check(self, plan: setup.Plan) -> str:
        """Refuse to go on with other examples, parameters, code or scorer files; returns the hash of the scorer's."""
        if plan.task.hash != self.first["task"]["hash"]:
            raise UsageError(
                f"task {plan.task.name} has other examples than when the run began: restore them, or start a new run"
            )
        if self.state.baseline is not None:
            setup.same_space(plan, self.state.baseline)
        evaluator = evaluator_hash(plan.task.scorer)
        if cells := self.store.cells():
            if scorer_differs(self._evaluator(), evaluator) and any(o.score is not None for o in cells):
                self._refuse("the scorer (its files, or its settings) has", "its scores are of the old ones")
            if plan.reference.rpartition("@")[2] != self.config.graph.rpartition("@")[2]:
                self._refuse(f"the graph has (then {self.config.graph}, now {plan.reference})")
            if changed := self._changed(plan):
                self._refuse(f"{', '.join(changed)} has" if len(changed) == 1 else f"{', '.join(changed)} have")
        return evaluator

    def check_models(self, endpoints: Mapping[str, str]) -> None:
        """Refuse to go on with another agent or judge than those behind the outcomes."""
        for role in ("agent", "judge"):
            then, now = self.first["endpoints"].get(role), endpoints.get(role)
            if then != now and self.store.cells():
                self._refuse(f"the {role}'s model has (then {then}, now {now})")

    def _changed(self, plan: setup.Plan) -> list[str]:
        """Files of the program that are not as they were; the texts of parameters are the candidates' own."""
        aside = {str(getattr(p, "path", "")) for p in plan.target.parameters.values()}
        aside.add(str(self.first.get("refs", {}).get("optimizer", "")).partition("@")[0])
        now = {place: blob_id(content) for place, content in plan.sources.files.items()}
        return [
            place
            for place, id_ in self.first.get("sources", {}).items()
            if now.get(place, id_) != id_ and place not in aside and not place.startswith("prompts/meta/")
        ]

    def _refuse(self, what: str, why: str = "its outcomes are of the old one") -> NoReturn:
        raise UsageError(
            f"{what} changed since run {self.name} began, and {why}: a comparison of the two would be worth nothing. "
            "Restore it, or start a new run"
        )

    async def go_on(self, extra: Budget, evaluator: str, more: Mapping[str, JsonValue] | None = None) -> None:
        """Write down that another process goes on: with which budget and scorer, and what else is to be known."""
        if self.elapsed > self.known:  # the process before was killed and could not write its time down
            await self.store.append("clock", {"seconds": round(self.elapsed - self.known, 3)})
        sums = {"add_budget": extra, "budget": self.config.budget}
        budgets = {name: sum_.model_dump(mode="json", exclude_none=True) for name, sum_ in sums.items()}
        own = {"evaluator": evaluator, "max_connections": self.config.max_connections}
        await self.store.append("run.resumed", {**budgets, **own, **(more or {})})

    def _evaluator(self) -> str:
        """Hash of the scorer that the scores in the log were made with."""
        begun = reversed([*self.store.events("run.started", "run.resumed")])
        return next(str(e.data["evaluator"]) for e in begun if "evaluator" in e.data)
