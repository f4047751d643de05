"""Battleship: a hidden fleet, a number of shots, and a score for what was hit.

After the game of the Trace paper (Cheng, Nie and Swaminathan 2024, https://arxiv.org/abs/2406.16218, figure 1): what is
trained there is code, here it is the policy in words of a player that is a language model.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

from agentopt import Example, Feedback, UsageError, task
from agentopt.evaluate import SplitSpec

Square = tuple[int, int]
"""Row and column, from 0."""
Game = dict[str, Any]
"""``board`` (its number), ``size``, ``ships`` (their lengths) and ``shots``."""

SQUARE = re.compile(r"(?<![A-Za-z])([A-Za-z])[ -]?(\d{1,2})(?!\d)")


def fleet(game: Game) -> list[set[Square]]:
    """Where the ships are: a function of the game. They lie straight, and touch each other at most at corners."""
    size = game["size"]
    draw = random.Random(f"battleship/{game['board']}/{size}/{game['ships']}")
    while True:
        ships: list[set[Square]] = []
        for length in game["ships"]:
            row, column, down = draw.randrange(size), draw.randrange(size), draw.random() < 0.5
            ship = {(row + i * down, column + i * (not down)) for i in range(length)}
            if any(max(square) >= size for square in ship) or any(beside(ship) & other for other in ships):
                break
            ships.append(ship)
        else:
            return ships


def beside(squares: set[Square]) -> set[Square]:
    """The squares and those that have a side in common with one of them."""
    return squares | {(r + dr, c + dc) for r, c in squares for dr, dc in ((0, 1), (1, 0), (0, -1), (-1, 0))}


def name(square: Square) -> str:
    """A square as players write it.

    >>> name((1, 2))
    'B3'
    """
    return f"{chr(ord('A') + square[0])}{square[1] + 1}"


def squares_in(text: str, size: int) -> list[str]:
    """The squares of the board that a text names, each once.

    >>> squares_in("Not A1 but b-3, never Z9.", 5)
    ['A1', 'B3']
    """
    found = ((ord(row.upper()) - ord("A"), int(column) - 1) for row, column in SQUARE.findall(text))
    return list(dict.fromkeys(name(square) for square in found if max(square) < size and min(square) >= 0))


def results(game: Game, shots: Sequence[str]) -> list[str]:
    """What came of each shot: ``miss``, ``hit``, ``sunk``, or ``lost`` for what is no square, or was shot at before."""
    left = fleet(game)
    names = [{name(square) for square in ship} for ship in left]
    told, seen = [], set()
    for shot in shots:
        if shot in seen or shot not in squares_in(shot, game["size"]):
            told.append("lost")
            continue
        seen.add(shot)
        ship = next((ship for ship in names if shot in ship), None)
        told.append("miss" if ship is None else "sunk" if ship <= seen else "hit")
    return told


def chart(game: Game, shots: Sequence[str]) -> str:
    """The board as the player sees it: ``.`` unknown, ``o`` miss, ``x`` hit, ``#`` of a ship that is sunk."""
    size, said = game["size"], zip(shots, results(game, shots), strict=True)
    marks = {shot: "o" if result == "miss" else "x" for shot, result in said if result != "lost"}
    for ship in fleet(game):
        if {name(square) for square in ship} <= marks.keys():
            marks |= {name(square): "#" for square in ship}
    rows = ["  " + " ".join(str(column + 1) for column in range(size))]
    rows += [
        f"{chr(ord('A') + r)} " + " ".join(marks.get(name((r, c)), ".").ljust(len(str(c + 1))) for c in range(size))
        for r in range(size)
    ]
    return "\n".join(row.rstrip() for row in rows)


def open_hits(game: Game, shots: Sequence[str]) -> set[Square]:
    """Squares of ships that were hit and are not sunk."""
    fired = set(shots)
    ships = [{s for s in ship if name(s) in fired} for ship in fleet(game) if not {name(s) for s in ship} <= fired]
    return {square for ship in ships for square in ship}


def share(example: Example, output: object) -> Feedback:
    """The share of the ships' squares that were hit within the shots, and how the shots were spent."""
    game: Any = example.input
    if not isinstance(output, list) or not all(isinstance(shot, str) for shot in output):
        return Feedback(score=0.0, text=f"The output should be a list of squares such as B3, not {output!r:.80}.")
    shots = output[: game["shots"]]
    said = results(game, shots)
    total = sum(game["ships"])
    hits = sum(result in ("hit", "sunk") for result in said)
    text = f"{hits} of {total} ship squares were hit and {said.count('sunk')} of {len(game['ships'])} ships sunk"
    text += f" with {len(shots)} shots."
    strayed = 0
    for i, shot in enumerate(shots):
        near = {name(square) for square in beside(open_hits(game, shots[:i]))}
        strayed += said[i] == "miss" and bool(near) and shot not in near
    if strayed:
        text += f" {strayed} misses went elsewhere while a ship was hit and not sunk."
    if lost := said.count("lost"):
        text += f" {lost} shots were lost: they named no square, or one that was shot at before."
    return Feedback(score=hits / total, text=text)


def at_random(game: Game, shots: Sequence[str], draw: random.Random) -> str:
    """A player without a plan, to compare with: any square that is left."""
    size = game["size"]
    return draw.choice([s for s in (name((r, c)) for r in range(size) for c in range(size)) if s not in shots])


def hunter(game: Game, shots: Sequence[str], draw: random.Random) -> str:
    """A player with the usual plan, to compare with: beside what is hit, in its line; else every second square."""
    size = game["size"]
    hits = open_hits(game, shots)
    lines = [{r for r, _ in hits}, {c for _, c in hits}]
    near = [square for square in beside(hits) if min(square) >= 0 and max(square) < size and name(square) not in shots]
    if len(hits) > 1:
        near = [s for s in near if any(len(line) == 1 and s[i] in line for i, line in enumerate(lines))] or near
    every = [(r, c) for r in range(size) for c in range(size) if name((r, c)) not in shots]
    return name(draw.choice(sorted(near) or [s for s in every if sum(s) % 2 == 0] or every))


def played(player: Callable[[Game, Sequence[str], random.Random], str], game: Game) -> list[str]:
    """The shots of a player without a model."""
    draw, shots = random.Random(f"player/{game['board']}"), list[str]()
    while len(shots) < game["shots"] and sum(r != "miss" for r in results(game, shots)) < sum(game["ships"]):
        shots.append(player(game, shots, draw))
    return shots


@task(version=1, split=SplitSpec(search=0.3, validation=0.2, test=0.5))
def battleship(n: int = 40, seed: int = 0, size: int = 5, ships: str = "3,2", shots: int = 12) -> object:
    """Find the ships that are hidden on a board: hit as many of their squares as the shots allow.

    Args:
        n: boards.
        seed: other boards.
        size: rows and columns, 2 to 26.
        ships: their lengths.
        shots: how many a player has.
    """
    lengths = [int(length) for length in re.findall(r"\d+", str(ships))]
    fits = lengths and max(lengths) <= size and sum(lengths) * 3 <= size * size
    if not fits or not 2 <= size <= 26 or not 1 <= shots <= size * size:
        raise UsageError(
            f"task battleship: size={size}, ships={ships!r}, shots={shots}: ships such as '3,2' that fit on a third of "
            "the board (of 2 to 26 rows), and no more shots than squares"
        )
    boards = ({"board": seed * 10_000 + i, "size": size, "ships": lengths, "shots": shots} for i in range(n))
    return [Example(input=board) for board in boards], share
