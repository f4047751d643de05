"""OpenAI's request and answer shapes, to and from the messages that engines take."""

from __future__ import annotations

import random
import time
import uuid
from typing import Any

__all__ = ["BadRequest", "answer", "chunk", "chunk_usage", "messages_of", "to_wire"]

PASSED = ("top_k", "min_p", "frequency_penalty", "presence_penalty", "repetition_penalty", "ignore_eos", "min_tokens")


class BadRequest(Exception):
    """A request that cannot be answered as it is."""


def to_wire(body: dict[str, Any], *, chat: bool) -> dict[str, Any]:
    """An OpenAI request as an engine's message.

    Raises:
        BadRequest: a field is missing or has a wrong form.

    >>> to_wire({"prompt": "Once", "max_tokens": 4, "seed": 1}, chat=False)["op"]
    'complete'
    """
    message: dict[str, Any] = {
        "op": "chat" if chat else "complete",
        "max_tokens": _whole(body, "max_completion_tokens") or _whole(body, "max_tokens") or (512 if chat else 16),
        "temperature": _number(body, "temperature", 1.0),
        "top_p": _number(body, "top_p", 1.0),
        "seed": _whole(body, "seed"),
        "stop": _stop(body.get("stop")),
    }
    if message["max_tokens"] < 1:
        raise BadRequest("max_tokens must be at least 1")
    if message["seed"] is None:
        message["seed"] = random.SystemRandom().randrange(2**31)
    if chat:
        message["messages"] = messages_of(body.get("messages"))
    elif isinstance(body.get("prompt"), str):
        message["prompt"] = body["prompt"]
    else:
        raise BadRequest("prompt must be one text")
    message |= {name: body[name] for name in PASSED if body.get(name) is not None}
    if body.get("logprobs"):
        message |= {"logprobs": True, "top_logprobs": body.get("top_logprobs") or 0}
    _format(body.get("response_format"), message)
    _tools(body, message)
    return message


def messages_of(given: Any) -> list[dict[str, Any]]:
    """The messages of a request, each content as one text.

    Raises:
        BadRequest: there is none, or one has a wrong form.
    """
    if not isinstance(given, list) or not given:
        raise BadRequest("messages must be a list with at least one message")
    found = []
    for at, message in enumerate(given):
        if not isinstance(message, dict) or message.get("role") not in (
            "system",
            "developer",
            "user",
            "assistant",
            "tool",
        ):
            raise BadRequest(f"messages[{at}] needs a role of system, user, assistant or tool")
        content = message.get("content")
        if isinstance(content, list):
            if any(not isinstance(p, dict) or not isinstance(p.get("text"), str) for p in content):
                raise BadRequest(f"messages[{at}]: only text is read, no pictures or sound")
            content = "".join(p["text"] for p in content)
        if content is not None and not isinstance(content, str):
            raise BadRequest(f"messages[{at}].content must be a text")
        kept = {k: message[k] for k in ("tool_calls", "tool_call_id", "name") if message.get(k)}
        role = "system" if message["role"] == "developer" else message["role"]
        found.append({"role": role, "content": content or "", **kept})
    return found


def answer(done: dict[str, Any], *, index: int, chat: bool) -> dict[str, Any]:
    """One choice of a whole answer."""
    made: dict[str, Any] = {"index": index, "finish_reason": done["finish"], "logprobs": None}
    if done.get("logprobs") is not None:
        made["logprobs"] = {"content": done["logprobs"]}
    if not chat:
        return {**made, "text": done["text"]}
    calls = tool_calls(done)
    content = done["text"] if done["text"] or not calls else None
    message = {"role": "assistant", "content": content, **({"tool_calls": calls} if calls else {})}
    return {**made, "message": message}


def tool_calls(done: dict[str, Any]) -> list[dict[str, Any]]:
    """The tool calls of an answer in OpenAI's form."""
    return [
        {
            "id": call.get("id") or f"call_{uuid.uuid4().hex[:12]}",
            "type": "function",
            "function": {"name": call["name"], "arguments": call["arguments"]},
        }
        for call in done.get("tool_calls") or ()
    ]


def envelope(model: str, *, chat: bool, stream: bool) -> dict[str, Any]:
    """What every answer and every piece of a stream begins with."""
    kind = ("chat.completion.chunk" if stream else "chat.completion") if chat else "text_completion"
    ident = f"{'chatcmpl' if chat else 'cmpl'}-{uuid.uuid4().hex[:16]}"
    return {"id": ident, "object": kind, "created": int(time.time()), "model": model}


def chunk(head: dict[str, Any], delta: dict[str, Any], finish: str | None = None, *, chat: bool) -> dict[str, Any]:
    """A piece of a stream."""
    choice: dict[str, Any] = {"index": 0, "finish_reason": finish}
    return {**head, "choices": [{**choice, **({"delta": delta} if chat else {"text": delta.get("content", "")})}]}


def chunk_usage(dones: list[dict[str, Any]]) -> dict[str, Any]:
    """Usage of the answers to one request: the prompt counts once."""
    read = dones[0].get("input_tokens", 0) if dones else 0
    written = sum(done.get("output_tokens", 0) for done in dones)
    cached = dones[0].get("cached_tokens") or 0 if dones else 0
    return {
        "prompt_tokens": read,
        "completion_tokens": written,
        "total_tokens": read + written,
        "prompt_tokens_details": {"cached_tokens": cached},
    }


def _format(form: Any, message: dict[str, Any]) -> None:
    if form is None:
        return
    kind = form.get("type") if isinstance(form, dict) else None
    if kind == "json_schema":
        schema = (form.get("json_schema") or {}).get("schema")
        if not isinstance(schema, dict):
            raise BadRequest("response_format.json_schema.schema must be a JSON schema")
        message["json_schema"] = schema
    elif kind == "json_object":
        message["json_schema"] = {"type": "object"}
    elif kind != "text":
        raise BadRequest("response_format.type must be text, json_object or json_schema")


def _tools(body: dict[str, Any], message: dict[str, Any]) -> None:
    tools, choice = body.get("tools"), body.get("tool_choice")
    if not tools:
        return
    if not isinstance(tools, list) or any(
        not isinstance(t, dict) or not isinstance((t.get("function") or {}).get("name"), str) for t in tools
    ):
        raise BadRequest("tools must be a list of functions with names")
    if isinstance(choice, dict):
        choice = (choice.get("function") or {}).get("name")
    message |= {"tools": tools, "tool_choice": choice or "auto"}


def _stop(given: Any) -> list[str]:
    found = [given] if isinstance(given, str) else given or []
    if not isinstance(found, list) or any(not isinstance(s, str) for s in found):
        raise BadRequest("stop must be a text or a list of texts")
    return [s for s in found if s]


def _number(body: dict[str, Any], name: str, default: float) -> float:
    value = body.get(name)
    if value is None:
        return default
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 1e6:
        raise BadRequest(f"{name} must be a number that is not negative")
    return float(value)


def _whole(body: dict[str, Any], name: str) -> int | None:
    value = body.get(name)
    if value is not None and (isinstance(value, bool) or not isinstance(value, int)):
        raise BadRequest(f"{name} must be a whole number")
    return value
