"""From a meta-prompt to checked values: one request, per-parameter validation, one repair round."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from pydantic import JsonValue

from agentopt.core.values import Proposal, canonical
from agentopt.errors import BudgetExhausted, ConstraintError, LLMError
from agentopt.llm.types import Message
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.frame import split
from agentopt.optim.invariants import check_value
from agentopt.optim.meta import Answer, ask_json, bare_source, fill, parse_object, usable_text, value_schema

__all__ = ["Sampling", "Suggestion", "answer_schema", "read_values", "settle", "suggest"]

_REASON = 300  # characters; without a limit small models reason in circles until their cap cuts them


@dataclass(frozen=True, slots=True)
class Sampling:
    """How one request is drawn. ``path`` is its address within the ask; ``max_tokens`` caps the answer."""

    path: str
    seed: int
    temperature: float | None = 0.7
    max_tokens: int = 400


@dataclass(frozen=True, slots=True)
class Suggestion:
    """What a model suggested and what was left of it.

    ``values`` holds the accepted new values only (changed, valid), ``rejected`` one line for each thing that was not
    accepted, repaired ones included, ``why`` the model's reason.
    """

    values: dict[str, JsonValue]
    why: str = ""
    rejected: tuple[str, ...] = ()
    stopped: BudgetExhausted | LLMError | None = None


def answer_schema(specs: Sequence[ParameterSpec], *, reasoning: bool = True) -> dict[str, JsonValue]:
    """JSON schema of the answer: ``reasoning`` first, then ``suggestion`` with one field a parameter.

    >>> answer_schema([ParameterSpec("k", "choice", "a", choices=("a", "b"))], reasoning=False)["required"]
    ['suggestion']
    """
    fields: dict[str, JsonValue] = {spec.name: value_schema(spec) for spec in specs}
    inner: dict[str, JsonValue] = {
        "type": "object",
        "properties": fields,
        "required": list(fields),
        "additionalProperties": False,
    }
    properties: dict[str, JsonValue] = {"reasoning": {"type": "string", "maxLength": _REASON}} if reasoning else {}
    properties["suggestion"] = inner
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def read_values(
    data: Mapping[str, JsonValue],
    specs: Mapping[str, ParameterSpec],
    current: Mapping[str, JsonValue],
    view: View,
    off: Collection[str] = (),
) -> tuple[dict[str, JsonValue], list[str]]:
    """Changed and valid values of an answer, and why the others are not accepted.

    Args:
        data: the answer's object: ``{"suggestion": {...}}``, or the suggestion itself.
        specs: the parameters that were asked about, by name.
        current: values that they have now; a suggestion that repeats one is no change, and no fault.
        view: the run, for the invariants.
        off: invariants that are switched off.
    """
    inner = data.get("suggestion", data)
    if not isinstance(inner, Mapping):
        return {}, ["the answer has no object under 'suggestion'"]
    accepted: dict[str, JsonValue] = {}
    rejected: list[str] = []
    for name, raw in inner.items():
        spec = specs.get(name)
        if spec is None:
            if inner is not data or name != "reasoning":
                rejected.append(f"{name}: no such variable; there are {', '.join(sorted(specs))}")
            continue
        try:
            value = _converted(spec, raw, current.get(name))
        except ConstraintError as error:
            rejected.append(f"{name}: {error}")
            continue
        if canonical(value) == canonical(current.get(name)):
            continue
        problems = [str(v) for v in check_value(spec, value, view, off=off)]
        if problems:
            rejected += problems
        else:
            accepted[name] = value
    return accepted, rejected


def _converted(spec: ParameterSpec, raw: JsonValue, now: JsonValue) -> JsonValue:
    """The value in the parameter's own type, as its check gives it (``"5"`` is 5 for a number, and so on)."""
    value: JsonValue = raw
    if spec.kind == "text" and isinstance(raw, str):
        value = split(str(now)).around(usable_text(raw))
    if spec.kind == "code" and isinstance(raw, str):
        value = bare_source(raw)
        value = now if isinstance(now, str) and value.strip() == now.strip() else value
    if isinstance(raw, str) and spec.kind in ("number", "json", "demos"):
        parsed = parse_object('{"value": ' + raw.strip() + "}")
        value = parsed["value"] if parsed else raw
    if spec.kind == "number" and (isinstance(value, bool) or not isinstance(value, int | float)):
        raise ConstraintError(f"{raw!r} is not a number")
    if spec.kind == "text" and not isinstance(value, str):
        raise ConstraintError(f"{raw!r} is not a text")
    if spec.kind == "choice" and value not in spec.choices:
        same = [c for c in spec.choices if str(c).casefold() == str(value).strip().casefold()]
        value = same[0] if len(same) == 1 else value
    if spec.kind == "number" and spec.integer and isinstance(value, float) and value.is_integer():
        value = int(value)
    if spec.check is None:
        return value
    checked: JsonValue = spec.check(value)
    return checked


async def suggest(
    view: View,
    messages: Sequence[Message],
    specs: Sequence[ParameterSpec],
    current: Mapping[str, JsonValue],
    sampling: Sampling,
    *,
    reasoning: bool = True,
    off: Collection[str] = (),
    refuse: Callable[[Mapping[str, JsonValue]], str] | None = None,
) -> Suggestion:
    """Ask for new values of some parameters, check each, and have the faulty ones repaired once.

    Args:
        view: the run.
        messages: the request.
        specs: the parameters asked about.
        current: their values now.
        sampling: address, seed, temperature and cap.
        reasoning: ask for a reason before the values.
        off: invariants that are switched off.
        refuse: given the accepted values, says why they are of no use together (tried already, no change), or "".

    Returns:
        What was accepted. A truncated or malformed answer gives no values and a line in ``rejected``.
    """
    by_name = {spec.name: spec for spec in specs}
    schema = answer_schema(specs, reasoning=reasoning)
    first = await _ask(view, messages, schema, sampling, 0)
    if first.data is None and (first.stopped or not first.text):
        return Suggestion({}, "", (first.problem,), first.stopped)
    if first.data is None:
        accepted: dict[str, JsonValue] = {}
        faults = [first.problem]
    else:
        accepted, faults = read_values(first.data, by_name, current, view, off)
        if refuse is not None and not faults and (useless := refuse(accepted)):
            accepted, faults = {}, [useless]
    why = _reason(first.data)
    missing = [spec for spec in specs if spec.name not in accepted]
    if not faults or not missing:
        return Suggestion(accepted, why, tuple(faults))
    warmer = replace(sampling, seed=sampling.seed + 1, temperature=min(1.2, (sampling.temperature or 0.0) + 0.3))
    again = list(messages)
    if first.data is not None:  # a cut or shapeless answer is no start; it is asked for anew, without a reason
        told = fill(view.prompt("meta/optoprime_repair"), {"problems": "\n".join(f"- {fault}" for fault in faults)})
        again += [Message(role="assistant", content=first.text[:2000]), Message(role="user", content=told)]
    second = await _ask(view, again, answer_schema(missing, reasoning=False), warmer, 1)
    if second.data is None:
        return Suggestion(accepted, why, (*faults, f"repair: {second.problem}"), second.stopped)
    repaired, left = read_values(second.data, {s.name: s for s in missing}, current, view, off)
    return Suggestion({**accepted, **repaired}, why, (*faults, *(f"repair: {fault}" for fault in left)))


async def _ask(
    view: View, messages: Sequence[Message], schema: Mapping[str, JsonValue], sampling: Sampling, ordinal: int
) -> Answer:
    return await ask_json(
        view,
        messages,
        schema,
        path=sampling.path,
        ordinal=ordinal,
        temperature=sampling.temperature,
        seed=sampling.seed,
        max_tokens=sampling.max_tokens,
    )


def _reason(data: Mapping[str, JsonValue] | None) -> str:
    reason = (data or {}).get("reasoning", "")
    return reason.strip()[:1000] if isinstance(reason, str) else ""


def settle(view: View, found: Sequence[Suggestion], operator: str) -> list[Proposal]:
    """Proposals from suggestions on the incumbent.

    A suggestion of which nothing was left becomes a proposal of the unchanged incumbent that carries the reasons, so
    that the run can record them; the run knows it for a duplicate and does not pay for it.

    Raises:
        BudgetExhausted: the budget ended and no suggestion was left.
        LLMError: the model could not be asked at all: that is no lack of ideas, and must not look like one.
    """
    parent = view.best.candidate
    stopped = [s.stopped for s in found if s.stopped is not None]
    if stopped and not any(s.values for s in found):
        for end in stopped:
            if isinstance(end, BudgetExhausted):
                raise end
        if len(stopped) == len(found):
            raise stopped[0]
    return [
        Proposal(candidate=parent.change(s.values, origin=operator), why=s.why, operator=operator, rejected=s.rejected)
        for s in found
        if s.values or s.stopped is None
    ]
