"""Python functions as tools of a model: their schema from their signature, and their calls."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, JsonValue, TypeAdapter, ValidationError, create_model

from agentopt.core.effects import perform
from agentopt.errors import AgentOptError, UsageError
from agentopt.llm.types import Tool, ToolCall

__all__ = ["as_tool", "call_tool", "tool_name", "tool_text"]


def as_tool(function: Callable[..., Any] | Tool) -> Tool:
    """What a model is told of a function: name, docstring, and the JSON schema of its arguments.

    Raises:
        UsageError: an argument without a type that JSON can hold, or ``*args``.

    >>> def add(a: int, b: int = 1) -> int:
    ...     "Add two numbers."
    ...     return a + b
    >>> tool = as_tool(add)
    >>> tool.name, tool.description, sorted(tool.parameters["properties"]), tool.parameters["required"]
    ('add', 'Add two numbers.', ['a', 'b'], ['a'])
    """
    if isinstance(function, Tool):
        return function
    schema: dict[str, JsonValue] = _arguments(function).model_json_schema()
    schema.pop("title", None)
    return Tool(name=tool_name(function), description=inspect.getdoc(function) or "", parameters=schema)


async def call_tool(known: Mapping[str, Callable[..., Any]], asked: ToolCall) -> Any:
    """What a tool gives for a call, or ``{"error": ...}`` for one that the model got wrong or that raised.

    Errors of agentopt itself (a budget's end, a usage error) are raised.
    """
    function = known.get(asked.name)
    if function is None:
        return {"error": f"no tool named {asked.name!r}; there are {sorted(known)}"}
    try:
        arguments = _arguments(function).model_validate_json(asked.arguments or "{}")
    except ValidationError as error:
        told = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'arguments'}: {e['msg']}" for e in error.errors()[:8])
        return {"error": told}
    try:
        given = {name: getattr(arguments, name) for name in type(arguments).model_fields}
        return await perform(function, (), given, lenient=True)
    except AgentOptError:
        raise
    except Exception as error:
        return {"error": f"{type(error).__name__}: {error}"}


def tool_text(result: Any) -> str:
    """A tool's result as the text of its turn: itself, or JSON."""
    if isinstance(result, str):
        return result
    try:
        return TypeAdapter(Any).dump_json(result).decode()
    except ValueError:
        return json.dumps(repr(result))


def tool_name(function: Callable[..., Any]) -> str:
    """The name that a model calls a function by."""
    name = getattr(function, "__name__", None)
    if not name or not name.isidentifier():
        raise UsageError(f"a tool is a function with a name, not {function!r:.80}")
    return str(name)


def _arguments(function: Callable[..., Any]) -> type[BaseModel]:
    """A pydantic model of a function's arguments."""
    name = tool_name(function)
    try:
        signature = inspect.signature(function)
        hints = get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError, ValueError) as error:
        raise UsageError(f"tool {name}: its signature cannot be read ({error})") from None
    fields: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD, parameter.POSITIONAL_ONLY):
            raise UsageError(f"tool {name}: arguments are given by name, so {parameter} cannot be one")
        default = ... if parameter.default is parameter.empty else parameter.default
        fields[parameter.name] = (hints.get(parameter.name, Any), default)
    try:
        model: type[BaseModel] = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        model.model_json_schema()
    except Exception as error:
        reason = str(error).partition("\n")[0]
        raise UsageError(f"tool {name}: its arguments cannot be told as JSON ({reason})") from None
    return model
