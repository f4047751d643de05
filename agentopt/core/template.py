"""``render``: a prompt from a template, with the provenance of every piece."""

from __future__ import annotations

import difflib
from typing import Any

from agentopt.core.constraints import _PLACEHOLDER, placeholders
from agentopt.core.nest import unwrap
from agentopt.core.node import add_op, wants_node
from agentopt.errors import UsageError

__all__ = ["render"]


def render(template: Any, /, **variables: Any) -> Any:
    """Fill the ``{{names}}`` of a template.

    Args:
        template: a text, a node of one, or a text parameter.
        variables: one for each name, nodes or plain; a text that is put in is not searched for names again.

    Returns:
        A ``Node[str]`` in a trace, run or traced graph and where an argument is a node, whose parents are the template
        and the variables and whose ``meta.more["spans"]`` says which variable each stretch of the text came from; else
        a ``str``.

    Raises:
        UsageError: a name without a variable, or a variable without a name.

    >>> render("Add {{a}} and {{b}}.", a=1, b="{{a}}")
    'Add 1 and {{a}}.'
    """
    text = unwrap(template)[0]
    if not isinstance(text, str):
        raise UsageError(f"a template is a text, not {text!r} ({type(text).__name__})")
    wanted = placeholders(text)
    if missing := [name for name in wanted if name not in variables]:
        raise UsageError(f"the template {_short(text)} needs {', '.join(missing)}; pass {missing[0]}=... to render")
    for name in variables:
        if name not in wanted:
            close = difflib.get_close_matches(name, wanted, n=1)
            guess = f"; did you mean {close[0]!r}?" if close else f"; it has {', '.join(wanted) or 'none'}"
            raise UsageError(f"the template {_short(text)} has no {{{{{name}}}}}{guess}")
    plain = {name: str(unwrap(value)[0]) for name, value in variables.items()}
    pieces: list[str] = []
    spans: list[tuple[int, int, str]] = []
    at = end = 0
    for match in _PLACEHOLDER.finditer(text):
        piece = plain[match[1]]
        pieces += (text[at : match.start()], piece)
        end += match.start() - at
        spans.append((end, end + len(piece), match[1]))
        end += len(piece)
        at = match.end()
    filled = "".join(pieces) + text[at:]
    if not wants_node(template, *variables.values()):
        return filled
    parents = {"template" if "template" not in variables else "the template": template, **variables}
    return add_op("render", filled, parents, kind="render", doc="fills the {{names}} of a template", spans=spans)


def _short(text: str) -> str:
    return repr(text if len(text) <= 40 else text[:37] + "...")
