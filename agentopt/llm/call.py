"""``llm()``: the call that graphs make. It asks a model within the current session and puts the answer on the graph."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, overload

from pydantic import BaseModel

from agentopt import core
from agentopt._aio import run_sync
from agentopt.errors import UsageError
from agentopt.llm.context import Session, current_session
from agentopt.llm.structured import answer_schema, structured
from agentopt.llm.tools import as_tool
from agentopt.llm.types import Address, Image, Message, Request, Response, Text, Tool

__all__ = ["Call", "Turn", "allm", "llm", "prepare"]

M = TypeVar("M", bound=BaseModel)
Turn: TypeAlias = "Message | Mapping[str, Any] | tuple[str, Any]"
"""A turn of a conversation: a ``Message``, ``{"role": ..., "content": ...}`` or ``(role, content)``."""


@overload
def llm(prompt: Any = ..., *, schema: type[M], full: Literal[False] = ..., **options: Any) -> M: ...
@overload
def llm(prompt: Any = ..., *, full: Literal[True], **options: Any) -> Response: ...
@overload
def llm(prompt: Any = ..., **options: Any) -> str: ...
def llm(prompt: Any = None, **options: Any) -> Any:
    """Ask a model and wait for its answer.

    Args:
        prompt: the user's turn: a text, a node, or a parameter. With ``vars``, a template with ``{{name}}``
            placeholders; where it came from stays known to the graph.
        system: text of the system turn.
        messages: earlier turns, oldest first; they stand between ``system`` and ``prompt``.
        model: a model string (see ``providers.resolve``); default: the session's model.
        temperature, max_tokens, stop: sampling; default: the session's. ``max_tokens`` caps the answer.
        schema: a pydantic model; the answer is then asked for, parsed, repaired once if need be, and returned as one.
        tools: functions (or ``Tool`` records) that the model may ask for; ``full=True`` shows what it asked for, and
            ``run_tools`` calls them until there is an answer.
        images: https or ``data:`` URLs, file paths, or bytes, shown with the prompt.
        name: name of the node.
        on_text: called with each piece of the answer as it arrives.
        full: return the ``Response`` (text, tool calls, finish, usage, price) instead of its text.
        vars: values for the placeholders of ``prompt``.

    Returns:
        The text (or the ``schema`` object, or the ``Response``); a ``Node`` of it while a trace is open or when an
        argument is a node. A text that was cut by its cap comes as it is, its node tells ``finish="length"``.

    Raises:
        UsageError: a placeholder without a value, a wrong argument, or called from a coroutine of a run.
        MalformedAnswer, TruncatedAnswer: with ``schema``, when the repair round did not help.
        LLMError: the model could not be asked.
        BudgetExhausted: the run's budget does not bear the call.

    >>> from agentopt.llm.context import use_session
    >>> from agentopt.testing import ScriptedLLM
    >>> session = Session(ScriptedLLM(lambda r: f"You said {r.messages[0].content!r}."), models={"agent": "any"})
    >>> with use_session(session):
    ...     print(llm("Hello, {{who}}", who="world"))
    You said 'Hello, world'.
    """
    session = current_session()
    if _in_loop() and session.scope:
        raise UsageError("llm() waits, and would stop the run's event loop: write `await agentopt.allm(...)` here")
    call = prepare(session, prompt, **options)
    return call.place(*run_sync(call.ask(), loop=session.loop))


@overload
def allm(prompt: Any = ..., *, schema: type[M], full: Literal[False] = ..., **options: Any) -> Awaitable[M]: ...
@overload
def allm(prompt: Any = ..., *, full: Literal[True], **options: Any) -> Awaitable[Response]: ...
@overload
def allm(prompt: Any = ..., **options: Any) -> Awaitable[str]: ...
def allm(prompt: Any = None, **options: Any) -> Awaitable[Any]:
    """Ask a model from a coroutine: ``await allm(...)``. Arguments, result and errors are those of ``llm``.

    The call gets its place in the run when it is made, not when it is awaited, so ``asyncio.gather`` of several calls
    addresses them in the order in which they are written.
    """
    return prepare(current_session(), prompt, **options).run()


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True


@dataclass(slots=True)
class Call:
    """A call that has been made and may now be awaited."""

    session: Session
    request: Request
    schema: type[BaseModel] | None
    parents: list[tuple[core.Node[Any], str]]
    name: str
    full: bool

    async def ask(self) -> tuple[Any, Response]:
        """The value to return, and the response it came in."""
        if self.schema is None:
            response = await self.session.client.complete(self.request)
            return (response if self.full else response.text), response
        repair = self.session.prompt("meta/repair")
        value, response = await structured(self.session.client, self.request, self.schema, repair=repair)
        return (response if self.full else value), response

    def place(self, value: Any, response: Response) -> Any:
        """The value, on the graph where there is one."""
        if not self.parents and not core.tracing():
            return value
        return core.add_op(
            self.name,
            value,
            self.parents,
            kind="llm",
            doc="",
            model=self.request.model,
            finish=response.finish,
            usage=response.usage.model_dump(),
            usd=response.usd,
            endpoint=response.endpoint,
            seconds=response.seconds,
            address=str(self.request.address) if self.request.address else None,
        )

    async def run(self) -> Any:
        """Ask, and put the answer on the graph."""
        return self.place(*await self.ask())


def prepare(
    session: Session,
    prompt: Any,
    *,
    system: Any = None,
    messages: Sequence[Turn] | core.Node[Any] | None = None,
    model: Any = None,
    temperature: Any = None,
    max_tokens: Any = None,
    schema: type[BaseModel] | None = None,
    tools: Sequence[Callable[..., Any] | Tool] = (),
    images: Sequence[Any] = (),
    stop: Sequence[str] | str = (),
    name: str = "llm",
    on_text: Callable[[str], None] | None = None,
    full: bool = False,
    **variables: Any,
) -> Call:
    """Everything of a call that is done when it is made: rendering, parents, address, request."""
    seen = _Parents()
    turns: list[Message] = []
    if system is not None:
        turns.append(Message(role="system", content=seen.text(system, "system", {})))
    given: Sequence[Any] = seen.plain(messages, "messages") or ()
    turns.extend(_turn(turn, seen, i) for i, turn in enumerate(given))
    if prompt is not None:
        turns.append(Message(role="user", content=_shown(seen.text(prompt, "prompt", variables), images, seen)))
    elif variables:
        raise UsageError(f"llm() got {', '.join(sorted(variables))}, but no prompt to put them in")
    elif images:
        raise UsageError("llm() got images, but no prompt that they belong to")
    if not turns:
        raise UsageError("llm() needs a prompt or messages")
    fields: dict[str, Any] = {}
    for key in ("max_tokens", "temperature", "top_p", "seed", "timeout", "extra", "repeat", "tool_choice"):
        if (default := session.default(key)) is not None:
            fields[key] = default
    for key, value in (("temperature", temperature), ("max_tokens", max_tokens)):
        if value is not None:
            fields[key] = seen.plain(value, key)
    stops = seen.plain(stop, "stop") or session.default("stop") or ()
    address = None
    if session.scope:
        address = Address(scope=session.scope, path=core.current_path(), ordinal=core.next_ordinal("llm"))
    request = Request(
        model=session.model(seen.plain(model, "model")),
        messages=tuple(turns),
        role=session.role,
        stop=(stops,) if isinstance(stops, str) else tuple(stops),
        tools=tuple(as_tool(tool) for tool in tools),
        json_schema=None if schema is None else answer_schema(schema),
        address=address,
        on_text=on_text,
        **fields,
    )
    return Call(session, request, schema, seen.found, name, full)


class _Parents:
    """Takes the plain values of arguments and remembers which of them came from nodes."""

    def __init__(self) -> None:
        self.found: list[tuple[core.Node[Any], str]] = []

    def plain(self, value: Any, role: str) -> Any:
        """The value, without its history."""
        if not isinstance(value, core.Node):
            return value
        self.found.append((value, role))
        return value.value

    def text(self, value: Any, role: str, variables: Mapping[str, Any]) -> str:
        """The text of a prompt, its placeholders filled in; a plain text without variables is taken as it is."""
        if variables or isinstance(value, core.Parameter):
            value = core.render(value, **variables)
        text = self.plain(value, role)
        if not isinstance(text, str):
            raise UsageError(f"{role} is a text, not {type(text).__name__} ({text!r:.60})")
        return text


def _turn(turn: Any, seen: _Parents, place: int) -> Message:
    turn = seen.plain(turn, f"messages[{place}]")
    if isinstance(turn, Message):
        return turn
    try:
        if isinstance(turn, Mapping):
            fields = dict(turn)
        else:
            role, content = turn
            fields = {"role": role, "content": content}
        content = seen.plain(fields.get("content", ""), f"messages[{place}]")
        return Message.model_validate({**fields, "content": content if isinstance(content, str) else tuple(content)})
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"messages[{place}] is not a turn ({error}): write a Message, {{'role': ..., 'content': ...}} "
            "or (role, text)"
        ) from None


def _shown(text: str, images: Sequence[Any], seen: _Parents) -> str | tuple[Text | Image, ...]:
    if not images:
        return text
    pictures = [Image.of(seen.plain(image, f"images[{i}]")) for i, image in enumerate(images)]
    return (Text(text=text), *pictures)
