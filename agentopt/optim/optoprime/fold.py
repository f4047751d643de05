"""Loops: repeats of the same block of lines, written once at each end."""

from __future__ import annotations

from collections.abc import Sequence

from agentopt.optim.optoprime.program import Line

__all__ = ["fold"]

_LONGEST_BLOCK = 12


def fold(lines: Sequence[Line]) -> tuple[list[str], set[str]]:
    """The code lines, with four or more repeats of one block shown by the first and the last of them.

    Blocks are the same when they have the same operators over the same pattern of earlier lines, whatever the values.
    Linear in the number of lines (blocks have at most 12).

    Returns:
        The texts, and the names of the lines that were left out.
    """
    place = {line.name: i for i, line in enumerate(lines)}
    signatures = [_signature(line, i, place) for i, line in enumerate(lines)]
    texts: list[str] = []
    hidden: set[str] = set()
    i = 0
    while i < len(lines):
        size, repeats = _repeat(signatures, i)
        if repeats < 4:
            texts.append(lines[i].code())
            i += 1
            continue
        end = i + size * repeats
        texts += [line.code() for line in lines[i : i + size]]
        texts.append(f"... {repeats - 2} x the same {'line' if size == 1 else f'{size} lines'} ...")
        texts += [line.code() for line in lines[end - size : end]]
        hidden.update(line.name for line in lines[i + size : end - size])
        i = end
    return texts, hidden


def _signature(line: Line, at: int, place: dict[str, int]) -> tuple[object, ...]:
    pattern = tuple((a.role, at - place[a.name] if a.name in place else "root") for a in line.arguments)
    return (line.op, line.kind, pattern, tuple(at - place[name] if name in place else "root" for name in line.after))


def _repeat(signatures: Sequence[tuple[object, ...]], start: int) -> tuple[int, int]:
    """The block at ``start`` that covers most lines by repeating: its length, and how often it stands there."""
    best = (1, 1)
    for size in range(1, min(_LONGEST_BLOCK, (len(signatures) - start) // 4) + 1):
        end = start + size
        while end < len(signatures) and signatures[end] == signatures[end - size]:
            end += 1
        repeats = (end - start) // size
        if repeats >= 4 and size * repeats > best[0] * best[1]:
            best = (size, repeats)
    return best
