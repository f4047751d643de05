"""The loop of a model that calls tools, until it answers in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentopt._aio import run_sync
from agentopt.core import attr
from agentopt.core.nest import unwrap
from agentopt.errors import UnusableAnswer
from agentopt.llm.call import prepare
from agentopt.llm.context import current_session
from agentopt.llm.tools import call_tool, tool_name, tool_text
from agentopt.llm.types import Message, Response

__all__ = ["arun_tools", "run_tools"]


async def arun_tools(
    prompt: Any = None,
    *,
    tools: Sequence[Callable[..., Any]],
    messages: Sequence[Any] = (),
    turns: int = 8,
    **options: Any,
) -> str:
    """Ask a model that may call tools, call what it asks for, and go on until it answers in words.

    Args:
        prompt: as in ``llm``.
        tools: functions, sync or async. They are the caller's own code and run here. What one raises is told to the
            model as ``{"error": ...}``, and so are arguments that do not fit.
        messages: earlier turns.
        turns: the most calls of the model.
        options: further arguments of ``llm``.

    Raises:
        UnusableAnswer: no answer in words after ``turns`` calls.
    """
    known = {tool_name(tool): tool for tool in tools}
    session = current_session()
    call = prepare(session, prompt, messages=messages or None, tools=tools, full=True, **options)
    for turn in range(1, turns + 1):
        answered = await call.run()
        response: Response = unwrap(answered)[0]
        if not response.tool_calls:
            text: str = attr(answered, "text")
            return text
        if turn == turns:
            break
        conversation = [*call.request.messages]
        conversation.append(Message(role="assistant", content=response.text, tool_calls=response.tool_calls))
        given = {**call.given, f"answer{turn}": answered}
        for asked in response.tool_calls:
            given[f"{asked.name}{turn}"] = result = await call_tool(known, asked)
            conversation.append(Message(role="tool", content=tool_text(unwrap(result)[0]), tool_call_id=asked.id))
        call = prepare(session, None, messages=conversation, tools=tools, full=True, **_again(options))
        call.given = given
    raise UnusableAnswer(
        f"no answer in words after {turns} calls of the model with tools; raise `turns` or look at the tools"
    )


def run_tools(prompt: Any = None, **options: Any) -> str:
    """The sync twin of ``arun_tools``.

    >>> from agentopt.llm.context import Session, use_session
    >>> from agentopt.llm.types import ToolCall
    >>> from agentopt.testing import ScriptedLLM
    >>> def add(a: int, b: int) -> int:
    ...     return a + b
    >>> asks = Response(tool_calls=(ToolCall(id="1", name="add", arguments='{"a": 2, "b": 3}'),), finish="tool_calls")
    >>> script = ScriptedLLM(lambda r: asks if r.messages[-1].role == "user" else f"It is {r.messages[-1].content}.")
    >>> with use_session(Session(script, models={"agent": "any"})):
    ...     print(run_tools("What is 2 + 3?", tools=[add]))
    It is 5.
    """
    return run_sync(arun_tools(prompt, **options), loop=current_session().loop)


def _again(options: Mapping[str, Any]) -> dict[str, Any]:
    """The options of later turns: what was put into the conversation by the first one is not put there again."""
    kept = ("model", "temperature", "max_tokens", "stop", "name", "on_text")
    return {name: value for name, value in options.items() if name in kept}
