"""Measures of programs: estimators, similarity, verifiers; and the seam through which programs are run."""

from __future__ import annotations

import difflib
import itertools
import math
import random
from collections.abc import Sequence
from fractions import Fraction
from functools import cache

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentopt.errors import MissingDependency, UsageError
from agentopt.evaluate import Example, Task, iterations_to_solve, mean_similarity, pass_any, pass_at_k, solved_within
from agentopt.evaluate.diversity import (
    cosine,
    edit_similarity,
    embedding_similarity,
    python_tokens,
    tfidf_similarity,
    token_similarity,
)  # fmt: skip
from agentopt.evaluate.passrates import any_by
from agentopt.evaluate.programs import Checked, Verdict, check_packages, needs_runner, passes, program_of, use_runner
from agentopt.evaluate.scoring import ScorerError
from agentopt.evaluate.verifiers import Verifier, verifier

# -- pass@k --------------------------------------------------------------------------------------------------------


@settings(max_examples=60)
@given(st.integers(1, 9), st.data())
def test_pass_at_k_counts_the_choices_that_hold_a_right_one(n: int, data: st.DataObject) -> None:
    passed, k = data.draw(st.integers(0, n)), data.draw(st.integers(1, n))
    good = set(range(passed))
    choices = list(itertools.combinations(range(n), k))
    counted = Fraction(sum(bool(good & set(choice)) for choice in choices), len(choices))
    assert math.isclose(pass_at_k(n, passed, k), float(counted), abs_tol=1e-12)


def test_pass_at_k_is_unbiased() -> None:
    """Its mean over samples is the true chance, where 1 - (1 - p)^k with the sample's own p is too low."""
    rng, p, n, k = random.Random(0), 0.3, 12, 5
    counts = [sum(rng.random() < p for _ in range(n)) for _ in range(4000)]
    truth = 1 - (1 - p) ** k
    assert abs(np.mean([pass_at_k(n, c, k) for c in counts]) - truth) < 0.01
    assert truth - np.mean([1 - (1 - c / n) ** k for c in counts]) > 0.02


def test_large_counts_neither_overflow_nor_leave_the_range() -> None:
    assert pass_at_k(100_000, 1, 1) == 1e-5
    assert math.isclose(pass_at_k(100_000, 1, 50_000), 0.5)
    assert pass_at_k(5, 5, 5) == pass_at_k(5, 1, 5) == 1.0 and pass_at_k(5, 0, 5) == 0.0
    for wrong in ((3, 4, 1), (3, 1, 4), (3, -1, 1), (3, 1, 0)):
        with pytest.raises(UsageError, match="pass_at_k: n="):
            pass_at_k(*wrong)


problems = st.lists(st.lists(st.booleans(), min_size=1, max_size=6), min_size=1, max_size=8)


@settings(max_examples=60)
@given(problems)
def test_the_measures_of_a_search_agree_with_each_other(found: list[list[bool]]) -> None:
    rates = [pass_any(found, at) for at in range(7)]
    assert rates == sorted(rates) and rates[0] == 0.0 and rates[6] == pass_any(found)
    assert all(pass_any([v], at) == any_by(v, at) for v in found for at in range(7))
    incl, excl = iterations_to_solve(found, 6)
    assert math.isclose(incl, sum(1 - rate for rate in rates[1:]), abs_tol=1e-9), "the area above the curve"
    if excl is not None:
        assert math.isclose(excl, incl / (1 - rates[1])), "as the paper divides"
    else:
        assert rates[1] == 1.0
    costs = [[float(i + 1) for i in range(len(v))] for v in found]
    assert solved_within(costs, found, [0, 1, 2, 3, 4, 5, 6]) == rates


def test_measures_of_nothing_are_refused() -> None:
    for call in (lambda: pass_any([]), lambda: iterations_to_solve([], 3), lambda: iterations_to_solve([[True] * 4], 3),
                 lambda: solved_within([[1.0]], [[True, False]], [1])):  # fmt: skip
        with pytest.raises(UsageError):
            call()


# -- diversity -----------------------------------------------------------------------------------------------------


def levenshtein(a: str, b: str) -> int:
    @cache
    def at(i: int, j: int) -> int:
        if not i or not j:
            return i + j
        return min(at(i - 1, j) + 1, at(i, j - 1) + 1, at(i - 1, j - 1) + (a[i - 1] != b[j - 1]))

    return at(len(a), len(b))


words = st.text("ab(x) =\n", max_size=9)


@settings(max_examples=80)
@given(words, words)
def test_edit_similarity_is_the_definition(a: str, b: str) -> None:
    longest = max(len(a), len(b))
    assert edit_similarity(a, b) == (1 - levenshtein(a, b) / longest if longest else 1.0)
    assert edit_similarity(a, b) == edit_similarity(b, a)


@settings(max_examples=80)
@given(st.lists(words, min_size=2, max_size=4))
def test_every_measure_is_symmetric_and_within_its_range(programs: list[str]) -> None:
    for measure in ("edit", "tokens", "tfidf"):
        value = mean_similarity(programs, measure)
        assert -1e-9 <= value <= 1 + 1e-9
        assert math.isclose(value, mean_similarity(programs[::-1], measure), abs_tol=1e-12)
        assert math.isclose(mean_similarity([programs[0]] * 3, measure), 1.0)


def test_tfidf_is_what_a_dense_computation_gives() -> None:
    programs = ["def f(x):\n    return x + 1\n", "def f(y):\n    return 1 + y\n", "print('no')", "def f(x): return x"]
    tokens = [python_tokens(p) for p in programs]
    vocabulary = sorted({t for row in tokens for t in row})
    counts = np.array([[row.count(t) for t in vocabulary] for row in tokens], dtype=float)
    idf = 1 + np.log((1 + len(programs)) / (1 + (counts > 0).sum(axis=0)))
    vectors = counts * idf
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    grid = vectors @ vectors.T
    expected = (grid.sum() - np.trace(grid)) / (len(programs) * (len(programs) - 1))
    assert math.isclose(tfidf_similarity(programs), expected)


def test_tokens_are_pythons_and_comments_do_not_count() -> None:
    assert python_tokens("def f(a):\n    return a  # a\n") == [
        "def", "f", "(", "a", ")", ":", "<indent>", "return", "a", "<dedent>",
    ]  # fmt: skip
    assert python_tokens("x = (") == ["x", "=", "("] and python_tokens("") == []
    one, other = "def f(a):\n    return a\n", "def f(a):  # same\n    return a\n"
    assert token_similarity(one, other) == 1.0
    a, b = sorted((["x", "=", "1"], ["y", "=", "2"]))
    assert token_similarity("x = 1", "y = 2") == difflib.SequenceMatcher(None, a, b).ratio()


def test_embeddings_are_brought_by_whoever_has_them() -> None:
    grid = {"a": [1.0, 0.0], "b": [0.0, 1.0], "c": [1.0, 1.0]}
    assert math.isclose(embedding_similarity(["a", "b", "c"], grid.__getitem__), (0 + 2 * math.sqrt(0.5)) / 3)
    assert cosine({}, {}) == 1.0 and cosine({"a": 1}, {}) == 0.0
    for one in ([], ["a"]):
        with pytest.raises(UsageError, match="at least two"):
            mean_similarity(one, "edit")
    with pytest.raises(UsageError, match="there are edit, tokens, tfidf"):
        mean_similarity(["a", "b"], "bert")


# -- verifiers -----------------------------------------------------------------------------------------------------


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=12))
def test_rates_are_shares_of_what_they_say(pairs: list[tuple[bool, bool]]) -> None:
    found = verifier(pairs)
    assert found.n == len(pairs)

    def share(of: list[bool]) -> float | None:
        return sum(of) / len(of) if of else None

    assert found.precision == share([right for accepted, right in pairs if accepted])
    assert found.recall == share([accepted for accepted, right in pairs if right])
    assert found.specificity == share([not accepted for accepted, right in pairs if not right])
    assert found.accuracy == share([accepted == right for accepted, right in pairs])


def test_the_papers_rates() -> None:
    """Light et al. 2024 give shares of 160 problems; precision and recall follow from them."""
    found = Verifier(accepted_right=88, refused_right=44, accepted_wrong=10, refused_wrong=18)
    assert [round(float(r or 0), 3) for r in (found.precision, found.recall, found.specificity)] == [
        0.898,
        0.667,
        0.643,
    ]
    low, high = found.intervals()["recall"] or (0, 0)
    assert low < 88 / 132 < high and verifier([]).intervals()["recall"] is None


# -- the seam ------------------------------------------------------------------------------------------------------


class Recorded:
    """A runner that runs nothing: verdicts by program, and what it was asked."""

    def __init__(self, **verdicts: Verdict) -> None:
        self.verdicts, self.asked = verdicts, list[tuple[str, tuple[str, ...], str, float]]()

    async def run(self, program: str, tests: Sequence[str], *, setup: str = "", seconds: float = 5.0) -> Verdict:
        self.asked.append((program, tuple(tests), setup, seconds))
        return next((v for name, v in self.verdicts.items() if name in program), Verdict(problem="no isolation here"))


GOOD = Verdict(results=(Checked(status="passed"), Checked(status="passed")))
BAD = Verdict(results=(Checked(status="passed"), Checked(status="error", text="ZeroDivisionError: by zero")))
TESTS = ["assert f(SECRET)", "assert f(2)"]
META = {"tests": TESTS, "setup": "import math", "seconds": 9.0, "prompt": "def f(x):\n"}
EXAMPLE = Example(input="q", target={"entry_point": "f"}, meta=META)


async def test_a_program_is_scored_by_whoever_runs_it() -> None:
    runner = Recorded(good=GOOD, bad=BAD, wrong=Verdict(results=(Checked(status="failed", text="f(SECRET) is 3"),)))
    task = Task("t", [EXAMPLE], passes())
    with use_runner(runner):
        assert (await task.ascore(EXAMPLE, "```python\ndef f(x): return good\n```")).score == 1.0
        half = await task.ascore(EXAMPLE, "    return bad")
        assert half.score == 0.0 and half.parts == {"passed": 0.5} and "ZeroDivisionError" in half.text
        assert "SECRET" not in (await task.ascore(EXAMPLE, "wrong")).text, "a hidden test stays hidden"
        assert (await task.ascore(EXAMPLE, 7)).score == 0.0
        lost = await task.ascore(EXAMPLE, "other")
    assert isinstance(lost, ScorerError) and lost.score is None and "no isolation here" in lost.text
    assert runner.asked[0] == ("def f(x): return good\n", ("assert f(SECRET)", "assert f(2)"), "import math", 9.0)
    assert runner.asked[1][0] == "def f(x):\n    return bad\n", "a bare body is put below the signature"


def test_scorers_say_whether_a_run_has_to_open_a_place_for_programs() -> None:
    assert needs_runner(passes()) and not needs_runner(passes(Recorded())) and not needs_runner(lambda e, o: 1.0)


def test_verdicts_of_nothing_do_not_pass() -> None:
    assert not Verdict().passed and Verdict().share is None and GOOD.passed and BAD.share == 0.5


def test_what_stands_before_the_function_is_put_back() -> None:
    """Models leave out imports and helpers that the prompt has."""
    prompt = "from typing import List\n\ndef helper(): ...\n\n\ndef f(xs: List[int]):\n"
    bare, whole = "def f(xs: List[int]):\n    return helper()\n", f"{prompt}    return 1\n"
    joined = program_of(bare, entry_point="f", prompt=prompt)
    assert joined == f"from typing import List\n\ndef helper(): ...\n\n{bare}"
    assert program_of(joined, entry_point="f", prompt=prompt) == joined
    assert program_of(whole, entry_point="f", prompt=prompt) == whole


@pytest.mark.parametrize(
    ("answer", "program"),
    [
        ("def f(x):\n    return 1", "def f(x):\n    return 1\n"),
        ("So:\n```python\nimport re\n\ndef f(x):\n    return 1\n```\nDone", "import re\n\ndef f(x):\n    return 1\n"),
        ("    return 1", "def f(x):\n    return 1\n"),
        ("```python\n    return 1\n```", "def f(x):\n    return 1\n"),
        ("no program", "no program"),
    ],
)
def test_programs_are_found_in_answers(answer: str, program: str) -> None:
    assert program_of(answer, entry_point="f", prompt="def f(x):\n") == program


def test_packages_that_programs_are_promised_are_looked_for_before_anything_is_paid() -> None:
    def scorer(example: Example, output: str) -> float:
        return 1.0

    check_packages(scorer)
    scorer.program_packages = {"math": "agentopt", "no_such_solver": "agentopt[evals]"}  # type: ignore[attr-defined]
    with pytest.raises(MissingDependency, match=r"may use no_such_solver, .* `pip install 'agentopt\[evals\]'` first"):
        check_packages(scorer)
