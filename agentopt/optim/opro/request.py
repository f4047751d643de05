"""OPRO's meta-prompt: history, exemplars and what is wanted, from the prompt file of a style."""

from __future__ import annotations

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from agentopt._builtin import without_front_matter
from agentopt.errors import AgentOptError, UsageError
from agentopt.llm.types import Message
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.frame import marks, split
from agentopt.optim.meta import bounds, clip, fill, section, show, size_of
from agentopt.optim.opro.exemplars import POLICIES, pool
from agentopt.optim.opro.forms import form_of, shown
from agentopt.optim.opro.history import Entry, Measure, choose, entries, measure_of, numbers, same_values
from agentopt.optim.opro.polish import key
from agentopt.optim.opro.positions import position_of
from agentopt.optim.opro.settings import Settings
from agentopt.optim.opro.styles import STYLES

__all__ = ["MetaPrompt", "build", "check_words", "input_text"]

_INPUT = 200  # tokens of an example's input
_FAILING = ("accumulative_most_frequent", "current_most_frequent")


class Words:
    """The parts of a style's prompt file: ``<form>_<part>``, else ``<part>``."""

    def __init__(self, text: str, form: str, style: str) -> None:
        pieces = re.split(r"^=== *(\w+) *$", without_front_matter(text), flags=re.MULTILINE)
        self._parts = {pieces[i]: pieces[i + 1].strip() for i in range(1, len(pieces) - 1, 2)}
        self._form, self._style = form, style

    def __call__(self, part: str, values: Mapping[str, str], *, needed: bool = True, unscored: bool = False) -> str:
        """A part with its placeholders filled; ``unscored`` prefers the wording without scores.

        Raises:
            UsageError: the file has no such part, and it is needed.
        """
        for name in ([f"{part}_unscored"] if unscored else []) + [part]:
            for known in (f"{self._form}_{name}", name):
                if known in self._parts:
                    return fill(self._parts[known], values)
        if needed:
            self.need(part)
        return ""

    def need(self, part: str) -> None:
        """Raise ``UsageError`` when the file has no such part for this form."""
        if part not in self._parts and f"{self._form}_{part}" not in self._parts:
            raise UsageError(
                f"opro: the prompt of style={self._style} has no part '=== {self._form}_{part}': it is not made for "
                f"parameters of this form ({self._form}); use style=full, short or paper"
            )


def check_words(settings: Settings, specs: Sequence[ParameterSpec], prompt: Callable[[str], str]) -> None:
    """Raise ``UsageError`` when the style has no words for parameters of this form."""
    Words(prompt(STYLES[settings.style].file), form_of(specs), settings.style).need("entry")


@dataclass(frozen=True, slots=True)
class MetaPrompt:
    """A meta-prompt, and what was left out of it for its length; "" where nothing was."""

    messages: tuple[Message, ...]
    cut: str = ""


def build(view: View, settings: Settings, specs: Sequence[ParameterSpec], rng: random.Random) -> MetaPrompt:
    """The meta-prompt about some parameters.

    As long as it is estimated above the limit, first an exemplar, then, when none is left, the worst of the history is
    left out; the best stays.

    Args:
        view: the run.
        settings: the options.
        specs: the parameters asked about.
        rng: for the exemplars and a random order.

    Raises:
        UsageError: the style has no words for parameters of this form.
    """
    form, style = form_of(specs), STYLES[settings.style]
    measure = measure_of(view, settings.measure)
    found = entries(view, settings.estimate, measure)
    if len(specs) < len(view.parameters):
        found = same_values(found, lambda values: key({s.name: values[s.name] for s in specs}, view.parameters))
    size, threshold = (0, None) if style.whole_history else (settings.history, settings.threshold)
    whole = best = choose(found, size, threshold=threshold, order="ascending", rng=rng)
    drawn = picked = _exemplars(view, settings, specs, best, rng)
    limit = settings.prompt_limit
    shuffle = rng.getrandbits(32)
    while True:
        shown_now = choose(best, 0, threshold=None, order=settings.order, rng=random.Random(shuffle))
        messages = _compose(view, settings, form, specs, shown_now, picked, measure)
        if limit is None or size_of(messages) <= limit or (len(best) < 2 and not picked):
            return MetaPrompt(tuple(messages), _cut(len(best), len(whole), len(picked), len(drawn)))
        best, picked = (best, picked[:-1]) if picked else (best[1:], picked)


def _cut(best: int, whole: int, picked: int, drawn: int) -> str:
    said = [f"{picked} of {drawn} examples"] if picked < drawn else []
    said += [f"{best} of {whole}"] if best < whole else []
    return " and ".join(said) + " shown" if said else ""


def _exemplars(
    view: View, settings: Settings, specs: Sequence[ParameterSpec], best: Sequence[Entry], rng: random.Random
) -> list[tuple[Any, Any]]:
    """Input and target of the examples to show; none where no text is asked for, since only texts stand beside them."""
    if not settings.exemplars or not any(spec.kind == "text" for spec in specs) or not STYLES[settings.style].exemplars:
        return []
    drawn = pool(view, best, settings.weighted)
    found = []
    for id in POLICIES[settings.exemplar_policy](drawn, settings.exemplars, rng):
        try:
            found.append(view.example(id))
        except AgentOptError:
            continue
    return found


def _compose(
    view: View,
    settings: Settings,
    form: str,
    specs: Sequence[ParameterSpec],
    history: Sequence[Entry],
    picked: Sequence[tuple[Any, Any]],
    measure: Measure | None,
) -> list[Message]:
    """The messages from what was chosen; every word is from the style's file."""
    down = measure is not None and measure.lower
    words = Words(view.prompt(STYLES[settings.style].file), form, settings.style)
    texts = [str(spec.value) for spec in specs if spec.kind == "text"]
    position = position_of("".join(texts[:1])) if settings.position == "auto" else settings.position
    mark = words(f"mark_{position}" if position == "A_begin" else "mark", {}, needed=False)
    common = {
        "objective": view.objective,
        "names": ", ".join(spec.name for spec in specs),
        "name": specs[0].name,
        "count": str(len(specs)),
        "description": "\n".join(_described(spec, len(specs) > 1) for spec in specs if _described(spec, False)),
        "constraint": "\n".join(_constrained(spec, len(specs) > 1) for spec in specs if spec.constraint),
        "bounds": "; ".join(b for spec in specs if (b := bounds(spec))),
        "marks": " ".join(sorted(marks(" ".join(split(t).body for t in texts)))),
        "limit": str(settings.max_chars),
        "mark": mark,
        "mark_end": mark.replace("<", "</"),
        "thing": words("thing_A_begin" if position == "A_begin" else "thing", {}, needed=False),
        "position": words(f"where_{position}", {}, needed=False),
        "label": measure.name if measure else words("label", {}, needed=False),
        "better": words("better_down" if down else "better_up", {}, needed=False),
        "wanted": words("wanted_down" if down else "wanted_up", {}, needed=False),
        "order": words(f"order_{settings.order}", {}, needed=False),
        "problem": _problem(view, settings, form),
        "size": str(len(v)) if isinstance(v := specs[0].value, list) else "",
    }
    unscored = settings.scores == "none"
    tried = []
    for entry, score in zip(history, numbers(history, settings.scores), strict=True):
        value = shown(form, specs, entry.candidate.values)
        tried.append(words("entry", {"value": value, "score": score, "label": common["label"]}, unscored=unscored))
    between = "\n\n" if any("\n" in line for line in tried) else "\n"
    past = common | {"history": between.join(tried)}
    told = words("history", past, unscored=unscored) if tried else ""
    shots = [_exemplar(view, settings, words, mark, position, *pair) for pair in picked]
    failed = "_failed" if settings.exemplar_policy in _FAILING else ""
    beside = words("exemplars" + failed, common | {"exemplars": "\n\n".join(shots)}, needed=False) if shots else ""
    middle = [beside, told] if settings.exemplars_first else [told, beside]
    parts = [words("opening", common, needed=False, unscored=unscored), *middle]
    parts.append(words("closing_json" if settings.json else "closing", common, needed=False))
    user = "\n\n".join(part for part in parts if part)
    system = words("system", common, needed=False)
    return [*([Message(role="system", content=system)] if system else []), Message(role="user", content=user)]


def _exemplar(view: View, settings: Settings, words: Words, mark: str, position: str, given: Any, target: Any) -> str:
    layout = section(view.prompt("meta/opro_positions"), position if settings.include_qa else f"{position}_bare")
    question = fill(layout, {"mark": mark, "question": clip(input_text(given), _INPUT)})
    answer = "" if target is None else (target if isinstance(target, str) else show(target))
    return words("exemplar" if answer else "exemplar_unanswered", {"input": question, "target": clip(answer, _INPUT)})


def input_text(given: Any) -> str:
    """An example's input as text: itself, its only text, or one line a field.

    >>> input_text({"problem": "1 + 1?"}), input_text({"a": 1, "b": [2]})
    ('1 + 1?', 'a: 1\\nb: [2]')
    """
    if isinstance(given, str):
        return given
    if isinstance(given, Mapping):
        if len(given) == 1 and isinstance(only := next(iter(given.values())), str):
            return only
        return "\n".join(
            f"{k}: {v if isinstance(v, str) else json.dumps(v, ensure_ascii=False)}" for k, v in given.items()
        )
    return json.dumps(given, ensure_ascii=False)


def _problem(view: View, settings: Settings, form: str) -> str:
    """The input of the only example, where it is to be shown; lists one item a line, with their numbers."""
    ids = sorted({o.example for scored in view.archive for o in scored.outcomes})
    wanted = settings.problem if settings.problem is not None else form in ("list", "mixed")
    if not wanted or len(ids) != 1:
        return ""
    try:
        given, _ = view.example(ids[0])
    except AgentOptError:
        return ""
    value = next(iter(given.values())) if isinstance(given, Mapping) and len(given) == 1 else given
    if isinstance(value, list):
        return "\n".join(f"({i}): {json.dumps(item, ensure_ascii=False)}" for i, item in enumerate(value))
    return input_text(value)


def _described(spec: ParameterSpec, named: bool) -> str:
    return f"{spec.name}: {spec.description}" if named else spec.description


def _constrained(spec: ParameterSpec, named: bool) -> str:
    return f"{spec.name}: {spec.constraint}" if named else spec.constraint
