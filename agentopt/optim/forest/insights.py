"""What the search has learned: a few general lines that a model keeps up to date, and notes of what was tried."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import JsonValue

from agentopt.optim.forest.directions import distinct
from agentopt.optim.meta import parse_object, show

__all__ = ["Insights", "Note", "read_insights"]

_LONGEST = 300  # characters of a line
_HEAD = re.compile(r"^\W*(?:updated\s+)?insights?\W*$|^\W*(?:updated\s+)?insights?\s*:", re.IGNORECASE | re.MULTILINE)
_BULLET = re.compile(r"^\s*(?:[-*•]|\d+\s*[.)])\s*")
_NOTHING = {"none", "n/a", "null", "nothing"}


@dataclass(frozen=True, slots=True)
class Note:
    """A direction that was tried: in which tree, and how the score changed."""

    direction: str
    tree: int
    change: float


@dataclass(slots=True)
class Insights:
    """Shared by all trees. ``lines`` are merged, never lost to an answer that cannot be read.

    >>> insights = Insights(["Test empty inputs."])
    >>> insights.merge(["Sorting helps.", "test EMPTY inputs"], most=2)
    >>> insights.lines
    ['Sorting helps.', 'test EMPTY inputs']
    """

    lines: list[str] = field(default_factory=list)
    notes: list[Note] = field(default_factory=list)

    def merge(self, lines: Sequence[str], *, most: int) -> None:
        """The new lines first, then the earlier ones that they do not repeat, at most so many."""
        self.lines = distinct([*lines, *self.lines])[:most]

    def note(self, note: Note, *, most: int) -> None:
        """Keep a note; of too many, those that changed the score least go first, the older of equals before."""
        self.notes.append(note)
        while len(self.notes) > most:
            least = min(range(len(self.notes)), key=lambda i: (abs(self.notes[i].change), i))
            del self.notes[least]

    def shown(self) -> str:
        """As lines of a request: insights, then notes, the most helpful first."""
        ranked = sorted(self.notes, key=lambda note: -note.change)
        tried = [f"- ({'+' if n.change > 0 else ''}{show(n.change)}) {n.direction}" for n in ranked]
        return "\n".join([*(f"- {line}" for line in self.lines), *tried])

    def state(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {"lines": list(self.lines), "notes": [asdict(note) for note in self.notes]}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Insights:
        """From what ``state`` gave."""
        return cls(list(state.get("lines", ())), [Note(**note) for note in state.get("notes", ())])


def read_insights(text: str) -> list[str]:
    """The lines of insight in an answer; an empty list when it has none that can be read.

    >>> read_insights('{"insights": ["Test empty inputs."]}')
    ['Test empty inputs.']
    >>> read_insights("Reflections:\\n- it helped\\n\\nUpdated insights:\\n\\n- Sort first.\\n- Use sets.")
    ['Sort first.', 'Use sets.']
    """
    data = parse_object(text)
    if data is not None:
        found = data.get("insights")
        raw = found if isinstance(found, list) else str(found).splitlines() if isinstance(found, str) else []
    else:
        heads = list(_HEAD.finditer(text))
        raw = text[heads[-1].end() :].splitlines() if heads else []
    lines = [" ".join(_BULLET.sub("", line).split())[:_LONGEST] for line in raw if isinstance(line, str)]
    return [line for line in lines if line and line.casefold().strip(".") not in _NOTHING]
