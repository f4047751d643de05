"""The knobs of a synthesis. Defaults are those of ReSocratic (Yang et al., ICLR 2025) where it has the same knob."""

from __future__ import annotations

from typing import Literal, Self

from pydantic import Field, model_validator

from agentopt.core.values import Frozen
from agentopt.problems.similarity import THRESHOLD
from agentopt.problems.steps import MOST_CONSTRAINTS

__all__ = ["SynthesisOptions"]


class SynthesisOptions(Frozen):
    """What is grown from what, and what a problem must pass. Model, budget and the rest are those of every run."""

    seeds: str = "ours"
    """Demonstrations to grow from: ours (generated), published (ReSocratic's, from AGENTOPT_DATA), or a JSON file
    with a list of {scenario, kind}."""
    kind: Literal["both", "linear", "nonlinear"] = "both"
    """Which problems are grown."""
    singles: int = Field(100, ge=0)
    """Draws with each seed alone as the example."""
    pairs: int = Field(50, ge=0)
    """Draws with each pair of seeds as examples."""
    draws: int | None = Field(None, gt=0)
    """At most this many draws in all; they are taken evenly from all seeds and pairs."""
    grow_temperature: float = Field(0.7, ge=0)
    """Sampling temperature of new demonstrations, and of all programs for a problem but the first."""
    most_constraints: int = Field(MOST_CONSTRAINTS, gt=0)
    """Constraints that are taken of a demonstration at most."""
    threshold: float = Field(THRESHOLD, ge=0, le=1)
    """A demonstration whose variables and objective are more similar than this (TF-IDF cosine) to those of a seed, or
    of one that was kept, is dropped."""
    expand: bool = True
    """Make a problem of every prefix with at least one constraint, not only of the whole."""
    tables: Literal["both", "yes", "no"] = "both"
    """Ask for each question with a table, without, or both."""
    samples: int = Field(1, gt=0)
    """Programs that are written for each problem."""
    agree: int | None = Field(None, gt=0)
    """How many of them must find the same optimum; all, when not given."""
    program_seconds: float = Field(10.0, gt=0)
    """Processor time of a program, by the clock ten times as much; the paper has 1.5 by the clock and keeps what takes
    longer, here that is dropped."""
    round_size: int = Field(16, gt=0)
    """Draws that are taken through all stages together; a budget that ends later costs no more than one round."""
    grow_tokens: int = Field(2048, gt=0)
    """Output cap of a demonstration."""
    question_tokens: int = Field(1024, gt=0)
    """Output cap of a question."""
    code_tokens: int = Field(2048, gt=0)
    """Output cap of a program."""

    @model_validator(mode="after")
    def _possible(self) -> Self:
        if self.agree is not None and self.agree > self.samples:
            raise ValueError(f"{self.agree} of {self.samples} samples cannot agree")
        if not self.singles and not self.pairs:
            raise ValueError("nothing is drawn: singles and pairs are both 0")
        return self

    @property
    def kinds(self) -> tuple[Literal["linear", "nonlinear"], ...]:
        """The kinds that are grown."""
        return ("linear", "nonlinear") if self.kind == "both" else (self.kind,)

    @property
    def forms(self) -> tuple[bool, ...]:
        """Whether a table is asked for, for each question of a problem."""
        return {"both": (False, True), "yes": (True,), "no": (False,)}[self.tables]

    @property
    def needed(self) -> int:
        """Programs that must agree."""
        return self.samples if self.agree is None else self.agree
