"""The space of programs without a model, its operator, and what the parts of Scattered Forest Search do in it."""

from __future__ import annotations

import asyncio
import importlib
import json
import random
import statistics
import sys
from pathlib import Path
from typing import Any

import pytest

from agentopt.llm.types import Address, Message, Request
from agentopt.optim.registry import make
from agentopt.testing import ScriptedLLM
from agentopt.testing.codespace import CodeSpace, Habits, Operator, Program

HERE = Path(__file__).parent / "benchmarks"


def bench(name: str) -> Any:
    """A module of the benchmarks."""
    if str(HERE) not in sys.path:
        sys.path.insert(0, str(HERE))
    return importlib.import_module(name)


def asked(path: str, text: str = "", seed: int = 0, theme: str = "", temperature: float = 0.2) -> Request:
    system = f"You work.\n\nWork in this manner: {theme}" if theme else "You work."
    messages = (Message(role="system", content=system), Message(role="user", content=text))
    return Request(model="m", messages=messages, seed=seed, temperature=temperature,
                   address=Address(scope="ask/0", path=path))  # fmt: skip


def program(reply: Any) -> Program:
    found = Program.read(str(reply))
    assert found is not None
    return found


# -- the space -----------------------------------------------------------------------------------------------------


def test_every_visible_test_passes_exactly_for_the_right_program() -> None:
    for seed in range(60):
        space = CodeSpace(seed)
        right = Program(space.plan, space.right[space.plan])
        assert space.solves(right) and all(space.results(right))
        rng = random.Random(seed)
        for _ in range(200):
            other = Program(
                rng.randrange(space.plans), tuple(rng.randrange(space.variants) for _ in range(space.parts))
            )
            assert all(space.results(other)) == space.solves(other)


def test_each_wrong_plan_has_a_best_program_that_small_steps_do_not_leave() -> None:
    for seed in range(30):
        space = CodeSpace(seed)
        for plan in range(space.plans):
            top = Program(plan, space.right[plan])
            here = sum(space.results(top))
            assert (here == space.tests) is (plan == space.plan)
            for part in range(space.parts):
                for variant in range(space.variants):
                    step = tuple(variant if i == part else v for i, v in enumerate(top.parts))
                    assert sum(space.results(Program(plan, step))) <= here


def test_a_wrong_test_is_one_that_no_right_program_passes() -> None:
    flawed = [space for seed in range(40) if (space := CodeSpace(seed, wrong_tests=0.2)).wrong]
    assert 15 < len(flawed) < 40
    for space in flawed:
        results = space.results(Program(space.plan, space.right[space.plan]))
        assert [i for i, good in enumerate(results) if not good] == sorted(space.wrong)


def test_programs_that_do_not_fit_pass_nothing() -> None:
    space = CodeSpace(0)
    assert not any(space.results(Program(9, (0,) * space.parts))) and not any(space.results(Program(0, ())))
    assert Program.read("nothing here") is None


# -- the operator --------------------------------------------------------------------------------------------------


def test_plain_seeds_are_near_copies_and_themes_take_them_apart() -> None:
    plain, themed = [], []
    for seed in range(40):
        operator = Operator(CodeSpace(seed, habits=Habits.severe()))
        plain.append(len({program(operator(asked("sfs/seed/0", seed=i, temperature=0.8))).text for i in range(8)}))
        themed.append(len({program(operator(asked("sfs/seed/0", seed=i, theme=f"t{i}"))).text for i in range(8)}))
    assert statistics.fmean(plain) + 1 < statistics.fmean(themed)


def test_repairs_without_a_direction_are_mostly_one_and_the_same() -> None:
    apart: dict[str, list[int]] = {"habit": [], "none": []}
    for seed in range(40):
        for kind, habits in (("habit", Habits()), ("none", Habits.diverse())):
            space = CodeSpace(seed, habits=habits)
            current = Program((space.plan + 1) % space.plans, tuple((v + 1) % space.variants for v in space.right[0]))
            text = f"# The current try\n{current.text}"
            made = {program(Operator(space)(asked("sfs/write/0", text, seed=i))).text for i in range(6)}
            apart[kind].append(len(made))
    assert statistics.fmean(apart["habit"]) + 1.5 < statistics.fmean(apart["none"])


def test_directions_differ_and_are_carried_out() -> None:
    space = CodeSpace(5)
    current = Program((space.plan + 1) % space.plans, tuple((v + 1) % space.variants for v in space.right[0]))
    text = f"# What earlier tries taught\n- Nothing yet.\n\n# The current try\n{current.text}\n\n"
    schema = {"properties": {"ideas": {"maxItems": 3}}}
    request = asked("sfs/scatter/0", text, seed=1).model_copy(update={"json_schema": schema})
    ideas: Any = Operator(space)(request)
    assert len(set(ideas["ideas"])) == 3
    carried = [
        program(Operator(space)(asked("sfs/write/0", f"{text}# Idea\nSet part 2 to 3.\n", seed=i))).parts[2] == 3
        for i in range(40)
    ]
    assert 0.75 < statistics.fmean(carried) <= 1.0


def test_what_helped_is_said_first_and_what_did_not_is_not_said_again() -> None:
    space = CodeSpace(5)
    current = Program(space.plan, tuple((v + 1) % space.variants for v in space.right[space.plan]))
    told = "# Change of the score\n+0.2\n\n# Idea\nSet part 0 to 1.\n\n# Insights so far\n"
    told += "- Set part 1 to 1. does not here.\n"
    lessons = json.loads(str(Operator(space)(asked("sfs/scout/0", f"{current.text}{told}"))))["insights"]
    assert lessons == ["Set part 0 to 1. helps here.", "Set part 1 to 1. does not here."]


# -- what the search makes of it -----------------------------------------------------------------------------------


def solved(
    options: dict[str, Any], kind: str = "sfs", *, n: int = 70, at: int = 10, habits: Habits | None = None
) -> float:
    """pass@any after ``at`` programs, over ``n`` problems."""
    search = bench("forest_search").search

    async def one(seed: int) -> bool:
        space = CodeSpace(seed, habits=habits or Habits.severe())

        async def judge(text: str) -> list[tuple[float, str]]:
            found = Program.read(text)
            return [(float(good), "passes" if good else "fails") for good in space.results(found)] if found else []

        found = await search(
            make(kind, start=False, **options), ScriptedLLM(Operator(space)), judge, start="plan = 0\nparts = []\n",
            objective="Find it.", tests=[f"test {i}" for i in range(space.tests)], solutions=at, tokens=0, seed=seed,
        )  # fmt: skip
        return any((p := Program.read(m.program)) and space.solves(p) for m in found.made[:at])

    async def every() -> list[bool]:
        return [await one(seed) for seed in range(n)]

    return statistics.fmean(asyncio.run(every()))


@pytest.mark.slow
def test_scattering_and_foresting_bring_what_they_are_for() -> None:
    """At a budget that lets trees grow; ``docs/results/forest_synthetic.md`` has sizes and intervals."""
    whole = solved({"seeds": 10}, at=30)
    assert whole > solved({}, "repeated", at=30) + 0.1
    assert whole > solved({}, "tree", at=30) + 0.05
    assert whole > solved({"forest": False}, at=30) - 0.02


def test_a_search_is_counted_to_the_last_program() -> None:
    module = bench("forest_search")
    space = CodeSpace(1, habits=Habits.severe())

    async def judge(text: str) -> list[tuple[float, str]]:
        found = Program.read(text)
        assert found is not None
        return [(float(good), "said") for good in space.results(found)]

    def run(kind: str, **options: Any) -> Any:
        return asyncio.run(module.search(
            make(kind, start=False, **options), ScriptedLLM(Operator(space)), judge, start="plan = 0\nparts = []\n",
            objective="Find it.", tests=["t"] * 6, solutions=6, tokens=3000, seed=1,
        ))  # fmt: skip

    found = run("repeated")
    assert found.tokens >= 3000 or all(found.made[-1].passed)
    assert len(found.made) == found.calls, "a repeat is a program, too: it was paid for"
    assert [m.tokens for m in found.made] == sorted(m.tokens for m in found.made)
    again = run("repeated")
    assert [m.program for m in again.made] == [m.program for m in found.made]
    best = max(sum(m.passed) for m in found.made)
    assert sum(found.made[found.chosen()].passed) == best


def test_the_page_says_what_the_rows_say(tmp_path: Path) -> None:
    module = bench("forest_synthetic")
    small = {name: {**c, "n": 3, "solutions": 4, "options": {"seeds": 2}} for name, c in module.CONDITIONS.items()}
    kept, module.CONDITIONS = module.CONDITIONS, small
    try:
        options = module.arguments(["--raw", str(tmp_path / "raw.jsonl"), "--out", str(tmp_path)])
        summary = module.main(options)
        lines = (tmp_path / "raw.jsonl").read_text().splitlines()
        assert module.main(options) == summary, "searches that have ended are not made again"
        assert (tmp_path / "raw.jsonl").read_text().splitlines() == lines
    finally:
        module.CONDITIONS = kept
    page = (tmp_path / "forest_synthetic.md").read_text()
    assert "n = 3 problems" in page and page.count("| SFS |") >= len(kept)
    data = json.loads((tmp_path / "forest_synthetic.json").read_text())
    assert set(data) == set(kept) and 0 <= data["ten"]["methods"]["SFS"]["any"]["mean"] <= 1


def test_differences_are_paired() -> None:
    compare = bench("forest_table").compare
    found = compare({"a": [1, 1, 1, 0, 0, 0], "b": [0, 0, 0, 1, 1, 1], "c": [1, 1, 1, 0, 0, 1]}, "a")
    assert found["b"]["difference"] == 0 and (found["b"]["gained"], found["b"]["lost"]) == (3, 3)
    assert found["c"]["difference"] == pytest.approx(1 / 6) and found["c"]["low"] < 0 < found["c"]["high"]
    assert compare({"a": [1], "b": [1, 0]}, "a") == {}, "other problems are not compared"
