"""What a proposal must keep, before anything is paid for it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from agentopt.core import Parameter
from agentopt.core.values import Candidate, Outcome, Proposal
from agentopt.errors import UnknownName
from agentopt.optim.invariants import RULES, check
from agentopt.testing import FakeView, ScriptedLLM
from agentopt.testing.optimizers import spec_of

START = "You solve riddles (one a line).\n\n{{question}}\n\nAnswer: "


def window(start: str = START, frozen: tuple[str, ...] = (), **more: Any) -> FakeView:
    text = Parameter(start, name="instruction", **more)
    count = Parameter(3, name="count", kind="number", low=1, high=5)
    examples = {
        f"e{i}": (f"In the year {i} a farmer from Kent sold his {i} best brown cows to the old miller.", str(i))
        for i in range(8)
    }
    view = FakeView(
        {"instruction": spec_of(text), "count": spec_of(count)}, ScriptedLLM([]), examples=examples, frozen=frozen
    )
    return view.evaluated(view.baseline, [Outcome(candidate="c", example=id) for id in examples])


def broken(view: FakeView, off: tuple[str, ...] = (), **values: Any) -> set[str]:
    candidate = view.baseline.change(values)
    return {v.rule for v in check(Proposal(candidate=candidate), view, off=off)}  # type: ignore[arg-type]


def test_a_good_proposal_breaks_nothing() -> None:
    assert broken(window(), instruction="Think, then solve.\n\n{{question}}\n\nAnswer:", count=4) == set()


@pytest.mark.parametrize(
    ("rule", "text"),
    [
        ("placeholders", "Solve it."),
        ("placeholders", "Solve {{question}} with {{hint}}."),
        ("length", "Solve {{question}}. " * 200),
        ("unfinished", "Solve {{question}} and then write the"),
        ("unfinished", "Solve {{question}} with care..."),
        ("unfinished", "Solve {{question}} (in one line"),
        ("unfinished", "Solve {{question}}\n```\nlike this"),
        ("form", '{"instruction": "Solve {{question}}"}'),
        ("form", "```\nSolve {{question}}\n```"),
        ("leak", "Solve {{question}}. Work out from the code how the variable changes the output."),
        ("leak", "{{question}} Rewrite it in other words. Keep its meaning."),
        ("copied", "Solve {{question}}. In the year 3 a farmer from Kent sold his cows."),
        ("duplicate", START),
        ("duplicate", "you solve riddles (one a line). {{question}} Answer:"),
    ],
)
def test_each_rule(rule: str, text: str) -> None:
    view = window()
    assert rule in broken(view, instruction=text)
    assert rule not in broken(view, off=(rule,), instruction=text)


CONTRACT = """Solve {{question}} in steps.
Write <answer>...</answer>, or {"total": 1, "unit": "kg"} as JSON.
ANSWER: \\boxed{...}"""


@pytest.mark.parametrize(
    ("old", "new", "lost"),
    [
        ("<answer>", "<result>", "<answer>"),
        ("</answer>", "", "</answer>"),
        ('"total"', '"sum"', '"total"'),
        ('"unit":', "unit:", '"unit"'),
        ("ANSWER:", "Answer:", "ANSWER:"),
        ("\\boxed", "box", "\\boxed"),
    ],
)
def test_what_the_program_looks_for_in_an_answer_is_kept(old: str, new: str, lost: str) -> None:
    view, text = window(CONTRACT), "Think. " + CONTRACT.replace(old, new)
    found = check(Proposal(candidate=view.baseline.change({"instruction": text})), view)  # type: ignore[arg-type]
    assert [(v.rule, v.reason.split(" must")[0]) for v in found] == [("schema", lost)]
    assert broken(view, off=("schema",), instruction=text) == set()
    assert broken(view, instruction="Think. " + CONTRACT) == set()


def test_frozen_words_are_kept_whatever_their_spacing() -> None:
    view = window("Rate from 1 to 5.\n\n{{question}}", frozen=("from 1 to 5", "not here"))
    assert broken(view, instruction="Rate it from  1\nto 5, with care.\n\n{{question}}") == set()
    assert broken(view, instruction="Rate it from 1 to 10.\n\n{{question}}") == {"frozen"}
    assert broken(view, off=("frozen",), instruction="Rate it from 1 to 10.\n\n{{question}}") == set()


def test_examples_may_not_hide_in_code_or_json() -> None:
    copied = "In the year 3 a farmer from Kent sold"
    view = window()
    specs = dict(view.parameters)
    specs["rules"] = spec_of(Parameter({"hint": "none"}, name="rules", kind="json"))
    specs["body"] = replace(specs["instruction"], name="body", kind="code", value="def f(): pass", check=None)
    view = FakeView(specs, view.llm, examples=view.examples).evaluated(
        Candidate(values={n: s.value for n, s in specs.items()}),
        [Outcome(candidate="c", example=id) for id in view.examples],
    )
    assert broken(view, rules={"hint": [copied]}) == {"copied"}
    assert broken(view, body=f"def f(): return {copied!r}") == {"copied"}
    assert broken(view, rules={"hint": "short"}, body="def f(): return 1") == set()


def test_what_the_run_switched_off_stays_off() -> None:
    view = window()
    text = "{{question}} Rewrite it in other words. Keep its meaning."
    assert broken(view, instruction=text) == {"leak"}
    view.off = ("leak",)
    assert broken(view, instruction=text) == broken(view, off=("copied",), instruction=text) == set()


def test_bounds_are_a_constraint() -> None:
    assert broken(window(), count=9) == {"constraint"}


def test_a_name_that_does_not_exist() -> None:
    view = window()
    candidate = view.baseline.model_copy(update={"values": {**view.baseline.values, "tone": "warm"}})
    assert [v.rule for v in check(Proposal(candidate=candidate), view)] == ["constraint"]  # type: ignore[arg-type]


def test_words_that_all_examples_share_are_not_a_copy() -> None:
    view = window()
    assert "copied" not in broken(view, instruction="{{question}} best brown cows to the old miller. Best brown cows.")


def test_what_the_author_wrote_is_always_allowed() -> None:
    view = window(start="[Work out from the code how the variable changes the output of {name} and the")
    assert (
        broken(view, instruction="[Work out from the code how the variable changes the output of {name} and") == set()
    )
    assert broken(view, instruction="[Now: work out from the code how it changes the") == {"placeholders"}


def test_a_word_of_a_reason() -> None:
    view = window()
    found = check(Proposal(candidate=view.baseline.change({"instruction": "Solve."})), view)  # type: ignore[arg-type]
    assert str(found[0]) == "instruction: parameter 'instruction': the placeholder {{question}} is missing" or (
        "{{question}}" in str(found[0])
    )


def test_an_unknown_rule_says_which_was_meant() -> None:
    with pytest.raises(UnknownName, match="did you mean 'leak'"):
        broken(window(), off=("leaks",), count=4)


def test_every_rule_has_a_test_above() -> None:
    marks = test_each_rule.pytestmark  # type: ignore[attr-defined]
    tested = {case[0] for case in marks[0].args[1]} | {"constraint", "schema", "frozen"}
    assert tested == {*RULES, "duplicate"}
