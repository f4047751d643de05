"""From whatever a scorer returns to a ``Feedback``: one range, one direction, and no silent zero.

A scorer that fails is data. ``ScorerError`` is a ``Feedback`` without a score whose text says what went wrong; the run
records it as the world's fault and goes on.
"""

from __future__ import annotations

import asyncio
import functools
import inspect
import math
import traceback
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pydantic import PrivateAttr, ValidationError, model_validator

from agentopt.core.values import Feedback, real, scalar
from agentopt.errors import BudgetExhausted, LLMError, StoreError, UsageError
from agentopt.llm.types import whole

__all__ = [
    "FAILED",
    "Scorer",
    "ScorerError",
    "Unscorable",
    "call_scorer",
    "failed",
    "normalise",
    "scorer_name",
    "takes_trace",
]

Scorer = Callable[..., Any]
"""``scorer(example, output)`` or ``scorer(example, output, trace)``, sync or async; see ``normalise``."""

FAILED = "scorer "
"""How the text of every failure of a scorer begins."""
_PASS_THROUGH = (BudgetExhausted, LLMError, StoreError, UsageError)


class ScorerError(Feedback):
    """The scorer failed, so there is no score (which is not 0). ``text`` says what happened and what to do."""

    @model_validator(mode="after")
    def _unscored(self) -> ScorerError:
        if self.score is not None:
            raise ValueError("a scorer that failed has no score")
        return self


class Unscorable(ScorerError):
    """The scorer raised, or returned what is no score: it is broken, or the output is not what it can take."""

    _cause: BaseException | None = PrivateAttr(default=None)

    @property
    def cause(self) -> BaseException | None:
        """What the scorer raised."""
        return self._cause


def scorer_name(scorer: Any) -> str:
    """The name by which messages call a scorer."""
    return str(getattr(scorer, "__name__", None) or getattr(scorer, "name", None) or type(scorer).__name__)


def call_scorer(scorer: Scorer, example: Any, output: Any, trace: Any = None) -> Any:
    """Call with two or three arguments, as the scorer's signature has room for; further required ones get None."""
    parameters = _taken(scorer)
    if parameters is None:
        return scorer(example, output)
    positional = _positional(parameters)
    if any(p.kind is p.VAR_POSITIONAL for p in parameters):
        return scorer(example, output, trace)
    required = sum(p.default is p.empty for p in positional)
    given = [example, output, trace][: len(positional)] if len(positional) >= 2 else [example, output]
    return scorer(*given, *[None] * (required - len(given)))


def takes_trace(scorer: Scorer) -> bool:
    """Whether a scorer has room for the trace of the run that it scores.

    >>> takes_trace(lambda example, output: 1.0), takes_trace(lambda example, output, trace: 1.0)
    (False, True)
    """
    parameters = _taken(scorer) or ()
    positional = _positional(parameters)
    return len(positional) > 2 or any(p.kind is p.VAR_POSITIONAL for p in parameters)


def _positional(parameters: Sequence[inspect.Parameter]) -> list[inspect.Parameter]:
    return [p for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]


def _taken(scorer: Scorer) -> tuple[inspect.Parameter, ...] | None:
    try:
        return _parameters(scorer)
    except TypeError:  # it has no hash to be known by
        return _parameters.__wrapped__(scorer)


@functools.lru_cache(maxsize=16)
def _parameters(scorer: Scorer) -> tuple[inspect.Parameter, ...] | None:
    """What a scorer takes; None where that cannot be said."""
    try:
        return tuple(inspect.signature(scorer).parameters.values())
    except (TypeError, ValueError):
        return None


def failed(scorer: Any, error: BaseException) -> Unscorable:
    """The data that an exception inside a scorer becomes, ``SystemExit`` and a ``CancelledError`` of its own included.

    Raises:
        BudgetExhausted, LLMError, StoreError, UsageError: the ``error`` itself, when it is one of these.
        CancelledError: the task that calls the scorer is being cancelled.
    """
    if isinstance(error, _PASS_THROUGH):
        raise error
    if isinstance(error, asyncio.CancelledError) and (task := asyncio.current_task()) and task.cancelling():
        raise error
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    at = f" at {last.filename.rsplit('/', 1)[-1]}:{last.lineno} `{last.line}`" if last else ""
    text = f"{FAILED}{scorer_name(scorer)!r} raised {type(error).__name__}: {_told(error)}{at}"
    made = Unscorable(text=whole(text))
    made._cause = error
    return made


def _told(error: BaseException) -> str:
    if isinstance(error, ValidationError):  # of a Feedback that cannot be made
        return "; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())
    return str(error)


def normalise(returned: Any, score_range: tuple[float, float] = (0.0, 1.0), *, scorer: str = "scorer") -> Feedback:
    """Read a scorer's answer.

    Accepted are a finite number within the range; a bool where the range is 0 to 1; ``(score, text)``; a dict with
    ``score``, ``text`` (or ``feedback``) and named numbers as parts (without ``score`` it is the mean of the parts); an
    object with ``score`` and ``feedback`` or ``text``; a ``Feedback``; a text alone, which is feedback without a score.
    Numbers may be of any library; parts are finite. Anything else gives a ``ScorerError``, never a score; one that the
    scorer returns itself is told as the scorer's, as every other failure of it.

    >>> normalise((0.5, "half right")).score
    0.5
    >>> normalise(float("nan")).text
    "scorer 'scorer' returned nan, which is not a score; return a finite number between 0 and 1"
    """
    try:
        made = _read(returned, score_range)
        if isinstance(made, ScorerError) and not made.text.startswith(FAILED):
            made = made.model_copy(update={"text": f"{FAILED}{scorer!r} gave no score: {made.text}"})
        parts = {whole(name): value for name, value in made.parts.items()}
        return made.model_copy(update={"text": whole(made.text), "parts": parts})
    except _Unusable as error:
        reason = str(error)
    except Exception as error:
        reason = f"a {type(returned).__name__}, which cannot be read ({type(error).__name__}: {error})"
    low, high = score_range
    text = f"{FAILED}{scorer!r} returned {reason}; return a finite number between {low:g} and {high:g}"
    return Unscorable(text=whole(text))


class _Unusable(Exception):
    """Why an answer is not a score."""


def _number(value: Any, score_range: tuple[float, float]) -> float:
    low, high = score_range
    if value is None:
        raise _Unusable("None, which is not a score")
    if isinstance(held := scalar(value), bool):
        if (low, high) != (0.0, 1.0):
            raise _Unusable(f"the bool {value}, but the declared range is {low:g} to {high:g}")
        return float(held)
    if isinstance(value, str):
        raise _Unusable(f"the text {_short(value)} as a score")
    try:
        number = real(held)
    except ValueError:
        raise _Unusable(f"a {type(value).__name__} ({_short(value)}), which is not a number") from None
    if not math.isfinite(number):
        raise _Unusable(f"{number}, which is not a score")
    slack = 1e-9 * (high - low)
    if not low - slack <= number <= high + slack:
        raise _Unusable(f"{number:g}, outside the declared range {low:g} to {high:g}")
    return min(max(number, low), high)


def _read(returned: Any, score_range: tuple[float, float]) -> Feedback:
    if isinstance(returned, ScorerError):
        return returned
    if isinstance(returned, Feedback):
        if returned.score is None:
            if not returned.text:
                raise _Unusable("a Feedback with neither score nor text")
            return returned
        return returned.model_copy(update={"score": _number(returned.score, score_range)})
    if isinstance(returned, str):
        try:
            float(returned)
        except ValueError:
            if not returned.strip():
                raise _Unusable("an empty text") from None
            return Feedback(text=returned)
        raise _Unusable(f"the text {returned!r}")
    if isinstance(returned, Mapping):
        return _from_mapping(returned, score_range)
    if isinstance(returned, tuple):
        if len(returned) != 2 or not isinstance(returned[1], str):
            raise _Unusable(f"the tuple {_short(returned)}, which is not (score, text)")
        return Feedback(score=_number(returned[0], score_range), text=returned[1])
    if hasattr(returned, "score") and not callable(returned.score):
        text = getattr(returned, "feedback", None) or getattr(returned, "text", None) or ""
        return Feedback(score=_number(returned.score, score_range), text=str(text))
    return Feedback(score=_number(returned, score_range))


def _from_mapping(returned: Mapping[Any, Any], score_range: tuple[float, float]) -> Feedback:
    text = str(returned.get("text") or returned.get("feedback") or "")
    parts: dict[str, float] = {}
    for name, value in returned.items():
        if name in ("score", "text", "feedback"):
            continue
        if isinstance(value, Mapping) and name == "parts":
            parts |= {str(k): _part(str(k), v) for k, v in value.items()}
        else:
            parts[str(name)] = _part(str(name), value)
    if "score" in returned:
        return Feedback(score=_number(returned["score"], score_range), text=text, parts=parts)
    if not parts:
        raise _Unusable("a dict without 'score' and without parts")
    mean = math.fsum(parts.values()) / len(parts)
    return Feedback(score=_number(mean, score_range), text=text, parts=parts)


def _part(name: str, value: Any) -> float:
    try:
        number = real(value)
    except ValueError:
        number = math.nan
    if math.isfinite(number):
        return number
    raise _Unusable(f"the part {name!r} as {_short(value)}, which is not a finite number")


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."
