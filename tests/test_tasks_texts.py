"""Orders, ledger and mail: targets agree with their texts, and what is wrong is told."""

from __future__ import annotations

import re

import pytest

from agentopt import load_task
from agentopt.evaluate import Task

MONTHS = "January February March April May June July August September October November December"


@pytest.mark.parametrize("name", ["orders", "ledger", "mail"])
def test_one_seed_one_set_and_full_splits(name: str) -> None:
    first, again, other = (load_task(name, seed=seed) for seed in (1, 1, 2))
    assert first.hash == again.hash != other.hash
    splits = first.splits()
    assert [len(splits[s]) for s in ("search", "validation", "test")] == [50, 50, 100]
    assert not first.notes


def test_an_order_says_what_its_fields_hold() -> None:
    words = {"two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "ten": 10, "a dozen": 12}
    for example in load_task("orders", seed=5).examples:
        text, fields = str(example.input), example.target
        assert isinstance(fields, dict)
        assert str(fields["item"]) in text and str(fields["city"]) in text
        stated = re.search(rf"(\d+|{'|'.join(words)}) {fields['item']}", text)
        assert stated and words.get(stated[1], stated[1]) in (fields["quantity"], str(fields["quantity"]))
        month, day = map(int, str(fields["date"]).split("-"))
        names = MONTHS.split()
        assert re.search(rf"\b({names[month - 1]} {day}|{day} {names[month - 1]})\b", text)
        assert fields["urgent"] is bool(re.search("urgent|as soon|hurry", text) and "no hurry" not in text)


def test_orders_are_scored_field_by_field_with_types() -> None:
    task = load_task("orders")
    example = task.examples[0]
    assert isinstance(example.target, dict)
    assert task.score(example, example.target).score == 1.0
    said = task.score(example, {**example.target, "quantity": str(example.target["quantity"])})
    assert said.score == pytest.approx(0.8) and "quantity: expected a number" in said.text


def rows_of(task: Task) -> list[tuple[list[list[str]], str, list[int]]]:
    """Rows, city and target of each example, read from its text."""
    found = []
    for example in task.examples:
        _, *rows, question = str(example.input).split("\n")
        city = question.removesuffix("?").split()[-1]
        assert isinstance(example.target, list)
        found.append(([row.split(" | ") for row in rows], city, [n for n in example.target if isinstance(n, int)]))
    return found


def test_a_ledgers_numbers_are_those_of_the_city_asked_for() -> None:
    for rows, city, target in rows_of(load_task("ledger", seed=3)):
        assert [int(number) for _, place, number in rows if place == city] == target
        assert len(rows) == 6 and len(target) == 2 and len({number for *_, number in rows}) == 6


def test_ledgers_are_scored_by_overlap() -> None:
    task = load_task("ledger")
    example = task.examples[0]
    assert isinstance(example.target, list)
    a, b = example.target
    assert task.score(example, [b, a]).score == 1.0
    half = task.score(example, [a])
    assert half.score == 0.5 and half.text == f"{b} is missing"
    third = task.score(example, [a, 99])
    assert third.score == pytest.approx(1 / 3) and third.text == f"{b} is missing; 99 does not count"
    assert task.score(example, []).score == 0.0
    assert task.score(example, f"{a}, {b}").score == 0.0


def test_mail_is_balanced_and_takes_one_label() -> None:
    task = load_task("mail")
    counts = {topic: sum(e.target == topic for e in task.examples) for topic in ("billing", "technical", "account")}
    assert set(counts.values()) == {50}
    example = next(e for e in task.examples if e.target == "billing")
    assert task.score(example, "Billing").score == 1.0
    assert task.score(example, "billing or account").score == 0.0
    assert "billing" in task.score(example, "shipping").text
