"""The strategies of OPRO: which candidates, examples and numbers a meta-prompt has; and its wording, word for word."""

from __future__ import annotations

import dataclasses
import random
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt._aio import run_sync
from agentopt.core import Parameter
from agentopt.core.values import Candidate, Feedback, Outcome
from agentopt.optim.base import ParameterSpec, Scored
from agentopt.optim.opro import OPRO, Settings
from agentopt.optim.opro.exemplars import POLICIES, Pool, pool
from agentopt.optim.opro.history import Entry, choose, entries, measure_of, numbers
from agentopt.optim.opro.polish import fault, key, polish
from agentopt.optim.opro.styles import STYLES
from agentopt.testing import FakeView, ScriptedLLM
from agentopt.testing.optimizers import spec_of

GOLDEN = Path(__file__).parent / "data" / "opro"


def entry(score: float, value: float | None = None) -> Entry:
    return Entry(Candidate(values={"p": f"text {score}"}), score, (), value)


def scores(found: list[Entry]) -> list[float]:
    return [e.score for e in found]


# -- history -------------------------------------------------------------------------------------------------------


def test_the_best_twenty_come_worst_first() -> None:
    rng = random.Random(0)
    drawn = [entry(round(rng.random(), 3)) for _ in range(60)]
    kept = choose(drawn, 20, threshold=None, order="ascending", rng=rng)
    assert scores(kept) == sorted(scores(drawn))[-20:]
    assert scores(choose(drawn, 20, threshold=None, order="descending", rng=rng)) == sorted(scores(drawn))[:-21:-1]
    assert len(choose(drawn, 0, threshold=None, order="ascending", rng=rng)) == 60
    mixed = choose(drawn, 20, threshold=None, order="random", rng=rng)
    assert sorted(scores(mixed)) == scores(kept) != scores(mixed)


def test_of_equals_the_later_are_kept() -> None:
    same = [Entry(Candidate(values={"p": i}), 0.5, ()) for i in range(5)]
    kept = choose(same, 2, threshold=None, order="ascending", rng=random.Random(0))
    assert [e.candidate.values["p"] for e in kept] == [3, 4]


def test_the_threshold_works_after_the_best_were_taken() -> None:
    found = [entry(s / 10) for s in range(10)]
    kept = choose(found, 4, threshold=0.75, order="ascending", rng=random.Random(0))
    assert scores(kept) == [0.8, 0.9]


@pytest.mark.parametrize(
    ("score", "value", "shown_as", "text"),
    [
        (0.713, None, 100, "71"), (0.713, None, 20, "14"), (0.713, None, "infinite", "0.713"),
        (0.713, None, "none", ""), (0.0, None, 100, "0"), (1.0, None, 100, "100"), (12.3456789, None, 100, "12.3457"),
        (-3.0, None, 100, "-3"),
        (0.2, 1234.56, 100, "1235"), (0.2, 1234.56, "infinite", "1234.560"), (0.2, 1234.56, "none", ""),
    ],
)  # fmt: skip
def test_how_a_score_is_shown(score: float, value: float | None, shown_as: Any, text: str) -> None:
    assert numbers([entry(score, value)], shown_as) == [text]


@pytest.mark.parametrize(
    ("values", "told"),
    [
        ([0.31, 0.74], ["0.31", "0.74"]), ([0.2], ["0.2"]), ([3.14159, 2.71828], ["3.142", "2.718"]),
        ([512.34, 512.11], ["512", "512"]), ([51.7, 1720.2, 98.3], ["52", "1720", "98"]),
        ([1720.2, 0.4, 0.2], ["1720", "0.4", "0.2"]), ([-0.5, -0.25], ["-0.5", "-0.25"]), ([12.0, 12.0], ["12", "12"]),
    ],
)  # fmt: skip
def test_a_measure_is_whole_only_where_that_tells_the_candidates_apart(values: list[float], told: list[str]) -> None:
    assert numbers([entry(0.5, value) for value in values], 100) == told


def outcomes(candidate: Candidate, scored: dict[str, float | None], **more: Any) -> tuple[Outcome, ...]:
    return tuple(
        Outcome(candidate=candidate.id, example=id, feedback=None if s is None else Feedback(score=s), **more)
        for id, s in scored.items()
    )


def test_a_candidate_that_fell_out_of_a_race_is_compared_on_what_both_ran_on() -> None:
    text = Parameter("a", name="p")
    view = FakeView({"p": spec_of(text)}, ScriptedLLM([]), examples={f"e{i}": (i, i) for i in range(4)})
    best, other = view.baseline, view.baseline.changed(p="b")
    view = view.evaluated(best, outcomes(best, {"e0": 1.0, "e1": 1.0, "e2": 0.0, "e3": 0.0}))
    view = view.evaluated(other, outcomes(other, {"e2": 0.5, "e3": 0.5}))
    assert scores(entries(view, "mean")) == [0.5, 0.5]  # type: ignore[arg-type]
    assert view.best.candidate == best
    assert scores(entries(view, "paired")) == [0.5, 1.0]  # type: ignore[arg-type]
    worse = view.evaluated(view.baseline.changed(p="c"), outcomes(view.baseline.changed(p="c"), {"e0": 0.0, "e1": 0.0}))
    assert scores(entries(worse, "paired"))[2] == 0.0, "no score leaves the range"  # type: ignore[arg-type]


def loss_view(losses: list[tuple[float, float]], parts: tuple[str, ...] = ("loss",)) -> FakeView:
    view = FakeView({"p": spec_of(Parameter("a", name="p"))}, ScriptedLLM([]), examples={"e": (1, None)})
    for i, (score, loss) in enumerate(losses):
        made = view.baseline.changed(p=str(i))
        said = Feedback(score=score, parts=dict.fromkeys(parts, loss))
        view = view.evaluated(made, [Outcome(candidate=made.id, example="e", feedback=said)])
    return view


def test_the_only_part_of_the_feedback_is_the_measure_and_its_direction_is_read_off_the_archive() -> None:
    falling: Any = loss_view([(0.2, 90.0), (0.6, 10.0), (0.4, 50.0)])
    measure = measure_of(falling, "auto")
    assert measure is not None and (measure.name, measure.lower) == ("loss", True)
    assert [e.value for e in entries(falling, "paired", measure)] == [90.0, 10.0, 50.0]
    rising: Any = loss_view([(0.2, 10.0), (0.6, 90.0)])
    assert (found := measure_of(rising, "auto")) is not None and not found.lower
    assert measure_of(falling, "none") is None and measure_of(falling, "gain") is None
    assert measure_of(loss_view([(0.2, 90.0)]), "auto") is None, "one candidate has no direction"  # type: ignore[arg-type]
    assert measure_of(loss_view([(0.2, 9.0), (0.3, 8.0)], ("a", "b")), "auto") is None  # type: ignore[arg-type]
    assert measure_of(loss_view([(0.2, 9.0), (0.3, 8.0)], ("a", "b")), "a") is not None  # type: ignore[arg-type]


# -- exemplars -----------------------------------------------------------------------------------------------------

TEN = Pool(tuple(f"e{i}" for i in range(10)), Counter({"e1": 50, "e2": 1, "e3": 1}), Counter({"e4": 3, "e5": 2}))


@pytest.mark.parametrize("name", sorted(POLICIES))
@pytest.mark.parametrize("k", [0, 3, 10, 40])
def test_a_policy_gives_so_many_different_examples(name: str, k: int) -> None:
    drawn = POLICIES[name](TEN, k, random.Random(1))
    assert len(drawn) == len(set(drawn)) == min(k, 10)
    assert set(drawn) <= set(TEN.ids)
    assert drawn == POLICIES[name](TEN, k, random.Random(1))
    assert POLICIES[name](Pool((), Counter(), Counter()), k, random.Random(1)) == []


def test_random_changes_with_the_step_and_constant_does_not() -> None:
    steps = [random.Random(i) for i in range(5)]
    assert len({tuple(POLICIES["random"](TEN, 3, rng)) for rng in steps}) > 1
    assert len({tuple(POLICIES["constant"](TEN, 3, rng)) for rng in steps}) == 1


def test_often_failed_examples_are_drawn_more_often_only_where_weighted() -> None:
    def share(weighted: bool) -> float:
        some = Pool(TEN.ids, TEN.ever, TEN.now, weighted)
        first = [POLICIES["accumulative_most_frequent"](some, 1, random.Random(i)) for i in range(400)]
        assert all(set(ids) <= {"e1", "e2", "e3"} for ids in first)
        return sum(ids == ["e1"] for ids in first) / len(first)

    assert share(True) > 0.9
    assert 0.25 < share(False) < 0.42


def test_current_shows_what_the_history_failed_most_often() -> None:
    for i in range(20):
        assert POLICIES["current_most_frequent"](TEN, 2, random.Random(i)) == ["e4", "e5"]


def test_failures_are_counted_over_candidates_and_the_worlds_faults_are_none() -> None:
    view = FakeView(
        {"p": spec_of(Parameter("a", name="p"))}, ScriptedLLM([]), examples={f"e{i}": (i, i) for i in range(3)}
    )
    first, second = view.baseline, view.baseline.changed(p="b")
    view = view.evaluated(first, outcomes(first, {"e0": 1.0, "e1": 0.0, "e2": 0.0}))
    lost = Outcome(candidate=second.id, example="e0", status="infra_error", error="down")
    view = view.evaluated(second, [lost, *outcomes(second, {"e1": 0.0, "e2": 1.0})])
    shown = entries(view)[1:]  # type: ignore[arg-type]
    found = pool(view, shown)  # type: ignore[arg-type]
    assert found.ever == {"e1": 2, "e2": 1} and found.now == {"e1": 1}


# -- texts ---------------------------------------------------------------------------------------------------------


@given(st.text())
def test_polishing_and_filtering_bear_any_text(text: str) -> None:
    once = polish(text)
    assert isinstance(fault(once, max_chars=500, digits=False, quotes="refuse", scripts={"LATIN"}), str)
    same = [key({"p": said}, {"p": ParameterSpec("p", "text", "")}) for said in (text, f"  {text} ", once)]
    assert len(set(same)) == 1 or "**" in once


@pytest.mark.parametrize("text", ["INSPECT it.", "The INSTRUCTION is clear.", "<b>Bold</b>"])
def test_only_the_marks_themselves_are_refused(text: str) -> None:
    assert fault(text, max_chars=500) == ""


@pytest.mark.parametrize("text", ["Say <ins>.", "</INS> first", "Put <Start> there", "a <trace> of it"])
def test_marks_are_refused_in_any_case(text: str) -> None:
    assert "the mark" in fault(text, max_chars=500)


# -- wording -------------------------------------------------------------------------------------------------------


def golden_view(form: str) -> FakeView:
    text = Parameter(
        "Answer the question.\n\n{{question}}", name="instruction",
        description="what the model is told", constraint="ask for a number",
    )  # fmt: skip
    w, b = (Parameter(3, name=name, kind="number", low=-50, high=50) for name in ("w", "b"))
    tour = Parameter([0, 1, 2, 3], name="tour", kind="json", description="the order of the points")
    made: dict[str, tuple[list[Parameter[Any]], list[dict[str, Any]]]] = {
        "text": ([text], [{"instruction": "Think first.\n\n{{question}}"}, {"instruction": "Guess.\n\n{{question}}"}]),
        "numbers": ([w, b], [{"w": 17, "b": 12}, {"w": -4}]),
        "list": ([tour], [{"tour": [0, 2, 1, 3]}, {"tour": [0, 3, 2, 1]}]),
        "mixed": ([text, w], [{"w": 4}, {"w": 5}]),
    }
    parameters, tries = made[form]
    single = form in ("numbers", "list")
    examples: dict[str, tuple[Any, Any]] = {f"e{i}": (f"How much is {i} + {i}?", str(2 * i)) for i in range(4)}
    if single:
        examples = {"e": ({"points": [[0, 0], [3, 4], [-5, 2], [7, 7]]}, None)}
    view = FakeView({p.name: spec_of(p) for p in parameters}, ScriptedLLM(lambda request: ""), examples=examples)
    for i, values in enumerate([{}, *tries]):
        made_of = view.baseline.change(values) if values else view.baseline
        score = (0.5, 0.75, 0.25)[i]
        said = Feedback(score=score, parts={"length": 400 / score} if single else {})
        view = view.evaluated(made_of, [Outcome(candidate=made_of.id, example=e, feedback=said) for e in examples])
    return view


def prompt_of(form: str, **options: Any) -> str:
    view = golden_view(form)
    run_sync(OPRO(samples=1, starts=0, retries=0, **options).ask(view, 1))  # type: ignore[arg-type]
    (request,) = view.llm.requests
    return "\n\n=====\n\n".join(f"[{m.role}]\n{m.content}" for m in request.messages) + "\n"


PROMPTS: dict[str, tuple[str, dict[str, Any]]] = {
    **{f"{style}_text": ("text", {"style": style}) for style in STYLES},
    **{f"{style}_{form}": (form, {"style": style})
       for style in ("full", "short", "paper") for form in ("numbers", "list", "mixed")},
    "full_text_as_text": ("text", {"answer": "text"}),
    "full_numbers_as_text": ("numbers", {"answer": "text"}),
    "full_list_as_text": ("list", {"answer": "text"}),
    "paper_text_as_json": ("text", {"style": "paper", "answer": "json"}),
    "paper_text_unscored": ("text", {"style": "paper", "scores": "none", "exemplars": 0}),
    "paper_numbers_unscored": ("numbers", {"style": "paper", "scores": "none", "order": "descending"}),
    "tags_text_A_begin": ("text", {"style": "tags", "position": "A_begin", "include_qa": True, "exemplars": 1}),
    "paper_text_examples_first": ("text", {"style": "paper", "exemplars_first": True, "exemplars": 1,
                                           "exemplar_policy": "current_most_frequent"}),
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(PROMPTS))
def test_golden_prompt(name: str) -> None:
    """The prompts are part of what is released: a change of theirs is a change of these files."""
    form, options = PROMPTS[name]
    told = prompt_of(form, **options)
    assert told == (GOLDEN / f"{name}.txt").read_text("utf-8")
    assert "{{" not in told.replace("{{question}}", "")


@pytest.mark.parametrize(
    ("position", "qa", "shown"),
    [
        ("before_Q", True, "<INS>\nQ: How much is 2 + 2?\nA:"),
        ("Q_begin", True, "Q: <INS>\nHow much is 2 + 2?\nA:"),
        ("Q_end", True, "Q: How much is 2 + 2?\n<INS>\nA:"),
        ("A_begin", True, "Q: How much is 2 + 2?\nA: <INS>"),
        ("Q_begin", False, "<INS>\nHow much is 2 + 2?\n"),
        ("Q_end", False, "How much is 2 + 2?\n<INS>\n"),
        ("auto", False, "<INS>\nHow much is 2 + 2?\n"),
    ],
)
def test_the_mark_stands_where_the_text_does(position: str, qa: bool, shown: str) -> None:
    assert shown in prompt_of("text", style="paper", position=position, include_qa=qa, exemplars=4)


def long_view() -> FakeView:
    view = golden_view("text")
    for i in range(40):
        made = view.baseline.changed(instruction=f"Attempt {i} {'word ' * 60}\n\n{{{{question}}}}")
        said = Feedback(score=i / 40)
        view = view.evaluated(made, [Outcome(candidate=made.id, example="e0", feedback=said)])
    return view


def told_by(view: FakeView, **options: Any) -> tuple[str, str]:
    """The meta-prompt, and why its proposal was made."""
    view.llm = ScriptedLLM([{"suggestion": {"instruction": "Add up both."}}])
    (proposal,) = run_sync(OPRO(samples=1, **options).ask(view, 1))  # type: ignore[arg-type]
    return "\n".join(str(m.content) for m in view.llm.requests[0].messages), proposal.why


def test_what_is_too_long_loses_its_examples_and_then_the_worst_of_its_history_and_says_so() -> None:
    whole, why = told_by(long_view(), max_prompt_tokens=20_000)
    assert "How much is" in whole and "shown" not in why
    size = len(whole.encode()) // 3
    told, why = told_by(long_view(), max_prompt_tokens=size - 10)
    assert told.count("Attempt") == whole.count("Attempt"), "an example goes before any of the history"
    assert "(2 of 3 examples shown)" in why
    told, why = told_by(long_view(), max_prompt_tokens=900)
    assert "Attempt 39" in told and "Attempt 20 " not in told and "How much is" not in told
    assert len(told.encode()) / 3 <= 900
    assert re.search(r"\(0 of 3 examples and \d of 20 shown\)", why)


def test_the_styles_of_the_paper_are_not_shortened_unless_that_is_asked_for() -> None:
    assert [OPRO(style=name).prompt_limit for name in STYLES] == [3000, 3000, None, None, None]
    assert OPRO(style="paper", max_prompt_tokens=500).prompt_limit == 500


def test_a_run_that_has_scored_nothing_yet_is_asked_about_all_the_same() -> None:
    view = FakeView({"w": spec_of(Parameter(3, name="w", kind="number", low=0, high=9))}, ScriptedLLM(["[4]"]))
    out = run_sync(OPRO(samples=1, starts=0, style="paper").ask(view, 1))  # type: ignore[arg-type]
    assert [p.candidate.values for p in out] == [{"w": 4}]


def test_unscored_entries_are_no_history() -> None:
    unscored = Scored(Candidate(values={"w": 1}), None, 0, None, None, ())
    view = FakeView({"w": spec_of(Parameter(3, name="w", kind="number"))}, ScriptedLLM([]), archive=[unscored])
    assert entries(view) == [] and measure_of(view, "auto") is None  # type: ignore[arg-type]


def test_every_option_is_in_the_docs() -> None:
    page = (Path(__file__).parents[1] / "docs" / "opro.md").read_text("utf-8")
    for field in dataclasses.fields(Settings):
        row = next((line for line in page.splitlines() if re.match(rf"\| [^|]*`{field.name}`", line)), "")
        assert row, f"docs/opro.md does not tell of {field.name}"
        default = str(field.default).lower() if isinstance(field.default, bool) else field.default or "none"
        default = ", ".join(default) if field.name == "kinds" else default
        assert f"| {default} |" in row or f"| `{default}` |" in row, (field.name, default)
