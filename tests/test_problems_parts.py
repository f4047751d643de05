"""Reading demonstrations, likeness of texts, leaks and lost numbers: on good, odd and hostile input."""

from __future__ import annotations

import math
from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.problems import generate
from agentopt.problems.declared import breaches
from agentopt.problems.leaks import leaks, lost_numbers, numbers, question_problem
from agentopt.problems.similarity import cosines, keep_unlike, words
from agentopt.problems.steps import Demonstration, Part, read_demonstration

GOOD = generate(1, seed=3, scenarios=["production"], levels=["medium"])[0].demonstration
PIECES = [
    "## Define Variables:", "## Define Objective Function:", "## Generate Constraint-1:", "//", "```", "\n", "Words.",
    '// {"a b": "x"}', "// Maximize x", "// x <= 3", "##", "## Generate Constraint-2:", "...", "\x00", "é",
]  # fmt: skip


@given(st.lists(st.one_of(st.sampled_from(PIECES), st.text(max_size=8)), max_size=30).map("\n".join), st.booleans())
def test_whatever_is_read_reads_back_the_same(text: str, unfinished: bool) -> None:
    read = read_demonstration(text, unfinished=unfinished)
    assert (read.demonstration is None) <= bool(read.problem)
    if read.demonstration is not None:
        again = read_demonstration(read.demonstration.text)
        assert again.demonstration == read.demonstration and again.problem == ""


@given(
    st.integers(0, 400), st.sampled_from(["", "x", "//", "\n", "## ", "\n## Generate Constraint-9:\nA.\n// b <= 1\n"])
)
def test_damage_never_makes_more_of_a_demonstration(at: int, what: str) -> None:
    text = GOOD.text
    read = read_demonstration(text[:at] + what + text[at + 1 :])
    assert read.steps <= len(GOOD.parts)


def test_what_frames_a_demonstration_is_passed_over() -> None:
    for framed in (f"Sure!\n```markdown\n{GOOD.text}\n```", f"{GOOD.text}\n\n---\n", f"***\n{GOOD.text}"):
        read = read_demonstration(framed)
        assert read.demonstration == GOOD and read.problem == ""
    two = read_demonstration(f"{GOOD.text}\n\n---\n\n{GOOD.text}")
    assert two.demonstration == GOOD and "the header is" in two.problem


def test_prefixes_are_problems_of_their_own() -> None:
    for n in range(1, GOOD.constraints + 1):
        prefix = GOOD.prefix(n)
        assert prefix.constraints == n and GOOD.text.startswith(prefix.text)
        assert read_demonstration(prefix.text).demonstration == prefix


@pytest.mark.parametrize("most", [1, 2])
def test_no_more_constraints_are_taken_than_wanted(most: int) -> None:
    read = read_demonstration(GOOD.text, most=most)
    assert read.problem == "" and read.demonstration == GOOD.prefix(most)


def naive(texts: list[str]) -> list[list[float]]:
    """The same by the book, without arrays."""
    counts = [Counter(words(t)) for t in texts]
    n, df = len(texts), Counter(w for c in counts for w in c)
    vectors = [{w: k * (math.log((1 + n) / (1 + df[w])) + 1) for w, k in c.items()} for c in counts]
    norms = [math.sqrt(sum(v * v for v in vector.values())) for vector in vectors]
    return [
        [sum(v * b.get(w, 0.0) for w, v in a.items()) / (na * nb) if na and nb else 0.0
         for b, nb in zip(vectors, norms, strict=True)]
        for a, na in zip(vectors, norms, strict=True)
    ]  # fmt: skip


@given(
    st.lists(st.lists(st.sampled_from(["red", "fox", "sky", "12", "a", "tax"]), max_size=6).map(" ".join), max_size=7)
)
def test_cosines_are_those_of_the_book(texts: list[str]) -> None:
    found = cosines(texts)
    for row, expected in zip(found.tolist(), naive(texts), strict=True):
        assert row == pytest.approx(expected, abs=1e-9)


@given(
    st.lists(st.lists(st.sampled_from(["red", "fox", "sky", "tax"]), min_size=1, max_size=4).map(" ".join), max_size=8)
)
def test_what_is_kept_is_unlike_and_what_is_dropped_is_like_something_kept(texts: list[str]) -> None:
    told, alike = keep_unlike(texts, ["red sky"], 0.7), cosines(["red sky", *texts])
    kept = [0, *(i + 1 for i, (keep, _, _) in enumerate(told) if keep)]
    for i in kept:
        assert all(alike[i, j] <= 0.7 for j in kept if j < i)
    for i, (keep, likeness, place) in enumerate(told, 1):
        assert likeness == pytest.approx(alike[i, place])
        assert keep or (likeness > 0.7 and place in kept)


def of(plain: str, *formal: str, declared: str = '{"The number of vans": "VanTrips"}') -> Demonstration:
    first = Part(plain="A firm has vans.", formal=(declared,))
    goal = Part(plain="More is better.", formal=("Maximize VanTrips",))
    return Demonstration(parts=(first, goal, Part(plain=plain, formal=formal)))


@pytest.mark.parametrize(
    ("plain", "formal", "question", "lost"),
    [
        ("At most 1,200 vans.", "VanTrips <= 1200", "no more than 1200", []),
        ("At most 1,200 vans.", "VanTrips <= 1200", "no more than 1.2 thousand", []),
        ("At most 1,200 vans.", "VanTrips <= 1200", "no more than 120", ["1200"]),
        ("At least three vans.", "VanTrips >= 3", "three or more", []),
        ("At least half.", "VanTrips >= 0.5*y", "half of them", []),
        ("At least 50% of them.", "VanTrips >= 0.5*y", "50 percent", []),
        ("At least 50% of them.", "VanTrips >= 0.5*y", "50 of them", ["0.5"]),
        ("It costs 80 and sells at 200.", "120*VanTrips <= 9000", "It costs 80 and sells at 200.", []),
        ("It costs 80 and sells at 200.", "120*VanTrips <= 9000", "It sells at 200.", ["80"]),
        ("The area is 16.", "VanTrips^2 <= 16", "an area of 16", []),
    ],
)  # fmt: skip
def test_numbers_that_a_question_has_lost(plain: str, formal: str, question: str, lost: list[str]) -> None:
    assert lost_numbers(of(plain, formal), question) == lost


@pytest.mark.parametrize(
    ("question", "leaking"),
    [
        ("How many vans should it run, at most 40 of them?", False),
        ("Choose VanTrips, at most 40.", True),
        ("How many?\n// VanTrips <= 40", True),
        ("How many? VanTrips<=40", True),
        ("## Question\nHow many?", True),
        ("How many?\n```\nx\n```", True),
        ('How many? {"range": "x >= 0"}', True),
        ("By Constraint-1, how many?", True),
    ],
)
def test_what_leaks(question: str, leaking: bool) -> None:
    assert bool(leaks(of("At most 40 vans.", "VanTrips <= 40"), question)) == leaking


def test_a_symbol_that_is_a_word_of_the_scenario_is_none() -> None:
    one = of("At most 40.", "vans <= 40", declared='{"The number of vans": "vans"}')
    assert leaks(one, "How many vans, at most 40?") == []
    short = of("At most 40.", "v <= 40", declared='{"The number of vans": "v"}')
    assert leaks(short, "Team v has vans.") == [] and leaks(short, "Find v <= 9.") != []


@given(st.text(max_size=300))
def test_any_text_is_judged_without_an_error(text: str) -> None:
    assert isinstance(question_problem(GOOD, text, table=False), str)
    assert all(n.is_finite() for n in numbers(text))
    read = Demonstration(parts=(Part(plain="A.", formal=(text,)),))
    assert isinstance(breaches(read, {"a": 1.0}), list)


@pytest.mark.parametrize(
    ("declared", "value", "wrong"),
    [
        ('{"n": "x", "range": "x >= 0", "type": "integer"}', 3.0, False),
        ('{"n": "x", "range": "x >= 0", "type": "integer"}', 2.5, True),
        ('{"n": "x", "range": "x >= 0", "type": "continuous"}', -0.5, True),
        ('{"n": "x", "range": "0 <= x <= 10", "type": "continuous"}', 10.00001, False),
        ('{"n": "x", "range": "0 <= x <= 10", "type": "continuous"}', 11, True),
        ('{"n": "x", "range": "5 <= x <= 10", "type": "continuous"}', 4, True),
        ('{"n": "x", "range": "x = 0 or 1", "type": "binary"}', 2.0, True),
        ('{"n": "x", "type": 3, "range": null}', 2.5, False),
        ('{"n": ["x"], "range": {}}', 2.5, False),
        ("[1, 2]", 2.5, False),
        ("x is whole", 2.5, False),
    ],
)
def test_values_are_held_to_what_is_declared(declared: str, value: Any, wrong: bool) -> None:
    one = Demonstration(parts=(Part(plain="A.", formal=(declared,)),))
    assert bool(breaches(one, {"n": float(value)})) == wrong
