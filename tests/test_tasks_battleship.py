"""Battleship: the game, its score, and the player that is told its policy in words."""

from __future__ import annotations

import random
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import agentopt
from agentopt import Override, Trace, UsageError, load_graph, load_task
from agentopt.evaluate import Example
from agentopt.llm.context import Session, use_session
from agentopt.llm.types import Request
from agentopt.testing import ScriptedLLM
from agentopt.workspace import task_part

GAME: Any = {"board": 3, "size": 5, "ships": [3, 2], "shots": 12}


@cache
def part(name: str) -> Any:
    """A function of the game."""
    return task_part("battleship", name)


def ships(game: Any) -> list[list[str]]:
    """The ships of a game, by the names of their squares."""
    return [sorted(part("name")(square) for square in ship) for ship in part("fleet")(game)]


def water(game: Any) -> list[str]:
    """The squares without a ship."""
    taken = {square for ship in ships(game) for square in ship}
    every = [part("name")((r, c)) for r in range(game["size"]) for c in range(game["size"])]
    return [square for square in every if square not in taken]


@pytest.mark.parametrize(("size", "lengths"), [(5, [3, 2]), (8, [4, 3, 3, 2]), (12, [5, 4, 3])])
def test_ships_are_straight_whole_on_the_board_and_apart(size: int, lengths: list[int]) -> None:
    for number in range(60):
        game = {"board": number, "size": size, "ships": lengths, "shots": 9}
        placed = part("fleet")(game)
        assert placed == part("fleet")(game)
        assert [len(ship) for ship in placed] == lengths
        for i, ship in enumerate(placed):
            rows, columns = ({square[axis] for square in ship} for axis in (0, 1))
            assert 1 in (len(rows), len(columns))
            assert max(rows) - min(rows) + max(columns) - min(columns) == len(ship) - 1
            assert min(rows | columns) >= 0 and max(rows | columns) < size
            others = {square for other in placed[i + 1 :] for square in other}
            assert not part("beside")(ship) & others


def test_shots_hit_miss_sink_and_are_lost() -> None:
    long, short = ships(GAME)
    sea = water(GAME)[0]
    shots = [long[0], sea, long[1], long[1], long[2], "", "Z9", "A99", short[0]]
    assert part("results")(GAME, shots) == ["hit", "miss", "hit", "lost", "sunk", "lost", "lost", "lost", "hit"]
    chart = part("chart")(GAME, shots)
    assert (chart.count("#"), chart.count("x"), chart.count("o")) == (3, 1, 1)
    assert len(chart.splitlines()) == 6
    row, column = ord(sea[0]) - ord("A"), int(sea[1:]) - 1
    assert chart.splitlines()[row + 1].split()[column + 1] == "o"


@pytest.mark.parametrize(
    ("text", "named"),
    [
        ("B3", ["B3"]),
        ("b-3!", ["B3"]),
        ("(B 3)", ["B3"]),
        ("B33", []),
        ("F1 Z2 A0 A6", []),
        ("A1, then A1, E5", ["A1", "E5"]),
        ("CAB3", []),
        ("", []),
        ("é3", []),
    ],
)
def test_squares_are_read_from_texts(text: str, named: list[str]) -> None:
    assert part("squares_in")(text, 5) == named


def score(shots: Any, game: Any = GAME) -> Any:
    return load_task("battleship").score(Example(input=game), shots)


def test_the_score_is_the_share_of_ship_squares_within_the_shots() -> None:
    long, short = ships(GAME)
    assert score([*long, *short]).score == 1.0
    assert score(long).score == 3 / 5
    assert score([]).score == 0.0
    assert score([*water(GAME)[:12], *long]).score == 0.0  # too late
    assert score([long[0]] * 12).score == 1 / 5
    for wrong in (None, "B3", [1, 2], {"shots": ["B3"]}):
        assert score(wrong).score == 0.0


def test_feedback_says_how_the_shots_were_spent() -> None:
    long, _ = ships(GAME)
    far = [
        square
        for square in water(GAME)
        if square not in {part("name")(s) for s in part("beside")(part("fleet")(GAME)[0])}
    ]
    said = score([long[1], far[0], far[1], "", ""]).text
    assert "1 of 5 ship squares were hit and 0 of 2 ships sunk with 5 shots" in said
    assert "2 misses went elsewhere while a ship was hit" in said
    assert "2 shots were lost" in said
    assert "elsewhere" not in score([*long, far[0], far[1]]).text  # nothing was left to hunt


def test_a_plan_is_worth_something() -> None:
    task = load_task("battleship", n=150)
    means = {}
    for player in ("at_random", "hunter"):
        scores = [task.score(e, part("played")(part(player), e.input)).score for e in task.examples]
        means[player] = sum(s for s in scores if s is not None) / len(scores)
    assert 0.40 < means["at_random"] < 0.55  # 12 of 25 squares
    assert means["hunter"] > means["at_random"] + 0.2


@pytest.mark.parametrize(
    "args", [{"size": 1}, {"ships": "6"}, {"ships": "no"}, {"ships": "5,5"}, {"shots": 0}, {"shots": 26}]
)
def test_games_that_cannot_be_played_are_refused(args: dict[str, Any]) -> None:
    with pytest.raises(UsageError, match="task battleship"):
        load_task("battleship", **args)


# -- the player ------------------------------------------------------------------------------------------------------


async def play(reply: Any, game: Any = GAME, **values: Any) -> tuple[list[str], ScriptedLLM]:
    scripted = ScriptedLLM(reply)
    with use_session(Session(scripted, models={"agent": "any"})), Override(values):
        return await load_graph("battleship")(game), scripted


def left(request: Request) -> list[str]:
    """The squares that the board in a request shows as not shot at."""
    lines = str(request.messages[0].content).partition("The board:\n")[2].splitlines()[1:6]
    return [f"{line[0]}{i + 1}" for line in lines for i, mark in enumerate(line[2:].split()) if mark == "."]


async def test_the_player_sees_board_shots_and_policy_and_its_shots_are_taken() -> None:
    long, short = ships(GAME)
    order = [water(GAME)[0], *long, *short]
    replies = iter(order)
    shots, scripted = await play(lambda r: f"I shoot at {next(replies)}.", battleship_policy="Aim well.")
    assert shots == order  # and not one more: all ships are sunk
    assert all("Your policy:\nAim well." in str(r.messages[0].content) for r in scripted.requests)
    last = str(scripted.requests[-1].messages[0].content)
    assert f"Shots so far: {order[0]} miss, {order[1]} hit, {order[2]} hit, {order[3]} sunk, {order[4]} hit" in last
    assert len(left(scripted.requests[-1])) == 25 - 5


async def test_what_is_no_shot_is_told_twice_and_then_lost() -> None:
    def reply(request: Request) -> str:
        shot_at = [s for s in ("A1", "A2") if s not in left(request)]
        return {1: "no idea", 3: shot_at[0] if shot_at else "A1 or A2", 5: "Z9"}[len(request.messages)]

    shots, scripted = await play(reply)
    assert shots == [""] * 12
    assert scripted.calls == 36
    assert "That is no shot" in str(scripted.requests[1].messages[-1].content)
    assert [m.role for m in scripted.requests[2].messages] == ["user", "assistant", "user", "assistant", "user"]


async def test_a_second_try_counts_and_several_squares_are_no_choice() -> None:
    def reply(request: Request) -> str:
        free = left(request)
        return f"{free[0]} or {free[1]}" if len(request.messages) == 1 else f"Not {free[1]}.\n{free[0]}"

    shots, _ = await play(reply)
    assert shots == [part("name")((i // 5, i % 5)) for i in range(len(shots))]


async def test_the_hidden_board_stays_hidden() -> None:
    _, scripted = await play(lambda r: left(r)[0])
    shown = str(scripted.requests[0].messages[0].content)
    assert len(left(scripted.requests[0])) == 25
    assert "x" not in shown.partition("The board:\n")[2].partition("Shots")[0]
    with use_session(Session(ScriptedLLM(lambda r: left(r)[0]), models={"agent": "any"})), Trace() as trace:
        await load_graph("battleship")(GAME)
    first = next(r for r in trace.graph.nodes if r.name == "game" or r.value == GAME)
    assert not any(square in str(first.value) for ship in ships(GAME) for square in ship)
    assert {r.name for r in trace.graph.parameters} == {"battleship_policy"}


def test_a_policy_in_words_is_found_in_a_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    def player(request: Request) -> str:
        """Follows the policy if it has one: beside a hit, else anything."""
        text, free = str(request.messages[0].content), left(request)
        draw = random.Random(text)
        marks = text.partition("The board:\n")[2].splitlines()[1:6]
        hits = {(r, c) for r, line in enumerate(marks) for c, m in enumerate(line[2:].split()) if m == "x"}
        near = [s for s in free if (ord(s[0]) - 65, int(s[1:]) - 1) in part("beside")(hits)]
        return draw.choice(near if near and "beside" in text.partition("The board:")[0] else free)

    advice = "When a square is a hit, shoot beside it next; else spread the shots."
    result = agentopt.optimize(
        load_graph("battleship"), task=load_task("battleship", n=60), optimizer="paraphrase",
        model=ScriptedLLM(player), optimizer_model=ScriptedLLM(lambda r: {"suggestion": {"battleship_policy": advice}}),
        steps=1, runs_dir=str(tmp_path), progress=False,
    )  # fmt: skip
    assert result.best.values["battleship_policy"] == advice
    assert result.claim.verdict == "better"
