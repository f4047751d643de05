"""Scorers that look for a pattern in a text."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

from agentopt.core.values import Feedback
from agentopt.errors import UsageError
from agentopt.evaluate.scorers import right, short, type_of, wrong
from agentopt.evaluate.task import Example

__all__ = ["contains", "regex"]


@dataclass(frozen=True)
class contains:
    """The output holds the target (a text, or each of a list of texts) as whole words; case does not matter.

    Easy to satisfy by saying everything: prefer ``exact``, ``choice`` or ``json_fields`` where the form can be asked.

    >>> contains()(Example(input="q", target=["red", "blue"]), "Blue, then red.").score
    1.0
    """

    def __call__(self, example: Example, output: Any) -> Feedback:
        wanted = example.target if isinstance(example.target, list) else [example.target]
        if not wanted or not all(isinstance(w, str) and w for w in wanted):
            raise UsageError(f"contains: the target of example {example.id} is {short(wanted)}, not a text or texts")
        if not isinstance(output, str):
            return wrong(f"the output is {type_of(output)}, not a text")
        missing = [w for w in wanted if not re.search(rf"(?<!\w){re.escape(str(w))}(?!\w)", output, re.IGNORECASE)]
        return wrong(f"missing: {', '.join(map(repr, missing))}") if missing else right()


@dataclass(frozen=True)
class regex:
    """The output matches ``pattern``; with a group in it, what the last match's first group holds equals the target.

    >>> regex(r"^RESULT (\\w+)$")(Example(input="q", target="ok"), "RESULT ok").score
    1.0
    """

    pattern: str
    ignore_case: bool = False

    def __post_init__(self) -> None:
        try:
            re.compile(self.pattern)
        except re.error as error:
            raise UsageError(f"regex: {self.pattern!r} is not a regular expression: {error}") from None

    def __call__(self, example: Example, output: Any) -> Feedback:
        if not isinstance(output, str):
            return wrong(f"the output is {type_of(output)}, not a text")
        pattern = re.compile(self.pattern, re.MULTILINE | (re.IGNORECASE if self.ignore_case else re.NOFLAG))
        matches = list(pattern.finditer(output))
        if not matches:
            return wrong(f"nothing in the output matches the form {self.pattern!r}")
        if not pattern.groups:
            return right()
        given = matches[-1].group(1)
        if example.target is None:
            raise UsageError(f"regex: example {example.id} has no target to compare {given!r} with")
        return right() if given == str(example.target) else wrong(f"got {given!r}, expected {example.target!r}")
