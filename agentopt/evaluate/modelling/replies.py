"""The program in a model's reply: which of its code blocks is meant, and whether it is whole. Nothing is executed."""

from __future__ import annotations

import ast
import builtins
import re
import textwrap
import warnings
from codeop import compile_command
from symtable import symtable
from typing import Literal

from agentopt._blocks import CodeBlock, split_blocks
from agentopt._code import broken, find_code, parsed
from agentopt.core.values import Frozen
from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.reading import without_thoughts

__all__ = ["Form", "Found", "find_program", "imports_of"]

Form = Literal["one", "several", "joined", "bare", "none", "cut_off"]

_WORK = 60_000  # characters that are parsed to find where code ends
_NAMES = r"(?:code|python|program|solution|answer|pre)\b"
_TAG = re.compile(rf"<({_NAMES})[^<>]*>((?:(?!<{_NAMES}).)*?)(</\1>|\Z)", re.DOTALL | re.IGNORECASE)
_SHELL = re.compile(r"^[ \t]*[!%$]?[ \t]*(?:pip3?|conda|apt-get|apt|uv)[ \t]+install\b.*$", re.MULTILINE)
_BUILT_IN = frozenset(dir(builtins)) | {"__name__", "__file__", "__doc__"}


class Found(Frozen):
    """What a reply holds in the way of a program."""

    code: str = ""
    """Python source; empty for ``none``."""
    form: Form = "none"
    """``one`` block; the last whole program of ``several``; blocks ``joined`` because the last one needs the earlier;
    ``bare`` code without a block, also in a tag; ``none``; ``cut_off``: the reply ends within its program."""
    blocks: int = 0
    """How many code blocks were candidates."""
    imports: tuple[str, ...] = ()
    """The packages that it imports, by their first name."""


def find_program(reply: str, *, truncated: bool = False) -> Found:
    """The program that a reply gives.

    Of several blocks that are each a whole program (it imports, prints, and uses no name that it does not define) the
    last one counts: models mend what they wrote above. Blocks that need one another are joined in their order, where
    that leaves no name undefined and the last of them adds to what is printed; what follows such a program is a remark.
    An unclosed block that does not parse is a reply that was cut off; one that parses is taken as it is, unless the
    reply is known to be cut.

    Args:
        reply: the model's whole answer.
        truncated: whether the reply is known to have ended at its cap of tokens.

    >>> find_program("```python\\nimport os\\nprint(1)\\n```").form
    'one'
    >>> find_program("```python\\nx = 1\\n```\\nthen\\n```python\\nprint(x)\\n```").code
    'x = 1\\n\\nprint(x)\\n'
    >>> find_program("I would use a solver.").form, find_program("```python\\nm.addCons(x +").form
    ('none', 'cut_off')
    """
    try:
        text = without_thoughts(reply.replace("\r\n", "\n"))
    except Unreadable:
        return Found(form="cut_off")
    fenced, around = split_blocks(text)
    blocks, closed = _candidates(fenced)
    if blocks:
        return _chosen(blocks, closed=closed, truncated=truncated)
    return _bare_in_tags(around, truncated)  # what is fenced is no Python


def _candidates(fenced: list[CodeBlock]) -> tuple[list[str], bool]:
    """The Python blocks, and whether the last one was closed."""
    python = [block for block in fenced if block.python]
    found = python or [block for block in fenced if not block.language and _code_like(block.code)]
    kept = [(body, b.closed) for b in found if (body := _SHELL.sub("", b.code)).strip() or not b.closed]
    return [_tidy(body) for body, _ in kept], not kept or kept[-1][1]


def _tidy(code: str) -> str:
    return textwrap.dedent(code).strip("\n").rstrip() + "\n"


def _code_like(body: str) -> bool:
    """Whether a block without a language is Python, and not some output or formula that happens to stand in one."""
    tree = parsed(body)
    if tree is None:
        return find_code(body) is not None
    return any(isinstance(node, ast.Import | ast.ImportFrom | ast.Call | ast.FunctionDef) for node in ast.walk(tree))


def _chosen(blocks: list[str], *, closed: bool, truncated: bool) -> Found:
    number, last = len(blocks), blocks[-1]
    cut = not closed and (truncated or bool(broken(last)))
    if number == 1:
        return _found(last, "cut_off" if cut else "one", number)
    whole = [at for at, block in enumerate(blocks[:-1] if cut else blocks) if _whole(block)]
    joined = "\n".join(blocks)
    if not cut:
        first = max(whole[-1] + 1 if whole else 1, number - 1 - _WORK // len(joined))
        for end in range(number, first, -1):
            if _goes_on(blocks[end - 1], made := "\n".join(blocks[:end])):
                return _found(made, "joined", number)
    if whole:
        return _found(blocks[whole[-1]], "several", number)
    if cut:
        return _found(joined, "cut_off", number)
    if not broken(joined) and _loose(last):
        return _found(joined, "joined", number)
    return _found(max(blocks, key=len), "several", number)


def _goes_on(block: str, joined: str) -> bool:
    """Whether a block, the last of those that were joined, is the end of one program that they are together.

    It uses a name of theirs, and prints or calls a function of theirs: else the answer cannot be of its making.
    """
    tree, needed = parsed(block), _loose(block)
    if tree is None or not needed or broken(joined) or _loose(joined):
        return False
    called = (node.func for node in ast.walk(tree) if isinstance(node, ast.Call))
    return any(isinstance(function, ast.Name) and function.id in {"print", *needed} for function in called)


def _found(code: str, form: Form, blocks: int) -> Found:
    return Found(code=code, form=form, blocks=blocks, imports=imports_of(code))


def _bare_in_tags(text: str, truncated: bool) -> Found:
    """Code without a block: what is in the last tag that holds some, else what is in the text."""
    for tag in reversed(list(_TAG.finditer(text))):
        if "\n" in tag[2].strip():
            found = _bare(tag[2], truncated and not tag[3])
            if found.form != "none":
                return found
    return _bare(text, truncated)


def _bare(text: str, truncated: bool) -> Found:
    """Code that stands in the reply without a block around it; sentences below it are dropped."""
    code = find_code(text)
    if code is None:
        return Found()
    if not broken(code):
        cut = truncated and text.rstrip().endswith(code.rstrip())
        return _found(_tidy(code), "cut_off" if cut else "bare", 0)
    lines = code.splitlines()
    if parsed(lines[0]) is None and not lines[0].lstrip().startswith(("def ", "class ", "async ", "@", "from ")):
        return Found()  # a sentence that begins like code
    paragraphs = re.split(r"\n[ \t]*\n", code)
    tries = 1 + _WORK // len(code)
    for end in range(len(paragraphs) - 1, max(0, len(paragraphs) - 1 - tries), -1):
        kept = _tidy("\n\n".join(paragraphs[:end]))
        if _whole(kept):
            return _found(kept, "bare", 0)
    return _found(_tidy(code), "cut_off" if truncated or _ends_early(code) else "bare", 0)


def _ends_early(code: str) -> bool:
    """Whether a program does not parse because more of it should follow."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the program's own making
        try:
            return compile_command(code, "<reply>", "exec") is None
        except SyntaxError as error:
            return "never closed" in str(error.msg) or "unterminated" in str(error.msg)
        except (ValueError, OverflowError, RecursionError, MemoryError):
            return False


def _whole(code: str) -> bool:
    """Whether it is a program of its own: it imports, prints, and defines what it uses."""
    tree = parsed(code)
    if tree is None or _loose(code):
        return False
    nodes = list(ast.walk(tree))
    prints = any(isinstance(node, ast.Name) and node.id == "print" for node in nodes)
    return prints and any(isinstance(node, ast.Import | ast.ImportFrom) for node in nodes)


def _loose(code: str) -> set[str]:
    """Names that a program uses where nothing defines them, with the scopes of Python."""
    tree = parsed(code)
    stars = (node for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)) if tree else ()
    if tree is None or any(alias.name == "*" for node in stars for alias in node.names):
        return set()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the program's own making
            outermost = symtable(code, "<reply>", "exec")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return set()
    used: set[str] = set()
    known = set(_BUILT_IN)
    scopes = [outermost]
    while scopes:
        scope = scopes.pop()
        scopes += scope.get_children()
        for symbol in scope.get_symbols():
            if scope is outermost or symbol.is_global():
                made = symbol.is_assigned() or symbol.is_imported()
                (known if made else used).add(symbol.get_name())
    return used - known


def imports_of(code: str) -> tuple[str, ...]:
    """The packages that a program imports, by their first name, sorted.

    >>> imports_of("import scipy.optimize as so\\nfrom pyscipopt import Model")
    ('pyscipopt', 'scipy')
    """
    tree = parsed(code)
    found: set[str] = set()
    for node in ast.walk(tree) if tree else ():
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module and not node.level:
            found.add(node.module.partition(".")[0])
    return tuple(sorted(found))
