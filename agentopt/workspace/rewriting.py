"""A function in a Python file: found by its qualified name, and replaced without touching anything around it."""

from __future__ import annotations

import ast
import textwrap

__all__ = ["function_in", "replaced"]

_KINDS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _find(text: str, qualified: str) -> ast.FunctionDef | ast.AsyncFunctionDef | None:
    try:
        scope: list[ast.stmt] = ast.parse(text).body
    except (SyntaxError, ValueError):
        return None
    *classes, name = qualified.split(".")
    for wanted in classes:
        inside = [node for node in scope if isinstance(node, ast.ClassDef) and node.name == wanted]
        scope = inside[-1].body if inside else []
    found = [node for node in scope if isinstance(node, _KINDS) and node.name == name]
    return found[-1] if found else None


def function_in(text: str, qualified: str) -> str | None:
    """The source of a function from its ``def`` on, without decorators and indentation; None where there is none.

    >>> function_in("class A:\\n    def f(self):\\n        return 1\\n", "A.f")
    'def f(self):\\n    return 1'
    """
    node = _find(text, qualified)
    if node is None:
        return None
    return textwrap.dedent("\n".join(text.splitlines()[node.lineno - 1 : node.end_lineno]))


def replaced(text: str, qualified: str, source: str) -> str:
    """``text`` with another source for a function; what the source has before its function comes before the decorators.

    >>> print(replaced("@node\\ndef f(x):\\n    return x\\n", "f", "import math\\n\\ndef f(x):\\n    return math.e"))
    import math
    <BLANKLINE>
    <BLANKLINE>
    @node
    def f(x):
        return math.e
    <BLANKLINE>
    """
    node, lines = _find(text, qualified), text.splitlines()
    name = qualified.rpartition(".")[2]
    assert node is not None and node.end_lineno is not None
    ours = source.splitlines()
    new = _find(source, name)
    assert new is not None and new.end_lineno is not None
    first = min([new.lineno, *(d.lineno for d in new.decorator_list)])
    before = "\n".join(ours[: first - 1]).strip("\n")
    body, after = ours[new.lineno - 1 : new.end_lineno], "\n".join(ours[new.end_lineno :]).strip("\n")
    margin = " " * node.col_offset
    head = min([node.lineno, *(d.lineno for d in node.decorator_list)]) - 1
    made = [*lines[:head]]
    if before:
        made += [*_indented(before.splitlines(), margin), "", ""]
    made += [*lines[head : node.lineno - 1], *_indented(body, margin)]
    if after:
        made += ["", "", *_indented(after.splitlines(), margin)]
    return "\n".join([*made, *lines[node.end_lineno :]]) + "\n"


def _indented(lines: list[str], margin: str) -> list[str]:
    return [margin + line if line.strip() else line for line in lines]
