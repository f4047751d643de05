"""The ask/tell protocol of optimizers, and the read-only window through which they see a run."""

from __future__ import annotations

import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from pydantic import JsonValue

from agentopt.core.values import Budget, Candidate, Outcome, Proposal
from agentopt.llm.types import Request, Response

__all__ = ["ChecksParameters", "Optimizer", "OptimizerLLM", "ParameterSpec", "Scored", "View"]


@dataclass(frozen=True, slots=True)
class ParameterSpec:
    """What an optimizer may know of a parameter.

    ``kind`` is text, code, number, choice, json or demos. ``check(value)`` returns the value converted to the
    parameter's type or raises ``ConstraintError`` with the reason.
    """

    name: str
    kind: str
    value: JsonValue
    description: str = ""
    constraint: str = ""
    low: float | None = None
    high: float | None = None
    integer: bool = False
    choices: tuple[JsonValue, ...] = ()
    json_schema: Mapping[str, JsonValue] | None = None
    check: Any = field(default=None, compare=False, repr=False)


@dataclass(frozen=True, slots=True)
class Scored:
    """A candidate of the archive with what is known of it on the search split.

    ``mean`` averages repeats within an example first, then examples; None before anything was scored. ``low`` and
    ``high`` are a 95 % interval of the mean. ``n`` counts examples.
    """

    candidate: Candidate
    mean: float | None
    n: int
    low: float | None
    high: float | None
    outcomes: tuple[Outcome, ...]
    step: int = 0
    operator: str = ""


class OptimizerLLM(Protocol):
    """The optimizer's model: every call is journaled, budgeted and addressed by the run."""

    model: str

    async def complete(self, request: Request) -> Response:
        """Answer one request; the run fills in ``model``, ``role`` and ``address`` when left at their defaults."""
        ...


class View(Protocol):
    """An optimizer's window on a run. Reading it never costs anything; it cannot change the run."""

    step: int
    """0 for the first ask."""
    objective: str
    """What is wanted, in the task's words."""
    parameters: Mapping[str, ParameterSpec]
    """The search space, by name."""
    baseline: Candidate
    """Where the run started."""
    best: Scored
    """The incumbent."""
    archive: Sequence[Scored]
    """Everything evaluated so far on the search split, baseline first, in the order of evaluation."""
    llm: OptimizerLLM
    """The optimizer's model."""
    rng: random.Random
    """Random numbers of this ask: a function of the run's seed and the step, so that a resumed run draws the same."""
    off: Collection[str] = ()
    """Invariants that the run has switched off."""
    frozen: Sequence[str] = ()
    """Texts that every parameter which holds them must keep word for word."""
    score_range: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest score of the task."""
    remaining: Budget = Budget()
    """What was left to the search when this step began; an axis that is None has no limit."""

    def example(self, id: str) -> tuple[Any, Any]:
        """Input and target of an example of the search split; others raise ``UsageError``: not for searching."""
        ...

    def graph(self, outcome: Outcome) -> Any:
        """The traced ``agentopt.core.Graph`` of an outcome, or None."""
        ...

    def prompt(self, name: str) -> str:
        """The text of a prompt file by name, such as ``meta/optoprime``."""
        ...


class Optimizer(Protocol):
    """Proposes candidates from what has been evaluated.

    The run owns evaluation, so an optimizer needs no loop, concurrency, budget or storage of its own. ``ask`` may call
    ``view.llm`` at will; a malformed answer is not an exception but fewer proposals (an empty list is fine). When every
    call of an ask failed, its ``LLMError`` goes up: it must not look like a lack of ideas.
    ``state`` is JSON; ``load(state())`` on a fresh instance continues exactly.
    """

    name: str

    async def ask(self, view: View, n: int) -> list[Proposal]:
        """Suggest up to ``n`` candidates."""
        ...

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Take in the outcomes of the candidates that were evaluated since the last ask."""
        ...

    def state(self) -> dict[str, JsonValue]:
        """Everything needed to go on, as JSON."""
        ...

    def load(self, state: Mapping[str, JsonValue]) -> None:
        """Take a state that ``state`` gave."""
        ...


@runtime_checkable
class ChecksParameters(Protocol):
    """An optimizer that says, before anything is paid, whether it can search. A part that an optimizer may lack."""

    def check_parameters(self, parameters: Mapping[str, ParameterSpec], prompt: Callable[[str], str]) -> None:
        """Raise ``UsageError`` when it can change none of the parameters, or not with its options.

        Args:
            parameters: the search space, by name.
            prompt: the text of a prompt file by name, as ``View.prompt``.
        """
        ...
