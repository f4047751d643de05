"""Lines of Python source as the parser counts them, and source that is moved sideways without changing its texts."""

from __future__ import annotations

import ast
import io
import re
import tokenize

__all__ = ["dedented", "indented", "lines"]

_LINE = re.compile(r"[^\r\n]*(?:\r\n|\r|\n)|[^\r\n]+")
_BEGINS = {getattr(tokenize, name, -1) for name in ("FSTRING_START", "TSTRING_START")} - {-1}
_ENDS = {getattr(tokenize, name, -1) for name in ("FSTRING_END", "TSTRING_END")} - {-1}


def lines(text: str) -> list[str]:
    r"""Lines with their ends, as the parser counts them; ``str.splitlines`` also cuts at form feeds and U+2028.

    >>> lines("a\r\nb\x0cc\rd")
    ['a\r\n', 'b\x0cc\r', 'd']
    """
    return _LINE.findall(text)


def indented(source: str, margin: str) -> str:
    r"""``source`` with a margin before its lines, apart from empty ones and those that go on a text.

    Docstrings move with their code: what they say does not depend on their margin.

    >>> indented("def f():\n    return '''a\nb'''\n", "  ")
    "  def f():\n      return '''a\nb'''\n"
    """
    inside = _inside(source)
    moved = [
        margin + line if line.strip() and number not in inside else line for number, line in enumerate(lines(source), 1)
    ]
    return "".join(moved)


def dedented(source: str) -> str:
    r"""``source`` without the margin of its first line; lines that go on a text stay as they are, as in ``indented``.

    >>> dedented("  def f():\n      return '''a\n    b'''\n")
    "def f():\n    return '''a\n    b'''\n"
    """
    begin = re.match(r"[ \t]*", source)
    margin = begin[0] if begin else ""
    if not margin:
        return source
    inside = {number - 1 for number in _inside("if True:\n" + source)}
    moved = [line if number in inside else _without(line, margin) for number, line in enumerate(lines(source), 1)]
    return "".join(moved)


def _without(line: str, margin: str) -> str:
    """A line without as much of the margin as it has."""
    shared = 0
    while shared < len(margin) and line.startswith(margin[: shared + 1]):
        shared += 1
    return line[shared:]


def _inside(source: str) -> set[int]:
    """Numbers of the lines that begin within a text that is no docstring; none where the source is no program."""
    source = "".join(re.sub(r"[\r\n]+$", "\n", line) for line in lines(source))
    try:
        docs = {node.lineno for node in map(_docstring, ast.walk(ast.parse(source))) if node is not None}
        tokens = list(tokenize.generate_tokens(io.StringIO(source).readline))
    except (SyntaxError, ValueError, RecursionError, MemoryError, tokenize.TokenError):
        return set()
    found: set[int] = set()
    open_at: list[int] = []
    for token in tokens:
        if token.type in _BEGINS:
            open_at.append(token.start[0])
        elif token.type in _ENDS:
            found |= set(range(open_at.pop() + 1, token.end[0] + 1))
        elif token.type == tokenize.STRING and token.start[0] not in docs:
            found |= set(range(token.start[0] + 1, token.end[0] + 1))
    return found


def _docstring(node: ast.AST) -> ast.Constant | None:
    if not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) or ast.get_docstring(node) is None:
        return None
    first = node.body[0]
    return first.value if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) else None
