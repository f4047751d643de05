"""The headed text of a formulation, cut into its sections and their entries."""

from __future__ import annotations

import re

__all__ = ["SECTIONS", "entries_of", "section_named", "sections_of"]

SECTIONS = ("sets", "parameters", "variables", "objective", "constraints")
_CALLED = {
    "sets": r"(?:index |indices and |given )?sets?(?: and ind(?:ices|exes))?|ind(?:ices|exes)(?: and sets)?",
    "parameters": r"(?:given |known |input )?(?:parameters?|data|constants)(?: and (?:data|constants))?",
    "variables": r"(?:decision )?variables?",
    "objective": r"objectives?(?: functions?)?|goal",
    "constraints": r"constraints?|subject to(?: the constraints)?|s\.? ?t\.?|such that",
}
_LONGEST = 100  # characters of a heading and what stands beside it that are looked at
_NUMBER = r"(?:\(?(?:\d|[ivx]{1,4}|[a-e])[.):]\s*)?"
_HEADINGS = {
    section: re.compile(
        rf"^\s*(?:[-*•]\s+)?(?:#+\s*)?[*_\s]*{_NUMBER}[*_\s]*(?:the\s+)?(?:{words})(?:\s*\(.{{0,40}}\))?\s*"
        r"(?:[*_\s]*[:：][*_\s]*(?P<rest>.*)|[*_\s]*)$",
        re.IGNORECASE,
    )
    for section, words in _CALLED.items()
}
_OTHER_HEADING = re.compile(r"^\s*(?:#{1,6}\s+\S|\*\*[^*]{1,60}\*\*\s*:?\s*$|```\s*(?:python|py)\b)", re.IGNORECASE)
_BULLET = re.compile(r"^\s*(?:[-*•]\s+|\(?\d{1,2}[.)]\s+|\(?[a-z]\)\s+)")
_DECORATION = re.compile(r"^\s*(?:```\w*|\\\[|\\\]|\$\$|---+|\\(?:begin|end)\{[^}]*\}(?:\{[^}]*\})?)?\s*$")
_NOTHING = re.compile(
    r"[\W_]*(?:none|nil|n/?a|not applicable|empty|(?:there (?:is|are) )?no (?:\w+ ){0,2}"
    r"(?:sets?|ind(?:ices|exes)|parameters?|constraints?)(?: (?:(?:is|are) )?(?:needed|required|given))?)[\W_]*",
    re.IGNORECASE,
)
_MATHEMATICAL = re.compile(r"^\s*[\\$|&]|[<>=≤≥]|\\(?:le|ge)")


def section_named(name: str) -> str:
    """The section that a heading or key is for; "" for none.

    >>> section_named("Decision_Variables"), section_named("objective function"), section_named("notes")
    ('variables', 'objective', '')
    """
    words = name.replace("_", " ").strip()
    return next((s for s, called in _CALLED.items() if re.fullmatch(called, words, re.IGNORECASE)), "")


def sections_of(text: str) -> dict[str, list[str]]:
    """The sections that a headed text has, each with its entries, in the order in which they begin.

    A formulation that is repeated is read once; what stands under other headings, before the first and after the last
    section is not read.

    >>> sections_of("**Sets:**\\n- P = {a, b}\\n\\n## 3. Decision variables\\nx: integer\\n\\nObjective: maximize x")
    {'sets': ['P = {a, b}'], 'variables': ['x: integer'], 'objective': ['maximize x']}
    """
    bodies: dict[str, list[str]] = {}
    current = ""
    for line in text.splitlines():
        section, rest = _heading(line)
        if section:
            if section in bodies and bodies.keys() >= {"variables", "objective", "constraints"}:
                break
            current = section
            bodies.setdefault(section, []).append(rest)
        elif _OTHER_HEADING.match(line):
            current = ""
        elif current:
            bodies[current].append(line)
    return {section: entries_of("\n".join(body)) for section, body in bodies.items()}


def entries_of(body: str) -> list[str]:
    """The entries of a section: its list items, or its lines where it has none; [] where it says that there is none.

    >>> entries_of("1. Labour:\\n   \\\\[ 3x + 2y <= 10 \\\\]\\n2. x >= 0\\n\\nThese are all."), entries_of("None.")
    (['Labour: \\\\[ 3x + 2y <= 10 \\\\]', 'x >= 0'], [])
    """
    lines = body.splitlines()
    listed = any(map(_BULLET.match, lines))
    found: list[str] = []
    gap = False
    for line in lines:
        if _DECORATION.match(line):
            gap = gap or not line.strip()
        elif begun := _BULLET.match(line):
            found.append(line[begun.end() :].strip())
            gap = False
        elif not listed or not found:
            found.append(line.strip())
        elif not gap or _MATHEMATICAL.search(line):
            found[-1] += " " + line.strip()
            gap = False
    return [entry for entry in found if not _NOTHING.fullmatch(entry)]


def _heading(line: str) -> tuple[str, str]:
    """The section that a line opens and what it says beside, or nothing."""
    begin, more = line[:_LONGEST], line[_LONGEST:]
    for section, form in _HEADINGS.items():
        if found := form.match(begin):
            return section, (found["rest"] or "") + more
    return "", ""
