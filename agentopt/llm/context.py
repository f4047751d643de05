"""The session of a call: which client answers, which models stand behind the roles, and where in a run we are."""

from __future__ import annotations

import asyncio
import functools
import os
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from agentopt._builtin import shipped_prompt
from agentopt.core import require_run
from agentopt.errors import MissingDependency
from agentopt.llm.limits import Limited
from agentopt.llm.providers import ByModel, resolve
from agentopt.llm.retry import Retrying
from agentopt.llm.types import Client, Role

if TYPE_CHECKING:
    from agentopt.llm.gateway import Gateway

__all__ = ["Session", "current_session", "use_session"]

_SESSION: ContextVar[Session | None] = ContextVar("agentopt_session", default=None)


@dataclass(frozen=True)
class Session:
    """What ``llm()`` needs to know of its surroundings.

    A run sets one for each cell (and one with ``role="judge"`` around a scorer); outside a run there is a default one.
    """

    client: Client
    """Answers the requests, whatever model they name."""
    models: Mapping[str, str] = field(default_factory=dict)
    """Role to model string."""
    defaults: Mapping[str, Any] = field(default_factory=dict)
    """Request fields that a call does not give: ``max_tokens``, ``temperature``, ``seed``, ``stop``, ``timeout``,
    ``extra``, ``repeat``, ... Under the name of a role: those of that role alone, which go first."""
    scope: str = ""
    """First part of every call's address; empty outside a run, where calls have no address."""
    role: Role = "agent"
    """On whose account calls are."""
    loop: asyncio.AbstractEventLoop | None = None
    """The loop that serves calls made from plain (sync) code; None is the background loop."""
    prompt: Callable[[str], str] = shipped_prompt
    """Text of a prompt file by name, such as ``meta/repair``."""
    gateway: Gateway | None = None
    """What ``agentopt.gateway()`` lends from; None is the process's own."""

    def model(self, given: str | None = None) -> str:
        """The model of a call: the given one, else the role's.

        Raises:
            MissingDependency: neither says one.
        """
        chosen = given or self.models.get(self.role) or self.models.get("agent")
        if not chosen:
            raise MissingDependency(
                "no model is chosen: export AGENTOPT_MODEL=local/qwen2.5-coder-1.5b (or openai/NAME, "
                "http://host:port/v1), or give the call a model=..."
            )
        return chosen

    def default(self, name: str) -> Any:
        """A request field's default, or None."""
        own = self.defaults.get(self.role)
        if isinstance(own, Mapping) and name in own:
            return own[name]
        return self.defaults.get(name)


def current_session() -> Session:
    """The session of the current context; outside a run a default one (``AGENTOPT_MODEL``, with retry and limits)."""
    session = _SESSION.get()
    if session is not None:
        return session
    require_run("a model was called")
    model = os.environ.get("AGENTOPT_MODEL", "")
    return Session(client=_default_client(), models={"agent": model} if model else {})


@contextmanager
def use_session(session: Session) -> Iterator[Session]:
    """Make a session the current one, in this context and in what is started from it.

    >>> from agentopt.testing import ScriptedLLM
    >>> from agentopt.llm.call import llm
    >>> with use_session(Session(ScriptedLLM(["four"]), models={"agent": "any"})):
    ...     print(llm("What is two and two?"))
    four
    """
    token = _SESSION.set(session)
    try:
        yield session
    finally:
        _SESSION.reset(token)


@functools.cache
def _default_client() -> ByModel:
    return ByModel(lambda model: Retrying(Limited(resolve(model))))
