"""Which part of a reply is its final answer, and which expression that is. No checker is run here."""

from __future__ import annotations

import contextlib
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.extremal.latex import NotRead, names_in, number_of, read_latex
from agentopt.evaluate.extremal.notation import plain_math
from agentopt.evaluate.extremal.reply import DEEPEST, LONGEST, final_answer

STATED = {
    r"First \boxed{2}, then \boxed{3}.": "3",
    r"<think>\boxed{7}</think> It is \boxed{3}": "3",
    r"I think aloud </think>\boxed{\frac{1}{2}}": r"\frac{1}{2}",
    r"\boxed{\boxed{3}}": "3",
    r"\boxed { 3 }": "3",
    r"\boxed3": "3",
    r"\fbox{4}": "4",
    r"\boxed{\{3\}}": r"\{3\}",
    "The minimum is 3.": "3",
    "The minimum value of the expression is $3$, attained at a = b = 1.": "$3$",
    "Hence $f = 3$.\n\n**Answer:** 7/3": "7/3",
}


@pytest.mark.parametrize("reply", STATED)
def test_the_last_box_or_the_line_that_states_it_is_the_answer(reply: str) -> None:
    found = final_answer(reply)
    assert (found.status, found.text) == ("stated", STATED[reply])
    assert found.boxed == ("box" in reply)


@pytest.mark.parametrize(
    ("reply", "status"),
    [
        ("", "none"),
        ("I could not finish.", "none"),
        (r"\boxed{}", "none"),
        (r"<think> it is \boxed{3}", "none"),
        (r"It is \boxed{\frac{6}{2}", "unclosed"),
        (r"\boxed{3} or rather \boxed{12", "unclosed"),
        (r"\boxed{3\}", "unclosed"),
        (r"\boxed{" + "3" * (LONGEST + 1) + "}", "oversized"),
        (r"\boxed{" + "(" * (DEEPEST + 1) + "3" + ")" * (DEEPEST + 1) + "}", "oversized"),
        (r"\boxed{" + "{" * 100_000, "unclosed"),
    ],
)
def test_what_is_no_answer_says_why(reply: str, status: str) -> None:
    found = final_answer(reply)
    assert found.status == status and found.why and not found.text


@given(st.text(alphabet="\\boxed{}()3<think>/ \n$", max_size=200))
def test_any_text_has_a_status(reply: str) -> None:
    found = final_answer(reply)
    assert (found.status == "stated") == bool(found.text)


PLAIN = {
    r"5\text{ units}": "5",
    r"5\,\mathrm{cm}^2": "5",
    "5 cm": "5",
    r"1{,}000": "1000",
    r"1\,000": "1000",
    "1,234,567": "1234567",
    "1.2e-4": r"1.2 \times 10^{-4}",
    "2√2": r"2\sqrt{2}",
    "√(a)": None,
    "C = 4": "4",
    r"a + b \geq 4": "4",
    r"2\sqrt{2} \approx 2.83": r"2\sqrt{2}",
    "5 million": r"5 \times 10^{6}",
    r"50\text{ percent}": r"50 \%",
    r"\frac{x}{y}": None,
    "2ab": None,
    "NaN": None,
    "3 or 4": None,
    "1, 2": None,
    "(1, 2)": None,
    r"3 \le x \le 4": None,
    "x < 4": None,
    r"\text{no minimum exists}": None,
    "not 3": None,
    "__import__('os')": None,
    r"\sum_{k=1}^{3} k": r"\sum_{k=1}^{3} k",
    r"3\text{ when }a=1": "3",
    "a = b = c = 1": None,
    "x_1 = x_2 = 1": None,
    "f(1, 1) = 2 + 1 = 3": "3",
    "3^{0.5}": r"3^{\frac{1}{2}}",
    "2^{-.25}": r"2^{-\frac{1}{4}}",
    r"\sin 30^\circ": r"\sin(\frac{30\pi}{180})",
    r"\cos(60^{\circ})": r"\cos(\frac{60\pi}{180})",
}


@pytest.mark.parametrize("answer", PLAIN)
def test_what_is_around_a_value_is_taken_off_or_the_answer_is_refused(answer: str) -> None:
    wanted = PLAIN[answer]
    if wanted is None:
        with pytest.raises(Unreadable):
            plain_math(answer)
    else:
        assert plain_math(answer) == wanted


@given(st.text(max_size=80))
def test_any_answer_is_plain_or_unreadable(answer: str) -> None:
    with contextlib.suppress(Unreadable):
        assert plain_math(answer).isascii()


@pytest.mark.parametrize(
    ("text", "value"),
    [
        (r"2\sqrt{2}", 2 * math.sqrt(2)),
        (r"\frac12", 0.5),
        (r"-\frac{1}{8}", -0.125),
        (r"\sqrt[3]{-8}", -2.0),
        (r"2^{-1}", 0.5),
        ("2^3^2", 64.0),
        (r"\sin^2 \frac{\pi}{6} \cdot 4", 1.0),
        (r"\log_2 8", 3.0),
        (r"|1 - 3||2|", 4.0),
        (r"\max(1, 2, 3)", 3.0),
        (r"\left(\frac{10}{3}\right)^3", 1000 / 27),
        ("10^{10^{10}}", math.inf),
    ],
)
def test_expressions_have_their_value(text: str, value: float) -> None:
    assert number_of(read_latex(text)) == pytest.approx(value)


def test_names_are_letters_with_their_indices_and_e_is_one_where_it_is_declared() -> None:
    assert names_in(read_latex(r"a_1 b^{2} x_{12} \theta")) == {"a_1", "b", "x_12", r"theta"}
    assert names_in(read_latex("abe", variables=frozenset("e"))) == {"a", "b", "e"}
    assert names_in(read_latex("abe")) == {"a", "b"}


@pytest.mark.parametrize(
    "text", ["", "(", "3 +", r"\sum_{i=1}^n i", "1, 2", r"\frac{1}", "(" * 5000 + "1" + ")" * 5000, "3" * 5000, "#"]
)
def test_what_is_not_read_is_refused(text: str) -> None:
    with pytest.raises(NotRead):
        read_latex(text)


@given(st.text(alphabet="\\frac{}sqt[]()^_|xy12+-*/ ", max_size=60))
def test_any_text_is_an_expression_or_refused(text: str) -> None:
    with contextlib.suppress(NotRead):
        assert all(names_in(read_latex(text)))
