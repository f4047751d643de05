"""What a candidate's evaluation says, for the request that asks how to improve it."""

from __future__ import annotations

from collections.abc import Sequence

from agentopt.core.values import Outcome
from agentopt.errors import AgentOptError
from agentopt.optim.base import Scored, View
from agentopt.optim.meta import clip, show
from agentopt.optim.opro.request import input_text

__all__ = ["Said", "said"]

_INPUT = 100  # tokens of an example's input


class Said:
    """The failed and the right examples of a candidate, as lines; ``counted`` says how many of how many are right."""

    def __init__(self, failed: str, passed: str, counted: str) -> None:
        self.failed, self.passed, self.counted = failed, passed, counted


def said(view: View, scored: Scored, *, shown: int = 5, chars: int = 100) -> Said:
    """The latest outcome of each example, the failed ones first, the worst before.

    Args:
        view: the run.
        scored: the candidate.
        shown: examples of either kind.
        chars: longest output, error or feedback that is shown of one.
    """
    latest = {o.example: o for o in scored.outcomes if o.status != "infra_error"}
    full = view.score_range[1]
    failed = [o for o in latest.values() if o.score is None or o.score < full]
    passed = [o for o in latest.values() if o.score is not None and o.score >= full]
    failed.sort(key=lambda o: -1e300 if o.score is None else o.score)
    return Said(
        _lines(view, failed[:shown], chars), _lines(view, passed[:shown], chars), f"{len(passed)} of {len(latest)}"
    )


def _lines(view: View, outcomes: Sequence[Outcome], chars: int) -> str:
    return "\n".join(f"- {line}" for o in outcomes if (line := _line(view, o, chars)))


def _line(view: View, outcome: Outcome, chars: int) -> str:
    try:
        given = " ".join(clip(input_text(view.example(outcome.example)[0]), _INPUT).split())
    except AgentOptError:
        given = ""
    parts = []
    if outcome.error:
        parts.append(_short(outcome.error.strip().splitlines()[-1], chars))
    elif outcome.output is not None:
        parts.append(_short(show(outcome.output, chars), chars))
    if not outcome.error and (graph := view.graph(outcome)) is not None and graph.printed:
        parts.append(_short(graph.printed, 2 * chars))
    if outcome.feedback is not None and outcome.feedback.text:
        parts.append(_short(outcome.feedback.text, 2 * chars))
    elif outcome.score is not None and outcome.score not in (view.score_range):
        parts.append(f"score {show(outcome.score)}")
    told = "; ".join(parts)
    return f"{given} -> {told}" if given and told else given or told


def _short(text: str, chars: int) -> str:
    flat = " ".join(text.split())
    return flat if len(flat) <= chars else flat[: chars - 3] + "..."
