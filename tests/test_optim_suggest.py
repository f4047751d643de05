"""From answers to values: schema, validation, one repair round, moves without feedback."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.core import Parameter
from agentopt.core.values import Outcome
from agentopt.errors import UsageError
from agentopt.llm.types import Request, Response
from agentopt.optim.base import ParameterSpec
from agentopt.optim.frame import marks, split
from agentopt.optim.meta import clip, estimate_tokens, fill, section, value_schema
from agentopt.optim.operators import jitter, uniform
from agentopt.optim.optoprime import OptoPrimeOptimizer
from agentopt.optim.paraphrase import ParaphraseBest
from agentopt.optim.random_search import RandomSearch
from agentopt.optim.suggest import answer_schema
from agentopt.testing import FakeView, ScriptedLLM
from agentopt.testing.optimizers import spec_of

TEXT = Parameter("Answer {{question}}.", name="instruction")
COUNT = Parameter(3, name="count", kind="number", low=1, high=9)
TONE = Parameter("plain", name="tone", kind="choice", choices=("plain", "warm", "stern"))
PLAN = Parameter({"steps": 2}, name="plan", kind="json", json_schema={"type": "object", "required": ["steps"]})


def window(reply: Any, *parameters: Parameter[Any]) -> FakeView:
    specs = {p.name: spec_of(p) for p in parameters or (TEXT, COUNT, TONE)}
    view = FakeView(specs, ScriptedLLM(reply))
    return view.evaluated(view.baseline, [Outcome(candidate="c", example="e", output="x")])


async def one(view: FakeView, **options: Any) -> Any:
    proposals = await OptoPrimeOptimizer(**{"focus": "all", **options}).ask(view, 1)  # type: ignore[arg-type]
    assert len(proposals) == 1
    return proposals[0]


def test_the_schema_is_built_from_the_parameters() -> None:
    specs = [spec_of(p) for p in (TEXT, COUNT, TONE, PLAN)]
    fields: Any = answer_schema(specs)["properties"]
    assert list(fields) == ["reasoning", "suggestion"]
    assert fields["suggestion"]["properties"] == {
        "instruction": {"type": "string"},
        "count": {"type": "integer", "minimum": 1, "maximum": 9},
        "tone": {"enum": ["plain", "warm", "stern"]},
        "plan": {"type": "object", "required": ["steps"]},
    }
    assert value_schema(ParameterSpec("x", "number", 0.5, low=float("-inf"))) == {"type": "number"}


async def test_what_is_valid_is_kept_and_the_rest_repaired_once() -> None:
    answers = [
        {"suggestion": {"instruction": "Answer.", "count": 4, "tone": "loud", "nobody": 1}},
        {"suggestion": {"instruction": "Think: {{question}}", "tone": "louder"}},
    ]
    view = window(answers)
    found = await one(view)
    assert found.candidate.values == {"instruction": "Think: {{question}}", "count": 4, "tone": "plain"}
    assert found.candidate.parents == (view.baseline.id,)
    text = "\n".join(found.rejected)
    for part in ("{{question}}", "loud", "nobody: no such variable", "repair: "):
        assert part in text
    repair = view.llm.requests[1]
    assert "nobody" in repair.messages[-1].content
    assert repair.json_schema["properties"]["suggestion"]["required"] == ["instruction", "tone"]
    assert (repair.address.path, repair.address.ordinal) == ("optoprime/0", 1)


async def test_a_cut_answer_is_never_adopted() -> None:
    whole = json.dumps({"suggestion": {"count": 5}})
    view = window([Response(text=whole, finish="length"), Response(text=whole, finish="length")], COUNT)
    found = await one(view)
    assert found.candidate.id == view.baseline.id
    assert "cut off" in found.rejected[0]


async def test_a_cut_answer_may_be_repaired() -> None:
    view = window([Response(text='{"reasoning": "well', finish="length"), {"suggestion": {"count": 5}}], COUNT)
    assert (await one(view)).candidate.values == {"count": 5}


@pytest.mark.parametrize(
    ("answer", "value"),
    [
        ({"suggestion": {"count": "5"}}, 5),
        ({"suggestion": {"count": 5.0}}, 5),
        ({"count": 5}, 5),
        ('Sure!\n```json\n{"suggestion": {"count": 5,}}\n```', 5),
        ({"suggestion": {"count": True}}, 3),
        ({"suggestion": {"count": 10}}, 3),
        ({"suggestion": {"count": "five"}}, 3),
    ],
)
async def test_numbers_are_converted_or_refused_never_clipped(answer: Any, value: int) -> None:
    found = await one(window(lambda request: answer, COUNT))
    assert found.candidate.values == {"count": value}
    assert type(found.candidate.values["count"]) is int


async def test_a_number_refused_for_its_bounds_is_refused_by_name() -> None:
    found = await one(window(lambda request: {"suggestion": {"count": 10}}, COUNT))
    assert "count" in found.rejected[0]
    assert "10 is above 9" in found.rejected[0]


async def test_a_choice_is_taken_whatever_its_case() -> None:
    found = await one(window([{"suggestion": {"tone": "Warm"}}], TONE))
    assert found.candidate.values == {"tone": "warm"}


async def test_a_repeated_value_is_asked_for_again() -> None:
    view = window([{"suggestion": {"tone": "plain"}}, {"suggestion": {"tone": "warm"}}], TONE)
    assert (await one(view)).candidate.values == {"tone": "warm"}
    view = window([{"suggestion": {"tone": "warm"}}, {"suggestion": {"tone": "stern"}}], TONE)
    warm = view.baseline.change({"tone": "warm"})
    view = view.evaluated(warm, [Outcome(candidate=warm.id, example="e", output="hot")])
    view = view.evaluated(view.baseline, [])
    found = await one(view)
    assert found.candidate.values == {"tone": "stern"}
    assert 'tone = "warm" was tried before (output "hot")' in found.rejected[0]


async def test_repeating_the_values_may_be_no_fault_and_no_change() -> None:
    view = window([{"suggestion": {"tone": "plain"}}], TONE)
    found = await one(view, insist=False)
    assert found.candidate.id == view.baseline.id
    assert found.rejected == ()
    assert view.llm.calls == 1


async def test_wrapping_of_small_models_is_taken_off() -> None:
    found = await one(window([{"suggestion": {"instruction": '"Think: {{question}}"'}}], TEXT))
    assert found.candidate.values == {"instruction": "Think: {{question}}"}


async def test_baselines_see_neither_scores_nor_feedback() -> None:
    def reply(request: Request) -> Any:
        return {"suggestion": {"instruction": "Please answer {{question}}."}}

    for optimizer in (RandomSearch(), ParaphraseBest()):
        view = window(reply, TEXT)
        secret = Outcome.model_validate(
            {"candidate": "c", "example": "e", "feedback": {"score": 0.125, "text": "FEEDBACK"}, "output": "OUTPUT"}
        )
        view = view.evaluated(view.baseline.change({"instruction": "Best: {{question}}"}), [secret])
        proposals = await optimizer.ask(view, 2)  # type: ignore[arg-type]
        assert all(p.candidate.values["instruction"] == "Please answer {{question}}." for p in proposals)
        asked = " ".join(str(m.content) for r in view.llm.requests for m in r.messages)
        assert "{{question}}" in asked
        for word in ("FEEDBACK", "OUTPUT", "0.125"):
            assert word not in asked


async def test_paraphrase_changes_one_parameter_of_the_incumbent() -> None:
    view = window(lambda request: {"suggestion": {"instruction": "Please answer {{question}}."}})
    proposals = await ParaphraseBest().ask(view, 6)  # type: ignore[arg-type]
    for proposal in proposals:
        changed = [n for n, v in proposal.candidate.values.items() if v != view.baseline.values[n]]
        assert len(changed) <= 1
    assert {n for p in proposals for n, v in p.candidate.values.items() if v != view.baseline.values[n]} == {
        "instruction",
        "count",
        "tone",
    }


@given(st.integers(0, 2**32), st.integers(-50, 50), st.integers(1, 100), st.booleans())
def test_random_moves_stay_within_bounds(seed: int, low: int, width: int, integer: bool) -> None:
    high = low + width
    start = (low + high) / 2
    parameter = Parameter(
        round(start) if integer else start, name="n", kind="number", low=low, high=high, integer=integer
    )
    spec, rng = spec_of(parameter), random.Random(seed)
    for value in (uniform(spec, rng), jitter(spec, spec.value, rng)):
        assert spec.check(value) == value


@given(st.text(max_size=400), st.integers(1, 200))
def test_clip_keeps_both_ends(text: str, tokens: int) -> None:
    short = clip(text, tokens)
    if estimate_tokens(text) <= tokens:
        assert short == text
    elif len(text) > 60:
        assert estimate_tokens(short) <= max(tokens, 10) + 15
        assert short[0] == text[0]
        assert short[-1] == text[-1]


def test_fill_leaves_out_empty_blocks_and_never_fills_twice() -> None:
    template = "---\na: b\n---\n=== one\n# A\n{{a}}\n\n# B\n{{b}} and {{c}}\n\nend\n=== two\nx"
    assert fill(section(template, "one"), {"a": "", "b": "{{c}}", "c": ""}) == "# B\n{{c}} and\n\nend".replace(
        "and\n", "and \n"
    )
    with pytest.raises(UsageError, match=r"placeholder \{\{a\}\}"):
        fill("{{a}}", {})
    with pytest.raises(UsageError, match="no part"):
        section(template, "three")


@given(st.lists(st.sampled_from(["Answer.", "", "{{question}}", "Q: {{question}} A:", "and {name}", "  "]), max_size=6))
def test_a_frame_is_the_text_and_its_body_has_no_placeholders(lines: list[str]) -> None:
    text = "\n".join(lines)
    frame = split(text)
    assert frame.head + frame.body + frame.tail == text
    if frame.head or frame.tail:
        assert not marks(frame.body)
        assert frame.around("Think.") == frame.head + "Think." + frame.tail


async def test_the_model_writes_the_body_and_the_placeholders_stay() -> None:
    prompt = Parameter("Answer.\n\nQuestion: {{question}}", name="prompt")
    view = window([{"suggestion": {"prompt": "Think, then answer."}}], prompt)
    assert (await one(view)).candidate.values == {"prompt": "Think, then answer.\n\nQuestion: {{question}}"}
    asked = str(view.llm.requests[0].messages[1].content)
    assert 'prompt (text; "Question: {{question}}" stands after it) = "Answer."' in asked
