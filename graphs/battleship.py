"""A player of Battleship: a language model that is told how to choose its shots.

What may change: the policy, in words (``battleship_policy``). The rules of the game and the board are shown beside it.
"""

from __future__ import annotations

from functools import cache
from typing import Any

from agentopt import allm, graph, node, prompt, render
from agentopt.workspace import prompt_text, task_part

POLICY = prompt("agents/battleship_policy")
TURN, AGAIN = prompt_text("agents/battleship_turn"), prompt_text("agents/battleship_again")
TRIES = 3
"""Replies for one shot; when none of them names a square that is left, the shot is lost."""


@cache
def rules(part: str) -> Any:
    """A function of the game, which the task and its players share."""
    return task_part("battleship", part)


@node
def board(game: dict[str, Any], shots: list[str]) -> str:
    """The board as the player sees it, and what came of the last shot."""
    return str(rules("chart")(game, shots))


@node
def report(game: dict[str, Any], shots: list[str]) -> str:
    """What came of each shot so far."""
    came = rules("results")(game, shots)
    return ", ".join(f"{shot or 'a shot'} {said}" for shot, said in zip(shots, came, strict=True)) or "none"


@node
def aim(reply: str, game: dict[str, Any], shots: list[str]) -> str:
    """The square that a reply names, if it is one, is on the board, and was not shot at; else nothing."""
    lines = [line for line in reply.splitlines() if line.strip()] or [""]
    for text in (lines[-1], reply):
        named = rules("squares_in")(text, game["size"])
        if len(named) == 1 and named[0] not in shots:
            return str(named[0])
    return ""


@node
def over(game: dict[str, Any], shots: list[str]) -> bool:
    """Whether the shots are spent or all ships are sunk."""
    sunk = rules("results")(game, shots).count("sunk")
    return len(shots) >= game["shots"] or sunk == len(game["ships"])


@graph
async def battleship(game: dict[str, Any]) -> list[Any]:
    """Shoot until the shots are spent or all ships are sunk; the result is the squares in order, '' for a lost shot."""
    shots: list[Any] = []
    while not over(game, shots):
        request = render(TURN, policy=POLICY, board=board(game, shots), shots=report(game, shots))
        turns: list[Any] = [("user", request)]
        for _ in range(TRIES):
            reply = await allm(messages=turns, max_tokens=24)
            square = aim(reply, game, shots)
            if square:
                break
            turns += [("assistant", reply), ("user", AGAIN)]
        shots.append(square)
    return shots
