"""A formulated optimization problem: a record of five elements, and the headed text that models read and write.

The five elements are LLMOPT's (Jiang et al. 2024, arXiv 2410.13213): sets, parameters, variables, objective,
constraints. ``FiveElements.text`` renders them, ``read_five_elements`` reads such a text back, or JSON, or what a weak
model made of either.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, Literal

from pydantic import ValidationError, model_validator

from agentopt.core.values import Frozen
from agentopt.errors import MalformedAnswer
from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.modelling import formulation_lines as lines
from agentopt.evaluate.modelling.formulation_sections import SECTIONS, entries_of, section_named, sections_of
from agentopt.evaluate.reading import without_thoughts
from agentopt.llm.structured import parse_json

__all__ = [
    "Constraint",
    "Datum",
    "FiveElements",
    "IndexSet",
    "Kind",
    "Objective",
    "Sense",
    "Variable",
    "read_five_elements",
]

Sense = Literal["maximize", "minimize"]
Kind = Literal["continuous", "integer", "binary"]
_PASSES = 8


class _Entry(Frozen):
    """An entry of a section, given as its line or as its fields; an entry is what its line says."""

    needs: ClassVar[Mapping[str, str]] = {"name": "it has no name"}
    """Fields that must not be empty, and what is wrong when they are."""

    @property
    def line(self) -> str:
        """The entry as one line of text."""
        return self._line({name: getattr(self, name) for name in type(self).model_fields})

    @staticmethod
    def _formal(fields: Mapping[str, str]) -> str:
        """The part of the line before the meaning."""
        return " = ".join(filter(None, list(fields.values())[:2]))

    @classmethod
    def _line(cls, fields: Mapping[str, str]) -> str:
        return lines.written(cls._formal(fields), fields["meaning"])

    @classmethod
    def _read(cls, line: str) -> dict[str, str]:
        """The fields that a line states; a set and a parameter are read alike."""
        return lines.datum(line, list(cls.model_fields)[1])

    @model_validator(mode="before")
    @classmethod
    def _from_line(cls, given: Any) -> Any:
        if isinstance(given, Mapping):
            given = cls._line(lines.named_fields(given, tuple(cls.model_fields)))
        if not isinstance(given, str):
            return given
        line, fields = "", cls._read(given)
        for _ in range(_PASSES):  # until its line says the same
            for name, problem in cls.needs.items():
                if not fields[name]:
                    raise ValueError(f"{problem} ({given[:80]!r})")
            before, line = line, cls._line(fields)
            if line == before:
                return fields
            fields = cls._read(line)
        raise ValueError(f"it can be read in too many ways ({given[:80]!r})")


class IndexSet(_Entry):
    """What subscripts run over: ``P = {chairs, tables}  # products``."""

    name: str
    members: str = ""
    meaning: str = ""


class Datum(_Entry):
    """A given number, or several: ``c = [45, 80]  # profit of each product``."""

    name: str
    value: str = ""
    meaning: str = ""


class Variable(_Entry):
    """A decision variable: ``x: integer, x >= 0  # chairs to be made``."""

    name: str
    kind: Kind = "continuous"
    bounds: str = ""
    meaning: str = ""

    @staticmethod
    def _formal(fields: Mapping[str, str]) -> str:
        rest = ", ".join(filter(None, (fields["kind"], fields["bounds"])))
        return f"{fields['name']}: {rest}" if rest else fields["name"]

    @classmethod
    def _read(cls, line: str) -> dict[str, str]:
        return lines.variable(line)


class Objective(_Entry):
    """What is best: ``maximize 45 x + 80 y  # profit``."""

    needs: ClassVar[Mapping[str, str]] = {
        "sense": "it says neither maximize nor minimize",
        "expression": "nothing is maximized or minimized",
    }
    sense: Sense
    expression: str
    meaning: str = ""

    @staticmethod
    def _formal(fields: Mapping[str, str]) -> str:
        return f"{fields['sense']} {fields['expression']}".strip()

    @classmethod
    def _read(cls, line: str) -> dict[str, str]:
        return lines.objective(line)


class Constraint(_Entry):
    """What must hold: ``5 x + 20 y <= 400  # wood``."""

    needs: ClassVar[Mapping[str, str]] = {"expression": "it is empty"}
    expression: str
    meaning: str = ""

    @staticmethod
    def _formal(fields: Mapping[str, str]) -> str:
        return fields["expression"]

    @classmethod
    def _read(cls, line: str) -> dict[str, str]:
        return lines.constraint(line)


class FiveElements(Frozen):
    """An optimization problem in five elements; each may be given as records, as lines, or as one text."""

    sets: tuple[IndexSet, ...] = ()
    """Index sets."""
    parameters: tuple[Datum, ...] = ()
    """The given numbers."""
    variables: tuple[Variable, ...]
    """Decision variables, at least one."""
    objective: Objective
    """What is maximized or minimized."""
    constraints: tuple[Constraint, ...]
    """What a solution must keep to; may be empty, but must be said."""

    @model_validator(mode="before")
    @classmethod
    def _by_section(cls, given: Any) -> Any:
        if not isinstance(given, Mapping):
            return given
        found: dict[str, Any] = {}
        for key, value in given.items():
            section = section_named(str(key)) or str(key)
            found[section] = _objective(value) if section == "objective" else _entries(section, value)
        return found

    @model_validator(mode="after")
    def _decides_something(self) -> FiveElements:
        if not self.variables:
            raise ValueError("the section Variables is empty: a problem has at least one decision variable")
        return self

    @property
    def text(self) -> str:
        """The five sections in order, each with its heading; what is empty says so."""
        parts = []
        for section in SECTIONS:
            entries = getattr(self, section)
            entries = (entries,) if section == "objective" else entries
            parts.append(f"## {section.capitalize()}\n" + ("\n".join(f"- {e.line}" for e in entries) or "- none"))
        return "\n\n".join(parts) + "\n"


def read_five_elements(text: str) -> FiveElements:
    """The five elements in a model's answer: headed text in the order and spelling of whoever wrote it, or JSON.

    Headings may be Markdown, bold, numbered or plain; entries are list items or lines, in LaTeX or plain. Sets and
    parameters may be missing, the other three sections not: a text without one was cut, or is none.

    >>> chairs = FiveElements(variables="x: integer, x >= 0  # chairs", objective="max 45 x", constraints="5 x <= 400")
    >>> chairs.variables[0].kind, chairs.objective.sense, read_five_elements(chairs.text) == chairs
    ('integer', 'maximize', True)

    Raises:
        MalformedAnswer: which section is missing, or which entry of it cannot be read and why.

    >>> oats = "Variables: x: int\\nObjective: max 3x\\nConstraints:\\n1. Oats: 2x <= 7"
    >>> read_five_elements(oats).constraints[0].line
    '2x <= 7  # Oats'
    """
    try:
        said = without_thoughts(text)
    except Unreadable as problem:
        raise MalformedAnswer(str(problem), text) from None
    found = _from_json(said) or dict(sections_of(said))
    missing = [section.capitalize() for section in ("variables", "objective", "constraints") if section not in found]
    if missing:
        there = ", ".join(section.capitalize() for section in found) or "none"
        raise MalformedAnswer(f"the formulation has no section {', '.join(missing)} (found: {there})", text)
    try:
        return FiveElements.model_validate(found)
    except ValidationError as error:
        told = "; ".join(f"{_place(e['loc'])}: {e['msg'].removeprefix('Value error, ')}" for e in error.errors()[:8])
    raise MalformedAnswer(f"the formulation cannot be read: {told}", text)


def _from_json(text: str) -> dict[str, Any]:
    """The sections of the JSON object in a text; nothing where it holds no formulation."""
    if "{" not in text:
        return {}
    try:
        value = parse_json(text)
    except MalformedAnswer:
        return {}
    while isinstance(value, dict) and len(value) == 1:  # {"five_elements": {...}}
        value = next(iter(value.values()))
    if not isinstance(value, dict):
        return {}
    found = {section: part for key, part in value.items() if (section := section_named(str(key)))}
    return found if len(found) > 1 else {}


def _entries(section: str, value: Any) -> Any:
    """The entries of a section, however it was given."""
    if value is None:
        return []
    if isinstance(value, str):
        return entries_of(value)
    if isinstance(value, Mapping):
        if value and all(isinstance(part, str | int | float | list) for part in value.values()):
            if {"name", "expression"} & {str(key).lower() for key in value}:
                return [value]
            mark = ": " if section in ("variables", "constraints") else " = "
            return [f"{name}{mark}{part}" for name, part in value.items()]
        return [{"name": name, **part} if isinstance(part, Mapping) else part for name, part in value.items()]
    return value


def _objective(value: Any) -> Any:
    """An objective is one: lines are joined, and of one object in a list the object is taken."""
    if isinstance(value, str):
        value = entries_of(value)
    if isinstance(value, list | tuple) and all(isinstance(part, str) for part in value):
        return " ".join(value)
    return value[0] if isinstance(value, list | tuple) and len(value) == 1 else value


def _place(loc: tuple[int | str, ...]) -> str:
    """Where something is wrong: section, and entry counted from 1."""
    section, *rest = loc or ("formulation",)
    entry = next((f" {part + 1}" for part in rest if isinstance(part, int)), "")
    return f"{str(section).capitalize()}{entry}"
