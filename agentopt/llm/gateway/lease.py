"""What the gateway lends to a block of a program: an address, a key, and the calls that are made with it."""

from __future__ import annotations

import asyncio
import os
import secrets
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass, field
from typing import Any

from agentopt._aio import background_loop
from agentopt.core import add_op
from agentopt.errors import LLMError
from agentopt.llm.context import Session
from agentopt.llm.gateway import shapes
from agentopt.llm.types import Address, Request, Response, model_identity

__all__ = ["Asked", "Ended", "Lease", "UnknownModel"]

BLOCKED = 30.0
"""Seconds after which an event loop that takes up no call is said to be blocked."""


class Ended(Exception):
    """A call with a key whose block has ended."""


class UnknownModel(shapes.BadRequest):
    """A model that the run does not have."""


@dataclass(eq=False)
class Asked:
    """A call, from its arrival until its answer has been handed over."""

    request: Request
    gone: Callable[[], bool]
    """Whether the client that waits for the answer has gone."""
    future: Future[Response] = field(default_factory=Future)
    begun: bool = False
    """Whether the event loop has taken the call up."""
    since: float = 0.0
    """When it was handed to the event loop."""
    delivered: bool = False

    @property
    def failed(self) -> bool:
        """Whether it is over, without an answer."""
        return self.future.done() and (self.future.cancelled() or self.future.exception() is not None)

    @property
    def free(self) -> bool:
        """Whether an equal request is this call again: its client has had no answer, and waits for none."""
        return not self.delivered and (self.failed or self.gone())


class Lease:
    """An address and a key for one block of a program (see ``gateway``).

    Args:
        url: base URL of the gateway.
        session: answers the calls.
        path: place of the block in the run, its own ordinal included.
        tasks: where the gateway keeps the calls under way.
        end: takes the key back.
    """

    def __init__(
        self, url: str, session: Session, path: str, tasks: set[asyncio.Task[Any]], end: Callable[[str], object]
    ) -> None:
        self.url = url
        """Base URL for clients; it ends in ``/v1``."""
        self.key = f"sk-agentopt-{secrets.token_urlsafe(24)}"
        """The key for ``api_key``. It is good until the block ends."""
        self._session, self._path, self._tasks, self._end = session, path, tasks, end
        self._calls: dict[str, list[Asked]] = {}
        self._lock = threading.Lock()
        self._ended = False
        self._problem: BaseException | None = None
        self._failure: LLMError | None = None

    def __repr__(self) -> str:
        return f"Lease({self.url})"

    @property
    def model(self) -> str:
        """The name of the model to ask for: what ``/v1/models`` lists first."""
        return self.models[0]

    @property
    def models(self) -> list[str]:
        """Names of the run's models, that of the block's own role first."""
        return list(dict.fromkeys(model_identity(m) for m in (self._session.model(), *self._session.models.values())))

    @property
    def env(self) -> dict[str, str]:
        """Environment variables for a process: what ``openai``, litellm and agentopt itself read."""
        direct = ",".join(filter(None, [os.environ.get("NO_PROXY") or os.environ.get("no_proxy"), "127.0.0.1"]))
        return {
            "OPENAI_BASE_URL": self.url,
            "OPENAI_API_BASE": self.url,
            "OPENAI_API_KEY": self.key,
            "AGENTOPT_MODEL": f"{self.url}#{self.model}",
            "AGENTOPT_API_KEY": self.key,
            "NO_PROXY": direct,
            "no_proxy": direct,
        }

    def requests(self, body: dict[str, Any]) -> list[Request]:
        """What a body asks, with the session's model and defaults.

        Raises:
            BadRequest, UnknownModel: it cannot be served.
        """
        given = shapes.fields_of(body)
        names = ("max_tokens", "temperature", "top_p", "seed", "timeout", "repeat", "stop")
        defaults = {name: v for name in names if (v := self._session.default(name)) is not None}
        given["extra"] = {**(self._session.default("extra") or {}), **given["extra"]}
        return shapes.requests(
            body, {**defaults, **given, "model": self._model(body.get("model")), "role": self._session.role}
        )

    def ask(self, request: Request, gone: Callable[[], bool], on_text: Any = None) -> Asked:
        """Make a call, or take up one that an equal request made and whose answer nobody has had.

        A client that gives up and tries again therefore pays once. The address counts equal requests, so that requests
        which a program makes at the same time keep theirs whatever order they arrive in.

        Raises:
            Ended: the block has ended.
        """
        with self._lock:
            if self._ended:
                raise Ended("this key has ended with the part of the program that it was made for")
            hash_ = request.hash
            equal = self._calls.setdefault(hash_, [])
            asked = next((a for a in equal if a.free), None)
            if asked is not None:
                asked.gone = gone
                if not asked.failed:
                    return asked
            else:
                address = None
                if self._session.scope:
                    path = f"{self._path}/{hash_[:12]}"
                    address = Address(scope=self._session.scope, path=path, ordinal=len(equal))
                asked = Asked(request.model_copy(update={"address": address}), gone)
                equal.append(asked)
            loop = self._session.loop
            target = loop if loop is not None and loop.is_running() else background_loop()
            asked.begun, asked.since = False, time.monotonic()
            asked.future = asyncio.run_coroutine_threadsafe(self._complete(asked, on_text), target)
            return asked

    def check(self, asked: Asked) -> None:
        """Whether a call that is waited for has a chance.

        Raises:
            LLMError: the event loop of the run has not taken it up.
        """
        if not asked.begun and not asked.future.done() and time.monotonic() - asked.since > BLOCKED:
            asked.future.cancel()
            error = LLMError(
                f"the run's event loop took up no call for {BLOCKED:g} seconds: a coroutine there waits without await. "
                "Use the async client, or run the code that waits in asyncio.to_thread"
            )
            self.note(error)
            raise error

    def result(self, asked: Asked) -> Response:
        """The answer of a call that is over.

        Raises:
            Ended: the block ended before.
            Exception: whatever the run's clients raised.
        """
        try:
            return asked.future.result()
        except CancelledError:
            raise Ended("the part of the program that this call belongs to has ended") from None

    def delivered(self, asked: Asked) -> None:
        """Say that a client has the answer of a call: an equal request is now another call."""
        asked.delivered, self._failure = True, None

    def missed(self, calls: Sequence[Asked], gone: Callable[[], bool]) -> None:
        """Say that a client's request has ended otherwise: what it was not given of its calls is an equal one's."""
        with self._lock:
            for asked in calls:
                if asked.gone == gone:  # else another request has taken it up
                    asked.gone = lambda: True

    def note(self, error: BaseException) -> None:
        """Keep what has to be told when the block ends."""
        if isinstance(error, LLMError):
            self._failure = error
        elif self._problem is None:
            self._problem = error

    def broken(self) -> LLMError:
        """The error of a streamed answer that broke off, and goes on otherwise than what has been passed on of it."""
        error = LLMError("the stream broke off, and its second try is another answer: what was passed on is void")
        self.note(error)
        return error

    def close(self) -> BaseException | None:
        """End the key and the calls under way; gives what the program has to be told.

        That is the end of the budget or anything else that ``llm`` would have raised but the failure of a model's
        server; else that failure, if it was the last call's.
        """
        with self._lock:
            self._ended = True
            calls = [asked for equal in self._calls.values() for asked in equal]
        self._end(self.key)
        for asked in calls:
            asked.future.cancel()
        for asked in sorted(calls, key=lambda a: (len(a.request.messages), str(a.request.address))):
            _place(asked)
        return self._problem or self._failure

    async def _complete(self, asked: Asked, on_text: Callable[[str], None] | None) -> Response:
        asked.begun = True
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            return await self._session.client.complete(asked.request.model_copy(update={"on_text": on_text}))
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # whatever it is: the program under way would not see it in a client's error
            self.note(error)
            raise

    def _model(self, name: Any) -> str:
        if name is None:
            return self._session.model()
        for model in (self._session.model(), *self._session.models.values()):
            identity = model_identity(model)
            if name in (identity, identity.partition("/")[2]):
                return model
        raise UnknownModel(f"this run has no model {name!r}; it has {', '.join(self.models)}")


def _place(asked: Asked) -> None:
    """Put a call on the graph, where there is one."""
    request = asked.request
    given = {"messages": tuple(turn.model_dump(mode="json") for turn in request.messages)}
    facts: dict[str, Any] = {"model": model_identity(request.model)}
    if request.address is not None:
        facts["address"] = str(request.address)
    if asked.failed:
        error = None if asked.future.cancelled() else asked.future.exception()
        told = "the block ended before its answer came" if error is None else f"{type(error).__name__}: {error}"
        add_op("gateway", None, given, kind="llm", doc=_DOC, error=told, **facts)
    else:
        answer = asked.future.result()
        facts |= {"finish": answer.finish, "usage": answer.usage.model_dump(), "usd": answer.usd}
        facts |= {"endpoint": answer.endpoint, "seconds": answer.seconds}
        add_op("gateway", answer.text, given, kind="llm", doc=_DOC, **facts)


_DOC = "asks a language model through the gateway"
