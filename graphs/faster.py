"""Programs to be made faster: each graph gives the source of one trained function, and the task ``faster`` judges it.

The functions are right and slow. Nothing is called here: their speed is measured in the sandbox, beside another one.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from agentopt import Parameter, graph, parameters, trainable

WORDS = "same name and arguments, same results, only the standard library"


@trainable(constraint=WORDS)
def primes_below(n):
    """All prime numbers below n, in ascending order."""
    found = []
    for number in range(2, n):
        if all(number % other for other in range(2, int(number**0.5) + 1)):
            found.append(number)
    return found


@trainable(constraint=WORDS)
def count_pairs(values, total):
    """How many pairs of positions i < j have values that add up to total."""
    found = 0
    for i in range(len(values)):
        for j in range(i + 1, len(values)):
            if values[i] + values[j] == total:
                found += 1
    return found


@trainable(constraint=WORDS)
def longest_without_repeat(text):
    """The length of the longest piece of the text in which no character comes twice."""
    best = 0
    for start in range(len(text)):
        end = start
        while end < len(text) and text[end] not in text[start:end]:
            end += 1
        best = max(best, end - start)
    return best


@trainable(constraint=WORDS)
def moving_medians(values, width):
    """The median of each window of so many neighbouring values; width is odd."""
    found = []
    for start in range(len(values) - width + 1):
        window = sorted(values[start : start + width])
        found.append(window[width // 2])
    return found


@trainable(constraint=WORDS)
def merge_spans(spans):
    """The spans [start, end], merged where they overlap or touch, by ascending start."""
    found = [list(span) for span in spans]
    merged = True
    while merged:
        merged = False
        for i in range(len(found)):
            for j in range(i + 1, len(found)):
                if found[i][0] <= found[j][1] and found[j][0] <= found[i][1]:
                    found[i] = [min(found[i][0], found[j][0]), max(found[i][1], found[j][1])]
                    del found[j]
                    merged = True
                    break
            if merged:
                break
    return sorted(found)


def source(function: Callable[..., Any]) -> Parameter[str]:
    """The source of a trained function, as the parameter that it is."""
    (found,) = parameters(function).values()
    return found


PRIMES, PAIRS, WINDOW = source(primes_below), source(count_pairs), source(longest_without_repeat)
MEDIANS, OVERLAPS = source(moving_medians), source(merge_spans)


@graph
def faster_primes(seed: int, size: int) -> str:
    """The source of ``primes_below``."""
    return PRIMES.value


@graph
def faster_pairs(seed: int, size: int) -> str:
    """The source of ``count_pairs``."""
    return PAIRS.value


@graph
def faster_window(seed: int, size: int) -> str:
    """The source of ``longest_without_repeat``."""
    return WINDOW.value


@graph
def faster_medians(seed: int, size: int) -> str:
    """The source of ``moving_medians``."""
    return MEDIANS.value


@graph
def faster_overlaps(seed: int, size: int) -> str:
    """The source of ``merge_spans``."""
    return OVERLAPS.value
