"""The words in a picture's boxes."""

from __future__ import annotations

import json
import re

from agentopt.core import Record

__all__ = ["clip", "heading", "hint", "printable", "shown"]

_FORBIDDEN = re.compile(r"[\x00-\x1f\x7f\ud800-\udfff\ufffe\uffff]")


def printable(text: str) -> str:
    """The text without characters that XML forbids; line ends and tabs become spaces."""
    return _FORBIDDEN.sub(" ", text)


def clip(text: str, width: int) -> str:
    """At most ``width`` characters, on one line.

    >>> clip("a long\\nstory", 8)
    'a long …'
    """
    text = " ".join(printable(text).split())
    return text if len(text) <= width else text[: width - 2].rstrip() + " …"


def heading(record: Record) -> str:
    """Name and, where it differs, operator."""
    name = printable(record.name)
    return name if record.op in (record.name, "value") else f"{name} ({printable(record.op)})"


def shown(record: Record) -> str:
    """The value, or the first line of the error."""
    if record.error is not None:
        return record.error.partition("\n")[0]
    return record.value if isinstance(record.value, str) else json.dumps(record.value, ensure_ascii=False)


def hint(record: Record) -> str:
    """What is said when a box is pointed at."""
    parts = [f"{record.id}: {record.kind} {heading(record)}", record.doc, record.path, record.where]
    body, printed = record.error if record.error is not None else shown(record), str(record.more.get("printed", ""))
    lines = [*(p for p in parts if p), *(body[:800].splitlines()), *(printed[:800].splitlines())]
    return "\n".join(printable(line) for line in lines)
