"""Requests as the fields of a chat completion, and completions as responses.

The one place that knows the chat-completions format: shared by the ``openai`` and the ``litellm`` client. Completions
are read by attribute, so litellm's objects and parsed JSON (``posting.Fields``) will do.
"""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from typing import Any, Literal, get_args

from agentopt.errors import TransientLLMError
from agentopt.llm.types import Message, Request, Response, Tool, ToolCall, Usage

__all__ = ["Pieces", "chat_fields", "finish_reason", "read_completion", "read_usage", "strict_enough"]

Finish = Literal["stop", "length", "tool_calls", "content_filter", "unknown"]
_FINISH: dict[str, Finish] = {
    "eos": "stop",
    "end_turn": "stop",
    "stop_sequence": "stop",
    "max_tokens": "length",
    "function_call": "tool_calls",
    "tool_use": "tool_calls",
}


def chat_fields(request: Request, model: str) -> dict[str, Any]:
    """The fields of a chat completion that asks for ``request``, but for the output cap, streaming and ``extra``."""
    fields: dict[str, Any] = {"model": model, "messages": [_message(m) for m in request.messages]}
    for name in ("temperature", "top_p", "seed"):
        if (value := getattr(request, name)) is not None:
            fields[name] = value
    if request.stop:
        fields["stop"] = list(request.stop)
    if request.tools:
        fields["tools"] = [_tool(t) for t in request.tools]
        if request.tool_choice is not None:
            known = request.tool_choice in ("auto", "none", "required")
            fields["tool_choice"] = (
                request.tool_choice if known else {"type": "function", "function": {"name": request.tool_choice}}
            )
    if request.json_schema is not None:
        title = str(request.json_schema.get("title", "answer"))
        fields["response_format"] = {
            "type": "json_schema",
            "json_schema": {
                "name": re.sub(r"[^a-zA-Z0-9_-]", "_", title)[:64] or "answer",
                "schema": request.json_schema,
                "strict": strict_enough(request.json_schema),
            },
        }
    return fields


def _message(message: Message) -> dict[str, Any]:
    told: dict[str, Any] = {"role": message.role}
    if isinstance(message.content, str):
        told["content"] = message.content
    else:
        told["content"] = [
            {"type": "text", "text": part.text}
            if part.type == "text"
            else {"type": "image_url", "image_url": {"url": part.url}}
            for part in message.content
        ]
    if message.tool_calls:
        told["tool_calls"] = [
            {"id": c.id, "type": "function", "function": {"name": c.name, "arguments": c.arguments}}
            for c in message.tool_calls
        ]
        told["content"] = told["content"] or None
    if message.tool_call_id is not None:
        told["tool_call_id"] = message.tool_call_id
    return told


def _tool(tool: Tool) -> dict[str, Any]:
    return {
        "type": "function",
        "function": {"name": tool.name, "description": tool.description, "parameters": tool.parameters},
    }


def strict_enough(schema: Any) -> bool:
    """Whether a JSON schema keeps the rules of OpenAI's strict mode: closed objects with every property required.

    >>> strict_enough({"type": "object", "properties": {"a": {}}, "required": ["a"], "additionalProperties": False})
    True
    >>> strict_enough({"type": "object", "properties": {"a": {}}, "additionalProperties": False})
    False
    """
    if isinstance(schema, list):
        return all(strict_enough(part) for part in schema)
    if not isinstance(schema, dict):
        return True
    if schema.get("type") == "object" or "properties" in schema:
        names = schema.get("properties", {})
        if schema.get("additionalProperties") is not False or set(names) != set(schema.get("required", [])):
            return False
    maps = [schema[key] for key in ("properties", "$defs") if isinstance(schema.get(key), dict)]
    parts = [part for key, part in schema.items() if key not in ("properties", "$defs")]
    return strict_enough(parts) and all(strict_enough(list(named.values())) for named in maps)


def finish_reason(told: str | None) -> Finish:
    """A server's finish reason in our five words.

    >>> finish_reason("stop"), finish_reason("max_tokens"), finish_reason(None), finish_reason("weird")
    ('stop', 'length', 'unknown', 'unknown')
    """
    if told in get_args(Finish):
        return told  # type: ignore[return-value]
    return _FINISH.get(told or "", "unknown")


def read_usage(usage: Any) -> Usage:
    """What a completion says that it used; ``reported=False`` where it does not say.

    Tokens of the total that are in neither part were billed beside them (some servers count reasoning so): output.
    """
    counts: tuple[Any, Any] = getattr(usage, "prompt_tokens", None), getattr(usage, "completion_tokens", None)
    if not all(isinstance(n, int) and n >= 0 for n in counts) or counts == (0, 0):
        return Usage(reported=False)
    total = getattr(usage, "total_tokens", None)
    beside = max(0, total - sum(counts)) if isinstance(total, int) else 0
    cached = getattr(getattr(usage, "prompt_tokens_details", None), "cached_tokens", None)
    hidden = getattr(getattr(usage, "completion_tokens_details", None), "reasoning_tokens", None)
    return Usage(
        input_tokens=counts[0],
        output_tokens=counts[1] + beside,
        cached_tokens=cached or 0,
        reasoning_tokens=hidden or 0,
    )


def read_completion(completion: Any) -> Response:
    """A whole (not streamed) completion as a response, without price, endpoint and time.

    Raises:
        TransientLLMError: it holds no answer.
    """
    choices = getattr(completion, "choices", None)
    if not choices or getattr(choices[0], "message", None) is None:
        got = type(completion).__name__
        raise TransientLLMError(
            f"the server sent no answer ({got} without choices); does its URL end in /v1?", billed=True
        )
    message, finish = choices[0].message, finish_reason(getattr(choices[0], "finish_reason", None))
    calls = tuple(
        ToolCall(id=c.id or f"call_{i}", name=c.function.name or "", arguments=c.function.arguments or "")
        for i, c in enumerate(getattr(message, "tool_calls", None) or ())
        if getattr(c, "function", None) is not None
    )
    return Response(
        text=message.content or getattr(message, "refusal", None) or "",
        tool_calls=calls,
        finish="tool_calls" if calls and finish in ("stop", "unknown") else finish,
        usage=read_usage(getattr(completion, "usage", None)),
    )


@dataclass(slots=True)
class _Call:
    id: str = ""
    name: str = ""
    arguments: list[str] = field(default_factory=list)


class Pieces:
    """Puts a streamed answer together, telling each piece of text as it comes.

    An answer counts only when the server has said why it ended: a stream that merely stops is an unfinished answer.
    """

    def __init__(self, on_text: Callable[[str], None]) -> None:
        self._on_text = on_text
        self._text: list[str] = []
        self._calls: dict[int, _Call] = {}
        self._finish: str | None = None
        self._usage: Any = None

    async def read(self, stream: AsyncIterator[Any]) -> Response:
        """Read all chunks.

        Raises:
            TransientLLMError: the stream ended without a finish reason.
        """
        async for chunk in stream:
            self._usage = getattr(chunk, "usage", None) or self._usage
            for choice in (getattr(chunk, "choices", None) or ())[:1]:
                self._finish = getattr(choice, "finish_reason", None) or self._finish
                self._take(choice.delta)
        if self._finish is None:
            raise TransientLLMError(
                f"the stream ended after {sum(map(len, self._text))} characters without saying why", billed=True
            )
        calls = tuple(
            ToolCall(id=c.id or f"call_{i}", name=c.name, arguments="".join(c.arguments))
            for i, c in sorted(self._calls.items())
        )
        finish = finish_reason(self._finish)
        return Response(
            text="".join(self._text),
            tool_calls=calls,
            finish="tool_calls" if calls and finish == "stop" else finish,
            usage=read_usage(self._usage),
        )

    def _take(self, delta: Any) -> None:
        if text := getattr(delta, "content", None):
            self._text.append(text)
            self._on_text(text)
        for place, part in enumerate(getattr(delta, "tool_calls", None) or ()):
            index = getattr(part, "index", None)
            call = self._calls.setdefault(place if index is None else index, _Call())
            call.id = getattr(part, "id", None) or call.id
            if (function := getattr(part, "function", None)) is not None:
                call.name = function.name or call.name
                call.arguments.append(function.arguments or "")
