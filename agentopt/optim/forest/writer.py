"""Asking the optimizer's model, and reading what it wrote: candidates, directions, insights."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from agentopt.errors import BudgetExhausted, ConstraintError, LLMError, UnusableAnswer
from agentopt.llm.types import Address, Message, Request
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.forest.directions import distinct, read_ideas
from agentopt.optim.forest.forms import is_json, read_answer
from agentopt.optim.forest.insights import read_insights
from agentopt.optim.forest.settings import Settings
from agentopt.optim.meta import usable_text
from agentopt.optim.suggest import Suggestion, answer_schema, read_values

__all__ = ["UNCHANGED", "Asked", "Lines", "Writer"]

UNCHANGED = "nothing was changed"
"""What is said of an answer that repeats what it was to change."""
_WARMER = 0.3  # each further attempt at an answer
_HOTTEST = 1.2
_REFLECTION = 600  # characters; without a limit small models reflect until their cap cuts them
_LINE = 400


@dataclass(frozen=True, slots=True)
class Asked:
    """One thing that is asked: where in the ask it stands, the messages, the seeds of its attempts, its warmth."""

    path: str
    messages: tuple[Message, ...]
    seeds: tuple[int, ...]
    temperature: float


@dataclass(frozen=True, slots=True)
class Lines:
    """Directions or insights that a model wrote, what was wrong with its answers, and what stopped it."""

    lines: tuple[str, ...]
    faults: tuple[str, ...] = ()
    stopped: BudgetExhausted | LLMError | None = None


class Writer:
    """Asks about some parameters of a run; never raises for what a model or the budget does.

    Args:
        view: the run.
        settings: the options.
        specs: the parameters that are searched.
    """

    def __init__(self, view: View, settings: Settings, specs: Sequence[ParameterSpec]) -> None:
        self._view, self._settings, self._specs = view, settings, specs
        self._by_name = {spec.name: spec for spec in specs}

    async def candidate(self, asked: Asked, current: Mapping[str, JsonValue], why: str) -> Suggestion:
        """New values on the current ones, from the first answer that is of use."""
        schema = None
        if is_json(self._settings.answer, self._specs):
            schema = answer_schema(self._specs, reasoning=False)
        found: dict[str, JsonValue] = {}

        def take(text: str) -> None:
            raw = read_answer(text, self._specs, self._settings.answer)
            tidy = {name: self._tidy(name, value) for name, value in raw.items()}
            values, faults = read_values({"suggestion": tidy}, self._by_name, current, self._view, self._settings.off)
            if faults and not values:
                raise ConstraintError("; ".join(faults))
            found.update(values)  # an unchanged candidate is an answer, too: it is not asked for anew

        told = await self._until(asked, schema, self._settings.max_tokens, take)
        read = told.stopped is None and len(told.faults) < len(asked.seeds)
        faults = (*told.faults, f"{asked.path}: {UNCHANGED}") if read and not found else told.faults
        return Suggestion(found, why, faults, told.stopped)

    async def ideas(self, asked: Asked, known: Sequence[str]) -> Lines:
        """Directions that differ from each other and from the known ones; fewer than asked for where it has no more."""
        count = self._settings.directions
        schema = _schema("ideas", count, count, reflection=True)
        found: list[str] = []

        def take(text: str) -> None:
            found[:] = distinct(read_ideas(text), known)[:count]
            if not found:
                raise ConstraintError("the answer has no new idea")

        told = await self._until(asked, schema, self._settings.max_idea_tokens, take)
        return Lines(tuple(found), told.faults, told.stopped)

    async def lessons(self, asked: Asked) -> Lines:
        """Insights as they are to be kept now."""
        schema = _schema("insights", 1, max(1, self._settings.insights))
        found: list[str] = []

        def take(text: str) -> None:
            found[:] = read_insights(text)[: self._settings.insights]
            if not found:
                raise ConstraintError("the answer has no insights")

        once = Asked(asked.path, asked.messages, asked.seeds[:1], asked.temperature)
        told = await self._until(once, schema, self._settings.max_idea_tokens, take)
        return Lines(tuple(found), told.faults, told.stopped)

    def _tidy(self, name: str, value: JsonValue) -> JsonValue:
        spec = self._by_name[name]
        if spec.kind == "text" and isinstance(value, str):
            return usable_text(value)
        if spec.kind == "number" and spec.integer and isinstance(value, float) and value == round(value):
            return round(value)
        return value

    async def _until(
        self, asked: Asked, schema: dict[str, JsonValue] | None, cap: int, take: Callable[[str], None]
    ) -> Lines:
        """Ask until ``take`` does not refuse an answer, at most once a seed."""
        faults: list[str] = []
        for attempt, seed in enumerate(asked.seeds):
            warmth = max(asked.temperature, min(_HOTTEST, asked.temperature + _WARMER * attempt))
            request = Request(
                model=self._view.llm.model,
                messages=asked.messages,
                role="optimizer",
                max_tokens=cap,
                temperature=warmth,
                seed=seed,
                json_schema=None if self._settings.answer == "text" else schema,
                address=Address(scope=f"ask/{self._view.step}", path=asked.path, ordinal=attempt),
            )
            try:
                response = await self._view.llm.complete(request)
                if response.unfinished:
                    raise ConstraintError(f"the answer was cut off {response.unfinished}")
                take(response.text)
            except (ConstraintError, UnusableAnswer) as error:
                faults.append(f"{asked.path}{f', attempt {attempt + 1}' if attempt else ''}: {error}")
                continue
            except (BudgetExhausted, LLMError) as error:
                return Lines((), (*faults, f"{asked.path}: {error}"), error)
            return Lines((), tuple(faults))
        return Lines((), tuple(faults))


def _schema(name: str, least: int, most: int, *, reflection: bool = False) -> dict[str, JsonValue]:
    line: dict[str, JsonValue] = {"type": "string", "maxLength": _LINE}
    fields: dict[str, JsonValue] = {"reflection": {"type": "string", "maxLength": _REFLECTION}} if reflection else {}
    fields[name] = {"type": "array", "items": line, "minItems": least, "maxItems": most}
    return {"type": "object", "properties": fields, "required": list(fields), "additionalProperties": False}
