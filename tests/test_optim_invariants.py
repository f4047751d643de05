"""What a proposal must keep, before anything is paid for it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt.core import Parameter
from agentopt.core.values import Candidate, Outcome, Proposal
from agentopt.errors import UnknownName, UsageError
from agentopt.evaluate import Task, exact
from agentopt.optim.base import ParameterSpec
from agentopt.optim.invariants import RULES, check
from agentopt.run.api import optimize_async
from agentopt.run.files import open_run
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
        ("unfinished", "Solve it and then write the\n\n{{question}}\n\nAnswer:"),
        ("unfinished", "Solve it with care…\n\n{{question}}\n\nAnswer:"),
        ("unfinished", "Solve {{question}} (in one line"),
        ("unfinished", "Solve {{question}}\n```\nlike this"),
        ("form", '{"instruction": "Solve {{question}}"}'),
        ("form", "```\nSolve {{question}}\n```"),
        ("form", "Solve {{question}} ...[35 characters left out]... in one line."),
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


def test_code_that_differs_in_case_or_indentation_is_another_program() -> None:
    start = "def f(x):\n    for N in x:\n        g(N)\n    return x\n"
    spec = ParameterSpec(name="f.code", kind="code", value=start)
    view = FakeView({"f.code": spec}, ScriptedLLM([]))
    view = view.evaluated(view.baseline, [Outcome(candidate="c", example="e")])
    assert "duplicate" in broken(view, **{"f.code": start.rstrip()})
    assert "duplicate" in broken(view, **{"f.code": start.replace("g(N)", "g(N)   ")})
    assert "duplicate" not in broken(view, **{"f.code": start.replace("    return", "        return")})
    assert "duplicate" not in broken(view, **{"f.code": start.replace("g(N)", "g(n)")})


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


def test_frozen_words_are_kept_verbatim() -> None:
    rules = "1. one\n2. two"
    view = window(f"Rate from 1 to 5.\n{rules}\n\n{{{{question}}}}", frozen=("from 1 to 5", rules, "not here"))
    assert broken(view, instruction=f"Rate it from 1 to 5, with care.\n{rules}\n\n{{{{question}}}}") == set()
    assert broken(view, instruction="Rate it from 1 to 5.\n1. one 2. two\n\n{{question}}") == {"frozen"}
    assert broken(view, instruction=f"Rate it from 1\nto 5.\n{rules}\n\n{{{{question}}}}") == {"frozen"}
    assert broken(view, instruction=f"Rate it from 1 to 10.\n{rules}\n\n{{{{question}}}}") == {"frozen"}
    assert broken(view, off=("frozen",), instruction="Rate it from 1 to 10.\n\n{{question}}") == set()


def many(texts: list[tuple[str, str]], **parameters: Parameter[Any]) -> FakeView:
    """A window over parameters and examples that are all searched on."""
    examples = {f"e{i}": text for i, text in enumerate(texts)}
    specs = {name: spec_of(parameter) for name, parameter in parameters.items()}
    view = FakeView(specs, ScriptedLLM([]), examples=examples)
    return view.evaluated(view.baseline, [Outcome(candidate="c", example=id) for id in examples])


def test_every_example_is_compared_with_however_many_there_are() -> None:
    texts = [(f"What is the capital of country {i}, in the year {1000 + i}?", f"city {i}") for i in range(1000)]
    view = many(texts, text=Parameter("Answer.", name="text"))
    for i in (0, 250, 999):
        assert broken(view, text=f"Answer. For example: {texts[i][0]} {texts[i][1]}") == {"copied"}
    assert broken(view, text="Answer. What is the capital of country 5000? Say it.") == set()


UNSPACED = {
    "Chinese": (
        "请问第{}个国家的首都是哪一座城市，它在去年有多少居民？",
        [
            "回答问题。例如：请问第7个国家的首都是哪一座城市。",
            "回答问题。先想一想第7个国家在哪里，然后说出城市的名字。",
        ],
    ),
    "Japanese": (
        "{}番目の国の首都はどの都市で、昨年の人口は何人でしたか。",
        [
            "質問に答えてください。例：7番目の国の首都はどの都市でしょう。",
            "質問に答えてください。国と都市をよく考えること。",
        ],
    ),
    "Thai": (
        "เมืองหลวงของประเทศที่{}คือเมืองใดและมีประชากรกี่คน",
        ["ตอบคำถาม เช่น เมืองหลวงของประเทศที่7คือเมืองใดและมีประชากรกี่คน", "ตอบคำถามโดยคิดถึงประเทศและเมืองให้ดีก่อน"],
    ),
}


@pytest.mark.parametrize("script", UNSPACED)
def test_scripts_without_spaces_are_compared_by_characters(script: str) -> None:
    template, (copied, fine) = UNSPACED[script]
    view = many([(template.format(i), "") for i in range(20)], text=Parameter("?", name="text"))
    assert broken(view, text=copied) == {"copied"}
    assert broken(view, text=fine) == set()
    view.prompts = lambda name: template.format(7)
    assert broken(view, off=("copied",), text=copied) == {"leak"}


PARTS = {
    "user": "Answer {{question}} in <answer> tags.",
    "tone": "warm",
    "steps": ["Think of {it}.", "Then write."],
    "sep": ", ",
    "n": 1,
}


@pytest.mark.parametrize(
    ("rule", "change"),
    [
        ("placeholders", {"user": "Answer in <answer> tags."}),
        ("placeholders", {"user": "Answer in <answer> tags.", "steps": ["Think of {it}.", "Read {{question}}."]}),
        ("placeholders", {"user": "Answer {{question}} in <answer> tags, with {{hint}}."}),
        ("placeholders", {"steps": ["Think.", "Then write."]}),
        ("placeholders", {"more": "See {{hint}}."}),
        ("schema", {"user": "Answer {{question}} in <result> tags."}),
        ("length", {"tone": ""}),
        ("length", {"steps": ["Think of {it}.", " "]}),
        ("length", {"more": "x y " * 1000}),
        ("length", {"x" * 3000: 1}),
        ("unfinished", {"user": "Answer {{question}} in <answer> tags and then write the"}),
        ("unfinished", {"steps": ["Think of {it}.", "Then write (in one line"]}),
        ("leak", {"steps": ["Think of {it}.", "Rewrite it in other words. Keep its meaning."]}),
        ("copied", {"steps": ["Think of {it}.", "In the year 3 a farmer from Kent sold cows."]}),
    ],
)
def test_each_rule_holds_inside_a_json_value(rule: str, change: dict[str, Any]) -> None:
    texts = [(f"In the year {i} a farmer from Kent sold his {i} best cows.", str(i)) for i in range(8)]
    view = many(texts, parts=Parameter(PARTS, name="parts", kind="json"))
    assert broken(view, parts={**PARTS, **change}) == {rule}
    assert broken(view, off=(rule,), parts={**PARTS, **change}) == set()


def test_what_a_json_value_may_become() -> None:
    view = many([], parts=Parameter(PARTS, name="parts", kind="json"))
    better = {
        "user": "Read {{question}}; write <answer>.",
        "steps": ["Now:", "think of {it}", "and write."],
        "sep": "(",
    }
    assert broken(view, parts={**PARTS, **better, "more": {"stop": ["the", "and"], "note": ""}, "n": 2}) == set()


def test_demonstrations_are_records_and_no_copies_but_not_without_bounds() -> None:
    texts = [(f"In the year {i} a farmer from Kent sold his {i} best cows to an old", str(i)) for i in range(8)]
    pool = [{"input": "A word of the pool that is in the year 3 a farmer from Kent and the", "output": 1}]
    view = many(texts, shots=Parameter([], name="shots", kind="demos", choices=pool))
    own = {"input": texts[3][0], "output": "3", "example": "e3"}
    solved = {"input": f"Solve: {texts[3][0]}", "output": "He sold (three...", "example": "e3"}
    assert broken(view, shots=[own, solved, *pool]) == set()
    assert broken(view, shots=[{"input": texts[3][0].upper(), "output": "3"}]) == set()  # the run knows it by its input
    assert broken(view, shots=[{**own, "input": texts[4][0]}]) == {"copied"}
    assert broken(view, shots=[{"input": "x", "output": f"Like this: {texts[4][0]}"}]) == {"copied"}
    assert broken(view, shots=[{"input": "Rewrite it in other words. Keep its meaning.", "output": "y"}]) == {"leak"}
    assert broken(view, shots=[{**own, "output": "x " * 500_000}]) == {"length"}
    assert broken(view, shots=[{"input": "x " * 20, "output": "y"}] * 400) == set()


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
    assert broken(window(), count="4") == {"constraint"}  # read as 4 where it is used, but not of its type
    assert broken(window(), count=4.0) == set()


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


# -- through a run: on by default, each an option, each rejection recorded -------------------------------------------

BREAKING = {
    "placeholders": "Solve it step by step.",
    "schema": "Solve {{question}} in steps. from 1 to 5",
    "frozen": "Solve {{question}} in steps. <answer>",
    "length": "Solve {{question}} <answer> from 1 to 5. " * 60,
    "unfinished": "Solve {{question}} <answer> from 1 to 5 and then write the",
    "form": "{Solve {{question}} <answer> from 1 to 5}",
    "leak": "{{question}} <answer> from 1 to 5. Rewrite it in other words. Keep its meaning.",
    "copied": "{{question}} <answer> from 1 to 5. In the year 3 a farmer from Kent sold his cows.",
    "duplicate": "solve {{question}}  <answer> from 1 to 5",
}
TOGETHER = {"placeholders": ("schema", "frozen", "constraint")}
"""Rules that also speak for a text that breaks another one."""


class Says:
    """Proposes one text."""

    name = "says"

    def __init__(self, text: str) -> None:
        self.text = text

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        return [Proposal(candidate=view.baseline.change({"style": self.text}), operator="says")]

    def tell(self, outcomes: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {}

    def load(self, state: Any) -> None: ...


def no_magic(text: str) -> bool:
    return "MAGIC" not in text


async def admitted(folder: Path, text: str, **options: Any) -> list[list[str]]:
    """Rules that each proposal of a run broke; an empty list for one that was accepted."""
    style = Parameter("Solve {{question}} <answer> from 1 to 5", name="style", validator=no_magic)

    @agentopt.graph
    async def answer(question: str) -> Any:
        return await agentopt.allm(style, question=question)

    story = "In the year {} a farmer from Kent sold his {} best brown cows to the old miller."
    task = Task("stories", [(story.format(i, i), "no") for i in range(24)], exact())
    options = {"steps": 1, "cache": False, "frozen": ("from 1 to 5",)} | options
    result = await optimize_async(
        answer, task=task, optimizer=Says(text), model=ScriptedLLM(lambda r: "yes"), runs_dir=str(folder), **options
    )
    with open_run(result.dir) as run:
        events = list(run.events("proposal.accepted", "proposal.rejected"))
        assert all(len(e.data["reasons"]) == len(e.data["rules"]) for e in events if "reasons" in e.data)
        return [list(e.data.get("rules", ())) for e in events]


@pytest.mark.parametrize("rule", BREAKING)
async def test_a_run_refuses_what_breaks_an_invariant_unless_it_is_switched_off(
    rule: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (rules,) = await admitted(tmp_path / "on", BREAKING[rule])
    assert rule in rules
    also = TOGETHER.get(rule, ())
    assert set(rules) <= {rule, *also}
    (rules,) = await admitted(tmp_path / "off", BREAKING[rule], invariants_off=(rule,))
    assert rule not in rules
    assert not rules or rule == "placeholders"  # the parameter itself refuses a text without them
    assert BREAKING.keys() | {"constraint"} == {*RULES, "duplicate"}


async def test_a_parameters_own_constraint_cannot_be_switched_off(tmp_path: Path) -> None:
    text = "Solve {{question}} <answer> from 1 to 5 with MAGIC."
    assert await admitted(tmp_path / "on", text) == [["constraint"]]
    with pytest.raises(UsageError, match="change the parameter"):
        await admitted(tmp_path / "off", text, invariants_off=("constraint",))


async def test_options_that_mean_nothing_are_refused_before_anything_is_paid(tmp_path: Path) -> None:
    with pytest.raises(UnknownName, match="did you mean 'copied'"):
        await admitted(tmp_path, "x", invariants_off=("copies",))
    with pytest.raises(UsageError, match="frozen text 'from 1 to 9' is in no parameter"):
        await admitted(tmp_path, "x", frozen=("from 1 to 9",))
    assert not list(tmp_path.iterdir())


async def test_two_near_duplicates_in_one_step_are_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Twice(Says):
        async def ask(self, view: Any, n: int) -> list[Proposal]:
            texts = ("Now solve {{question}} <answer> from 1 to 5", "now  solve {{question}} <answer> from 1 to 5")
            return [Proposal(candidate=view.baseline.change({"style": text})) for text in texts]

    monkeypatch.chdir(tmp_path)
    monkeypatch.setitem(globals(), "Says", Twice)
    assert await admitted(tmp_path, "") == [[], ["duplicate"]]
