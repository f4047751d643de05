"""A text that a model wrote: made comparable, and the reasons for which it is not used."""

from __future__ import annotations

import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Mapping
from functools import lru_cache

from pydantic import JsonValue

from agentopt.core.values import canonical
from agentopt.optim.base import ParameterSpec
from agentopt.optim.opro.positions import MARKS

__all__ = ["QUOTES", "SCRIPTS", "fault", "key", "polish", "scripts_of"]

QUOTES = ("straight", "keep", "refuse")
SCRIPTS = ("same", "any")

_STRAIGHT = str.maketrans("‘’‚‛“”„‟", "''''\"\"\"\"")
_FOREIGN = 0.2  # share of letters in unknown scripts from which a text counts as foreign; names and signs may stay


def polish(text: str, quotes: str = "straight") -> str:
    """Without outer blanks and bold marks, the first letter a capital; curly quotes straight unless they are kept.

    >>> polish(" **think** of ‘it’ ")
    "Think of 'it'"
    """
    text = unicodedata.normalize("NFC", text).replace("**", "").strip()
    if quotes == "straight":
        text = text.translate(_STRAIGHT)
    return text[:1].upper() + text[1:]


def key(values: Mapping[str, JsonValue], parameters: Mapping[str, ParameterSpec]) -> str:
    """What two candidates share that are the same for OPRO: polished texts, whatever their case and spaces.

    In code every character counts but blanks at the ends of lines; all other values are the same when they are equal.

    >>> of = {"a": ParameterSpec("a", "text", ""), "f": ParameterSpec("f", "code", "")}
    >>> key({"a": "Think **hard**"}, of) == key({"a": "think  hard"}, of)
    True
    >>> key({"f": "x ** 2"}, of) == key({"f": "x  2"}, of)
    False
    """
    return canonical({name: _comparable(value, parameters[name].kind) for name, value in values.items()})


def _comparable(value: JsonValue, kind: str) -> JsonValue:
    if not isinstance(value, str):
        return value
    if kind == "text":
        return " ".join(polish(value).split()).casefold()
    return "\n".join(line.rstrip() for line in value.strip("\n").split("\n")) if kind == "code" else value


def scripts_of(texts: Iterable[str]) -> Counter[str]:
    """How many letters of each script: LATIN, CYRILLIC, CJK, ...

    >>> scripts_of(["да, ok"])
    Counter({'CYRILLIC': 2, 'LATIN': 2})
    """
    return Counter(name for text in texts for name in _letters(text))


@lru_cache(maxsize=256)
def _letters(text: str) -> tuple[str, ...]:
    return tuple(unicodedata.name(c, "?").split()[0] for c in text if c.isalpha())


def fault(
    text: str, *, max_chars: int, digits: bool = True, quotes: str = "straight", scripts: Iterable[str] | None = None
) -> str:
    """Why a polished text is not used; "" when it is.

    Args:
        text: without the placeholders around it.
        max_chars: longest allowed.
        digits: whether digits are allowed.
        quotes: ``refuse`` takes no curly ones.
        scripts: scripts that are allowed; None allows all.

    >>> fault("Answer in 2 steps.", max_chars=500, digits=False)
    "the text has the digit '2', and digits are not allowed"
    >>> fault("INSPECT the question.", max_chars=500)
    ''
    """
    if not text:
        return "the text is empty"
    if len(text) > max_chars:
        return f"the text has {len(text)} characters; at most {max_chars} are allowed"
    if any(ord(c) < 32 and c not in "\n\t" for c in text):
        return "the text has control characters"
    if not digits and (found := re.search(r"\d", text)):
        return f"the text has the digit {found.group()!r}, and digits are not allowed"
    for mark in MARKS:
        if mark.casefold() in text.casefold():
            return f"the text holds the mark {mark} of the request"
    if quotes == "refuse" and text.translate(_STRAIGHT) != text:
        return "the text has curly quotes, and they are not allowed"
    if scripts is not None:
        letters = scripts_of([text])
        other = Counter({name: n for name, n in letters.items() if name not in set(scripts)})
        if other.total() > _FOREIGN * letters.total():
            return f"the text is written in {other.most_common(1)[0][0]} letters, which the task does not use"
    return ""
