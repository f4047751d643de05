"""The loop of a model that calls tools, until it answers in words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from agentopt import core
from agentopt._aio import run_sync
from agentopt.errors import LLMError
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
        LLMError: no answer in words after ``turns`` calls.
    """
    known = {tool_name(tool): tool for tool in tools}
    call = prepare(current_session(), prompt, messages=messages, tools=tools, full=True, **options)
    for turn in range(turns):
        answered = await call.run()
        response: Response = answered.value if isinstance(answered, core.Node) else answered
        if not response.tool_calls:
            return core.attr(answered, "text") if isinstance(answered, core.Node) else response.text
        if turn == turns - 1:
            break
        said = Message(role="assistant", content=response.text, tool_calls=response.tool_calls)
        results = [await call_tool(known, asked) for asked in response.tool_calls]
        conversation = [*call.request.messages, said]
        parents = [*call.parents, *([(answered, "messages")] if isinstance(answered, core.Node) else [])]
        for asked, result in zip(response.tool_calls, results, strict=True):
            if isinstance(result, core.Node):
                parents.append((result, asked.name))
            text = tool_text(result.value if isinstance(result, core.Node) else result)
            conversation.append(Message(role="tool", content=text, tool_call_id=asked.id))
        call = prepare(current_session(), None, messages=conversation, tools=tools, full=True, **_again(options))
        call.parents.extend(parents)
    raise LLMError(
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
