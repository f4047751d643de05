"""Scorers are strict: they accept what states the answer and nothing that only looks like it."""

from __future__ import annotations

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.errors import UsageError
from agentopt.evaluate import Example, boolean, choice, contains, exact, json_fields, numeric, regex
from agentopt.evaluate.answers import Unreadable, numbers_in, one_number, stated_answer


def example(target: object) -> Example:
    return Example(input="q", target=target)


@pytest.mark.parametrize(
    ("text", "number"),
    [
        ("42", "42"),
        ("Answer: 42", "42"),
        ("The answer is -42.", "-42"),
        ("Answer: 1,234.50", "1234.50"),
        ("First 3, then 4.\nAnswer: 7", "7"),
        ("Answer: 5\nWait.\nAnswer: 6", "6"),
        ("**Answer:** 7", "7"),
        ("The answer is **7**.", "7"),
        ("Answer:\n\n7\n", "7"),
        ("48 + 24 = 72", "72"),
        (r"so \boxed{-3}", "-3"),
        (r"\boxed{1{,}000}", "1000"),
        ("#### 18", "18"),
        ("<answer>\n 9 \n</answer> done", "9"),
        ("answer = $1,000", "1000"),
        ("-$5", "-5"),
        ("$-5$", "-5"),
        ("\u22123", "-3"),
        ("25%", "25"),
        (".5", "0.5"),
        ("1e3", "1000"),
        ("Answer: 7 apples", "7"),
        ("Answer: 3. I am sure of it, 100", "3"),
        ("I thought of 12\n\nx = 13", "13"),
    ],
)
def test_a_stated_number_is_read(text: str, number: str) -> None:
    assert one_number(stated_answer(text)) == Decimal(number)
    assert numeric()(example(float(number)), text).score == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        "I do not know",
        "I don't know, maybe 5",
        "The answer is not 5.",
        "cannot be determined: 5",
        "Answer:",
        "Answer: 5 or 7",
        "Answer: 5, 7",
        "So 48 + 24 gives 5 in all",
        "5 is my guess\nI hope that helps",
        "- 5",
        "1,23",
        "1.234,56",
        "1,234,56",
        "12,34",
        "1.2.3",
        "3-4",
        "3/4",
        "5kg",
        "2nd",
        "H2O",
        "five",
        "nan",
        "inf",
        "--5",
        "5-",
        r"\boxed{}",
        r"\boxed{\frac{1}{2}}",
    ],
)
def test_what_states_no_single_number_is_wrong_and_told(text: str) -> None:
    with pytest.raises(Unreadable):
        one_number(stated_answer(text))
    for target in (5, 7, 1, 1.23, 1234.56, 2, 0.5):
        said = numeric()(example(target), text)
        assert said.score == 0.0
        assert "Answer: 42" in said.text


@given(st.decimals(allow_nan=False, allow_infinity=False, min_value=-(10**12), max_value=10**12, places=3))
def test_every_number_survives_its_own_notation(value: Decimal) -> None:
    for text in (f"{value}", f"{value:,}", f"Answer: {value:,}.", f"so x = {value}", f"\\boxed{{{value}}}"):
        assert one_number(stated_answer(text)) == value


@given(st.text(max_size=80))
def test_no_text_crashes_the_reader(text: str) -> None:
    assert numeric()(example(123456789), text).score in (0.0, 1.0)
    assert choice("yes", "no")(example("yes"), text).score in (0.0, 1.0)
    assert json_fields()(example({"a": 1}), text).score in (0.0, 1.0)


def test_numeric_feedback_says_in_which_direction() -> None:
    assert "too low" in numeric()(example(10), "Answer: 7").text
    assert "too high" in numeric()(example(10), 11.5).text
    assert "only the sign" in numeric()(example(10), "-10").text


def test_numeric_tolerances() -> None:
    assert numeric(tol=0.1)(example(0.3), "0.4").score == 1.0  # in decimals, not in binary
    assert numeric(tol=0.1)(example(0.3), "0.41").score == 0.0
    assert numeric(rel=0.01)(example(-1000), "-1010").score == 1.0
    assert numeric(rel=0.01)(example(-1000), "-1011").score == 0.0
    assert numeric()(example(0.1), 0.1).score == 1.0
    assert numeric()(example(12345678901234567890), "12345678901234567891").score == 0.0


def test_numeric_rules_for_the_final_answer() -> None:
    text = "2 apples and 3 pears make 5 fruits"
    assert numeric()(example(5), text).score == 0.0
    assert numeric(final="last")(example(5), text).score == 1.0
    assert numeric(final="last")(example(3), text).score == 0.0
    assert numeric(final="only")(example(5), "The answer is 5").score == 0.0
    assert numeric(final="only")(example(5), " 5 ").score == 1.0


@pytest.mark.parametrize("output", [True, None, [5], {"answer": 5}, float("nan"), float("inf")])
def test_numeric_takes_no_other_types(output: object) -> None:
    said = numeric()(example(1), output)
    assert said.score == 0.0
    assert said.text


def test_a_target_of_the_wrong_kind_is_the_users_mistake() -> None:
    with pytest.raises(UsageError, match="not a number"):
        numeric()(example("many"), "5")
    with pytest.raises(UsageError, match="not one of"):
        choice("a1", "b1")(example("c1"), "a1")
    with pytest.raises(UsageError, match="not true or false"):
        boolean()(example("yes"), "yes")
    with pytest.raises(UsageError, match="object with fields"):
        json_fields()(example([1]), "{}")


@pytest.mark.parametrize(
    ("text", "label"),
    [
        ("valid", "valid"),
        ("Valid.", "valid"),
        ("Answer: INVALID", "invalid"),
        ("It could be valid.\nAnswer: invalid", "invalid"),
        ("valid, and once more: valid", "valid"),
        ("The answer is **valid**.", "valid"),
    ],
)
def test_a_label_that_is_named_is_read(text: str, label: str) -> None:
    assert choice("valid", "invalid")(example(label), text).score == 1.0


@pytest.mark.parametrize(
    "text",
    [
        "",
        "valid or invalid",
        "Answer: not valid",
        "It isn't invalid",
        "validity",
        "semi-valid",
        "unvalid",
        "valid_ish",
        "valid\nbut I am unsure",
        "v a l i d",
    ],
)
def test_what_names_no_single_label_is_wrong(text: str) -> None:
    for target in ("valid", "invalid"):
        said = choice("valid", "invalid")(example(target), text)
        assert said.score == 0.0
        assert "valid, invalid" in said.text


def test_labels_that_contain_each_other() -> None:
    scorer = choice("valid", "not valid", "valid in part")
    for label in scorer.labels:
        for text in (label, f"Answer: {label}.", f"It is {label}"):
            assert scorer.read(text) == label


@pytest.mark.parametrize("text", ["B", "(B)", "Answer: B", "Answer: (B) the second", "B.", "**B**", "The answer is B)"])
def test_single_letters(text: str) -> None:
    assert choice("A", "B", "C")(example("B"), text).score == 1.0


@pytest.mark.parametrize("text", ["b", "A dog", "Both", "AB", "A or B", "Answer: A, B", "not A"])
def test_single_letters_that_are_not_named(text: str) -> None:
    with pytest.raises(Unreadable):
        choice("A", "B", "C").read(text)


def test_choice_needs_labels() -> None:
    for labels in ([], ["a"], ["a", "a"], ["a", " "]):
        with pytest.raises(UsageError):
            choice(labels)


def test_boolean() -> None:
    assert boolean()(example(True), "Answer: Yes").score == 1.0
    assert boolean()(example(False), "No, it is not.").score == 1.0
    assert boolean()(example(False), False).score == 1.0
    assert boolean()(example(True), 1).score == 0.0
    for text in ("yes and no", "not true", "maybe", "I do not know", "yesterday", "nothing"):
        assert [boolean()(example(t), text).score for t in (True, False)] == [0.0, 0.0]


def test_exact_is_typed() -> None:
    assert exact()(example("a b"), " a b\n").score == 1.0
    assert exact()(example("a b"), "A b").score == 0.0
    assert exact(ignore_case=True)(example("a b"), "A b").score == 1.0
    assert exact()(example("5"), 5).score == 0.0
    assert exact()(example(1), True).score == 0.0
    assert exact()(example(1), 1.0).score == 1.0
    assert exact()(example([1, {"a": None}]), [1, {"a": None}]).score == 1.0
    assert exact()(example([1, {"a": 1}]), [1, {"a": True}]).score == 0.0
    assert "nothing else" in exact()(example("yes"), "yes indeed").text


def test_json_fields() -> None:
    target = example({"a": 1, "b": "x", "c": [1, 2]})
    assert json_fields()(target, {"a": 1, "b": "x", "c": [1, 2], "d": 0}).score == 1.0
    said = json_fields()(target, 'Here:\n```json\n{"a": "1", "b": "x"}\n```')
    assert said.score == pytest.approx(1 / 3)
    assert said.parts == {"a": 0.0, "b": 1.0, "c": 0.0}
    assert "expected a number 1, got a text '1'" in said.text
    assert "c: missing" in said.text
    assert json_fields(all_or_nothing=True)(target, {"a": 1, "b": "x"}).score == 0.0
    assert json_fields(fields=("a",), tol=0.5)(target, {"a": 1.5}).score == 1.0
    for bad in ("", "{", "[1]", '{"a": NaN, "b": "x"}', '{"a": 2, "a": 1}', 5, None, "{}{}"):
        assert json_fields()(target, bad).score == 0.0


def test_contains_and_regex() -> None:
    assert contains()(example("cat"), "A Cat!").score == 1.0
    assert contains()(example("cat"), "concatenate").score == 0.0
    assert "'red'" in contains()(example(["red", "blue"]), "blue").text
    assert regex(r"^RESULT (\w+)$")(example("ok"), "RESULT no\nRESULT ok").score == 1.0
    assert regex(r"^RESULT (\w+)$")(example("ok"), "RESULT ok\nRESULT no").score == 0.0
    assert regex(r"\d{3}")(example(None), "abc").score == 0.0
    with pytest.raises(UsageError, match="regular expression"):
        regex("(")


def test_numbers_in_reads_all_or_refuses() -> None:
    assert numbers_in("1, 2; (3)") == [1, 2, 3]
    with pytest.raises(Unreadable, match="5kg"):
        numbers_in("1 and 5kg")
