"""The gateway: a run's clients behind a loopback OpenAI-compatible address.

Code that calls ``openai`` itself, a worker process, or a program in another framework then shares the run's budget,
journal, cache and limits::

    with agentopt.gateway() as g:
        client = openai.AsyncOpenAI(base_url=g.url, api_key=g.key)

The key stands for the place in the run where the block is: cells that run side by side never mix, and the key ends
with its block. See ``docs/gateway.md``.
"""

from __future__ import annotations

import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager

from agentopt.core import next_place
from agentopt.errors import LLMError
from agentopt.llm.context import current_session
from agentopt.llm.gateway.lease import Lease
from agentopt.llm.gateway.server import Gateway

__all__ = ["Gateway", "Lease", "gateway"]


@contextmanager
def gateway() -> Iterator[Lease]:
    """Lend a base URL and a key of the current session, for as long as the block lasts.

    Inside a run, calls made with them are this cell's, and stand at this node's place: they are paid from the run's
    budget, journaled, and not asked again after a resume. Outside of runs they go to the models of the default session.

    Yields:
        A ``Lease``: ``url``, ``key`` and ``model`` for a client, ``env`` for a process.

    Raises:
        BudgetExhausted: at the end of the block, when the budget could not bear one of its calls, whatever the block
            made of the error that its client had.
        LLMError: in place of an exception that leaves the block after a call of it had failed: the failure of the
            model's server is not the program's.
        UsageError: when a call could not be made for a reason that the run has to be told, such as a model without a
            known price.

    >>> import openai
    >>> from agentopt.llm.context import Session, use_session
    >>> from agentopt.testing import ScriptedLLM
    >>> def ask(question):
    ...     with gateway() as g, openai.OpenAI(base_url=g.url, api_key=g.key) as client:
    ...         turns = [{"role": "user", "content": question}]
    ...         return client.chat.completions.create(model=g.model, messages=turns).choices[0].message.content
    >>> with use_session(Session(ScriptedLLM(["four"]), models={"agent": "any"})):
    ...     ask("What is two and two?")
    'four'
    """
    session = current_session()
    lease = (session.gateway or _default()).lend(session, *next_place("~gateway"))
    try:
        yield lease
    except Exception as error:
        problem = lease.close()
        if problem is not None:
            raise problem from error
        raise
    except BaseException:
        lease.close()
        raise
    problem = lease.close()
    if problem is not None and not isinstance(problem, LLMError):
        raise problem


@functools.cache
def _default() -> Gateway:
    return Gateway()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_default.cache_clear)
