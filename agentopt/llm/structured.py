"""Answers as pydantic models: asked for by JSON schema, parsed with patience, repaired once, never adopted cut."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Iterator
from typing import Any, TypeVar

from pydantic import BaseModel, JsonValue, ValidationError

from agentopt._builtin import shipped_prompt
from agentopt.errors import MalformedAnswer, TruncatedAnswer
from agentopt.llm.types import Client, Message, Request, Response, Usage, whole

__all__ = ["answer_schema", "parse_json", "structured"]

M = TypeVar("M", bound=BaseModel)

_STARTS = 200
_SHOWN = 4000
_FENCE = re.compile(r"```[\w-]*[ \t]*\r?\n(.*?)(?:```|\Z)", re.DOTALL)
_THOUGHT = re.compile(r"<(think|thinking)>.*?</\1>", re.DOTALL)


async def structured(
    client: Client, request: Request, model: type[M], *, repair: str | None = None
) -> tuple[M, Response]:
    """Ask for an answer of a given form.

    The schema goes with the request, so that a server which can constrain its answer does. What comes is parsed
    (``parse_json``) and validated; when that fails, or the answer was cut by its cap, the model is told the error and
    asked once more.

    Args:
        client: who is asked.
        request: what is asked; its ``json_schema`` is filled in where it has none.
        model: the form of the answer.
        repair: text of the repair round, with ``{{error}}`` and ``{{schema}}``; None is the shipped ``meta/repair``.

    Returns:
        The parsed answer and the response that held it; its usage and price count both rounds.

    Raises:
        MalformedAnswer: the second answer does not have the form either.
        TruncatedAnswer: the second answer was cut.
    """
    schema = request.json_schema or answer_schema(model)
    request = request.model_copy(update={"json_schema": schema})
    response = await client.complete(request)
    try:
        return _adopt(response, model), response
    except (MalformedAnswer, TruncatedAnswer) as error:
        wrong = str(error)
    told = {"error": wrong.rstrip("."), "schema": json.dumps(schema, ensure_ascii=False)}
    template = repair if repair is not None else shipped_prompt("meta/repair")
    text = re.sub(r"\{\{\s*(error|schema)\s*\}\}", lambda match: told[match[1]], template)
    turns = (Message(role="assistant", content=response.text[:_SHOWN]), Message(role="user", content=text))
    again = await client.complete(_second(request, turns))
    again = again.model_copy(update=_both(response, again))
    return _adopt(again, model), again


def _adopt(response: Response, model: type[M]) -> M:
    if response.unfinished:
        raise TruncatedAnswer(
            f"the answer was cut {response.unfinished}, after {len(response.text)} characters", response.text
        )
    value = parse_json(response.text)
    try:
        return model.model_validate_json(json.dumps(value))
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'answer'}: {e['msg']}" for e in error.errors()[:8])
    raise MalformedAnswer(f"the answer does not fit {model.__name__}: {told}", response.text)


def _second(request: Request, turns: tuple[Message, ...]) -> Request:
    """The request of the repair round: another call, so with an address of its own below the first one's."""
    address = request.address
    if address is not None:
        path = f"{address.path}/~repair:{address.ordinal}".lstrip("/")
        address = address.model_copy(update={"path": path, "ordinal": 0})
    changed = {"messages": request.messages + turns, "address": address, "idempotency_key": None}
    return request.model_copy(update=changed)


def _both(first: Response, second: Response) -> dict[str, Any]:
    a, b = first.usage, second.usage
    return {
        "usage": Usage(
            input_tokens=a.input_tokens + b.input_tokens,
            output_tokens=a.output_tokens + b.output_tokens,
            cached_tokens=a.cached_tokens + b.cached_tokens,
            reasoning_tokens=a.reasoning_tokens + b.reasoning_tokens,
            reported=a.reported and b.reported,
        ),
        "usd": None if first.usd is None or second.usd is None else first.usd + second.usd,
        "seconds": first.seconds + second.seconds,
    }


def answer_schema(model: type[BaseModel]) -> dict[str, JsonValue]:
    """JSON schema of a model for a server that constrains its answers: closed objects, every field asked for.

    >>> class Answer(BaseModel):
    ...     why: str = ""
    >>> schema = answer_schema(Answer)
    >>> schema["required"], schema["additionalProperties"], schema["properties"]
    (['why'], False, {'why': {'type': 'string'}})
    """
    schema: dict[str, JsonValue] = _closed(model.model_json_schema())
    return schema


def _closed(schema: Any) -> Any:
    if isinstance(schema, list):
        return [_closed(part) for part in schema]
    if not isinstance(schema, dict):
        return schema
    properties = schema.get("properties")
    out = {
        key: _closed(part)
        for key, part in schema.items()
        if key not in ("properties", "$defs", "default", "title") or (key == "title" and properties is not None)
    }
    for key in ("properties", "$defs"):  # maps of names to schemas: a name is not a keyword
        if isinstance(schema.get(key), dict):
            out[key] = {name: _closed(part) for name, part in schema[key].items()}
    if isinstance(properties, dict):
        out["required"] = list(properties)
        out.setdefault("additionalProperties", False)
    return out


def parse_json(text: str) -> Any:
    """The JSON value in an answer: alone, in a code fence, or with prose around it.

    Line breaks inside strings and commas before a closing bracket are forgiven; thoughts in ``<think>`` are skipped.
    Of several values the longest object or array is taken. Half characters are replaced.

    Raises:
        MalformedAnswer: there is none, or it has numbers that no computer holds, or is nested hundreds of levels deep.

    >>> parse_json('Sure! Here it is:\\n```json\\n{"a": [1, 2,],}\\n```')
    {'a': [1, 2]}
    >>> parse_json('The answer is {"a": {"b": 1}}, I think.')
    {'a': {'b': 1}}
    """
    try:
        return _whole(_parsed(text))
    except RecursionError:
        raise MalformedAnswer("the JSON of the answer is nested too deeply", text) from None


def _parsed(text: str) -> Any:
    clean = _THOUGHT.sub("", text).strip()
    decoder = json.JSONDecoder(strict=False, parse_constant=_refuse, parse_float=_finite, parse_int=_finite_int)
    for part in _parts(clean):
        for form in (part, _without_trailing_commas(part)):
            try:
                return decoder.decode(form)
            except (ValueError, RecursionError):
                continue
    best: tuple[int, Any] = (0, None)
    for form in (clean, _without_trailing_commas(clean)):
        at = tried = 0
        while tried < _STARTS and (found := re.compile(r"[{\[]").search(form, at)):
            tried += 1
            at = found.start() + 1
            try:
                value, end = decoder.raw_decode(form, found.start())
            except ValueError:
                continue
            except RecursionError:
                break  # and so would the next few thousand brackets end
            if end - found.start() > best[0]:
                best = (end - found.start(), value)
            at = end
        if best[0]:
            return best[1]
    shown = clean if len(clean) <= 80 else f"{clean[:60]} ... {clean[-15:]}"
    raise MalformedAnswer(f"the answer holds no JSON: {shown!r}" if clean else "the answer is empty", text)


def _parts(text: str) -> Iterator[str]:
    yield text
    yield from sorted((match[1].strip() for match in _FENCE.finditer(text)), key=len, reverse=True)


def _refuse(name: str) -> Any:
    raise ValueError(f"{name} is not JSON")


def _finite(digits: str) -> float:
    number = float(digits)
    return number if math.isfinite(number) else _refuse(digits)


def _finite_int(digits: str) -> int:
    return int(digits) if len(digits) < 300 else _refuse(digits)


def _whole(value: Any) -> Any:
    """The value with half characters replaced, in keys too."""
    if isinstance(value, str):
        return whole(value)
    if isinstance(value, list):
        return [_whole(part) for part in value]
    if isinstance(value, dict):
        return {whole(key): _whole(part) for key, part in value.items()}
    return value


def _without_trailing_commas(text: str) -> str:
    """Drop commas that stand before ``}`` or ``]`` outside of strings."""
    pieces = re.split(r'("(?:[^"\\]|\\.)*")', text, flags=re.DOTALL)
    return "".join(p if i % 2 else re.sub(r",(\s*[}\]])", r"\1", p) for i, p in enumerate(pieces))
