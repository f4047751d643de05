"""Every optimizer that ships keeps the ask/tell contract."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentopt.core import Parameter
from agentopt.errors import BudgetExhausted, UnknownName
from agentopt.llm.types import Request
from agentopt.optim.base import Optimizer
from agentopt.optim.registry import BUILTIN, make
from agentopt.testing import FakeView, OptimizerContract, ScriptedLLM
from agentopt.testing.optimizers import spec_of
from agentopt.testing.scripted import Reply

GOOD = {"instruction": "Work out {{question}} with care.", "count": 4, "tone": "warm"}


def fitting(request: Request) -> Reply:
    """A good answer to whatever fields the schema asks for."""
    schema: Any = request.json_schema
    if "ideas" in schema["properties"]:
        return json.dumps({"reflection": "because", "ideas": ["Say it warmly.", "Show more examples."]})
    asked = schema["properties"]["suggestion"]["properties"]
    return json.dumps({"reasoning": "because", "suggestion": {name: GOOD[name] for name in asked}})


class _Shipped(OptimizerContract):
    name = ""

    def make_optimizer(self) -> Optimizer:
        return make(self.name)

    def reply(self, request: Request) -> Reply:
        return fitting(request)


class TestOptoPrime(_Shipped):
    name = "optoprime"


class TestParaphrase(_Shipped):
    name = "paraphrase"


class TestRandom(_Shipped):
    name = "random"


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_the_name_is_the_registered_one(name: str) -> None:
    assert make(name).name == name


def test_a_wrong_name_says_which_was_meant() -> None:
    with pytest.raises(UnknownName, match="did you mean 'optoprime'"):
        make("optprime")
    with pytest.raises(UnknownName, match="did you mean 'memory'"):
        make("optoprime", memry=3)


ASKING = sorted(set(BUILTIN) - {"demos"})
"""Those that ask a model."""


@pytest.mark.parametrize("name", ASKING)
async def test_the_end_of_the_budget_keeps_what_was_paid_for(name: str) -> None:
    calls, paid = 0, 2 if name == "refine" else 1  # a reflection, then a candidate

    def reply(request: Request) -> Reply:
        nonlocal calls
        calls += 1
        return fitting(request) if calls <= paid else BudgetExhausted("calls", "none left")

    contract = _Shipped()
    view = contract.view(reply)
    proposals = await make(name).ask(view, 3)  # type: ignore[arg-type]
    assert 1 <= len(proposals) <= 3
    assert any(p.candidate.id != view.baseline.id for p in proposals)


@pytest.mark.parametrize("name", ASKING)
async def test_nothing_left_and_nothing_found_ends_normally(name: str) -> None:
    text = Parameter("Answer {{question}} now.", name="instruction")
    view = FakeView({"instruction": spec_of(text)}, ScriptedLLM(lambda request: BudgetExhausted("calls", "none left")))
    with pytest.raises(BudgetExhausted):
        await make(name).ask(view, 2)  # type: ignore[arg-type]
