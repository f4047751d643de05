"""Programs inside answers of models: where they begin and end. Nothing is executed."""

from __future__ import annotations

import ast
import re
import warnings

from agentopt._blocks import code_blocks

__all__ = ["broken", "defines", "find_code", "parsed"]

_BEGINS = re.compile(r"^(?:from\s+\S+\s+import\b|import\s|def\s|async\s+def\s|class\s|@)", re.MULTILINE)


def find_code(text: str) -> str | None:
    """The longest Python code block of an answer, else what follows from the first line that looks like code on.

    >>> find_code("Sure:\\n```python\\ndef f(x):\\n    return x\\n```\\nDone.")
    'def f(x):\\n    return x\\n'
    >>> find_code("I cannot.") is None
    True
    """
    blocks = [block.code for block in code_blocks(text) if block.python or not block.language]
    found = max(blocks, key=len, default=None)
    if found is None:
        start = _BEGINS.search(text)
        if start is None:
            return None
        found = text[start.start() :] if broken(text) else text
    return found.strip("\n").rstrip() + "\n"


def broken(code: str) -> str:
    """Why a program does not parse, with the line; "" when it does.

    >>> broken("def f(x) return x")
    "line 1 (def f(x) return x): expected ':'"
    """
    try:
        _parsed(code)
    except SyntaxError as error:
        lines = code.splitlines() or [""]
        at = min(error.lineno or 1, len(lines))
        return f"line {error.lineno} ({lines[at - 1].strip()[:60]}): {error.msg}"
    except (ValueError, RecursionError, MemoryError) as error:
        return str(error) or type(error).__name__
    return ""


def defines(code: str, name: str) -> bool:
    """Whether a program defines a function, class or variable of this name at its top level; no for a broken one.

    >>> defines("def f(): ...", "f"), defines("    return 1", "f")
    (True, False)
    """
    tree = parsed(code)
    for statement in tree.body if tree else ():
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) and statement.name == name:
            return True
        targets = statement.targets if isinstance(statement, ast.Assign) else ()
        if any(isinstance(target, ast.Name) and target.id == name for target in targets):
            return True
    return False


def parsed(code: str) -> ast.Module | None:
    """The syntax tree of a program; None of one that does not parse.

    >>> parsed("f(") is None
    True
    """
    try:
        return _parsed(code)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def _parsed(code: str) -> ast.Module:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the program's own making, such as an unknown escape
        return ast.parse(code)
