"""The scorers of the field's tasks read replies as a person does, and never break on one."""

from __future__ import annotations

import importlib.util
import os
import random
import sys
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt import load_task
from agentopt.errors import UsageError
from agentopt.evaluate import Example, brackets, stated_number, stated_option, verdict, word_list
from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.reading import read_statement

_spec = importlib.util.spec_from_file_location("bench", Path(__file__).parent / "benchmarks" / "scorers.py")
assert _spec is not None and _spec.loader is not None
bench: Any = importlib.util.module_from_spec(_spec)
sys.modules[_spec.name] = bench
_spec.loader.exec_module(bench)

needs_data = pytest.mark.skipif(
    not os.environ.get("AGENTOPT_DATA"), reason="AGENTOPT_DATA names no folder of data sets"
)
VALID = verdict("valid", "invalid")
YES_NO = verdict("Yes", "No", also_positive=("true",), also_negative=("false",))
OPTIONS = {"A": "red", "B": "dark red", "C": "blue"}


def score(scorer: Any, target: Any, reply: Any, options: dict[str, str] | None = None) -> float:
    said = scorer(Example(input="q", target=target, meta={"options": options} if options else {}), reply)
    assert said.text
    return float(said.score)


@pytest.mark.parametrize("kind", list(bench.OURS))
def test_every_labelled_pair_is_read_as_a_person_reads_it(kind: str) -> None:
    some = [p for p in bench.pairs() if p.kind == kind]
    assert len(some) >= 30 and {p.right for p in some} == {True, False}
    assert [(p.target, p.reply, text) for p in some for said, text in [bench.ours(p)] if said != p.right] == []


def test_the_benchmark_counts_what_opro_gets_wrong() -> None:
    rows = {row.kind: row for row in bench.measure()}
    assert sum(row.pairs for row in rows.values()) >= 300
    assert sum(row.ours_wrong for row in rows.values()) == 0
    assert all(row.opro_accepts for row in rows.values()), "every type has wrong replies that OPRO's rules accept"


@pytest.mark.parametrize(
    ("scorer", "target", "reply", "options"),
    [
        pytest.param(VALID, "valid", "invalid", None, id="invalid for valid"),
        pytest.param(VALID, "valid", "The argument is deductively invalid.", None, id="invalid in a sentence"),
        pytest.param(YES_NO, "No", "I do not know", None, id="I do not know for no"),
        pytest.param(YES_NO, "No", "Yes, nothing is wrong", None, id="nothing for no"),
        pytest.param(stated_option(), "(A)", "(A) or (B)", OPTIONS, id="two choices, the first"),
        pytest.param(stated_option(), "(B)", "(A) or (B)", OPTIONS, id="two choices, the second"),
        pytest.param(stated_option(), "(A)", "dark red", OPTIONS, id="an option within another"),
        pytest.param(brackets(), ") ]", ") ] }", None, id="more brackets"),
        pytest.param(brackets(), ") ]", "} ) ]", None, id="brackets before"),
        pytest.param(brackets(), ") ]", "", None, id="brackets vanish"),
        pytest.param(brackets(), ") ]", "( [", None, id="other brackets"),
        pytest.param(word_list(), "fig pear", "fig pear plum", None, id="a longer list"),
        pytest.param(word_list(), "fig pear", "apple fig pear", None, id="words before"),
        pytest.param(stated_number(), 5, "-5", None, id="a sign too many"),
        pytest.param(stated_number(), -5, "5", None, id="a sign too few"),
        pytest.param(stated_number(), 18, "18.4", None, id="rounding down"),
        pytest.param(stated_number(), 18, "17.6", None, id="rounding up"),
    ],
)
def test_faults_of_opros_rules_are_not_repeated(
    scorer: Any, target: Any, reply: str, options: dict[str, str] | None
) -> None:
    kinds = {VALID: "valid", YES_NO: "yes_no", stated_option(): "option", stated_number(): "number"}
    kind = {**kinds, brackets(): "brackets", word_list(): "words"}[scorer]
    pair = bench.Pair(kind, target, reply, False, options or {})
    assert score(scorer, target, reply, options) == 0.0
    if reply != "dark red":  # of options theirs looks at the others too
        assert bench.opro(pair), "the rules under test have this fault"


def test_a_constant_answer_scores_its_share_and_no_more() -> None:
    """A program that always says "invalid" had been right on everything."""
    targets = ["valid"] * 6 + ["invalid"] * 4
    assert sum(score(VALID, t, "invalid") for t in targets) == 4


@pytest.mark.parametrize(
    "boxed", [r"\boxed{7}", r"$\boxed{7}$", r"The answer is \boxed{7}.", r"\[\boxed{7 \text{ km}}\]"]
)
def test_boxed_answers_are_unwrapped(boxed: str) -> None:
    assert score(stated_number(), 7, boxed) == 1.0
    assert score(stated_number(), 8, boxed) == 0.0


@pytest.mark.parametrize(
    ("scorer", "target", "reply", "told"),
    [
        (stated_number(), 18, "Answer: 17", "the answer read is 17, expected 18: too low"),
        (stated_number(), 18, "-18", "only the sign is wrong"),
        (stated_number(), 18, "18 or 19", "states 2 numbers; exactly one is asked for"),
        (stated_number(), 18, "I do not know.", "does not state an answer"),
        (stated_number(), 0.5, "1/3", "1/3 (about 0.333333)"),
        (stated_number(), 18, None, "the output is null"),
        (VALID, "valid", "It is invalid.", "the answer read is invalid, expected valid"),
        (VALID, "valid", "valid or invalid", "names both valid and invalid"),
        (YES_NO, "No", "Hm.", "says neither Yes nor No; end with one line 'Answer: Yes' or 'Answer: No'"),
        (brackets(), ") ]", ")", "the answer read is ), expected ) ]: 1 too few"),
        (brackets(), ") ]", "( ) ]", "give only the brackets that are missing"),
        (word_list(), "fig pear", "pear fig", "word 1 read is 'pear' and not 'fig'"),
        (word_list(), "fig pear", "Answer: fig", "missing: pear"),
        (word_list(), "fig pear", "Answer: fig pear plum", "too many: plum"),
    ],
)
def test_feedback_says_what_was_read_and_what_was_expected(scorer: Any, target: Any, reply: Any, told: str) -> None:
    said = scorer(Example(input="q", target=target), reply)
    assert said.score == 0.0 and told in said.text and str(target) in said.text


def test_feedback_of_options() -> None:
    example = Example(input="Which?\n(A) red\n(B) dark red\n(C) blue", target="(B)")
    assert stated_option()(example, "(C)").text == "the answer read is (C) blue, expected (B) dark red"
    assert "names 2 options ((A), (C))" in stated_option()(example, "A or C").text
    assert "the letter of one option and the text of another" in stated_option()(example, "B. blue").text


def test_outputs_that_are_values_and_not_texts() -> None:
    assert score(stated_number(), 18, 18.0) == score(verdict(), True, True) == 1.0
    assert score(stated_number(), 18, True) == score(stated_number(), 1, float("nan")) == 0.0
    assert score(verdict(), "no", True) == 0.0
    assert score(word_list(), "fig pear", ["fig", "pear"]) == 1.0
    assert score(brackets(), ")", {"answer": ")"}) == score(stated_option(), "(A)", 1, OPTIONS) == 0.0


def test_dozens_are_counted_only_where_the_question_asks_for_them() -> None:
    assert score(stated_number(), 24, "2 dozen eggs") == 1.0
    assert score(stated_number(), 2, "2 dozen eggs") == 0.0
    asked = "How many dozens of eggs does she need?"
    assert [stated_number()(Example(input=asked, target=t), "2 dozen eggs").score for t in (2, 24)] == [1.0, 0.0]


def test_tolerance_is_absolute() -> None:
    assert score(stated_number(tol=0.01), 33.33, "33.333") == 1.0
    assert score(stated_number(), 33.33, "33.333") == 0.0


def test_options_with_one_text_are_one_and_other_targets_are_taken_word_for_word() -> None:
    twice = {"A": "8.75", "B": "8.79", "C": "8.75"}
    assert score(stated_option(), "(C)", "8.75", twice) == score(stated_option(), "(C)", "(A)", twice) == 1.0
    assert score(stated_option(), "(C)", "8.79", twice) == 0.0
    cut = {"A": "Monsters", "B": "Inc", "C": "Children of the Night"}
    assert score(stated_option(), "Monsters, Inc", "Answer: Monsters, Inc", cut) == 1.0
    assert score(stated_option(), "Monsters, Inc", "(A) Monsters", cut) == 0.0
    assert score(stated_option(), "(D)", "(D)", {"A": "one", "B": "two"}) == 1.0  # a row that lacks an option


@pytest.mark.parametrize(
    ("scorer", "target"),
    [(stated_number(), "x"), (stated_number(), True), (VALID, "yes"), (stated_option(), "(A)"), (brackets(), "x )"),
     (brackets(), ""), (word_list(), ""), (word_list(), 3)],
)  # fmt: skip
def test_targets_of_another_type_are_the_callers_mistake(scorer: Any, target: Any) -> None:
    with pytest.raises(UsageError, match="target of example|has the target"):
        scorer(Example(input="q", target=target), "x")


def test_settings_that_make_no_sense() -> None:
    with pytest.raises(UsageError):
        stated_number(tol=-1)
    with pytest.raises(UsageError):
        verdict("yes", "Yes")


SCORERS = [
    (stated_number(), 18, {}), (VALID, "valid", {}), (YES_NO, "No", {}), (verdict("True", "False"), "True", {}),
    (stated_option(), "(A)", OPTIONS), (brackets(), ") ]", {}), (word_list(), "fig pear", {}),
]  # fmt: skip
PIECES = [
    "answer", "Answer:", "the answer is", "**", "\\boxed{", "}", "{", "(A)", "B", "red", "dark red", "valid", "invalid",
    "yes", "no", "not", "18", "-", "1/0", "5:30", "1e9999", "$", "€", ",", ".", "\n", "####", "<answer>", "</answer>",
    "<think>", "</think>", "fig", "pear", "1.", ")", "]", "wait", "Q:", "\\frac{1}{", "½", "dozen", "hundred", "=",
]  # fmt: skip


@given(
    st.one_of(
        st.text(), st.lists(st.sampled_from(PIECES)).map(" ".join), st.lists(st.sampled_from(PIECES)).map("".join)
    )
)
def test_no_reply_breaks_a_scorer(reply: str) -> None:
    for scorer, target, options in SCORERS:
        assert score(scorer, target, reply, options) in (0.0, 1.0)


@given(st.integers(-(10**12), 10**12), st.integers(0, 10**6))
def test_a_number_is_right_in_every_usual_form_and_no_other_number_is(number: int, more: int) -> None:
    forms = [
        "{}",
        "Answer: {}",
        "**{}**",
        "The answer is {}.",
        "\\boxed{{{}}}",
        "#### {}",
        "a + b = {}",
        "It is {} km.",
    ]
    for form in forms:
        for shown in (str(number), f"{number:,}", f"{number}.0"):
            assert score(stated_number(), number, form.format(shown)) == 1.0, form.format(shown)
            assert score(stated_number(), number + more + 1, form.format(shown)) == 0.0


@pytest.mark.parametrize(
    "piece", ["a ", "1 ", "Q:\n", "\\boxed{", "(A) ", "answer is ", "<think>", ". ", "answer to ", " "]
)
def test_long_replies_are_read_in_linear_time(piece: str) -> None:
    """Not timed: a quadratic reading of these takes longer than a test may."""
    for scorer, target, options in SCORERS:
        score(scorer, target, piece * (400_000 // len(piece)), options)


def test_thoughts_and_further_questions_are_no_part_of_the_reply() -> None:
    assert read_statement("<think>maybe 20</think>It is 18").text == "It is 18"
    assert read_statement("Answer: 18\n\nQuestion: next?\nAnswer: 5").text == "18"
    with pytest.raises(Unreadable, match="within its thoughts"):
        read_statement("<think>so the answer is 18")


@needs_data
def test_solutions_written_by_people_are_read() -> None:
    """GSM8K's solutions without their last line: what is not read has other units, or is wrong in the original."""
    task = load_task("gsm8k")
    sample = random.Random(0).sample(task.examples, 1500)
    assert sum(float(task.score(e, e.meta["solution"]).score or 0) for e in sample) / len(sample) > 0.98


@needs_data
@pytest.mark.parametrize(
    "name", ["aqua", "date_understanding", "hyperbaton", "movie_recommendation", "geometric_shapes"]
)
def test_each_option_of_each_example_is_read_as_itself(name: str) -> None:
    task = load_task(name) if name == "aqua" else load_task("bbh", name=name)
    forms = ["({}) {}", "Answer: ({}) {}", "{}. {}", "The answer is {}) {}.", "**({}) {}**", "I think so.\n({}) {}"]
    for example in task.examples:
        options: Any = example.meta["options"]
        wanted = str(example.target).strip("()")
        for letter, text in options.items():
            right = letter == wanted or text == options[wanted]
            for form in forms:
                assert (task.score(example, form.format(letter, text)).score == 1.0) is right, form.format(letter, text)
            assert (task.score(example, f"Answer: {text}").score == 1.0) is right, text


def test_the_readings_shown_in_the_docs_are_what_comes_out(capsys: pytest.CaptureFixture[str]) -> None:
    page = (Path(__file__).resolve().parents[1] / "docs" / "data-sets.md").read_text("utf-8")
    program, shown = (
        page.rpartition("```python\n")[2].split("```\n")[:1],
        page.rpartition("```text\n")[2].split("```\n")[0],
    )
    exec(compile(program[0], "docs/data-sets.md", "exec"), {})  # noqa: S102 - our own page
    assert capsys.readouterr().out == shown
