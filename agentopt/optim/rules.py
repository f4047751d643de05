"""The rules that a new value of a parameter must keep to.

A rule sees one changed parameter at a time; it compares with the baseline's value, so that whatever the author wrote is
always allowed. Of a json value every text is looked at, and compared with those in the same place of the baseline (the
items of a list are one place). Demonstrations are records: what is taken from the parameter, its pool or an example of
the search split (which the run leaves out where it is the example's own) is no text of the optimizer's.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence

from pydantic import JsonValue

from agentopt.errors import AgentOptError, ConstraintError, UnknownName
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.frame import marks, split
from agentopt.optim.meta import SHORTENED
from agentopt.optim.overlap import Gram, Wording, grams, shown, strings

__all__ = ["META_PROMPTS", "RULES"]

META_PROMPTS = (
    "meta/optoprime", "meta/paraphrase", "meta/random_instruction",
    "meta/opro_full", "meta/opro_short", "meta/opro_paper", "meta/opro_tags", "meta/opro_continue", "meta/forest",
)  # fmt: skip
"""Prompt files whose wording must not show up in a proposal."""

_DANGLING = re.compile(
    r"(?:[,(\[{\\]|\b(?:and|or|the|a|an|of|to|in|for|with|that|which|by|from|as|is|are|if|then|but|because|your|its))$",
    re.IGNORECASE,
)
_TOKENS = re.compile(r"</?[A-Za-z][\w-]*>|\"[\w-]+\"(?=\s*:)|\\boxed\b|#{4,}|^[A-Z][A-Z _-]+:", re.MULTILINE)
"""What a program may look for in an answer: tags, JSON keys, ``\\boxed``, ``####``, labels such as ``ANSWER:``."""
_LEAK_WORDS = 5
_COPY_WORDS = 6
_ROOM = 2000
"""Characters that a value may have in any case; whole worked examples need more."""
_ROOM_FOR_DEMOS = 100_000


Rule = Callable[[ParameterSpec, JsonValue, View], Iterator[str]]


def _constraint(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    if spec.check is not None:
        try:
            admitted = spec.check(value)
        except ConstraintError as error:
            yield str(error)
        else:
            if admitted != value:
                yield f"{value!r:.80} must be given as {admitted!r:.80}"


def _placeholders(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    if spec.kind == "demos":
        return
    before, after = _places(_baseline(spec, view)), _places(value)
    known = {mark for texts in before.values() for text in texts for mark in marks(text)}
    for place in [*before, *(place for place in after if place not in before)]:
        original, found = ({m for text in texts.get(place, ()) for m in marks(text)} for texts in (before, after))
        if lost := sorted(original - found):
            yield f"the placeholder {lost[0]} must be kept{_at(place)}"
        if new := sorted(p for p in found - original - known if p.startswith("{{")):
            yield f"the placeholder {new[0]} does not exist"


def _schema(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    if spec.kind not in ("text", "json"):
        return
    after = _places(value)
    for place, texts in _places(_baseline(spec, view)).items():
        found = {token for text in after.get(place, ()) for token in _TOKENS.findall(text)}
        wanted = [token for text in texts for token in _TOKENS.findall(text)]
        if lost := [token for token in wanted if token not in found]:
            yield f"{lost[0]} must be kept{_at(place)}: the program may look for it in the answer"


def _frozen(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    before, after = list(strings(_baseline(spec, view))), list(strings(value))
    for span in view.frozen:
        if any(span in text for text in before) and not any(span in text for text in after):
            yield f"the words {span!r} must be kept as they are"


def _length(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    before = _baseline(spec, view)
    limit = max(_ROOM_FOR_DEMOS if spec.kind == "demos" else _ROOM, 4 * _size(before))
    if spec.kind != "demos":
        full = {place for place, texts in _places(before).items() if all(text.strip() for text in texts)}
        for place, texts in _places(value).items():
            if (place in full or not place) and not all(text.strip() for text in texts):
                yield f"the text is empty{_at(place)}"
    if _size(value) > limit:
        what = "text" if isinstance(value, str) else "value"
        yield f"the {what} has {_size(value)} characters; at most {limit} are allowed"


def _size(value: JsonValue) -> int:
    return len(value if isinstance(value, str) else _dumped(value))


def _unfinished(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    if spec.kind not in ("text", "json"):
        return
    before = _places(_baseline(spec, view))
    for place, texts in _places(value).items():
        for text in texts:
            if place and len(text.split()) < 2:  # a key, a separator
                continue
            if reason := _missing_end(text.rstrip(), [known.rstrip() for known in before.get(place, ())]):
                yield reason + _at(place)
                break


def _missing_end(text: str, before: Sequence[str]) -> str:
    """What shows that a text was cut off and is in none of the texts before it; nothing for a whole one."""
    frame = split(text)
    ends = [text, frame.body.rstrip()] if frame.tail.startswith("\n\n") else [text]
    if text.count("```") % 2 and not any(known.count("```") % 2 for known in before):
        return "a code fence is not closed: the text looks cut off"
    if _open(text) > max([0, *map(_open, before)]):
        return "a bracket is not closed: the text looks cut off"
    cut = next((end for end in ends if _cut(end)), "")
    if cut and not any(_cut(known) or _cut(split(known).body) for known in before):
        return f"the text ends in the middle of a sentence ({cut[-30:]!r})"
    return ""


def _open(text: str) -> int:
    return text.count("(") - text.count(")")


def _cut(text: str) -> bool:
    return text.endswith(("...", "…")) or _DANGLING.search(text) is not None


def _form(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    elided = SHORTENED.search(str(value)) if spec.kind in ("text", "code") else None
    if elided and elided[0] not in str(_baseline(spec, view)):
        yield f"it has {elided[0]!r}, which marks where a request was shortened: it must be whole"
        return
    if isinstance(value, str) and spec.kind == "text":
        text, before = value.strip(), str(_baseline(spec, view)).strip()
        for mark in ("{", "[", "```", "<"):
            if text.startswith(mark) and not text.startswith("{{") and not before.startswith(mark):
                yield f"the text begins with {mark!r}: it must be the plain text itself"
                return
        for mark in ("<<<", ">>>"):
            if mark in text and mark not in before:
                yield f"the text has {mark!r}, which only marks where a text begins and ends"
                return
        if not re.search(r"[^\W\d_]{2}", text) and re.search(r"[^\W\d_]{2}", before):
            yield "the text has no words"


def _leak(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    if spec.kind not in ("text", "json", "demos"):
        return
    mine = _new(spec, value, view, _LEAK_WORDS)
    for text in [spec.description, *_requests(view)]:
        if shared := sorted(mine & grams(text, _LEAK_WORDS)):
            yield f"the words {shown(shared[0])!r} are taken from the request, not meant for the program"
            return


def _requests(view: View) -> Iterator[str]:
    for name in META_PROMPTS:
        with contextlib.suppress(UnknownName, KeyError, OSError):
            yield view.prompt(name)


def _copied(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    if spec.kind not in ("text", "code", "json", "demos"):
        return
    mine = _new(spec, value, view, _COPY_WORDS)
    if not mine:
        return
    texts = tuple(_joined(example) for example in _examples(view).values())
    seen = Wording.of(texts, _COPY_WORDS)
    # Wording that many examples share is the task's own boilerplate, not one example's content.
    common = max(3, len(texts) // 4)
    if copied := sorted(gram for gram in mine if 0 < seen.count(gram) < common):
        yield f"the words {shown(copied[0])!r} are copied from an example; write a general text"


def _new(spec: ParameterSpec, value: JsonValue, view: View, n: int) -> set[Gram]:
    """Runs of ``n`` words that a value has and the baseline has not.

    Of a demonstration that was made from an example, the words of that example and the reply are left out.
    """
    before = _baseline(spec, view)
    if spec.kind != "demos" or not isinstance(value, list):
        return set(grams(_joined(value), n) - grams(_joined(before), n))
    known = {_dumped(demo) for demo in (*spec.choices, *(before if isinstance(before, list) else ()))}
    examples = _examples(view)
    by_input = {_plain(given): (given, target) for given, target in examples.values()}
    found: set[Gram] = set()
    for demo in value:
        if not isinstance(demo, dict) or _dumped(demo) in known:
            continue
        own = examples.get(str(demo.get("example"))) or by_input.get(_plain(demo.get("input")))
        found |= grams(_joined(demo.get("input") if own else demo), n) - grams(_joined(own), n)
    return found


RULES: dict[str, Rule] = {
    "constraint": _constraint,
    "placeholders": _placeholders,
    "schema": _schema,
    "frozen": _frozen,
    "length": _length,
    "unfinished": _unfinished,
    "form": _form,
    "leak": _leak,
    "copied": _copied,
}
"""Rules of one value, by name. A further rule, ``duplicate``, is of the whole candidate."""


def _baseline(spec: ParameterSpec, view: View) -> JsonValue:
    return view.baseline.values.get(spec.name, spec.value)


def _examples(view: View) -> dict[str, tuple[JsonValue, JsonValue]]:
    """Input and target of the examples that were searched on, by id."""
    found: dict[str, tuple[JsonValue, JsonValue]] = {}
    for id in sorted({outcome.example for scored in view.archive for outcome in scored.outcomes}):
        with contextlib.suppress(AgentOptError):
            found[id] = view.example(id)
    return found


def _joined(value: object) -> str:
    return " . ".join(strings(value))


def _plain(value: object) -> str:
    return " ".join(_joined(value).casefold().split())


def _dumped(value: JsonValue) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False)


def _places(value: JsonValue) -> dict[tuple[str, ...], list[str]]:
    """The texts of a value by the keys that lead to them; a text itself is at the place without any."""
    found: dict[tuple[str, ...], list[str]] = defaultdict(list)
    waiting: list[tuple[tuple[str, ...], JsonValue]] = [((), value)]
    for place, item in waiting:
        if isinstance(item, str):
            found[place].append(item)
        elif isinstance(item, dict):
            waiting += [((*place, key), inner) for key, inner in item.items()]
        elif isinstance(item, list):
            waiting += [((*place, "[]"), inner) for inner in item]
    return found


def _at(place: tuple[str, ...]) -> str:
    return f" in {'.'.join(place)!r}" if place else ""
