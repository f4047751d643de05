"""Code blocks of a text: what stands between fences, as models write them."""

from __future__ import annotations

import re
from dataclasses import dataclass

__all__ = ["CodeBlock", "code_blocks", "split_blocks"]

_PYTHON = ("python", "py", "python3", "py3")
_LANGUAGE = r"(?P<language>[\w+#-]*)"
_OPENS = re.compile(
    rf"(?P<before>[ \t]*(?:(?:[-*+]|\d+[.)])[ \t]+)*)(?P<mark>`{{3,}}(?=[^`]*$)|~{{3,}})[ \t{{.]*{_LANGUAGE}.*"
)
_OPENS_AFTER_WORDS = re.compile(rf"(?P<before>[^`]*)(?P<mark>`{{3,}})[ \t]*{_LANGUAGE}\s*")


@dataclass(frozen=True, slots=True)
class CodeBlock:
    """What stands between two fences."""

    language: str
    """The first word of the info string, in lower case: ``python`` of ``{.Python title="a.py"}``; may be empty."""
    code: str
    """The lines between, as they are."""
    closed: bool
    """Whether a fence ends it, and not the text."""

    @property
    def python(self) -> bool:
        """Whether it says that it is Python."""
        return self.language in _PYTHON


def code_blocks(text: str) -> list[CodeBlock]:
    """The fenced code blocks of a text, in their order.

    Fences are those of CommonMark: three or more backticks or tildes, closed by at least as many of the same. Four
    liberties are taken, since models write them: a fence may be indented at will, it may open after words on its line
    (with one word for the language, if any), the fence of a next block closes one that was left open, and so does a
    fence with words after it.

    >>> code_blocks("~~~~ {.python}\\nx = 1\\n~~~\\n~~~~\\nand ```\\ny")[0]
    CodeBlock(language='python', code='x = 1\\n~~~', closed=True)
    """
    return split_blocks(text)[0]


def split_blocks(text: str) -> tuple[list[CodeBlock], str]:
    """The code blocks of a text, and the text without them; see ``code_blocks``.

    >>> split_blocks("So: ```py\\nx = 1\\n```\\nDone.")
    ([CodeBlock(language='py', code='x = 1', closed=True)], 'So: \\nDone.')
    """
    blocks: list[CodeBlock] = []
    around: list[str] = []
    within: list[str] = []
    mark = language = ""
    for line in text.split("\n"):
        if mark and not line.lstrip(" \t").startswith(mark):
            within.append(line)
            continue
        closes = bool(mark)
        if closes:
            blocks.append(CodeBlock(language, "\n".join(within), True))
        opening = _OPENS.fullmatch(line) or _OPENS_AFTER_WORDS.fullmatch(line)
        if opening and (opening["language"] or not closes):
            around.append(opening["before"])
            mark, language, within = opening["mark"], opening["language"].lower(), []
            continue
        mark = ""
        if not closes:
            around.append(line)
    if mark:
        blocks.append(CodeBlock(language, "\n".join(within), False))
    return blocks, "\n".join(around)
