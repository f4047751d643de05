"""OpenAI's chat completions as requests, and responses as OpenAI's chat completions."""

from __future__ import annotations

import time
import uuid
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError

from agentopt.errors import UsageError
from agentopt.llm.types import Request, Response, ToolCall

__all__ = ["BadRequest", "chunk", "completion", "fields_of", "head", "requests", "usage"]

MOST = 32
"""Answers to one request, at most."""


class BadRequest(UsageError):
    """A request that cannot be answered as it is."""


_OWN = {"model", "messages", "n", "stream", "stream_options", "max_tokens", "max_completion_tokens", "stop", "tools",
        "tool_choice", "response_format", "temperature", "top_p", "seed"}  # fmt: skip
_REFUSED = {
    "logprobs": "token probabilities are not kept",
    "top_logprobs": "token probabilities are not kept",
    "functions": "write tools instead",
    "function_call": "write tool_choice instead",
    "audio": "only text is answered",
}
_IGNORED = ("name", "reasoning_content", "reasoning")
"""Fields of a message that clients send back as they got them, and providers do not need."""


def fields_of(body: Any) -> dict[str, Any]:
    """The fields of a ``Request`` that a chat completion's body gives, but for the model.

    Fields that only some servers know (``top_k``, ``reasoning_effort``, ...) become ``extra`` and are passed on.

    Raises:
        BadRequest: a field is missing, has a wrong form, or cannot be served.

    >>> fields_of({"messages": [{"role": "user", "content": "hi"}], "max_tokens": 5, "top_k": 3})["extra"]
    {'top_k': 3}
    """
    if not isinstance(body, dict):
        raise BadRequest("the body must be a JSON object")
    body = {name: value for name, value in body.items() if value is not None}
    for name, why in _REFUSED.items():
        if body.pop(name, None):
            raise BadRequest(f"{name} cannot be served here: {why}")
    if not isinstance(body.get("stream", False), bool):
        raise BadRequest("stream must be true or false")
    messages = body.get("messages")
    if not isinstance(messages, list) or not messages:
        raise BadRequest("messages must be a list with at least one message")
    fields: dict[str, Any] = {
        "messages": [_message(at, message) for at, message in enumerate(messages)],
        "extra": {name: value for name, value in body.items() if name not in _OWN},
    }
    fields |= {name: body[name] for name in ("temperature", "top_p", "seed") if name in body}
    cap = body.get("max_completion_tokens", body.get("max_tokens"))
    if cap is not None:
        fields["max_tokens"] = cap
    if "stop" in body:
        fields["stop"] = [body["stop"]] if isinstance(body["stop"], str) else body["stop"]
    if "response_format" in body:
        fields["json_schema"] = _schema(body["response_format"])
    if "tools" in body:
        if not isinstance(body["tools"], list):
            raise BadRequest("tools must be a list")
        fields["tools"] = [_function(at, tool) for at, tool in enumerate(body["tools"])]
        choice = body.get("tool_choice")
        function = choice.get("function") if isinstance(choice, dict) else None
        fields["tool_choice"] = function.get("name") if isinstance(function, dict) else choice
    return fields


def requests(body: Mapping[str, Any], fields: Mapping[str, Any]) -> list[Request]:
    """One request for each of the ``n`` answers, each with a repeat index (and a seed, if any) of its own.

    Raises:
        BadRequest: a field has a wrong type or range.
    """
    number = 1 if body.get("n") is None else body["n"]
    if isinstance(number, bool) or not isinstance(number, int) or not 1 <= number <= MOST:
        raise BadRequest(f"n must be a whole number from 1 to {MOST}")
    if body.get("stream") and number > 1:
        raise BadRequest("a stream has one answer: n must be 1")
    try:
        first = Request.model_validate(fields)
    except ValidationError as error:
        wrong = error.errors(include_input=False)[0]
        raise BadRequest(f"{'.'.join(map(str, wrong['loc']))}: {wrong['msg']}") from None
    return [
        first.model_copy(
            update={"repeat": first.repeat * number + i, "seed": None if first.seed is None else first.seed + i}
        )
        for i in range(number)
    ]


def head(model: str, *, stream: bool = False) -> dict[str, Any]:
    """What every answer and every chunk begins with."""
    kind = "chat.completion.chunk" if stream else "chat.completion"
    return {"id": f"chatcmpl-{uuid.uuid4().hex[:16]}", "object": kind, "created": int(time.time()), "model": model}


def completion(model: str, responses: Sequence[Response]) -> dict[str, Any]:
    """A whole answer with a choice for each response."""
    choices = []
    for index, response in enumerate(responses):
        message: dict[str, Any] = {"role": "assistant", "content": response.text}
        if response.tool_calls:
            message |= {"content": response.text or None, "tool_calls": [_call(c) for c in response.tool_calls]}
        choices.append({"index": index, "message": message, "finish_reason": _finish(response), "logprobs": None})
    return {**head(model), "choices": choices, "usage": usage(responses)}


def chunk(start: Mapping[str, Any], delta: Mapping[str, Any], response: Response | None = None) -> dict[str, Any]:
    """A piece of a streamed answer; with ``response``, the last one."""
    return {**start, "choices": [{"index": 0, "delta": delta, "finish_reason": response and _finish(response)}]}


def tool_calls(response: Response) -> list[dict[str, Any]]:
    """The tool calls of a response, as a delta has them."""
    return [{"index": i, **_call(call)} for i, call in enumerate(response.tool_calls)]


def usage(responses: Sequence[Response]) -> dict[str, Any] | None:
    """What the responses used, together; None when one of them does not say."""
    used = [response.usage for response in responses]
    if not all(u.reported for u in used):
        return None
    read, written = sum(u.input_tokens for u in used), sum(u.output_tokens for u in used)
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": sum(u.cached_tokens for u in used)},
        "completion_tokens_details": {"reasoning_tokens": sum(u.reasoning_tokens for u in used)},
    }


def _finish(response: Response) -> str | None:
    return None if response.finish == "unknown" else response.finish


def _call(call: ToolCall) -> dict[str, Any]:
    return {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}


def _message(at: int, message: Any) -> dict[str, Any]:
    if not isinstance(message, dict):
        raise BadRequest(f"messages[{at}] must be an object")
    kept = {name: value for name, value in message.items() if value not in (None, [], {}) and name not in _IGNORED}
    role = kept.pop("role", None)
    turn: dict[str, Any] = {"role": "system" if role == "developer" else role}
    content = kept.pop("content", "")
    if not isinstance(content, str | list):
        raise BadRequest(f"messages[{at}].content must be a text or a list of parts")
    turn["content"] = content if isinstance(content, str) else [_part(at, part) for part in content]
    if "tool_calls" in kept:
        try:
            turn["tool_calls"] = [{"id": c["id"], **c["function"]} for c in kept.pop("tool_calls")]
        except (TypeError, KeyError):
            raise BadRequest(f"messages[{at}].tool_calls must be calls of functions, each with an id") from None
    if "tool_call_id" in kept:
        turn["tool_call_id"] = kept.pop("tool_call_id")
    if kept:
        raise BadRequest(f"messages[{at}]: {', '.join(sorted(kept))} cannot be passed on")
    return turn


def _part(at: int, part: Any) -> dict[str, Any]:
    if isinstance(part, dict) and part.get("type") == "text":
        return {"type": "text", "text": part.get("text")}
    if isinstance(part, dict) and part.get("type") == "image_url" and isinstance(part.get("image_url"), dict):
        return {"type": "image", "url": part["image_url"].get("url")}
    raise BadRequest(f"messages[{at}].content must be a text, or parts of the types text and image_url")


def _schema(form: Any) -> dict[str, Any] | None:
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "text":
        return None
    if kind == "json_object":
        return {"type": "object"}
    given = form.get("json_schema") if kind == "json_schema" else None
    if not isinstance(given, dict) or not isinstance(given.get("schema"), dict):
        raise BadRequest("response_format must be of the type text, json_object or json_schema (with its schema)")
    return {"title": given.get("name", "answer"), **given["schema"]}


def _function(at: int, tool: Any) -> dict[str, Any]:
    function = tool.get("function") if isinstance(tool, dict) and tool.get("type") == "function" else None
    if not isinstance(function, dict):
        raise BadRequest(f"tools[{at}] must be a function")
    kept = ("name", "description", "parameters")
    return {name: function[name] for name in kept if function.get(name) is not None}
