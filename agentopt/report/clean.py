"""What may stand in a page that is mailed: no secret, no text without end."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from agentopt.llm.failures import redact

__all__ = ["LONGEST", "as_text", "clean"]

LONGEST = 20_000
"""Characters of one text that a page shows; the rest is counted."""


def clean(value: Any, longest: int = LONGEST) -> Any:
    """JSON without secrets, long texts cut with a note that says how much is gone.

    >>> clean({"error": "refused: sk-abcdefgh12345", "n": 3, "text": "abcdef"}, longest=4)
    {'error': 'refu… (8 more characters)', 'n': 3, 'text': 'abcd… (2 more characters)'}
    """
    if isinstance(value, str):
        text = _redacted(value)
        left = len(text) - longest
        return f"{text[:longest]}… ({left:,} more characters)" if left > 0 else text
    if isinstance(value, Mapping):
        return {_redacted(str(key)): clean(item, longest) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [clean(item, longest) for item in value]
    return value


_LOGIN = re.compile(r"(?<=://)[^/\s@]+(?=@)")


@lru_cache(maxsize=65_536)
def _redacted(text: str) -> str:
    return _LOGIN.sub("***", redact(text))


def as_text(value: Any) -> str:
    """A value as a person reads it: text as it is, anything else as JSON.

    >>> as_text("a"), as_text({"b": 1}), as_text(None)
    ('a', '{"b": 1}', 'null')
    """
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)
