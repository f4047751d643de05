"""Value types that every layer speaks: budgets, candidates, proposals, feedback, outcomes.

All are frozen pydantic models, so that they can be stored as JSON and read back by a later version.
"""

from __future__ import annotations

import hashlib
import json
import math
import numbers
from collections.abc import Mapping
from decimal import Decimal
from functools import cached_property
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, JsonValue, model_validator

from agentopt.errors import UsageError

__all__ = ["AXES", "Budget", "Candidate", "Feedback", "Frozen", "Outcome", "Proposal", "Status", "canonical", "digest"]

Status = Literal["ok", "agent_error", "infra_error", "timeout"]
AXES = ("calls", "tokens", "usd", "evaluations", "seconds")


def canonical(value: Any) -> str:
    """JSON with sorted keys and no spaces: the text that hashes are taken of.

    >>> canonical({"b": 1, "a": [True, None]})
    '{"a":[true,null],"b":1}'
    """
    return _CANONICAL.encode(value)


_CANONICAL = json.JSONEncoder(sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def digest(value: Any) -> str:
    """sha256 (hex) of the canonical JSON of ``value``."""
    return hashlib.sha256(canonical(value).encode()).hexdigest()


class Frozen(BaseModel):
    """Base of everything that is stored: immutable, and strict about unknown fields."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other fields; what was worked out from the fields (a ``cached_property``) is worked out anew.

        >>> one = Candidate(values={"p": "x"})
        >>> one.id == one.model_copy(update={"values": {"p": "y"}}).id
        False
        """
        made = super().model_copy(update=update, deep=deep)
        if update:
            for name in made.__dict__.keys() - type(made).model_fields.keys():
                del made.__dict__[name]
        return made


class Budget(Frozen):
    """What may be spent. ``None`` on an axis means that it is not limited.

    >>> Budget.parse("calls=400,usd=2")
    Budget(calls=400, usd=2.0)
    """

    calls: int | None = Field(None, ge=0)
    """Requests to language models, retries included."""
    tokens: int | None = Field(None, ge=0)
    """Input plus output tokens."""
    usd: float | None = Field(None, ge=0)
    """Money, in US dollars."""
    evaluations: int | None = Field(None, ge=0)
    """Cells: one candidate on one example once."""
    seconds: float | None = Field(None, ge=0)
    """Wall clock, a deadline: work in flight may end within a stated grace."""

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read ``calls=400,tokens=2e6,usd=2,evaluations=300,seconds=600`` (any subset, any order)."""
        values: dict[str, float] = {}
        for part in filter(None, (p.strip() for p in text.split(","))):
            axis, sep, amount = part.partition("=")
            axis = axis.strip()
            if not sep or axis not in AXES:
                raise UsageError(f"budget {part!r} is not AXIS=AMOUNT with an axis of {', '.join(AXES)}")
            try:
                number = float(amount.replace("_", ""))
            except ValueError:
                raise UsageError(f"budget {part!r}: {amount!r} is not a number") from None
            if not math.isfinite(number) or number < 0:
                raise UsageError(f"budget {part!r}: the amount must be finite and not negative")
            if axis in ("calls", "tokens", "evaluations") and number != int(number):
                raise UsageError(f"budget {part!r}: {axis} are counted in whole numbers")
            values[axis] = int(number) if axis in ("calls", "tokens", "evaluations") else number
        return cls(**values)

    def plus(self, more: Budget) -> Budget:
        """This budget with another added, axis by axis. An axis without a limit stays without one.

        >>> Budget(calls=400).plus(Budget(calls=100, usd=1))
        Budget(calls=500)
        """
        own, added = self.model_dump(exclude_none=True), more.model_dump(exclude_none=True)
        return Budget.model_validate({axis: limit + added.get(axis, 0) for axis, limit in own.items()})

    def __repr__(self) -> str:
        given = ", ".join(f"{a}={getattr(self, a)!r}" for a in AXES if getattr(self, a) is not None)
        return f"Budget({given})"

    __str__ = __repr__


class Candidate(Frozen):
    """One assignment of every parameter of the search, addressed by its content.

    >>> a, b = Candidate(values={"p": "x"}), Candidate(values={"p": "x"}, origin="other")
    >>> a.id == b.id
    True
    """

    values: dict[str, JsonValue]
    """Parameter name to value, as JSON, for all parameters of the search."""
    parents: tuple[str, ...] = ()
    """Ids of the candidates that it was made from."""
    origin: str = ""
    """The operator that made it: baseline, optoprime, paraphrase, random, ..."""

    @cached_property
    def id(self) -> str:
        """The first 16 hex digits of the sha256 of the values."""
        return digest(self.values)[:16]

    def changed(self, **values: JsonValue) -> Candidate:
        """The values with some replaced; this candidate becomes the parent."""
        return self.change(values)

    def change(self, values: dict[str, JsonValue], origin: str = "") -> Candidate:
        """The values with some replaced; this candidate becomes the parent."""
        unknown = set(values) - set(self.values)
        if unknown:
            raise UsageError(f"no parameter named {sorted(unknown)}; there are {sorted(self.values)}")
        return Candidate(values={**self.values, **values}, parents=(self.id,), origin=origin)


class Proposal(Frozen):
    """A candidate that an optimizer suggests, and why. Kept also when rejected."""

    candidate: Candidate
    """What is suggested."""
    why: str = ""
    """The optimizer's reason, in words."""
    operator: str = ""
    """Which operator made it."""
    rejected: tuple[str, ...] = ()
    """Why parts of it were not accepted (a name that does not exist, a value out of bounds, ...), one line each."""


def scalar(value: Any) -> Any:
    """The Python number in a NumPy or torch scalar; anything else as it is."""
    if isinstance(value, numbers.Real | Decimal) or not callable(getattr(value, "item", None)):
        return value
    try:
        return value.item()
    except Exception:  # it holds several
        return value


def real(value: Any) -> float:
    """A number of any kind (of a library, ``Decimal``, ``Fraction``) as a float, which may be infinite or NaN.

    Raises:
        ValueError: it is no number, or several.
    """
    value = scalar(value)
    if not isinstance(value, numbers.Real | Decimal):
        raise ValueError("not a number")
    try:
        return float(value)
    except (ValueError, OverflowError):
        return math.nan


def _finite(value: Any) -> float:
    number = real(value)
    if not math.isfinite(number):
        raise ValueError(f"not a finite number but {number}")
    return number


def _score(value: Any) -> float | None:
    return None if value is None else _finite(value)


class Feedback(Frozen):
    """What a scorer says of one output. ``score`` None means "not scored", which is not 0."""

    score: Annotated[float | None, BeforeValidator(_score)] = None
    """Higher is better, within the task's declared range."""
    text: str = ""
    """What is wrong or right, in words that an optimizer can use."""
    parts: dict[str, Annotated[float, BeforeValidator(_finite)]] = {}
    """Named partial scores, finite."""
    at: str | None = None
    """Id of the node that it speaks of; None is the output."""


class Outcome(Frozen):
    """One cell: a candidate on an example, once. The only thing that statistics read."""

    candidate: str
    """Candidate id."""
    example: str
    """Example id."""
    repeat: int = 0
    """0 for the first time, 1 for the second, ..."""
    split: str = ""
    """search, validation or test."""
    status: Status = "ok"
    """``infra_error`` is the world's fault and never counts as a wrong answer; ``agent_error`` does."""
    output: JsonValue = None
    """What the graph returned, as JSON (its repr where JSON cannot hold it)."""
    feedback: Feedback | None = None
    """What the scorer said; None when there is no answer to score."""
    metrics: dict[str, float] = {}
    """seconds, calls, input_tokens, output_tokens, usd (absent when unknown)."""
    trace: str | None = None
    """Blob id of the graph, as JSON."""
    error: str | None = None
    """The traceback or the reason, for every status but ok."""

    @property
    def score(self) -> float | None:
        """The feedback's score; None when there is none."""
        return None if self.feedback is None else self.feedback.score

    @model_validator(mode="after")
    def _consistent(self) -> Self:
        if self.status == "infra_error" and self.score is not None:
            raise ValueError("an infra_error has no score: the world failed, not the candidate")
        return self
