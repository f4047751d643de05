"""OPRO: what it hands out, what it refuses and why, and what it goes on from."""

from __future__ import annotations

import json
import random
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt._aio import run_sync
from agentopt.core import Parameter
from agentopt.core.values import Feedback, Outcome, Proposal
from agentopt.errors import UnknownName, UsageError
from agentopt.llm.types import Request, Response
from agentopt.optim.base import Optimizer
from agentopt.optim.opro import OPRO
from agentopt.optim.registry import make
from agentopt.store import Store
from agentopt.testing import FakeView, OptimizerContract, ScriptedLLM
from agentopt.testing.optimizers import spec_of
from agentopt.testing.scripted import Reply

TEXT = "Answer now.\n\n{{question}}"


def instruction(value: str = TEXT) -> Parameter[str]:
    return Parameter(value, name="instruction", description="what the model is told")


def pair() -> list[Parameter[Any]]:
    return [Parameter(3, name=name, kind="number", low=-50, high=50) for name in ("w", "b")]


def a_tour(n: int = 4) -> Parameter[Any]:
    def validator(value: Any) -> bool:
        return sorted(value) == list(range(n)) and value[0] == 0

    return Parameter(list(range(n)), name="tour", kind="json", validator=validator)


def window(
    parameters: list[Parameter[Any]], reply: Any, tries: list[tuple[dict[str, Any], float]] | None = None, n: int = 4
) -> FakeView:
    """A run with the baseline (score 0.5) and further tries, on n examples (one example also says its loss)."""
    examples = {f"e{i}": (f"How much is {i} + {i}?", str(2 * i)) for i in range(n)}
    view = FakeView({p.name: spec_of(p) for p in parameters}, ScriptedLLM(reply), examples=examples)
    for values, score in [({}, 0.5), *(tries or [])]:
        made = view.baseline.change(values) if values else view.baseline
        parts = {"loss": 1000 * (1 - score)} if n == 1 else {}
        outcomes = [
            Outcome(candidate=made.id, example=id, output="x", feedback=Feedback(score=score, parts=parts))
            for id in examples
        ]
        view = view.evaluated(made, outcomes)
    return view


def ask(optimizer: Any, view: FakeView, n: int = 8) -> list[Proposal]:
    found: list[Proposal] = run_sync(optimizer.ask(view, n))
    return found


def new(proposals: list[Proposal], view: FakeView) -> list[dict[str, Any]]:
    return [dict(p.candidate.values) for p in proposals if p.candidate.id != view.best.candidate.id]


def reasons(proposals: list[Proposal]) -> str:
    return "\n".join(reason for p in proposals for reason in p.rejected)


class TestContract(OptimizerContract):
    """The full style, JSON answers, three parameters at once."""

    def make_optimizer(self) -> Optimizer:
        return make("opro")


class TestContractPaper(OptimizerContract):
    """The paper's shape, answers in brackets, for one text."""

    def make_optimizer(self) -> Optimizer:
        return make("opro", style="paper", samples=3)

    def reply(self, request: Request) -> Reply:
        return f"I suggest [Work out {{{{question}}}} with {['care', 'joy', 'calm'][(request.seed or 0) % 3]}.]"

    def parameters(self) -> dict[str, Parameter[Any]]:
        return {"instruction": Parameter("Answer {{question}} now.", name="instruction", description="what it is told")}


class TestContractNumbers(OptimizerContract):
    """Two numbers, with random starting points."""

    def make_optimizer(self) -> Optimizer:
        return make("opro", style="short", start_low=2, start_high=8)

    def reply(self, request: Request) -> Reply:
        return {"suggestion": {"count": 1 + (request.seed or 0) % 9, "depth": 2}}

    def parameters(self) -> dict[str, Parameter[Any]]:
        return {n: Parameter(2, name=n, kind="number", low=1, high=9) for n in ("count", "depth")}


# -- what is handed out --------------------------------------------------------------------------------------------


def test_one_meta_prompt_serves_as_many_asks_as_it_takes() -> None:
    words = iter(["one", "two", "three", "four", "five", "six", "seven", "eight"])
    view = window([instruction()], lambda r: {"suggestion": {"instruction": f"Think {next(words)} times."}})
    optimizer = OPRO(samples=8)
    got = [new(ask(optimizer, view.next(), 3), view) for _ in range(3)]
    assert [len(step) for step in got] == [3, 3, 2]
    assert view.llm.calls == 8
    assert len({str(r.messages) for r in view.llm.requests}) == 1, "the samples of a step share one meta-prompt"
    assert len({r.seed for r in view.llm.requests}) == 8
    assert all(v["instruction"].endswith("\n\n{{question}}") for step in got for v in step)
    words = iter(["nine", "ten", "eleven", "twelve", "13", "14", "15", "16"])
    ask(optimizer, view.next(), 3)
    assert view.llm.calls == 16


def test_corrected_code_and_another_choice_are_not_the_same_as_before() -> None:
    program = "def area(r):\n    for i in r:\n        X = i ** 2\n    return X"
    others = [
        program.replace(" ** ", " * "),
        program.replace("    return", "        return"),
        program.replace("X", "x"),
    ]
    parameters = [
        Parameter(program, name="area", kind="code"),
        Parameter("a", name="way", kind="choice", choices=("a", "A")),
    ]
    answers = [{"area": text, "way": "a"} for text in others] + [
        {"area": program, "way": "A"}, {"area": program.replace("\n", "  \n") + "  ", "way": "a"},
    ]  # fmt: skip
    view = window(parameters, [{"suggestion": answer} for answer in answers])
    view.parameters = {name: replace(spec, check=None) for name, spec in view.parameters.items()}  # without a sandbox
    out = ask(OPRO(samples=5, starts=0), view)
    assert [(v["area"], v["way"]) for v in new(out, view)] == [(t, "a") for t in others] + [(program, "A")]
    assert "sample 5: the same as an earlier candidate" in reasons(out)


@pytest.mark.parametrize(("model", "ahead", "most"), [
    ("scripted/llm", None, 6), ("local/any", None, 5), ("http://127.0.0.1:8000/v1#any", None, 5),
    ("https://example.org/v1#any", None, 6), ("local/any", False, 6), ("scripted/llm", True, 5),
])  # fmt: skip
def test_one_sample_goes_ahead_where_the_others_find_its_prefix(model: str, ahead: bool | None, most: int) -> None:
    view = window([instruction()], [])
    view.llm = ScriptedLLM(lambda r: {"suggestion": {"instruction": f"Think {r.seed}."}}, delay=0.01, model=model)
    out = ask(OPRO(samples=6, ahead=ahead), view)
    assert view.llm.most_in_flight == most and len(new(out, view)) == 6
    assert [p.why.split()[-1] for p in out] == ["1", "2", "3", "4", "5", "6"]


def test_repeats_are_asked_for_and_paid_for_once() -> None:
    answers = ["Think **hard**.", "think hard.", " think  hard. ", "Answer now.", "Guess.", "Think twice."]
    view = window([instruction()], [{"suggestion": {"instruction": a}} for a in answers],
                  [({"instruction": "Guess.\n\n{{question}}"}, 0.25)])  # fmt: skip
    out = ask(OPRO(samples=6), view)
    assert new(out, view) == [{"instruction": f"{t}\n\n{{{{question}}}}"} for t in ("Think hard.", "Think twice.")]
    said = reasons(out)
    assert "sample 2: the same as another one of this step" in said.replace("step 1, ", "")
    assert "sample 4: the same values as the best candidate's" in said
    assert "sample 5: the same as an earlier candidate" in said


@pytest.mark.parametrize(
    ("style", "answer", "options", "reason"),
    [
        ("paper", "I would think hard.", {}, "no text between [ and ]"),
        ("paper", "[never closed", {}, "no text between [ and ]"),
        ("paper", "[]", {}, "the text is empty"),
        ("tags", "Think hard.", {}, "no text between <INS> and </INS>"),
        ("continue", "Precision: 99", {}, "no text between <TEXT> and </TEXT>"),
        ("full", "", {}, "the answer is empty"),
        ("full", "Think hard.", {"answer": "json"}, "no complete JSON object"),
        ("full", '{"suggestion": {"instruction": ""}}', {}, "the text is empty"),
        ("full", '{"suggestion": {"instruction": "' + "ab " * 300 + '"}}', {}, "at most 500"),
        ("full", '{"suggestion": {"instruction": "Take 2 steps."}}', {"digits": False}, "the digit '2'"),
        ("full", '{"suggestion": {"instruction": "Say <INS> first."}}', {}, "the mark <INS>"),
        ("full", '{"suggestion": {"instruction": "请逐步思考并给出最终答案"}}', {}, "CJK letters"),
        ("full", '{"suggestion": {"instruction": "Say ‘yes’."}}', {"quotes": "refuse"}, "curly quotes"),
        ("full", '{"suggestion": {"instruction": "Say {{other}}."}}', {}, "{{other}}"),
        ("full", '{"suggestion": {"number": 3}}', {}, "no such variable"),
        ("full", '{"suggestion": 3}', {}, "no object under 'suggestion'"),
        ("full", Response(text='{"suggestion": {"instruc', finish="length"), {}, "cut off"),
    ],
)
def test_a_useless_answer_is_recorded_with_its_reason(style: str, answer: Reply, options: Any, reason: str) -> None:
    view = window([instruction()], lambda request: answer)
    out = ask(OPRO(samples=2, style=style, **options), view)
    assert [p.candidate.id for p in out] == [view.baseline.id] * 2
    assert reason in out[0].rejected[0] and out[0].rejected[0].startswith("sample 1: ")


@pytest.mark.parametrize(
    ("style", "answer", "text"),
    [
        ("paper", "Sure: [Think [step] by step.] and [no].", "Think [step] by step."),
        ("tags", "<INS>think hard</INS>", "Think hard"),
        ("tags", "think hard</INS> ok", "Think hard"),
        ("tags", "So <INS>think hard", "Think hard"),
        ("tags_at_answer", "<Start>think hard</Start>", "Think hard"),
        ("continue", "92 <TEXT>think hard</TEXT> <TEXT>no</TEXT>", "Think hard"),
        ("full", '```json\n{"instruction": "think hard"}\n```', "Think hard"),
        ("full", "I suggest [think hard]", "Think hard"),
        ("full", '{"suggestion": {"instruction": "“INSPECT it’s parts”"}}', "INSPECT it's parts"),
    ],
)
def test_the_text_of_an_answer_is_found(style: str, answer: str, text: str) -> None:
    view = window([instruction()], lambda request: answer)
    at_answer: dict[str, Any] = {"position": "A_begin", "include_qa": True} if style.endswith("_at_answer") else {}
    out = new(ask(OPRO(samples=1, style=style.removesuffix("_at_answer"), **at_answer), view), view)
    assert out == [{"instruction": f"{text}\n\n{{{{question}}}}"}]


def test_curly_quotes_are_kept_where_that_is_wanted() -> None:
    view = window([instruction()], lambda request: {"suggestion": {"instruction": "Say ‘yes’ or ‘no’."}})
    assert new(ask(OPRO(samples=1, quotes="keep"), view), view)[0]["instruction"].startswith("Say ‘yes’ or ‘no’.")


def test_another_script_is_allowed_where_that_is_wanted_or_where_the_task_has_it() -> None:
    answer = {"suggestion": {"instruction": "请逐步思考并给出最终答案"}}
    for text, options in ((TEXT, {"scripts": "any"}), ("请回答。\n\n{{question}}", {})):
        view = window([instruction(text)], lambda request: answer)
        assert len(new(ask(OPRO(samples=1, **options), view), view)) == 1


@pytest.mark.parametrize(
    "answer",
    ["so the best is [18, 15]", "[w, b] = [1, 2], better: [w=18, b=15]", "[18.2, 14.9]", "(18, 15)",
     "[1, 2, 3] no, [18, 15]. I hope that [this] helps, [w, b]"],
)  # fmt: skip
def test_numbers_are_read_from_the_last_brackets_that_hold_them_and_rounded(answer: str) -> None:
    view = window(pair(), lambda request: answer)
    assert new(ask(OPRO(samples=1, style="paper", starts=0), view), view) == [{"w": 18, "b": 15}]


@pytest.mark.parametrize("answer", ["[w, b]", "[18]", "18, 15", "[18, high]", "[99, 1]", "[1e999, 2]", "[nan, 2]"])
def test_numbers_that_are_none_or_out_of_bounds_are_recorded(answer: str) -> None:
    view = window(pair(), lambda request: answer)
    out = ask(OPRO(samples=1, style="paper", starts=0), view)
    assert not new(out, view) and reasons(out)


def test_tours_are_asked_for_again_a_bounded_number_of_times() -> None:
    answers = ["<trace>0,1,1,2</trace>", "<trace>1,0,2,3</trace>", "none", "<trace> 0, 2, x, 1, 3 </trace>"]
    view = window([a_tour()], answers, n=1)
    out = ask(OPRO(samples=1, style="paper", starts=0), view)
    assert new(out, view) == [{"tour": [0, 2, 1, 3]}]
    assert len(out[0].rejected) == 3 and "attempt 3: the answer has no list" in out[0].rejected[2]
    assert len({r.seed for r in view.llm.requests}) == 4
    assert [r.address.ordinal for r in view.llm.requests if r.address] == [0, 1, 2, 3]
    never = window([a_tour()], lambda request: "<trace>0,1,1,2</trace>", n=1)
    assert not new(ask(OPRO(samples=8, starts=0), never), never)
    assert never.llm.calls == 32
    never = window([a_tour()], lambda request: "no", n=1)
    ask(OPRO(samples=2, starts=0, retries=0), never)
    assert never.llm.calls == 2


# -- where it begins -----------------------------------------------------------------------------------------------


def test_five_random_starts_for_numbers_none_for_texts() -> None:
    view = window(pair(), lambda request: "no")
    out = ask(OPRO(start_low=10, start_high=20), view)
    assert len(out) == 5 and view.llm.calls == 0
    assert all(10 <= v <= 20 for p in out for v in p.candidate.values.values() if isinstance(v, int))
    assert out == ask(OPRO(start_low=10, start_high=20), window(pair(), []))
    assert {p.operator for p in out} == {"opro/start"}
    view = window([instruction()], lambda request: {"suggestion": {"instruction": "Think."}})
    ask(OPRO(), view)
    assert view.llm.calls == 8


def test_starts_of_a_tour_are_tours() -> None:
    out = new(ask(OPRO(), window([a_tour(6)], [], n=1)), window([a_tour(6)], []))
    assert len(out) >= 4
    assert all(sorted(v["tour"]) == list(range(6)) and v["tour"][0] == 0 for v in out)


def test_given_starts_come_first_and_bad_ones_are_recorded() -> None:
    view = window(pair(), [])
    out = ask(OPRO(start_values=[{"w": 7}, {"w": 99}, {"w": 8, "b": 8}], starts=0), view)
    assert new(out, view) == [{"w": 7, "b": 3}, {"w": 8, "b": 8}]
    assert "99 is above 50" in reasons(out)
    texts = window([instruction()], [])
    out = ask(OPRO(start_values=["Think.\n\n{{question}}"]), texts)
    assert new(out, texts) == [{"instruction": "Think.\n\n{{question}}"}]


# -- several parameters --------------------------------------------------------------------------------------------


def test_several_parameters_are_shown_and_asked_for_together() -> None:
    view = window([instruction(), *pair()], lambda r: {"suggestion": {"instruction": "Think.", "w": 4, "b": 5}})
    out = ask(OPRO(samples=1), view)
    assert new(out, view) == [{"instruction": "Think.\n\n{{question}}", "w": 4, "b": 5}]
    (request,) = view.llm.requests
    assert '{"instruction": "Answer now.", "w": 3, "b": 3}\nscore: 50' in str(request.messages[-1].content)
    schema: Any = request.json_schema
    assert list(schema["properties"]["suggestion"]["properties"]) == ["instruction", "w", "b"]


def test_one_parameter_an_answer_in_turn() -> None:
    good = {"instruction": "Think.", "w": 4, "b": 5}

    def reply(request: Request) -> Reply:
        schema: Any = request.json_schema
        return {"suggestion": {name: good[name] for name in schema["properties"]["suggestion"]["properties"]}}

    view = window([instruction(), *pair()], reply, [({"w": 9}, 0.25), ({"w": 9, "b": 1}, 0.75)])
    out = new(ask(OPRO(samples=3, focus="one"), view), view)
    assert [sum(v != view.best.candidate.values[k] for k, v in values.items()) for values in out] == [1, 1, 1]
    about_w = next(r for r in view.llm.requests if '"w"' in json.dumps(r.json_schema))
    told = str(about_w.messages[-1].content)
    assert "w=9\nscore: 75" in told and "w=9\nscore: 25" not in told, "one entry a value, with its best score"


# -- options -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "meant"),
    [
        ({"order": "ascendng"}, "ascending"),
        ({"exemplar_policy": "constnt"}, "constant"),
        ({"style": "papr"}, "paper"),
        ({"position": "Q_beginn"}, "Q_begin"),
        ({"schedule": "linear"}, "linear_increase"),
        ({"estimate": "pared"}, "paired"),
        ({"answer": "jsn"}, "json"),
        ({"focus": "on"}, "one"),
        ({"quotes": "strait"}, "straight"),
        ({"scripts": "sam"}, "same"),
        ({"sample": 4}, "samples"),
        ({"kinds": ["txt"]}, "text"),
        ({"off": ["leek"]}, "leak"),
    ],
)
def test_a_wrong_name_says_which_was_meant(options: dict[str, Any], meant: str) -> None:
    with pytest.raises(UnknownName, match=f"did you mean '{meant}'"):
        make("opro", **options)


@pytest.mark.parametrize(
    "options",
    [{"samples": 0}, {"history": -1}, {"exemplars": -1}, {"scores": 0}, {"scores": "many"}, {"max_tokens": 0},
     {"max_prompt_tokens": 10}, {"retries": -1}, {"starts": -1}, {"max_chars": 0}, {"temperature": -1},
     {"samples": "8x"}, {"samples": 2.5}, {"samples": True}, {"threshold": "low"}, {"digits": "no"}, {"scores": True},
     {"start_low": 5, "start_high": 1},
     {"position": "A_begin"}, {"position": "before_Q"}, {"schedule": "linear_increase"},
     {"temperature_end": 2.0}, {"style": "tags", "answer": "json"}, {"kinds": "text"}, {"start_values": "Think."},
     {"kinds": 3}, {"kinds": []}, {"off": "leak"}, {"start_values": 5}, {"start_values": {"w": 1}},
     {"problem": "maybe"}, {"ahead": 1}, {"temperature": float("inf")}, {"threshold": float("nan")}],
)  # fmt: skip
def test_what_cannot_be_is_refused_in_one_line(options: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="^opro: [^\n]+$"):
        make("opro", **options)


def test_a_list_is_no_name() -> None:
    with pytest.raises(UnknownName):
        make("opro", order=["random"])


def test_none_on_a_command_line_is_none() -> None:
    made = OPRO(threshold="none", retries="none", scores="none")  # type: ignore[arg-type]
    assert (made.threshold, made.retries, made.scores) == (None, None, "none")


def test_the_temperature_rises_on_a_line() -> None:
    count = iter(range(100))
    view = window([instruction()], lambda r: {"suggestion": {"instruction": f"Think {next(count)} times."}})
    optimizer = OPRO(samples=1, schedule="linear_increase", temperature=1.0, temperature_end=2.0, schedule_steps=4)
    for _ in range(6):
        ask(optimizer, view)
    assert [r.temperature for r in view.llm.requests] == [1.0, 1.25, 1.5, 1.75, 2.0, 2.0]


def test_a_style_without_words_for_numbers_says_so() -> None:
    with pytest.raises(UsageError, match="style=tags .* use style=full, short or paper"):
        ask(OPRO(style="tags", starts=0), window(pair(), []))


def test_nothing_to_tune_gives_nothing() -> None:
    assert ask(OPRO(kinds=["json"]), window(pair(), [])) == []


def test_the_state_is_json_and_goes_on_in_the_middle_of_a_step() -> None:
    def reply(request: Request) -> Reply:
        return {"suggestion": {"w": (request.seed or 0) % 50, "b": 1}}

    view = window(pair(), reply)
    first = OPRO(starts=2)
    ask(first, view, 1)
    second = OPRO(starts=2)
    second.load(json.loads(json.dumps(first.state())))
    for n in (1, 3, 8):
        assert ask(first, _again(view), n) == ask(second, _again(view), n)
    assert first.state() == second.state()


def _again(view: FakeView) -> FakeView:
    view.rng = random.Random(1)
    return view


# -- in a run ------------------------------------------------------------------------------------------------------


def downhill(request: Request) -> str:
    """A model that goes from the best pair of the meta-prompt to a neighbour: a search that ends at the optimum."""
    found = re.findall(r"w=(-?\d+), b=(-?\d+)\s+(?:value:|loss:)", str(request.messages[-1].content))
    w, b = map(int, found[-1])
    draw = random.Random(request.seed)
    return f"I think [{w + draw.randint(-2, 2)}, {b + draw.randint(-3, 3)}]"


@pytest.mark.parametrize("style", ["paper", "full"])
def test_a_run_on_linear_regression_reaches_the_true_pair(style: str, tmp_path: Path) -> None:
    result = agentopt.optimize(
        "line", task="linear_regression", task_args={"w": 3, "b": 5}, optimizer="opro", name="run",
        optimizer_args={"style": style, "answer": "text", "samples": 8, "start_low": 0, "start_high": 20},
        optimizer_model="scripted", clients={"scripted": ScriptedLLM(downhill)},
        proposals=8, steps=60, patience=60, runs_dir=tmp_path,
    )  # fmt: skip
    assert dict(result.best.values) == {"w": 3, "b": 5}


def test_a_run_on_a_tour_records_what_was_no_tour(tmp_path: Path) -> None:
    def swapped(request: Request) -> str:
        draw = random.Random(request.seed)
        found = re.findall(r"<trace> ?([\d,]+)", str(request.messages[-1].content))
        tour = [int(i) for i in found[-1].split(",")]
        i, j = sorted(draw.sample(range(1, 10), 2))
        tour[i : j + 1] = reversed(tour[i : j + 1])
        if draw.random() < 0.3:
            tour[3] = tour[4]
        return f"<trace>{','.join(map(str, tour))}</trace>"

    result = agentopt.optimize(
        "tour", task="tsp", task_args={"seed": 3}, optimizer="opro", optimizer_model="scripted", name="run",
        optimizer_args={"style": "paper"}, clients={"scripted": ScriptedLLM(swapped)},
        proposals=8, steps=40, patience=40, runs_dir=tmp_path,
    )  # fmt: skip
    (example,) = agentopt.load_task("tsp", seed=3).examples
    points: Any = example.input
    with agentopt.Override(result.best.values), agentopt.Trace():
        said = agentopt.load_task("tsp", seed=3).score(example, agentopt.load_graph("tour")(points["points"]).value)
    assert said.score == 1.0
    with Store(tmp_path / "run", readonly=True) as store:
        told = [e.data for e in store.events("proposal.accepted")] + [e.data for e in store.events("proposal.rejected")]
    assert any("come twice" in reason for data in told for reason in data["rejected"])
