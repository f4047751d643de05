"""The invented encyclopaedia: every answer follows from its entries, and nothing else says it."""

from __future__ import annotations

import re
from itertools import product
from typing import Any

import pytest

from agentopt import load_task
from agentopt.workspace import read_corpus, task_part


def numbers(text: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", text)]


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_every_answer_follows_from_the_entries_that_are_named(seed: int) -> None:
    entries = {p.title: p.text for p in read_corpus(f"almanac?seed={seed}")}
    for example in load_task("almanac", seed=seed).examples:
        given: Any = example.input
        titles: Any = example.meta["entries"]
        texts = [entries[title] for title in titles]
        if example.group == "one_entry":
            assert example.target in numbers(texts[0])
            assert titles[0].removeprefix("River ") in given["problem"]
        elif example.group == "two_entries":
            assert titles[1].removeprefix("River ") in texts[0]  # the first leads to the second
            assert titles[1].removeprefix("River ") not in given["problem"] or titles[1] == titles[0]
            assert example.target in numbers(texts[1])
        else:
            assert example.target in {a - b for a, b in product(*map(numbers, texts))}
            assert isinstance(example.target, int) and example.target >= 0


def test_a_seed_makes_its_own_country_and_the_examples_name_it() -> None:
    one, two = load_task("almanac", seed=3), load_task("almanac", seed=4)
    assert load_task("almanac", seed=3).hash == one.hash != two.hash
    assert {e.input["corpus"] for e in one.examples} == {"almanac?seed=3"}  # type: ignore[index, call-overload]
    titles = [{p.title for p in read_corpus(f"almanac?seed={seed}")} for seed in (3, 4)]
    assert len(titles[0]) == len(read_corpus("almanac?seed=3"))
    assert len(titles[0] & titles[1]) < len(titles[0]) / 10


def test_splits_have_all_kinds_of_questions_and_share_none() -> None:
    splits = load_task("almanac").splits()
    for name in ("search", "validation", "test"):
        kinds = [e.group for e in splits[name]]
        assert {kinds.count(kind) for kind in set(kinds)} <= {len(kinds) // 3, len(kinds) // 3 + 1}
    asked = [e.input["problem"] for name in ("search", "validation", "test") for e in splits[name]]  # type: ignore
    assert len(set(asked)) == len(asked) == 150


def test_what_is_wrong_is_told_with_the_entries() -> None:
    task = load_task("almanac")
    example = task.examples[1]
    said = task.score(example, "Answer: 0")
    assert said.score == 0.0
    assert all(title in said.text for title in example.meta["entries"])  # type: ignore[union-attr]
    assert task.score(example, f"So it is.\nAnswer: {example.target}").score == 1.0


def test_a_part_of_a_task_is_found_by_name() -> None:
    assert task_part("almanac", "corpus")(seed=2)[0] == tuple(read_corpus("almanac?seed=2")[0])
