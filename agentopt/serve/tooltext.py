"""Tool calls as text: how engines without a tool parser of their own read and force them.

Qwen's template asks for ``<tool_call>{"name": ..., "arguments": {...}}</tool_call>``; small models often write the same
object in a code fence or bare, which is taken too when it names a tool that was offered.
"""

from __future__ import annotations

import json
import re
from typing import Any

__all__ = ["forced_schema", "parse_tool_calls"]

TAGGED = re.compile(r"<tool_call>\s*(.*?)\s*(?:</tool_call>|\Z)", re.DOTALL)
FENCED = re.compile(r"\A\s*```(?:json)?\s*(.*?)\s*```\s*\Z", re.DOTALL)


def parse_tool_calls(text: str, names: set[str]) -> tuple[str, list[dict[str, str]]]:
    """Split an answer into words and tool calls.

    Args:
        text: what the model wrote.
        names: the tools that it was offered.

    Returns:
        The words outside the calls, and the calls, each with ``name`` and ``arguments`` (JSON text). A call that
        cannot be read, or of a tool that nobody offered, stays in the words.

    >>> parse_tool_calls('Well. <tool_call>{"name": "add", "arguments": {"a": 1}}</tool_call>', {"add"})
    ('Well.', [{'name': 'add', 'arguments': '{"a": 1}'}])
    """
    calls: list[dict[str, str]] = []

    def taken(match: re.Match[str]) -> str:
        found = _calls(match[1], names)
        calls.extend(found)
        return "" if found else match[0]

    rest = TAGGED.sub(taken, text) if "<tool_call>" in text else text
    if not calls:
        fenced = FENCED.match(text)
        calls = _calls(fenced[1] if fenced else text, names)
        rest = "" if calls else text
    return (rest.strip() if calls else text), calls


def _calls(text: str, names: set[str]) -> list[dict[str, str]]:
    """The calls in a JSON text: one object, a list, or one object a line. Empty when any of it is something else."""
    try:
        items = [json.loads(text)]
    except ValueError:
        try:
            items = [json.loads(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            return []
    flat = [x for item in items for x in (item if isinstance(item, list) else [item])]
    calls = []
    for item in flat:
        if not isinstance(item, dict) or item.get("name") not in names:
            return []
        arguments = item.get("arguments", item.get("parameters", {}))
        if isinstance(arguments, str):
            calls.append({"name": item["name"], "arguments": arguments})
        else:
            calls.append({"name": item["name"], "arguments": json.dumps(arguments, ensure_ascii=False)})
    return calls


def forced_schema(tools: list[dict[str, Any]], only: str | None = None) -> dict[str, Any]:
    """JSON schema of one call of one of the tools (or of the tool ``only``), for engines that can constrain.

    Raises:
        ValueError: no tool has the name ``only``.

    >>> forced_schema([{"function": {"name": "now"}}])["properties"]["name"]
    {'const': 'now'}
    """
    wanted = [t["function"] for t in tools if only in (None, t["function"]["name"])]
    if not wanted:
        raise ValueError(f"tool_choice names {only!r}, which is not among the tools")
    forms = [
        {
            "type": "object",
            "properties": {"name": {"const": f["name"]}, "arguments": f.get("parameters") or {"type": "object"}},
            "required": ["name", "arguments"],
            "additionalProperties": False,
        }
        for f in wanted
    ]
    return forms[0] if len(forms) == 1 else {"anyOf": forms}
