"""The requests of Scattered Forest Search, put together from the prompt file ``meta/forest``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentopt.llm.types import Message
from agentopt.optim.base import ParameterSpec, Scored, View
from agentopt.optim.forest.forms import MARKS, as_text, form, is_json
from agentopt.optim.forest.report import said
from agentopt.optim.forest.settings import Settings
from agentopt.optim.frame import marks, split
from agentopt.optim.meta import bounds, clip, estimate_tokens, fill, section, show, size_of

__all__ = ["Words"]

_CUTS = (
    "passed",
    "known",
    "insights",
    "failed",
    "after_failed",
    "before_failed",
    "start",
    "before",
    "after",
    "current",
)
"""What a request that is too long loses, in this order."""


class Words:
    """Makes the messages of each kind of request about some parameters of a run.

    Args:
        view: the run.
        settings: the options.
        specs: the parameters that are searched.
    """

    def __init__(self, view: View, settings: Settings, specs: Sequence[ParameterSpec]) -> None:
        self._view, self._settings, self._specs = view, settings, specs
        self._text = view.prompt("meta/forest")
        many = len(specs) > 1
        self._about = {
            "objective": view.objective,
            "description": "\n".join(_named(spec, spec.description, many) for spec in specs if spec.description),
            "constraint": "\n".join(_named(spec, spec.constraint, many) for spec in specs if spec.constraint),
            "bounds": "; ".join(b for spec in specs if (b := bounds(spec))),
        }

    def seed(self, theme: str) -> tuple[Message, ...]:
        """A candidate from nothing but the goal and where the run began, in the manner of a theme."""
        return self._messages(
            "seed", {"start": as_text(self._specs, self._view.baseline.values)}, self.closing(), theme
        )

    def scatter(self, node: Scored, insights: str, known: Sequence[str]) -> tuple[Message, ...]:
        """Different directions in which a candidate could become better."""
        values = {"insights": insights, "known": _listed(known), "count": str(self._settings.directions)}
        kind = "scatter_text" if self._settings.answer == "text" else "scatter_json"
        return self._messages("scatter", values | self._tried(node), self.part(kind))

    def write(self, node: Scored, direction: str, insights: str) -> tuple[Message, ...]:
        """A candidate from another one: by a direction, or, without one, from its feedback."""
        if direction:
            return self._messages("implement", {"idea": direction} | self._tried(node), self.closing())
        return self._messages("refine", {"insights": insights} | self._tried(node), self.closing())

    def scout(self, before: Scored, after: Scored, direction: str, change: float, insights: str) -> tuple[Message, ...]:
        """What a child taught."""
        old, new = self._tried(before), self._tried(after)
        values = {
            "before": old["current"], "before_failed": old["failed"], "after": new["current"],
            "after_failed": new["failed"], "idea": direction, "change": f"{'+' if change > 0 else ''}{show(change)}",
            "insights": insights, "count": str(self._settings.insights),
        }  # fmt: skip
        kind = "scout_text" if self._settings.answer == "text" else "scout_json"
        return self._messages("scout", values, self.part(kind))

    def part(self, name: str, values: Mapping[str, str] | None = None) -> str:
        """A part of the prompt file, filled."""
        return fill(section(self._text, name), values or {})

    def closing(self) -> str:
        """In which form a candidate is to be answered."""
        asked = "json" if is_json(self._settings.answer, self._specs) else form(self._specs)
        names = ", ".join(spec.name for spec in self._specs)
        told = self.part(f"{asked}_closing", {"names": names, "mark": MARKS[0], "mark_end": MARKS[1]})
        held = sorted(marks(" ".join(split(str(s.value)).body for s in self._specs if s.kind == "text")))
        return f"{told}\n{self.part('keep', {'marks': ' '.join(held)})}" if held else told

    def _tried(self, node: Scored) -> dict[str, str]:
        told = said(self._view, node, shown=self._settings.shown, chars=self._settings.shown_chars)
        return {
            "current": as_text(self._specs, node.candidate.values),
            "failed": told.failed,
            "passed": told.passed,
            "counted": told.counted if told.failed else "",
        }

    def _messages(self, part: str, values: Mapping[str, str], closing: str, theme: str = "") -> tuple[Message, ...]:
        """System and user message; too long ones are shortened field by field, the less needed first."""
        system = self.part("system")
        if theme:
            system += "\n\n" + self.part("theme", {"theme": theme})
        filled, most = dict(values), self._settings.max_prompt_tokens
        for name in (None, *_CUTS, *_CUTS):
            if name in filled:
                filled[name] = clip(filled[name], max(20, estimate_tokens(filled[name]) // 3))
            messages = (
                Message(role="system", content=system),
                Message(role="user", content=self._user(part, filled, closing)),
            )
            if size_of(messages) <= most:
                break
        return messages

    def _user(self, part: str, values: Mapping[str, str], closing: str) -> str:
        inner = {"about": self.part("about", self._about), "closing": closing}
        if "current" in values:
            inner["tried"] = self.part("tried", {**inner, **values})
        return self.part(part, {**inner, **values})


def _named(spec: ParameterSpec, text: str, many: bool) -> str:
    return f"{spec.name}: {text}" if many else text


def _listed(lines: Sequence[str]) -> str:
    return "\n".join(f"- {line}" for line in lines if line)
