"""The bills: right targets, many wordings, honest feedback."""

from __future__ import annotations

import ast
import operator
import re
from fractions import Fraction
from typing import Any

import pytest

from agentopt import load_task

OPERATORS: dict[type, Any] = {
    ast.Add: operator.add,
    ast.Sub: operator.sub,
    ast.Mult: operator.mul,
    ast.Div: operator.truediv,
}


def exact(tree: ast.expr) -> Fraction:
    """An oracle: Python's own grammar, exact fractions."""
    if isinstance(tree, ast.Constant):
        return Fraction(tree.value)  # type: ignore[arg-type]
    assert isinstance(tree, ast.BinOp)
    result: Fraction = OPERATORS[type(tree.op)](exact(tree.left), exact(tree.right))
    return result


@pytest.mark.parametrize("seed", range(5))
def test_targets_are_what_the_workings_say_and_whole(seed: int) -> None:
    for example in load_task("bills", n=160, seed=seed).examples:
        value = exact(ast.parse(example.meta["working"], mode="eval").body)
        assert value == example.target
        assert value.denominator == 1 and value > 0


def test_workings_use_the_numbers_of_the_text_and_no_others() -> None:
    for example in load_task("bills").examples:
        stated = set(re.findall(r"\d+", str(example.input)))
        assert set(re.findall(r"\d+", str(example.meta["working"]))) <= stated, example.input


def test_one_seed_one_set() -> None:
    first, again, other = (load_task("bills", n=80, seed=seed) for seed in (3, 3, 4))
    assert first.hash == again.hash != other.hash
    assert [e.id for e in first.examples] == [e.id for e in again.examples]


def test_every_kind_is_in_every_split() -> None:
    task = load_task("bills")
    splits = task.splits()
    groups = {e.group for e in task.examples}
    assert len(groups) == 8
    for name, size in (("search", 48), ("validation", 32), ("test", 120)):
        assert len(splits[name]) == size
        assert {e.group for e in splits[name]} == groups


def test_a_wrong_amount_is_told_with_a_right_calculation() -> None:
    task = load_task("bills")
    example = task.examples[0]
    assert isinstance(example.target, int)
    right = task.score(example, float(example.target))
    wrong = task.score(example, float(example.target) + 1)
    assert (right.score, wrong.score) == (1.0, 0.0)
    assert str(example.meta["working"]) in wrong.text and "too high" in wrong.text
    assert task.score(example, f"That makes\nAnswer: {example.target}").score == 1.0
    assert task.score(example, "I do not know").score == 0.0
