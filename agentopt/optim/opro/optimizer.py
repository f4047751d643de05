"""OPRO on the ask/tell protocol."""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

from pydantic import JsonValue

from agentopt.core.values import Outcome, Proposal
from agentopt.errors import BudgetExhausted, ConstraintError, LLMError, UnusableAnswer
from agentopt.llm.types import Address, Message, Request, model_identity
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.frame import split
from agentopt.optim.meta import parse_object, usable_text
from agentopt.optim.operators import tunable
from agentopt.optim.opro.forms import form_of, read
from agentopt.optim.opro.polish import fault, key, polish, scripts_of
from agentopt.optim.opro.request import build, check_words, input_text
from agentopt.optim.opro.schedule import SCHEDULES
from agentopt.optim.opro.settings import Settings
from agentopt.optim.opro.starts import STARTS, given, random_start
from agentopt.optim.options import check_change
from agentopt.optim.suggest import Suggestion, answer_schema, read_values, settle

__all__ = ["OPRO"]

_LIST_RETRIES = 3
_SHOWN = 80  # characters of an answer that a reason repeats


@dataclass(frozen=True, slots=True)
class Plan:
    """One sample before it is drawn: what is asked, how, and the seeds of its attempts."""

    number: int
    specs: tuple[ParameterSpec, ...]
    messages: tuple[Message, ...]
    temperature: float
    seeds: tuple[int, ...]
    cut: str
    """What was left out of the meta-prompt for its length."""


@dataclass(kw_only=True, eq=False)
class OPRO(Settings):
    """Shows a model the best candidates so far with their scores, worst to best, and asks for a better one.

    A step of OPRO is one meta-prompt and several independent answers to it. What is usable is handed out as the run
    asks for it: a run that takes 4 proposals a step evaluates the 8 of one meta-prompt in two steps, and the next
    meta-prompt is made when all are known. Yang et al. 2024, "Large Language Models as Optimizers",
    https://arxiv.org/abs/2309.03409, sections 2 and 4. The options are those of ``Settings``.

    Raises:
        UnknownName: a strategy that does not exist.
        UsageError: an option out of range.

    >>> OPRO(order="descending", exemplars=0).samples
    8
    """

    name: ClassVar[str] = "opro"

    _step: int = field(default=0, init=False, repr=False)
    _started: bool = field(default=False, init=False, repr=False)
    _waiting: list[Proposal] = field(default_factory=list, init=False, repr=False)

    def check_parameters(self, parameters: Mapping[str, ParameterSpec], prompt: Callable[[str], str]) -> None:
        """Refuse a search without a parameter that it tunes, or whose parameters the style has no words for."""
        check_change(self.name, parameters, self.kinds)
        specs = [spec for spec in parameters.values() if spec.kind in self.kinds]
        for asked in [specs] if self.focus == "all" else [[spec] for spec in specs]:
            check_words(self, asked, prompt)

    async def ask(self, view: View, n: int) -> list[Proposal]:
        """Up to ``n`` candidates: starting points, what is left of the last meta-prompt, or a new one's."""
        specs = tunable(view, self.kinds)
        if not specs or n < 1:
            return []
        if not self._started:
            self._started = True
            self._waiting = self._starting_points(view, specs)
        known = {key(scored.candidate.values, view.parameters) for scored in view.archive}
        self._waiting = [
            p for p in self._waiting if p.rejected or key(p.candidate.values, view.parameters) not in known
        ]
        if self._waiting:
            return self._hand_out(n)
        plans = self._plans(view, specs)
        self._step += 1
        drawn = await self._all_drawn(view, plans, known)
        found = settle(view, _without_repeats(drawn, view), self.name)
        parent = view.best.candidate.id
        self._waiting = [p for p in found if p.candidate.id != parent]
        return self._hand_out(n, [p for p in found if p.candidate.id == parent])

    def _hand_out(self, n: int, useless: Sequence[Proposal] = ()) -> list[Proposal]:
        """The next ``n`` that wait; then answers of no use, whose reasons the run records, at most ``n`` in all."""
        out, self._waiting = self._waiting[:n], self._waiting[n:]
        room = n - len(out)
        extra = [reason for p in useless[room:] for reason in p.rejected]
        out += useless[:room]
        if extra:
            out[-1] = out[-1].model_copy(update={"rejected": (*out[-1].rejected, *extra)})
        return out

    def _starting_points(self, view: View, specs: Sequence[ParameterSpec]) -> list[Proposal]:
        """Given ones, then random ones; those that a parameter refuses carry the reason."""
        count = self.starts
        if count is None:
            count = 0 if any(spec.kind in ("text", "code") for spec in specs) else STARTS
        found = given(self, specs) + [random_start(self, specs, view.rng) for _ in range(count)]
        by_name = {spec.name: spec for spec in specs}
        suggestions = []
        for values in found:
            accepted, faults = _accepted(values, by_name, view, self.off)
            if accepted or faults:
                suggestions.append(Suggestion(accepted, "a starting point", tuple(faults)))
        return settle(view, _without_repeats(suggestions, view), f"{self.name}/start")

    def _plans(self, view: View, specs: Sequence[ParameterSpec]) -> list[Plan]:
        """Everything random of a step, drawn before anything is awaited."""
        rng, made = view.rng, {}
        retries = self.retries
        share = self._step / self.schedule_steps
        warmth = SCHEDULES[self.schedule](self.temperature, self.temperature_end or 0.0, share)
        drawing = rng.getrandbits(64)
        plans = []
        for i in range(self.samples):
            asked = tuple(specs) if self.focus == "all" else (specs[(self._step * self.samples + i) % len(specs)],)
            names = tuple(spec.name for spec in asked)
            if names not in made:
                made[names] = build(view, self, asked, random.Random(drawing))
            more = retries if retries is not None else _LIST_RETRIES if form_of(asked) == "list" else 0
            seeds = tuple(rng.randrange(2**31 - 1) for _ in range(more + 1))
            plans.append(Plan(i, asked, made[names].messages, warmth, seeds, made[names].cut))
        return plans

    async def _all_drawn(self, view: View, plans: Sequence[Plan], known: Collection[str]) -> list[Suggestion]:
        """All samples side by side; where it helps, one of each meta-prompt goes ahead and has its prefix cached."""
        near = model_identity(view.llm.model).startswith(("local/", "loopback/"))
        ahead = near if self.ahead is None else self.ahead
        first = {plan.messages: plan.number for plan in reversed(plans)}.values() if ahead else ()
        found: dict[int, Suggestion] = {}
        for wave in ([p for p in plans if p.number in first], [p for p in plans if p.number not in first]):
            drawn = await asyncio.gather(*(self._drawn(view, plan, known) for plan in wave))
            found |= {plan.number: suggestion for plan, suggestion in zip(wave, drawn, strict=True)}
        return [found[plan.number] for plan in plans]

    async def _drawn(self, view: View, plan: Plan, known: Collection[str]) -> Suggestion:
        """A sample: as many attempts as it has seeds, until one is usable and not among what is known."""
        faults: list[str] = []
        for attempt, _ in enumerate(plan.seeds):
            said = f"sample {plan.number + 1}" + (f", attempt {attempt + 1}" if attempt else "")
            try:
                text = await self._answer(view, plan, attempt)
                values = self._values(view, plan, text)
            except ConstraintError as error:
                faults.append(f"{said}: {error}")
                continue
            except (BudgetExhausted, LLMError) as error:
                return Suggestion({}, "", (*faults, f"{said}: {error}"), error)
            made = view.best.candidate.change(values)
            if key(made.values, view.parameters) in known:
                faults.append(f"{said}: the same as an earlier candidate")
                continue
            cut = f" ({plan.cut})" if plan.cut else ""
            return Suggestion(values, f"step {self._step}, {said}{cut}", tuple(faults))
        return Suggestion({}, "", tuple(faults))

    async def _answer(self, view: View, plan: Plan, attempt: int) -> str:
        """What the model wrote; ``ConstraintError`` when it is cut."""
        try:
            response = await view.llm.complete(
                Request(
                    model=view.llm.model,
                    messages=plan.messages,
                    role="optimizer",
                    max_tokens=self.max_tokens,
                    temperature=plan.temperature,
                    seed=plan.seeds[attempt],
                    json_schema=answer_schema(plan.specs, reasoning=False) if self.json else None,
                    address=Address(scope=f"ask/{view.step}", path=f"opro/{plan.number}", ordinal=attempt),
                )
            )
        except UnusableAnswer as error:
            raise ConstraintError(str(error)) from None
        if response.unfinished:
            raise ConstraintError(f"the answer was cut off {response.unfinished}")
        return response.text

    def _values(self, view: View, plan: Plan, text: str) -> dict[str, JsonValue]:
        """The new values in an answer; ``ConstraintError`` with all reasons when they are of no use."""
        if not text.strip():
            raise ConstraintError("the answer is empty")
        data = parse_object(text) if self.json or form_of(plan.specs) == "mixed" else None
        if data is None and self.answer == "json":
            raise ConstraintError("the answer has no complete JSON object")
        if data is None:
            try:
                data = dict(read(form_of(plan.specs), plan.specs, text, self.markers))
            except ConstraintError as error:
                raise ConstraintError("the answer has no complete JSON object" if self.json else str(error)) from None
        inner = data.get("suggestion", data)
        if not isinstance(inner, dict):
            raise ConstraintError("the answer has no object under 'suggestion'")
        if not inner:
            raise ConstraintError(f"the answer names none of {', '.join(spec.name for spec in plan.specs)}")
        by_name = {spec.name: spec for spec in plan.specs}
        whole = {name: self._clean(view, by_name[name], raw) if name in by_name else raw for name, raw in inner.items()}
        values, faults = _accepted(whole, by_name, view, self.off)
        if faults:
            raise ConstraintError("; ".join(faults))
        if not values:
            raise ConstraintError("the same values as the best candidate's")
        return values

    def _clean(self, view: View, spec: ParameterSpec, raw: JsonValue) -> JsonValue:
        """A text polished and filtered, a number rounded where whole ones are wanted."""
        if spec.kind == "number" and spec.integer:
            try:
                return round(float(raw)) if isinstance(raw, int | float | str) and not isinstance(raw, bool) else raw
            except (ValueError, OverflowError):
                return raw
        if spec.kind != "text" or not isinstance(raw, str):
            return raw
        text = polish(usable_text(raw), self.quotes)
        body = split(text).body if text else ""
        scripts = None if self.scripts == "any" else _scripts(view, spec)
        problem = fault(body, max_chars=self.max_chars, digits=self.digits, quotes=self.quotes, scripts=scripts)
        if problem:
            raise ConstraintError(f"{spec.name}: {problem} ({_short(text)})" if text else f"{spec.name}: {problem}")
        return text

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing to keep: the trajectory is read from the archive, which holds every outcome."""

    def state(self) -> dict[str, JsonValue]:
        """The step, and what the last meta-prompt brought that was not handed out yet."""
        waiting: list[JsonValue] = [proposal.model_dump(mode="json") for proposal in self._waiting]
        return {"step": self._step, "started": self._started, "waiting": waiting}

    def load(self, state: Mapping[str, JsonValue]) -> None:
        """Take a state that ``state`` gave."""
        step, waiting = state.get("step", 0), state.get("waiting", [])
        self._step = step if isinstance(step, int) else 0
        self._started = bool(state.get("started", False))
        self._waiting = [Proposal.model_validate(p) for p in waiting] if isinstance(waiting, list) else []


def _accepted(
    values: Mapping[str, JsonValue], specs: Mapping[str, ParameterSpec], view: View, off: Any
) -> tuple[dict[str, JsonValue], list[str]]:
    return read_values({"suggestion": dict(values)}, specs, view.best.candidate.values, view, off)


def _without_repeats(found: Sequence[Suggestion], view: View) -> list[Suggestion]:
    """The suggestions, of which those that repeat an earlier one of the same step keep the reason only."""
    seen: set[str] = set()
    out = []
    for suggestion in found:
        name = key(view.best.candidate.change(suggestion.values).values, view.parameters)
        if suggestion.values and name in seen:
            suggestion = replace(suggestion, values={}, rejected=(*suggestion.rejected, _REPEAT.format(suggestion.why)))
        seen.add(name)
        out.append(suggestion)
    return out


_REPEAT = "{}: the same as another one of this step"


def _scripts(view: View, spec: ParameterSpec) -> set[str]:
    """The scripts of the starting text and of the task's examples."""
    texts = [str(view.baseline.values.get(spec.name, spec.value)), view.objective]
    for id in sorted({o.example for o in view.archive[0].outcomes})[:20] if view.archive else ():
        texts.extend(map(input_text, view.example(id)))
    return set(scripts_of(texts))


def _short(text: str) -> str:
    flat = " ".join(text.split())
    return repr(flat if len(flat) <= _SHOWN else flat[: _SHOWN - 3] + "...")
