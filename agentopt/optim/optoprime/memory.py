"""What was tried before: values, score and feedback of other candidates, as lines of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from agentopt.core.values import canonical
from agentopt.optim.base import ParameterSpec, Scored
from agentopt.optim.meta import clip, show

__all__ = ["choose", "remember"]


def choose(archive: Sequence[Scored], current: str, size: int) -> list[Scored]:
    """The tries worth remembering: half the best by mean, the rest the latest; the worst first.

    Args:
        archive: everything evaluated.
        current: id of the candidate that the report is about; it is not remembered beside itself.
        size: how many.
    """
    others = [scored for scored in archive if scored.candidate.id != current]
    ranked = sorted(others, key=lambda s: -1e300 if s.mean is None else s.mean, reverse=True)
    kept = ranked[: (size + 1) // 2]
    ids = {scored.candidate.id for scored in kept}
    for scored in reversed(others):
        if len(kept) >= size:
            break
        if scored.candidate.id not in ids:
            kept.append(scored)
            ids.add(scored.candidate.id)
    if any(scored.mean is not None for scored in kept):
        return sorted(kept, key=lambda s: -1e300 if s.mean is None else s.mean)
    return [scored for scored in others if scored.candidate.id in ids]


def remember(
    tries: Sequence[Scored],
    specs: Sequence[ParameterSpec],
    current: Mapping[str, JsonValue],
    tokens: int,
) -> str:
    """One line a try: what differed from the current values, the output (of a single example), score and feedback.

    Args:
        tries: what ``choose`` gave.
        specs: the variables asked about now; they are shown also where they did not differ.
        current: the values now.
        tokens: cap of one value or feedback.
    """
    lines = []
    asked = {spec.name for spec in specs}
    for scored in tries:
        values = scored.candidate.values
        differing = [n for n in values if canonical(values[n]) != canonical(current.get(n))]
        named = [n for n in values if n in differing or (n in asked and not isinstance(values[n], str))]
        what = ", ".join(f"{name} = {show(values[name], tokens)}" for name in named)
        said = _said(scored, tokens)
        if what and said:
            lines.append(f"{what} -> {said}")
    return "\n".join(dict.fromkeys(lines))


def _said(scored: Scored, tokens: int) -> str:
    parts = []
    outcomes = [outcome for outcome in scored.outcomes if outcome.status != "infra_error"]
    if len({outcome.example for outcome in outcomes}) == 1:
        outcome = outcomes[-1]
        if outcome.error:
            parts.append("failed: " + clip(outcome.error.strip().splitlines()[-1], tokens))
        elif outcome.output is not None:
            parts.append(f"output {show(outcome.output, tokens)}")
        if outcome.feedback is not None and outcome.feedback.text:
            parts.append(clip(" ".join(outcome.feedback.text.split()), tokens))
    if scored.mean is not None:
        parts.append(f"score {show(scored.mean)}" + (f" on {scored.n} examples" if scored.n > 1 else ""))
    return "; ".join(parts)
