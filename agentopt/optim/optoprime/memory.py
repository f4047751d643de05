"""What was tried before: values, score and feedback of other candidates, as lines of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pydantic import JsonValue

from agentopt.core.values import canonical
from agentopt.optim.base import ParameterSpec, Scored
from agentopt.optim.meta import clip, show

__all__ = ["choose", "ladder", "outcome_of", "remember"]

_CODE = 10  # times the cap of another value


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
    """What differed from the current values, the output (of a single example), score and feedback: a line a try.

    Code is shown whole where it can be, with what was said of its worst example: a model copies what it is shown, marks
    of a shortened middle too.

    Args:
        tries: what ``choose`` gave.
        specs: the variables asked about now; they are shown also where they did not differ.
        current: the values now.
        tokens: cap of one value or feedback; ten times as many for code.
    """
    lines = []
    asked = {spec.name for spec in specs}
    code = {spec.name for spec in specs if spec.kind == "code"}
    for scored in tries:
        values = scored.candidate.values
        differing = [n for n in values if canonical(values[n]) != canonical(current.get(n))]
        named = [n for n in values if n in differing or (n in asked and not isinstance(values[n], str))]
        shown = [
            f"{name}:\n<<<\n{clip(str(values[name]), _CODE * tokens)}\n>>>" if name in code
            else f"{name} = {show(values[name], tokens)}"
            for name in named
        ]  # fmt: skip
        said = outcome_of(scored, tokens)
        if said and code & set(named) and (worst := _worst(scored)):
            said += f"; at worst: {clip(worst, 2 * tokens)}"
        if shown and said:
            lines.append(f"{', '.join(shown)} -> {said}")
    return "\n".join(dict.fromkeys(lines))


def _worst(scored: Scored) -> str:
    """What was said of the example with the lowest score, of several."""
    told = [o for o in scored.outcomes if o.status != "infra_error" and (o.error or (o.feedback and o.feedback.text))]
    if len({o.example for o in told}) < 2:
        return ""
    outcome = min(told, key=lambda o: -1e300 if o.score is None else o.score)
    text = outcome.error or (outcome.feedback.text if outcome.feedback else "")
    return " ".join(text.split())


def ladder(archive: Sequence[Scored], spec: ParameterSpec, current: Mapping[str, JsonValue], size: int) -> str:
    """The tries that differ from the current values in one number only, in the order of that number.

    The current one stands among them, so that what was said below and above it is read off at a glance. Of many tries
    the nearest are shown. Empty when there is no such try.
    """
    here = current.get(spec.name)
    if spec.kind != "number" or not isinstance(here, int | float) or size < 1:
        return ""
    rest = canonical({**current, spec.name: None})
    found: dict[float, str] = {}
    for scored in archive:
        value = scored.candidate.values.get(spec.name)
        if not isinstance(value, int | float) or canonical({**scored.candidate.values, spec.name: None}) != rest:
            continue
        if said := outcome_of(scored, 40):
            found[value] = f"{spec.name} = {show(value)} -> {said}" + ("  (now)" if value == here else "")
    below = sorted(value for value in found if value < here)[-((size + 1) // 2) :]
    above = sorted(value for value in found if value > here)[: (size + 1) // 2]
    if not below and not above:
        return ""
    return "\n".join(found[value] for value in [*below, *([here] if here in found else []), *above])


def outcome_of(scored: Scored, tokens: int) -> str:
    """What came of a try: the output and feedback of its only example, and the score."""
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
