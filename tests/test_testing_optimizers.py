"""The optimizer contract, held against optimizers that keep it and optimizers that do not."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence

import pytest
from pydantic import JsonValue

from agentopt.core.values import Outcome, Proposal
from agentopt.errors import LLMError, UnusableAnswer
from agentopt.llm.types import Message, Request
from agentopt.optim.base import Optimizer, View
from agentopt.testing import OptimizerContract


class Counting:
    """Raises ``count`` by one a proposal, when its model says so."""

    name = "counting"

    def __init__(self) -> None:
        self.turn = 0

    async def ask(self, view: View, n: int) -> list[Proposal]:
        request = Request(model=view.llm.model, messages=(Message(role="user", content="more?"),))
        try:
            wish = int(json.loads((await view.llm.complete(request)).text)["suggestion"]["count"])
        except (UnusableAnswer, ValueError, TypeError, KeyError, RecursionError):
            return []
        spec = view.parameters["count"]
        self.turn += 1
        values = [{"count": min(9, wish + self.turn + i + view.rng.randrange(2))} for i in range(n)]
        values = [value for value in values if spec.check(value["count"])]
        return [Proposal(candidate=view.best.candidate.change(dict(value), origin=self.name)) for value in values]

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        pass

    def state(self) -> dict[str, JsonValue]:
        return {"turn": self.turn}

    def load(self, state: Mapping[str, JsonValue]) -> None:
        turn = state["turn"]
        assert isinstance(turn, int)
        self.turn = turn


class TestCounting(OptimizerContract):
    def make_optimizer(self) -> Optimizer:
        return Counting()


class Forgetful(Counting):
    def load(self, state: Mapping[str, JsonValue]) -> None:
        pass


class Greedy(Counting):
    async def ask(self, view: View, n: int) -> list[Proposal]:
        return await super().ask(view, n + 1)


class Reckless(Counting):
    async def ask(self, view: View, n: int) -> list[Proposal]:
        return [Proposal(candidate=view.baseline.change({"count": 99}))]


class Meddling(Counting):
    async def ask(self, view: View, n: int) -> list[Proposal]:
        view.archive[0].candidate.values["count"] = 9
        return []


class Fragile(Counting):
    async def ask(self, view: View, n: int) -> list[Proposal]:
        request = Request(model=view.llm.model, messages=(Message(role="user", content="more?"),))
        wish = json.loads((await view.llm.complete(request)).text)
        return [Proposal(candidate=view.baseline.change({"count": wish["suggestion"]["count"]}))]


@pytest.mark.parametrize(
    ("broken", "test"),
    [
        (Forgetful, "test_a_loaded_state_goes_on_exactly"),
        (Greedy, "test_gives_no_more_than_asked_for"),
        (Reckless, "test_proposes_something"),
        (Meddling, "test_proposes_something"),
        (Fragile, "test_bears_malformed_answers"),
    ],
)
def test_the_contract_finds_what_is_wrong(broken: type[Counting], test: str) -> None:
    class Held(OptimizerContract):
        def make_optimizer(self) -> Optimizer:
            return broken()

    with pytest.raises(Exception):  # noqa: B017 - an assertion, or what the optimizer raised
        getattr(Held(), test)()


def test_a_contract_without_a_maker_says_so() -> None:
    with pytest.raises(LLMError, match="make_optimizer"):
        OptimizerContract().test_has_a_name()
