"""OptiBench's own rules, and the reader of labelled lines that stands in for its reading model."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.evaluate.modelling import LabelledLines, Solved
from agentopt.evaluate.modelling.judged import read_by_model
from agentopt.evaluate.modelling.official import below_dashes, official_number, official_program, read_official
from agentopt.llm import Session, use_session
from agentopt.testing import ScriptedLLM

BAKERY = ["The number of rye loaves", "The number of wheat loaves", "The maximum profit"]


def test_the_first_python_block_else_the_whole_reply() -> None:
    two = "```python\nfirst\n```\n```python\nsecond\n```"
    assert official_program(two) == "first\n"
    assert official_program("```\nplain\n```") == "```\nplain\n```"
    assert official_program("no fence") == "no fence"


def test_the_text_below_the_last_dashes() -> None:
    assert below_dashes("a\n----------\nb\n------------\nc") == "\nc"
    assert below_dashes("a\n---------\nb") == "a\n---------\nb"


@pytest.mark.parametrize(
    ("reply", "number"),
    [
        (r"\boxed{3600.00000}", 3600.0), (r"first \boxed{1} then \boxed{2}", 2.0), ("the answer is $1,250.50", 1250.5),
        (r"\boxed{3/4}", 0.75), (r"\boxed{-2}", -2.0), ("1e-05", None), (r"\boxed{2.5e+3}", 3.0),
        (r"\boxed{1/0}", None), ("none", None), (r"\boxed{none}", None), ("0", 0.0), ("0.00001", 1e-5), ("-00", 0.0),
    ],
)  # fmt: skip
def test_the_released_number_rule(reply: str, number: float | None) -> None:
    """With its faults: an exponent is taken for a number of its own, and -05 is none."""
    assert official_number(reply) == number


def test_names_as_they_stand() -> None:
    read = read_official("----------\nThe maximum profit:  673.0\nThe number of rye loaves:  94.0\n", BAKERY)
    assert read.values == {"The maximum profit": 673.0, "The number of rye loaves": 94.0}
    assert read.missing == ("The number of wheat loaves",)
    assert read_official("----------\nThe problem could not be solved to optimality.", BAKERY).claim == "not_optimal"


@pytest.mark.parametrize(
    ("output", "values"),
    [
        ("The number of rye loaves:  94.0\nThe number of wheat loaves:  99.0\nThe maximum profit:  673.0",
         [94.0, 99.0, 673.0]),
        ("Rye loaves: 94\nWheat loaves: 99\nMaximum profit: $673.00", [94.0, 99.0, 673.0]),
        ("wheat_loaves = 99.0\nrye_loaves = 94.0\nTotal Profit = 673.0", [94.0, 99.0, 673.0]),
        ("Number of rye loaves baked: 94 loaves\nNumber of wheat loaves baked: 99 loaves\nObjective value: 6.73e+02",
         [94.0, 99.0, 673.0]),
        ("Optimal number of rye loaves is 94\nOptimal number of wheat loaves is 99\nThe maximum profit is $673",
         [94.0, 99.0, 673.0]),
        ('{"The number of rye loaves": 94, "The number of wheat loaves": 99, "The maximum profit": 673}',
         [94.0, 99.0, 673.0]),
    ],
)  # fmt: skip
def test_lines_in_other_words(output: str, values: list[float]) -> None:
    read = LabelledLines(objective="The maximum profit")(f"log: 3\n----------\n{output}\n", BAKERY)
    assert [read.values[name] for name in BAKERY] == values and not read.problems


def test_a_verb_in_another_form() -> None:
    output = "The number of tacos to sell:  50.0\nThe number of burritos to sell:  40.0\nThe maximum profit:  390.0\n"
    names = ["The number of tacos sold", "The number of burritos sold", "Total profit"]
    assert list(LabelledLines(objective="Total profit")(output, names).values.values()) == [50.0, 40.0, 390.0]


@pytest.mark.parametrize("names", [["oil 1 used to produce gas 2", "oil 2 used to produce gas 1"], ["AppX", "AppY"]])
def test_names_of_the_same_words_are_told_apart_by_their_order_or_not_read(names: list[str]) -> None:
    read = LabelledLines()("".join(f"{name.lower()}: {i}\n" for i, name in enumerate(reversed(names))), names)
    assert read.values == {names[0]: 1.0, names[1]: 0.0}


def test_numbered_names_are_told_apart_by_their_number() -> None:
    names = [f"Whether a station should be built in City {i}" for i in range(1, 7)]
    output = "".join(f"City {i}: {i % 2}\n" for i in (3, 1, 2, 6, 5, 4))
    read = LabelledLines()(output, names)
    assert [read.values.get(name) for name in names] == [1.0, 0.0, 1.0, 0.0, 1.0, 0.0]


def test_lines_that_are_equally_like_a_name_are_not_guessed_from() -> None:
    read = LabelledLines()("boxes in May: 3\nboxes in June: 4\n", ["boxes in store"])
    assert not read.values


def test_the_last_value_of_a_repeated_label_counts() -> None:
    assert LabelledLines()("profit: 1\nprofit: 2\n", ["profit"]).values == {"profit": 2.0}


def test_what_is_not_a_number_is_told() -> None:
    read = LabelledLines()("profit: nan\nrye: 3 or 4\n", ["profit", "rye"])
    assert not read.values and set(read.problems) == {"profit", "rye"}


def test_nothing_to_read() -> None:
    assert LabelledLines()("", ["a"]).missing == ("a",)
    assert LabelledLines()("The problem could not be solved to optimality.", ["a"]).claim == "not_optimal"


@given(st.text(alphabet="ab: =\n-1.5e{}'", max_size=100))
def test_no_output_raises(output: str) -> None:
    LabelledLines(objective="a")(output, ["a", "b"])
    read_official(output, ["a", "b"])


async def test_a_reading_model_is_asked_for_each_figure_in_a_dialogue_of_its_own() -> None:
    scripted = ScriptedLLM(lambda r: r"\boxed{94.00000}" if "rye" in r.messages[-1].content.split('"')[1] else "none")
    solved = Solved(status="no_answer", ran=True, program="print(94)", stdout="----------\nrye:  94.0\n")
    with use_session(Session(scripted, models={"agent": "any"})):
        read = await read_by_model(solved, "A bakery ...", BAKERY)
    assert read.values == {"The number of rye loaves": 94.0} and len(read.missing) == 2
    assert len(scripted.requests) == 3
    for request in scripted.requests:
        assert [message.role for message in request.messages] == ["system", "user"]
        assert "print(94)" in request.messages[1].content and request.max_tokens == 512 and request.temperature == 0


async def test_a_reading_model_is_not_asked_where_the_program_says_that_there_is_no_optimum() -> None:
    scripted = ScriptedLLM([])
    solved = Solved(status="no_answer", ran=True, stdout="----------\nThe problem could not be solved to optimality.")
    with use_session(Session(scripted, models={"agent": "any"})):
        assert (await read_by_model(solved, "", BAKERY)).claim == "not_optimal"
    assert not scripted.requests


def test_a_line_that_is_made_to_take_long_does_not() -> None:
    output = f"{'a' * 5000}{' ' * 5000}b\nProfit: 3"
    assert LabelledLines("profit")(output, ["profit"]).values == {"profit": 3.0}
