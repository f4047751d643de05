"""OptiBench's own rules of reading, as they were released with the benchmark (Yang et al. 2025, arXiv 2407.09887).

They are kept for comparison, with what is wrong in them: ``official_number`` does not read scientific notation.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

from agentopt.evaluate.modelling.answers import Reading
from agentopt.evaluate.modelling.claims import claimed

__all__ = ["NOT_OPTIMAL", "below_dashes", "official_number", "official_program", "read_official"]

NOT_OPTIMAL = "could not be solved to optimality"
"""Part of the sentence that the skeleton prints where the solver found no optimum."""
_FENCE = re.compile(r"```python[ \t]*\r?\n(.*?)```", re.DOTALL | re.IGNORECASE)
_DASHES = re.compile(r"-{10,}")
_BOX = re.compile(r"\\boxed\s*\{((?:[^{}]|\{[^{}]*\})*)\}")
_NUMBER = re.compile(r"-?\d+/\d+|-?\d+\.\d+|-?\d+")


def official_program(reply: str) -> str:
    """The first Python block, else the whole reply.

    >>> official_program("Here:\\n```python\\nprint(1)\\n```\\n```python\\nprint(2)\\n```")
    'print(1)\\n'
    """
    found = _FENCE.search(reply)
    return found[1] if found else reply


def below_dashes(output: str) -> str:
    """The text after the last run of ten dashes; all of it where there is none.

    >>> below_dashes("presolving\\n----------\\nProfit: 3")
    '\\nProfit: 3'
    """
    return _DASHES.split(output)[-1]


def official_number(reply: str) -> float | None:
    """The number of a reply about one figure: what is boxed, else the last number in it; None where that is none.

    Dollar signs and commas are dropped; a number is an integer, a decimal, or a simple fraction. ``1e-05`` is read as
    ``-05``, which is none.

    >>> [official_number(text) for text in ("so \\\\boxed{1,250.5}", "it is 3/4", "1e-05", "none")]
    [1250.5, 0.75, None, None]
    """
    boxed = _BOX.findall(reply)
    numbers = _NUMBER.findall((boxed[-1] if boxed else reply).replace("$", "").replace(",", ""))
    if not numbers:
        return None
    above, _, below = numbers[-1].partition("/")
    if any(_leading_zero(part) for part in (above, below)):
        return None
    try:
        return float(above) / float(below) if below else float(above)
    except ZeroDivisionError:
        return None


def _leading_zero(digits: str) -> bool:
    """Whether Python would not take it as a number."""
    digits = digits.lstrip("-")
    return "." not in digits and len(digits) > 1 and digits.startswith("0") and bool(digits.strip("0"))


def read_official(output: str, names: Sequence[str]) -> Reading:
    """The released rules without their model: each name is looked up as it stands, and its number read by the regex.

    This is the exact-match core that is left of the protocol when the reading model is taken away. It is there to be
    compared with; ``LabelledLines`` is what agentopt reads with.
    """
    text = below_dashes(output)
    if NOT_OPTIMAL in text:
        return Reading(missing=tuple(names), claim="not_optimal")
    values: dict[str, float] = {}
    for name in names:
        at = text.rfind(name)
        line = text[at + len(name) :].partition("\n")[0] if at >= 0 else ""
        number = official_number(line)
        if number is not None:
            values[name] = number
    missing = tuple(name for name in names if name not in values)
    return Reading(values, {}, missing, None if values else claimed(text))
