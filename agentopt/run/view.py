"""The window that the run gives to its optimizer."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from typing import Any

from agentopt.core import Graph
from agentopt.core.values import Budget, Candidate, Outcome, digest
from agentopt.errors import UsageError
from agentopt.evaluate import Example
from agentopt.llm.ledger import Ledger
from agentopt.llm.types import Address, Client, Request, Response
from agentopt.optim.base import OptimizerLLM, ParameterSpec, Scored
from agentopt.run.config import RunConfig
from agentopt.store import Store

__all__ = ["RunView", "left", "left_at_first"]


class RunView:
    """What an optimizer sees at one step; see ``agentopt.optim.base.View`` for its members."""

    def __init__(
        self,
        *,
        step: int,
        objective: str,
        parameters: Mapping[str, ParameterSpec],
        baseline: Candidate,
        best: Scored,
        archive: Sequence[Scored],
        examples: Mapping[str, Example],
        store: Store,
        client: Client,
        config: RunConfig,
        prompt: Callable[[str], str],
        score_range: tuple[float, float] = (0.0, 1.0),
        remaining: Budget | None = None,
    ) -> None:
        self.step, self.objective = step, objective
        self.score_range, self.remaining = score_range, remaining or Budget()
        self.off: Collection[str] = config.invariants_off
        self.frozen: Sequence[str] = config.frozen
        told = {name: _told(spec, self.frozen) for name, spec in parameters.items()}
        self.parameters: Mapping[str, ParameterSpec] = told
        self.baseline, self.best, self.archive = baseline, best, archive
        self.rng = random.Random(int(digest([config.seed, "ask", step])[:16], 16))
        self.llm: OptimizerLLM = _OptimizerLLM(client, config, f"ask/{step}")
        self._examples, self._store, self._prompt = examples, store, prompt

    def example(self, id: str) -> tuple[Any, Any]:
        """Input and target of an example of the search split."""
        if id not in self._examples:
            raise UsageError(f"example {id} is not in the search split: optimizers see no other")
        return self._examples[id].input, self._examples[id].target

    def graph(self, outcome: Outcome) -> Graph | None:
        """The traced graph of an outcome, or None."""
        return None if outcome.trace is None else Graph.from_json(json.loads(self._store.blob(outcome.trace)))

    def prompt(self, name: str) -> str:
        """The text of a prompt file."""
        return self._prompt(name)


def left(ledger: Ledger) -> dict[str, Any]:
    """What the search may still spend, as JSON, without what a clock says."""
    return ledger.remaining().model_dump(exclude_none=True, exclude={"seconds"})


def left_at_first(store: Store, step: int) -> Budget:
    """What was left when a step first began: the same in a resumed run and in a replay."""
    begun = (event.data.get("remaining") for event in store.events("step.started") if event.data["step"] == step)
    return Budget.model_validate(next(begun, None) or {})


def _told(spec: ParameterSpec, frozen: Sequence[str]) -> ParameterSpec:
    """The parameter with what is frozen in it among its constraints, for an optimizer's model to read."""
    held = [repr(span) for span in frozen if span in str(spec.value)]
    words = [*filter(None, [spec.constraint]), *(f"keep {span} word for word" for span in held)]
    return replace(spec, constraint="; ".join(words))


_MAX_TOKENS = 1024  # of an answer, where an optimizer does not say


class _OptimizerLLM:
    """Fills in the optimizer's model, role, output cap and address."""

    def __init__(self, client: Client, config: RunConfig, scope: str) -> None:
        self.model = config.model_of("optimizer") or ""
        self._client, self._config, self._scope, self._calls = client, config, scope, 0

    async def complete(self, request: Request) -> Response:
        update: dict[str, Any] = {"role": "optimizer"}
        if not request.model:
            update["model"] = self.model
        asked = request.max_tokens if "max_tokens" in request.model_fields_set else _MAX_TOKENS
        update["max_tokens"] = min(asked, self._config.optimizer_max_tokens or asked)
        if request.address is None:
            update["address"] = Address(scope=self._scope, ordinal=self._calls)
            self._calls += 1
        return await self._client.complete(request.model_copy(update=update))
