"""What came of a program that solves an optimization problem: one record, one status."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import Field

from agentopt.core.values import Frozen
from agentopt.evaluate.modelling.replies import Form

__all__ = ["STATUSES", "SolveStatus", "Solved"]

SolveStatus = Literal[
    "ok", "partial", "unreadable", "no_answer", "infeasible", "unbounded", "not_optimal", "no_code", "cut_off",
    "crashed", "timeout", "memory", "limit", "forbidden", "missing_solver", "infra",
]  # fmt: skip
"""How it ended.

- ``ok``: every name has a finite value
- ``partial``: some have; ``unreadable``: a value is there and is no finite number; ``no_answer``: it ran, and nothing
  of what it printed is an answer
- ``infeasible``, ``unbounded``, ``not_optimal``: it ran, and says so in place of an answer
- ``no_code``, ``cut_off``: the reply has no program, or ends within it
- ``crashed``: an exception, a syntax error, an exit code, a signal
- ``timeout``, ``memory``, ``limit`` (of output, processes, files): it reached that limit
- ``forbidden``: the sandbox denies what it did (network, files)
- ``missing_solver``: it wants a solver or a package that is not installed and was not promised
- ``infra``: the world's fault, never the program's: no sandbox, a broken one, or a promised solver that is not here
"""

STATUSES: tuple[SolveStatus, ...] = get_args(SolveStatus)


class Solved(Frozen):
    """What came of one program. Never an exception, whatever the program did."""

    status: SolveStatus
    """How it ended."""
    text: str = ""
    """Why, in words that a model can use; empty for ``ok``."""
    values: dict[str, float] = Field(default_factory=dict)
    """The figures that were read, by the names that were asked for."""
    problems: dict[str, str] = Field(default_factory=dict)
    """Names without a figure, and why."""
    ran: bool = False
    """Whether the program came to its end without an error, whatever it printed."""
    program: str = ""
    """The source that was run, or that was found and not run."""
    form: Form = "bare"
    """How it stood in the reply; ``bare`` also for a program that was given as such."""
    imports: tuple[str, ...] = ()
    """The packages that it imports."""
    stdout: str = ""
    """The end of what it printed."""
    stderr: str = ""
    """The end of what it printed as errors."""
    seconds: float = 0.0
    """Wall clock in the sandbox."""

    @property
    def ok(self) -> bool:
        """Whether every name has a value."""
        return self.status == "ok"

    @property
    def ours(self) -> bool:
        """Whether the fault is the world's, so that it counts as no answer at all and not as a wrong one."""
        return self.status == "infra"

    def objective(self, name: str) -> float | None:
        """The value of one name; None when there is none."""
        return self.values.get(name)
