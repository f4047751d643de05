"""``llm()``: the call that graphs make. It asks a model within the current session and puts the answer on the graph."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, TypeVar, overload

from pydantic import BaseModel, ValidationError

from agentopt._aio import run_sync
from agentopt.core import Parameter, add_op, next_place, render, wants_node
from agentopt.core.nest import unwrap
from agentopt.errors import BudgetExhausted, LLMError, UsageError
from agentopt.llm.context import Session, current_session
from agentopt.llm.structured import answer_schema, structured
from agentopt.llm.tools import as_tool
from agentopt.llm.types import Address, Image, Message, Request, Response, Text, Tool, model_identity, without_key

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
        sample: which of several equal requests this is, from 0, so that each is drawn for itself, whatever its place
            in the program: without it a cache gives equal calls at temperature 0 one answer.
        name: name of the node.
        on_text: called with each piece of the answer as it arrives. What it raises is raised here, after the whole
            answer has come and is kept.
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
    try:
        answer = run_sync(call.ask(), loop=session.loop)
    except (LLMError, BudgetExhausted) as error:
        call.fail(error)
        raise
    return call.place(*answer)


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


_DOC = "asks a language model"


@dataclass(slots=True)
class Call:
    """A call that has been made and may now be awaited."""

    session: Session
    request: Request
    schema: type[BaseModel] | None
    given: dict[str, Any]
    """Arguments by role, as they came: the answer's parents on the graph."""
    name: str
    full: bool

    async def ask(self) -> tuple[Any, Response]:
        """The value to return, and the response it came in."""
        listener = _Listener(self.request.on_text) if self.request.on_text is not None else None
        request = self.request.model_copy(update={"on_text": listener})
        value: Any = None
        if self.schema is None:
            response = await self.session.client.complete(request)
            value = response.text
        else:
            repair = self.session.prompt("meta/repair")
            value, response = await structured(self.session.client, request, self.schema, repair=repair)
        if listener is not None and listener.error is not None:
            raise listener.error
        return (response if self.full else value), response

    def place(self, value: Any, response: Response) -> Any:
        """The value, on the graph where there is one."""
        node = add_op(
            self.name,
            value,
            self.given,
            kind="llm",
            doc=_DOC,
            model=model_identity(self.request.model),
            finish=response.finish,
            usage=response.usage.model_dump(),
            usd=response.usd,
            endpoint=response.endpoint,
            seconds=response.seconds,
            address=str(self.request.address) if self.request.address else None,
        )
        return node if wants_node(*self.given.values()) else value

    async def run(self) -> Any:
        """Ask, and put the answer on the graph."""
        try:
            answer = await self.ask()
        except (LLMError, BudgetExhausted) as error:
            self.fail(error)
            raise
        return self.place(*answer)

    def fail(self, error: Exception) -> None:
        """Put the failure on the graph, where there is one, so that a trace shows which call failed."""
        text = f"{type(error).__name__}: {error}"
        add_op(self.name, None, self.given, kind="llm", doc=_DOC, error=text, model=model_identity(self.request.model))


class _Listener:
    """Hears an answer for a program's own listener, whose error is neither the server's nor a reason to ask again."""

    def __init__(self, listen: Callable[[str], None]) -> None:
        self._listen = listen
        self.error: Exception | None = None

    def __call__(self, piece: str) -> None:
        self._tell(self._listen, piece)

    def restart(self) -> None:
        """The call is tried again: what comes now is the answer from its beginning."""
        if callable(restart := getattr(self._listen, "restart", None)):
            self._tell(restart)

    def _tell(self, listen: Callable[..., object], *told: str) -> None:
        if self.error is None:
            try:
                listen(*told)
            except Exception as error:
                self.error = error


def prepare(
    session: Session,
    prompt: Any,
    *,
    system: Any = None,
    messages: Any = None,
    model: Any = None,
    temperature: Any = None,
    max_tokens: Any = None,
    schema: type[BaseModel] | None = None,
    tools: Sequence[Callable[..., Any] | Tool] = (),
    images: Sequence[Any] = (),
    stop: Any = None,
    sample: int = 0,
    name: str = "llm",
    on_text: Callable[[str], None] | None = None,
    full: bool = False,
    **variables: Any,
) -> Call:
    """Everything of a call that is done when it is made: rendering, address, request."""
    if variables and prompt is None:
        raise UsageError(f"llm() got {', '.join(sorted(variables))}, but no prompt to put them in")
    if images and prompt is None:
        raise UsageError("llm() got images, but no prompt that they belong to")
    if variables or isinstance(prompt, Parameter):
        prompt = render(prompt, **variables)
    if isinstance(system, Parameter):
        system = render(system)
    arguments = {
        "prompt": prompt,
        "system": system,
        "messages": messages,
        "model": model,
        "temperature": temperature,
        "max_tokens": max_tokens,
        "images": images or None,
        "stop": stop,
    }
    given = {role: value for role, value in arguments.items() if value is not None}
    plain = {role: unwrap(value)[0] for role, value in given.items()}
    if isinstance(model, str):
        given["model"] = without_key(model)
    turns = [Message(role="system", content=_text(plain["system"], "system"))] if system is not None else []
    turns.extend(_turn(turn, i) for i, turn in enumerate(plain.get("messages", ())))
    if prompt is not None:
        turns.append(Message(role="user", content=_shown(_text(plain["prompt"], "prompt"), plain.get("images", ()))))
    if not turns:
        raise UsageError("llm() needs a prompt or messages")
    fields = {key: default for key in _DEFAULTS if (default := session.default(key)) is not None}
    fields.update((key, plain[key]) for key in ("temperature", "max_tokens", "stop") if key in plain)
    fields["repeat"] = fields.get("repeat", 0) + sample * _SAMPLES_APART
    if "seed" in fields:
        fields["seed"] += sample
    stops = fields.pop("stop", ())
    address = None
    if session.scope:
        path, ordinal = next_place("~llm")
        address = Address(scope=session.scope, path=path, ordinal=ordinal)
    try:
        request = Request(
            model=session.model(plain.get("model")),
            messages=tuple(turns),
            role=session.role,
            stop=(stops,) if isinstance(stops, str) else tuple(stops),
            tools=tuple(as_tool(tool) for tool in tools),
            json_schema=None if schema is None else answer_schema(schema),
            address=address,
            on_text=on_text,
            **fields,
        )
    except ValidationError as error:
        wrong = error.errors()[0]
        where = ".".join(map(str, wrong["loc"]))
        raise UsageError(f"llm(): {where} is {wrong['input']!r:.60}: {wrong['msg']}") from None
    return Call(session, request, schema, given, name, full)


_SAMPLES_APART = 1000
"""Between the repeat indices of two samples of a request, so that those of repeated evaluations have room."""
_DEFAULTS = ("max_tokens", "temperature", "top_p", "seed", "timeout", "extra", "repeat", "tool_choice", "stop")


def _text(value: Any, role: str) -> str:
    if not isinstance(value, str):
        raise UsageError(f"{role} is a text, not {type(value).__name__} ({value!r:.60})")
    return value


def _turn(turn: Any, place: int) -> Message:
    if isinstance(turn, Message):
        return turn
    try:
        if isinstance(turn, Mapping):
            fields = dict(turn)
        else:
            role, content = turn
            fields = {"role": role, "content": content}
        return Message.model_validate(fields)
    except (TypeError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise UsageError(
            f"messages[{place}] is not a turn: write a Message, {{'role': ..., 'content': ...}} "
            f"or (role, text) ({reason})"
        ) from None


def _shown(text: str, images: Sequence[Any]) -> str | tuple[Text | Image, ...]:
    return (Text(text=text), *(Image.of(image) for image in images)) if images else text
