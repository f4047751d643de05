"""Whose fault a failure is: the program's, which counts against a candidate, or the world's, which does not."""

from __future__ import annotations

import socket
import traceback
import urllib.error
from collections.abc import Iterator

from agentopt.core.values import Candidate, Status
from agentopt.errors import AgentOptError, BudgetExhausted, LLMError, NodeError, StoreError, UnusableAnswer, UsageError
from agentopt.evaluate.scoring import ScorerError, Unscorable
from agentopt.llm.failures import redact

__all__ = ["INFRA", "blame", "causes", "unscored"]

INFRA = (LLMError, StoreError, ConnectionError, socket.gaierror)
"""Failures of the world, as they are known by their class."""
_REFUSED = (400, 404, 413, 422)
_CLIENTS = ("openai", "litellm", "httpx", "httpcore", "httpx2", "httpcore2", "aiohttp", "requests", "urllib3")
"""Packages with which programs reach models and services themselves."""
_BROKEN = ("TransportError", "APIConnectionError", "ClientConnectionError", "ClientPayloadError", "ConnectionError",
           "Timeout", "HTTPError", "RemoteProtocolError")  # fmt: skip
"""Their classes for what never came to an answer; one with a status is judged by that."""


def blame(problem: BaseException, candidate: Candidate) -> tuple[Status, str]:
    """Status and text of a failure; no key of the environment is in the text.

    The end of a budget and a caller's mistake are nobody's: they are raised.
    """
    for cause in causes(problem):
        if isinstance(cause, BudgetExhausted | UsageError):
            raise cause
    for cause in causes(problem):
        # A request that is refused for what it says is the doing of the candidate; of the baseline's, of the set-up.
        refused = isinstance(cause, LLMError) and cause.status in _REFUSED and candidate.origin != "baseline"
        if isinstance(cause, UnusableAnswer) or refused:
            return "agent_error", redact(f"{type(cause).__name__}: {cause}")
        if isinstance(cause, INFRA) or _unreached(cause):
            return "infra_error", redact(f"{type(cause).__name__}: {cause}")
    original = problem.__cause__ if isinstance(problem, NodeError) and problem.__cause__ is not None else problem
    return "agent_error", redact("".join(traceback.format_exception(original)).strip())


def unscored(said: ScorerError, candidate: Candidate) -> Status:
    """Whose fault it is that a scorer gave no score.

    A scorer that raises, or returns what is no score, is taken to be at fault where it does so on the baseline, or on
    values that a person gave to an evaluation. Of a search's candidate it is the output that the scorer cannot take, or
    a candidate would choose the examples that count. This looks at nothing that was measured before, so that it does
    not depend on the order in which cells end.
    """
    if not isinstance(said, Unscorable) or candidate.origin in ("baseline", "given"):
        return "infra_error"
    return "agent_error" if said.cause is None else blame(said.cause, candidate)[0]


def _unreached(cause: BaseException) -> bool:
    """Whether a client of the program's own could not reach its server, or was turned away for no fault of the request.

    >>> _unreached(urllib.error.URLError("no route to host")), _unreached(ValueError("no number"))
    (True, False)
    """
    answer = getattr(cause, "response", None)
    status = getattr(cause, "status_code", None) or getattr(answer, "status_code", None) or getattr(cause, "code", None)
    named = {c.__name__ for c in type(cause).__mro__}
    known = type(cause).__module__.partition(".")[0] in _CLIENTS or isinstance(cause, urllib.error.URLError)
    if known and isinstance(status, int):
        return status >= 500 or status in (401, 403, 408, 409, 425, 429)
    return isinstance(cause, urllib.error.URLError) or (known and not named.isdisjoint(_BROKEN))


def causes(problem: BaseException) -> Iterator[BaseException]:
    """An exception, what our own errors wrap, and the members of a group (of an ``asyncio.TaskGroup``, say)."""
    yield problem
    if isinstance(problem, BaseExceptionGroup):
        for member in problem.exceptions:
            yield from causes(member)
    elif isinstance(problem, NodeError | AgentOptError) and problem.__cause__ is not None:
        yield from causes(problem.__cause__)
