"""Checks of an optimizer's options, made once, when it is built: what is wrong with one, and what it may be."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from typing import Any

from agentopt.core.constraints import KINDS
from agentopt.errors import UnknownName, UsageError
from agentopt.optim.base import ParameterSpec
from agentopt.optim.invariants import known

__all__ = ["check_change", "check_flag", "check_kinds", "check_number", "check_off"]


def check_number(
    optimizer: str, option: str, value: Any, *, low: float = -math.inf, high: float = math.inf, whole: bool = False
) -> None:
    """A finite number from ``low`` to ``high``; ``whole``: a whole one.

    Raises:
        UsageError: it is none.

    >>> check_number("random", "local", 2, low=0, high=1)
    Traceback (most recent call last):
    agentopt.errors.UsageError: random: local=2; it must be a number, at least 0, at most 1
    """
    kinds = int if whole else int | float
    fits = not isinstance(value, bool) and isinstance(value, kinds) and low <= value <= high and abs(value) < math.inf
    if not fits:
        least = f", at least {low:g}" if low > -math.inf else ""
        most = f", at most {high:g}" if high < math.inf else ""
        kind = "a whole number" if whole else "a number"
        raise UsageError(f"{optimizer}: {option}={value!r}; it must be {kind}{least}{most}")


def check_flag(optimizer: str, option: str, value: Any) -> None:
    """True or false.

    Raises:
        UsageError: it is neither.
    """
    if not isinstance(value, bool):
        raise UsageError(f"{optimizer}: {option}={value!r}; it must be true or false")


def check_kinds(optimizer: str, kinds: Any) -> None:
    """A list of kinds of parameter, at least one.

    Raises:
        UsageError: it is no list, or empty.
        UnknownName: one of them is no kind; says which one was probably meant.
    """
    for kind in _listed(optimizer, "kinds", kinds, '["text"]'):
        if kind not in KINDS:
            raise UnknownName(f"kind of parameter for {optimizer}", kind, KINDS, f"there are {', '.join(KINDS)}")
    if not kinds:
        raise UsageError(f"{optimizer}: kinds is empty: nothing would be tuned")


def check_change(optimizer: str, parameters: Mapping[str, ParameterSpec], kinds: Collection[str]) -> None:
    """Refuse a search whose parameters are all of kinds that an optimizer does not change.

    Raises:
        UsageError: they are.
    """
    if any(spec.kind in kinds for spec in parameters.values()):
        return
    there = ", ".join(f"{spec.name} ({spec.kind})" for spec in parameters.values())
    raise UsageError(
        f"optimizer {optimizer} changes parameters of kind {', '.join(kinds)}, and the search has none: it has "
        f"{there}; take another optimizer, or other parameters"
    )


def check_off(optimizer: str, off: Any) -> None:
    """A list of names of invariants.

    Raises:
        UsageError: it is no list.
        UnknownName: one of them is no invariant.
    """
    known(_listed(optimizer, "off", off, '["leak"]'))


def _listed(optimizer: str, option: str, value: Any, such: str) -> list[str]:
    if isinstance(value, str) or not isinstance(value, Collection):
        raise UsageError(f"{optimizer}: {option}={value!r}; it must be a list, such as {option}={such}")
    return [str(one) for one in value]
