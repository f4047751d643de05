"""The PyTorch-like front door."""

from __future__ import annotations

import json
from typing import Any

import pytest

from agentopt.core import Node, Parameter, graph, node, render
from agentopt.core.values import Feedback
from agentopt.errors import LLMError, UsageError
from agentopt.optim.frontdoor import OptoPrime
from agentopt.testing import ScriptedLLM


def number(value: float = 2, name: str = "w") -> Parameter[Any]:
    return Parameter(value, name=name, kind="number", low=-10, high=10)


def test_a_training_loop() -> None:
    w = number()
    model = ScriptedLLM([{"reasoning": "up", "suggestion": {"w": w_}} for w_ in (4, 6)])
    optimizer = OptoPrime([w], client=model, objective="Reach 19.")
    for _ in range(2):
        y = Node(3, name="x") * w + 1
        optimizer.zero_feedback()
        y.backward("too small")
        step = optimizer.step()
        assert step
        assert step.why == "up"
    assert w.value == 6
    asked = str(model.requests[1].messages[1].content)
    assert "Reach 19." in asked
    assert "mul_1 = x * w" in asked
    assert "w = 2 -> output 7; too small" in asked


def test_several_outputs_and_weights_in_one_step() -> None:
    w, b = number(), number(1, "b")
    model = ScriptedLLM([{"suggestion": {"w": 3, "b": 2}}])
    optimizer = OptoPrime([w, b], client=model)
    x = Node(3, name="x")
    first, second = x * w, x + b
    first.backward("too small", weight=2)
    second.backward(Feedback(score=0.25, text="nearly"))
    first.backward("and odd")
    step = optimizer.step()
    assert step.changed == {"w": (2, 3), "b": (1, 2)}
    asked = str(model.requests[0].messages[1].content)
    assert "weight 2; too small" in asked
    assert "score 0.25; nearly" in asked
    assert "and odd" in asked
    assert asked.count("[run 3]") >= 1


def test_feedback_must_be_given_anew_after_zero() -> None:
    w = number()
    optimizer = OptoPrime([w], client=ScriptedLLM([]))
    (w * 2).backward("no")
    optimizer.zero_feedback()
    with pytest.raises(UsageError, match=r"call output\.backward"):
        optimizer.step()


def test_what_is_not_valid_is_reported_and_not_set() -> None:
    w = number()
    optimizer = OptoPrime([w], client=ScriptedLLM(lambda request: {"suggestion": {"w": 99}}))
    (w * 2).backward("larger")
    step = optimizer.step()
    assert not step
    assert w.value == 2
    assert "99 is above 10" in step.rejected[0]


def test_a_failing_model_is_told_and_the_step_can_be_taken_again() -> None:
    w = number()
    optimizer = OptoPrime([w], client=ScriptedLLM([LLMError("the server is gone"), {"suggestion": {"w": 5}}]))
    (w * 2).backward("larger")
    with pytest.raises(LLMError, match="the server is gone"):
        optimizer.step()
    assert optimizer.step().changed == {"w": (2, 5)}


async def test_async_and_inside_a_running_loop() -> None:
    w = number()
    answers = [{"suggestion": {"w": 5}}, {"suggestion": {"w": 6}}]
    optimizer = OptoPrime([w], client=ScriptedLLM(answers))
    (w * 2).backward("larger")
    assert (await optimizer.step_async()).changed == {"w": (2, 5)}
    optimizer.zero_feedback()
    (w * 2).backward("larger")
    assert optimizer.step().changed == {"w": (5, 6)}


def test_an_agent_and_its_error() -> None:
    prompt = Parameter("Say {{word}}.", name="prompt")

    @node
    def answer(text: str) -> str:
        if "please" not in text:
            raise ValueError("be polite")
        return text

    @graph
    def agent(word: str) -> Any:
        return answer(render(prompt, word=word))

    model = ScriptedLLM([{"suggestion": {"prompt": "Say {{word}}, please."}}])
    optimizer = OptoPrime(agent, client=model)
    with pytest.raises(ValueError, match="be polite") as caught:
        agent("hello")
    caught.value.node.backward("the agent must not fail")  # type: ignore[attr-defined]
    assert optimizer.step().changed == {"prompt": ("Say {{word}}.", "Say {{word}}, please.")}
    assert "be polite" in str(model.requests[0].messages[1].content)
    assert str(agent("hello").value) == "Say hello, please."


def test_a_state_goes_on() -> None:
    def train(optimizer: OptoPrime, w: Parameter[Any], times: int) -> None:
        for _ in range(times):
            optimizer.zero_feedback()
            (w * 2).backward("larger")
            optimizer.step()

    def reply(request: Any) -> Any:
        return {"suggestion": {"w": 3 + len(str(request.messages[1].content)) % 7}}

    one, two = number(), number()
    whole = OptoPrime([one], client=(model := ScriptedLLM(reply)))
    train(whole, one, 4)
    half = OptoPrime([two], client=ScriptedLLM(reply))
    train(half, two, 2)
    rest = OptoPrime([two], client=(again := ScriptedLLM(reply)))
    rest.load(json.loads(json.dumps(half.state())))
    train(rest, two, 2)
    assert [r.hash for r in again.requests] == [r.hash for r in model.requests[2:]]
    assert one.value == two.value


@pytest.mark.parametrize(
    ("given", "message"),
    [([], "at least one"), (["w"], "takes parameters"), ([number(), number()], "two parameters are named 'w'")],
)
def test_what_it_takes(given: Any, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        OptoPrime(given, client=ScriptedLLM([]))


def test_a_wrong_option_is_refused() -> None:
    with pytest.raises((UsageError, TypeError)):
        OptoPrime([number()], client=ScriptedLLM([]), focus="nothing")
