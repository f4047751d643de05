"""The part of a prompt that a model may write: the text around its placeholders stays where it is.

Small models drop ``{{question}}`` more often than they keep it. So they are shown, and asked for, the body of a
template only, and the lines with placeholders are put back around what they write.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["PLACEHOLDER", "Frame", "marks", "split"]

PLACEHOLDER = re.compile(r"\{\{\s*\w+\s*\}\}|(?<!\{)\{[A-Za-z_]\w*\}(?!\})")
"""``{{name}}``, and ``{name}`` as ``str.format`` has it."""


def marks(text: str) -> set[str]:
    """The placeholders of a text, without spaces inside.

    >>> sorted(marks("{{ a }} and {b}"))
    ['{b}', '{{a}}']
    """
    return {re.sub(r"\s", "", found) for found in PLACEHOLDER.findall(text)}


@dataclass(frozen=True, slots=True)
class Frame:
    """A text as ``head + body + tail``; only head and tail hold placeholders, unless both are empty."""

    head: str
    body: str
    tail: str

    def around(self, new: str) -> str:
        """A new body between head and tail; a text that has all the placeholders itself stands alone.

        >>> split("Answer.\\n\\n{{question}}").around("Think, then answer.")
        'Think, then answer.\\n\\n{{question}}'
        >>> split("Answer.\\n\\n{{question}}").around("Of {{question}}: think.")
        'Of {{question}}: think.'
        """
        if marks(new) & marks(self.head + self.tail) or not new.strip():
            return new
        return f"{self.head}{new.strip()}{self.tail}"


def split(text: str) -> Frame:
    """Take the lines before the first placeholder as the body, else those after the last one, else everything.

    >>> split("Answer.\\n\\nQuestion: {{question}}\\nAnswer:")
    Frame(head='', body='Answer.', tail='\\n\\nQuestion: {{question}}\\nAnswer:')
    >>> split("Answer {{question}}.")
    Frame(head='', body='Answer {{question}}.', tail='')
    """
    found = list(PLACEHOLDER.finditer(text))
    if found:
        before = text[: text.rfind("\n", 0, found[0].start()) + 1].rstrip()
        line_end = text.find("\n", found[-1].end())
        after = text[line_end:].lstrip() if line_end >= 0 else ""
        if before.strip():
            return Frame("", before, text[len(before) :])
        if after.strip():
            body = after.rstrip()
            start = len(text) - len(after)
            return Frame(text[:start], body, text[start + len(body) :])
    return Frame("", text, "")
