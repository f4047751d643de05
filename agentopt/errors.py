"""The error tree. Everything that agentopt raises on purpose is in it.

::

    AgentOptError
    ├── UsageError               a mistake of the caller: one line, no traceback, says what to do
    │   ├── UnknownName          a name that resolves to nothing; says "did you mean ...?"
    │   ├── ConstraintError      a value that a parameter does not admit
    │   ├── MissingDependency    a package, key, model or file that a command can bring
    │   │   └── MissingData      a file of a data set that is not on this machine
    │   └── BudgetTooSmall       the budget cannot pay for what was asked; raised before the first call
    ├── BudgetExhausted          the end of a budget: a normal ending, never a crash
    ├── NodeError                an exception inside a traced node; carries the error node
    ├── LLMError                 a model call failed
    │   ├── TransientLLMError    worth another try (429, 5xx, connection); may carry ``retry_after`` seconds
    │   │   ├── RateLimited      the server asked for fewer calls
    │   │   └── RequestAdapted   the server refused a field that the next try does without
    │   └── UnusableAnswer       the model was asked and did not bring what the program needs: the program's matter
    │       ├── MalformedAnswer  an answer that does not have the asked form, also after its one repair
    │       └── TruncatedAnswer  an answer cut by its output cap; never adopted
    └── StoreError               the run file cannot be used
        ├── RunLocked            another process has the run open
        ├── RunCorrupt           the file is cut or damaged
        └── SchemaTooNew         written by a newer agentopt

A failure of a model or of a scorer *inside a run* is data (an ``Outcome`` with a status), not an exception.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any

__all__ = [
    "AgentOptError",
    "BudgetExhausted",
    "BudgetTooSmall",
    "ConstraintError",
    "LLMError",
    "MalformedAnswer",
    "MissingData",
    "MissingDependency",
    "NodeError",
    "RateLimited",
    "RequestAdapted",
    "RunCorrupt",
    "RunLocked",
    "SchemaTooNew",
    "StoreError",
    "TransientLLMError",
    "TruncatedAnswer",
    "UnknownName",
    "UnusableAnswer",
    "UsageError",
]


class AgentOptError(Exception):
    """Root of the tree."""


class UsageError(AgentOptError):
    """A mistake of the caller: what happened, where, and what to do, in one line."""


class UnknownName(UsageError):
    """A name that resolves to nothing.

    >>> str(UnknownName("task", "arithmetik", ["arithmetic", "sorting"]))
    "no task named 'arithmetik'; did you mean 'arithmetic'? (`agentopt list` shows all)"
    """

    def __init__(self, what: str, name: str, known: Iterable[str], hint: str = "`agentopt list` shows all") -> None:
        close = difflib.get_close_matches(name, list(known), n=1, cutoff=0.5)
        guess = f"; did you mean {close[0]!r}?" if close else ""
        super().__init__(f"no {what} named {name!r}{guess} ({hint})")
        self.what, self.name, self.suggestion = what, name, close[0] if close else None


class ConstraintError(UsageError):
    """A value that a parameter does not admit."""


class MissingDependency(UsageError):
    """A package, key, model or file that is not here; the message names the command that brings it."""


class MissingData(MissingDependency):
    """A file of a data set that is not on this machine; the message says where it is to be had."""


class BudgetTooSmall(UsageError):
    """The budget cannot pay for what was asked. Raised before the first call."""


class BudgetExhausted(AgentOptError):
    """A budget has ended. ``axis`` says which: calls, tokens, usd, evaluations or seconds."""

    def __init__(self, axis: str, message: str) -> None:
        super().__init__(message)
        self.axis = axis


class NodeError(AgentOptError):
    """An exception inside a traced node; ``node`` is the error node, ``__cause__`` the exception itself."""

    def __init__(self, message: str, node: Any) -> None:
        super().__init__(message)
        self.node = node


class LLMError(AgentOptError):
    """A model call failed for good. ``status`` is the HTTP status of the server's answer, where there was one."""

    status: int | None = None


class TransientLLMError(LLMError):
    """A failure worth another try. ``retry_after`` is the server's wish in seconds, where it gave one.

    ``billed`` says whether the provider may have charged the attempt: False when the request never got there or was
    refused at once (429, connection refused), True when it may have been worked on (timeout, 5xx, broken stream).
    """

    def __init__(self, message: str, *, retry_after: float | None = None, billed: bool = True) -> None:
        super().__init__(message)
        self.retry_after, self.billed = retry_after, billed


class RateLimited(TransientLLMError):
    """The server asked for fewer calls (429)."""

    def __init__(self, message: str, *, retry_after: float | None = None) -> None:
        super().__init__(message, retry_after=retry_after, billed=False)


class RequestAdapted(TransientLLMError):
    """The server refused a field of the request, and the next try does without it (at once: nothing is waited for)."""

    def __init__(self, message: str) -> None:
        super().__init__(message, billed=False)


class UnusableAnswer(LLMError):
    """The model was asked and did not bring what the program needs; ``text`` is what came.

    No failure of the world: in a run it counts against the candidate, as any other mistake of the program does.
    """

    def __init__(self, message: str, text: str = "") -> None:
        super().__init__(message)
        self.text = text


class MalformedAnswer(UnusableAnswer):
    """An answer that does not have the asked form, also after its one repair."""


class TruncatedAnswer(UnusableAnswer):
    """An answer cut by its output cap; it is never adopted."""


class StoreError(AgentOptError):
    """The run file cannot be used."""


class RunLocked(StoreError):
    """Another process has the run open."""


class RunCorrupt(StoreError):
    """The run file is cut or damaged."""


class SchemaTooNew(StoreError):
    """The run file was written by a newer agentopt."""
