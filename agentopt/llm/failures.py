"""What a provider library raises, told in our error tree; and no secret in any of it.

Both ``openai`` and ``litellm`` raise classes of the same names with the same attributes (litellm's derive from
openai's), so they are told apart by name and status, without importing either, and alike for every major version.
"""

from __future__ import annotations

import email.utils
import functools
import os
import re
import time
from typing import Any

from agentopt.errors import (
    AgentOptError,
    LLMError,
    MissingDependency,
    RateLimited,
    TransientLLMError,
    UnusableAnswer,
    UsageError,
)

__all__ = ["failure", "redact", "retry_after"]

_SECRET_NAME = re.compile(r"(KEY|TOKEN|SECRET|PASSWORD|CREDENTIALS)$", re.IGNORECASE)
_SECRET_TEXT = re.compile(
    r"(?i)\b(?:sk|pk|rk|gsk|hf|xai)[-_][\w*-]{8,}|(?<=bearer )[\w.~+/*=-]{6,}|\bgithub_pat_\w{8,}"
    r"|(?-i:\b(?:AIza[\w-]{8,}|gh[a-z]_\w{8,}|AKIA[A-Z0-9]{12,}|xox[a-z]-[\w-]{6,}))"
    r"|(?<=[?&]key=)[^&#\s\"']+|(?<=[?&]token=)[^&#\s\"']+|(?<=[?&]apikey=)[^&#\s\"']+|(?<=[?&]api[-_]key=)[^&#\s\"']+"
)
_ENVIRONMENT = 1.0
"""Seconds for which the environment's secrets are remembered: a report redacts a hundred thousand texts."""
_TRANSPORT = ("httpx", "httpcore", "httpx2", "httpcore2", "anyio", "aiohttp", "h11", "ssl")
_REFUSED = {"ConnectError", "ConnectTimeout", "PoolTimeout", "ConnectionRefusedError", "ClientConnectorError"}
_TRANSIENT_STATUS = (408, 409, 425)


def redact(text: str, *secrets: str) -> str:
    """``text`` without API keys: the given ones, those in environment variables, and what looks like one.

    >>> redact("Incorrect API key provided: sk-abcdefgh12345", "other")
    'Incorrect API key provided: ***'
    """
    known = _known(time.monotonic() // _ENVIRONMENT, len(os.environ))
    for secret in sorted({*known, *filter(None, secrets)}, key=len, reverse=True) if any(secrets) else known:
        text = text.replace(secret, "***")
    return _SECRET_TEXT.sub("***", text)


@functools.lru_cache(maxsize=1)
def _known(second: float, size: int) -> tuple[str, ...]:
    """The secrets in environment variables, longest first."""
    found = {value for name, value in os.environ.items() if _SECRET_NAME.search(name) and len(value) >= 8}
    return tuple(sorted(found, key=len, reverse=True))


def retry_after(headers: Any) -> float | None:
    """Seconds that a server asks to wait: ``retry-after-ms``, or ``Retry-After`` as seconds or as a date.

    >>> retry_after({"retry-after": "2.5"}), retry_after({"retry-after-ms": "250"}), retry_after({})
    (2.5, 0.25, None)
    """
    if not hasattr(headers, "get"):
        return None
    for name, unit in (("retry-after-ms", 0.001), ("retry-after", 1.0), ("Retry-After", 1.0)):
        value = headers.get(name)
        if value is None:
            continue
        try:
            return max(0.0, float(value) * unit)
        except (TypeError, ValueError):
            pass
        try:
            return max(0.0, email.utils.parsedate_to_datetime(str(value)).timestamp() - time.time())
        except (TypeError, ValueError):
            continue
    return None


def failure(error: Exception, where: str, *secrets: str, hint: str = "") -> AgentOptError:
    """The error of our tree that tells what ``error`` means.

    Args:
        error: what the provider library raised.
        where: the endpoint, for the message.
        secrets: keys that must not be told.
        hint: what to do about a refused key, such as "check OPENAI_API_KEY".
    """
    if isinstance(error, AgentOptError):
        return error
    told = _told(error, where, secrets, hint)
    status = getattr(error, "status_code", None)
    if isinstance(told, LLMError) and isinstance(status, int):
        told.status = status
    return told


def _told(error: Exception, where: str, secrets: tuple[str, ...], hint: str) -> AgentOptError:
    error = _lost(error) or error
    names = _names(error)
    status = getattr(error, "status_code", None)
    headers = getattr(getattr(error, "response", None), "headers", None) or getattr(
        error, "litellm_response_headers", None
    )
    wait = retry_after(headers)
    said = redact(_said(error), *secrets)
    if missing := re.search(r"No module named '([\w.]+)'", said):
        package = missing[1].partition(".")[0]
        return MissingDependency(f"{where} needs the package {package}: pip install {package}")
    if "APITimeoutError" in names or "Timeout" in names or isinstance(error, TimeoutError):
        return TransientLLMError(f"{where}: no answer in time ({said})", billed=True)
    if "RateLimitError" in names or status == 429:
        if "insufficient_quota" in said or "exceeded your current quota" in said:
            return LLMError(f"{where}: the quota of this key is used up ({said})")
        return RateLimited(f"{where}: too many calls ({said})", retry_after=wait)
    if names & {"APIConnectionError", "ClientConnectorError"} and status in (None, 500):
        refused = any(_names(e) & _REFUSED for e in _causes(error)) or "Connection refused" in said
        tail = "; is the server running?" if refused else ""
        return TransientLLMError(f"{where}: cannot be reached ({said}){tail}", billed=not refused)
    if "AuthenticationError" in names or status in (401, 403):
        return LLMError(f"{where}: the key was refused ({said}){f'; {hint}' if hint else ''}")
    if "ContextWindowExceededError" in names or "context_length_exceeded" in said or "maximum context length" in said:
        return UnusableAnswer(f"{where}: the messages are longer than the model's context ({said})")
    if "LLM Provider NOT provided" in said:
        return UsageError(
            f"{where!r} names no provider: write local/NAME, openai/NAME, http://host:port/v1#NAME, or a litellm name "
            "such as anthropic/NAME"
        )
    if isinstance(status, int) and (status >= 500 or status in _TRANSIENT_STATUS):
        return TransientLLMError(f"{where}: server error {status} ({said})", retry_after=wait, billed=True)
    if isinstance(status, int):
        return LLMError(f"{where}: refused with {status} ({said})")
    if "APIError" in names or isinstance(error, OSError) or type(error).__module__.partition(".")[0] in _TRANSPORT:
        return TransientLLMError(f"{where}: the answer broke off ({said})", billed=True)
    if isinstance(error, ValueError):  # JSON that does not parse, an answer that does not validate
        return TransientLLMError(f"{where}: the answer cannot be read ({said})", billed=True)
    return LLMError(f"{where}: {type(error).__name__}: {said}")


def _lost(error: Exception) -> Exception | None:
    """The failure of a connection of ``aiohttp``, which speaks for what was made of it: openai's transport calls it a
    timeout, also where nothing was waited for."""
    kinds = ((e, _names(e)) for e in _causes(error) if isinstance(e, Exception))
    return next((e for e, n in kinds if "ClientConnectionError" in n and "ServerTimeoutError" not in n), None)


def _names(error: BaseException) -> set[str]:
    return {kind.__name__ for kind in type(error).__mro__}


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found


def _said(error: Exception) -> str:
    body = getattr(error, "body", None)
    text = ""
    if isinstance(body, dict):
        inner = body.get("error", body)
        inner = inner if isinstance(inner, dict) else {"message": inner}
        text = " ".join(str(inner[k]) for k in ("message", "code") if inner.get(k))
    text = text or str(error) or type(error).__name__
    return " ".join(text.split())[:500]
