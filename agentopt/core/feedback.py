"""Feedback on nodes, and its way back to the parameters: one linear pass over what the output depends on."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from agentopt.core.cell import Cell, ancestors
from agentopt.errors import UsageError

if TYPE_CHECKING:
    from agentopt.core.values import Feedback

__all__ = ["Given", "backward", "zero_feedback"]


class Given(NamedTuple):
    """One piece of feedback: the node that it was given on, what was said, and its weight."""

    output: Any
    feedback: Feedback
    weight: float


def backward(output: Cell, feedback: Any, weight: float) -> None:
    """Put feedback on ``output`` and on every parameter that it depends on."""
    from agentopt.core.values import Feedback

    if isinstance(feedback, str):
        said = Feedback(text=feedback)
    elif isinstance(feedback, Feedback):
        said = feedback
    elif isinstance(feedback, bool | int | float):
        said = Feedback(score=feedback)
    else:
        raise UsageError(f"feedback is words, a score or a Feedback, not {feedback!r} ({type(feedback).__name__})")
    for cell in ancestors(output):
        if cell is output:
            _put(cell, (None, said, weight))
        elif cell._n_op.kind == "param":
            _put(cell, (output, said, weight))


def _put(cell: Cell, entry: tuple[Cell | None, Feedback, float]) -> None:
    if cell._n_feedback is None:
        cell._n_feedback = []
    cell._n_feedback.append(entry)


def given(cell: Cell) -> list[Given]:
    """The feedback on a node; an entry without an output (it would hold itself) is about the node itself."""
    entries = cell._n_feedback or ()
    return [Given(cell if output is None else output, said, weight) for output, said, weight in list(entries)]


def zero_feedback(parameters: Iterable[Any] | Mapping[str, Any]) -> None:
    """Forget the feedback on parameters (a list of them, or what ``parameters(obj)`` gives)."""
    cells: Iterable[Any] = parameters.values() if isinstance(parameters, Mapping) else parameters
    for parameter in cells:
        parameter._n_feedback = None
