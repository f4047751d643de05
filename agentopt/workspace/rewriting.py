"""A function in a Python file: found by its qualified name, and replaced without touching anything around it."""

from __future__ import annotations

import ast
import copy
import inspect
import warnings

from agentopt._code import parsed
from agentopt._lines import dedented, indented, lines
from agentopt.errors import UsageError

__all__ = ["function_in", "replaced"]

_Definition = ast.FunctionDef | ast.AsyncFunctionDef


def _find(text: str, qualified: str) -> tuple[_Definition, ast.ClassDef | None] | None:
    """A function, and the outermost class that it is in."""
    tree = parsed(text)
    scope: list[ast.stmt] = tree.body if tree else []
    outermost: ast.ClassDef | None = None
    *classes, name = qualified.split(".")
    for wanted in classes:
        inside = [node for node in scope if isinstance(node, ast.ClassDef) and node.name == wanted]
        scope = inside[-1].body if inside else []
        outermost = outermost or (inside[-1] if inside else None)
    found = [node for node in scope if isinstance(node, _Definition) and node.name == name]
    return (found[-1], outermost) if found else None


def function_in(text: str, qualified: str) -> str | None:
    """The source of a function from its ``def`` on, without decorators and indentation; None where there is none.

    >>> function_in("class A:\\n    def f(self):\\n        return 1\\n", "A.f")
    'def f(self):\\n    return 1'
    """
    found = _find(text, qualified)
    if found is None:
        return None
    node = found[0]
    return _plain(dedented("".join(lines(text)[node.lineno - 1 : node.end_lineno])))


def replaced(text: str, qualified: str, source: str) -> str:
    """``text`` with another source for a function, in the file's own line ends.

    The decorators of the file stay. What the source has before its function comes before them, of a method before its
    class: there the function finds it, as it did where it was measured.

    Raises:
        UsageError: the file would not have the function that ``source`` has.

    >>> print(replaced("@node\\ndef f(x):\\n    return x\\n", "f", "import math\\n\\ndef f(x):\\n    return math.e"))
    import math
    <BLANKLINE>
    <BLANKLINE>
    @node
    def f(x):
        return math.e
    <BLANKLINE>
    """
    source = _plain(source)
    old, new = _find(text, qualified), _find(source, qualified.rpartition(".")[2])
    if old is None or new is None:
        raise UsageError(f"{qualified} cannot be written: {'its source' if old else 'the file'} has no such function")
    (node, outermost), (made, _) = old, new
    theirs, ours = lines(text), lines(source)
    first = _first(made)
    before, after = ("".join(part).strip("\n") for part in (ours[: first - 1], ours[made.end_lineno :]))
    margin = theirs[node.lineno - 1][: node.col_offset].rpartition("\f")[2]
    around = outermost or node
    head, end = _first(around) - 1, around.end_lineno or 0
    parts = [
        "".join(theirs[:head]),
        _as_in(theirs, f"{before}\n\n\n" if before else ""),
        "".join(theirs[head : node.lineno - 1]),
        _as_in(theirs, indented("".join(ours[first - 1 : made.end_lineno]).rstrip("\n") + "\n", margin)),
        "".join(theirs[node.end_lineno : end]),
        _as_in(theirs, f"\n\n{after}\n" if after else ""),
        "".join(theirs[end:]),
    ]
    result = "".join(parts)
    if problem := _unlike(result, qualified, made):
        raise UsageError(f"{qualified} cannot be written into its file: {problem}; write it by hand")
    return result


def _first(node: _Definition | ast.ClassDef) -> int:
    """The line on which a definition begins, decorators included."""
    return min([node.lineno, *(d.lineno for d in node.decorator_list)])


def _plain(source: str) -> str:
    return "\n".join(line.rstrip("\r\n") for line in lines(source))


def _as_in(theirs: list[str], source: str) -> str:
    """``source`` with the line ends of the file."""
    end = theirs[0][len(theirs[0].rstrip("\r\n")) :] if theirs else ""
    return source.replace("\n", end or "\n")


def _unlike(text: str, qualified: str, made: _Definition) -> str:
    """Why a file would not have the function that was asked for; "" where it has."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            compile(text, "the file", "exec", dont_inherit=True)
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        return f"the file would be no program any more ({error})"
    found, own = _find(text, qualified), len(made.decorator_list)
    try:
        same = found is not None and _meaning(found[0], own) == _meaning(made, own)
    except RecursionError:
        return "it is nested too deep to be compared with what was measured"
    return "" if same else "it would not be what was measured"


def _meaning(node: _Definition, decorators: int) -> str:
    """A function apart from where it stands: its last decorators, and its docstrings without their margins."""
    tree = copy.deepcopy(node)
    tree.decorator_list = tree.decorator_list[len(tree.decorator_list) - decorators :]
    for part in ast.walk(tree):
        if isinstance(part, _Definition | ast.ClassDef) and ast.get_docstring(part, clean=False) is not None:
            first = part.body[0]
            assert isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant)
            first.value.value = inspect.cleandoc(str(first.value.value))
    return ast.dump(tree)
