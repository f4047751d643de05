"""What a proposal must keep, checked before any money is spent on it.

Each rule has a name and can be switched off by it, for a run (``RunConfig.invariants_off``) or for one optimizer. A
rule sees one changed parameter at a time; it compares with the baseline's value, so that whatever the author wrote is
always allowed.
"""

from __future__ import annotations

import contextlib
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from pydantic import JsonValue

from agentopt.core.values import Candidate, Proposal, canonical
from agentopt.errors import AgentOptError, ConstraintError, UnknownName
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.frame import PLACEHOLDER, marks, split

__all__ = ["META_PROMPTS", "RULES", "Violation", "check", "check_value", "known"]

META_PROMPTS = (
    "meta/optoprime", "meta/paraphrase", "meta/random_instruction",
    "meta/opro_full", "meta/opro_short", "meta/opro_paper", "meta/opro_tags", "meta/opro_continue",
)  # fmt: skip
"""Prompt files whose wording must not show up in a proposal."""

_WORD = re.compile(r"\w+(?:'\w+)?")
_DANGLING = re.compile(
    r"(?:[,(\[{\\]|\b(?:and|or|the|a|an|of|to|in|for|with|that|which|by|from|as|is|are|if|then|but|because|your|its))$",
    re.IGNORECASE,
)
_TOKENS = re.compile(r"</?[A-Za-z][\w-]*>|\"[\w-]+\"(?=\s*:)|\\boxed\b|#{4,}|^[A-Z][A-Z _-]+:", re.MULTILINE)
"""What a program may look for in an answer: tags, JSON keys, ``\\boxed``, ``####``, labels such as ``ANSWER:``."""
_LEAK_WORDS = 5
_COPY_WORDS = 6
_EXAMPLES_READ = 200


@dataclass(frozen=True, slots=True)
class Violation:
    """A broken rule: which, of which parameter, and why, in words that also a model can act on."""

    rule: str
    parameter: str
    reason: str

    def __str__(self) -> str:
        return f"{self.parameter}: {self.reason}" if self.parameter else self.reason


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
    if isinstance(value, str):
        original, found = marks(str(_baseline(spec, view))), marks(value)
        if lost := sorted(original - found):
            yield f"the placeholder {lost[0]} must be kept"
        if new := sorted(p for p in found - original if p.startswith("{{")):
            yield f"the placeholder {new[0]} does not exist"


def _schema(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    if isinstance(value, str) and spec.kind == "text":
        wanted, found = (_TOKENS.findall(str(v)) for v in (_baseline(spec, view), value))
        if lost := [token for token in dict.fromkeys(wanted) if token not in found]:
            yield f"{lost[0]} must be kept: the program may look for it in the answer"


def _frozen(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    before, after = (" ".join(_words(v)) for v in (_baseline(spec, view), value))
    for span in view.frozen:
        text = " ".join(span.split())
        if text in before and text not in after:
            yield f"the words {text!r} must be kept as they are"


def _length(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    if isinstance(value, str):
        limit = max(2000, 4 * len(str(_baseline(spec, view))))
        if not value.strip():
            yield "the text is empty"
        elif len(value) > limit:
            yield f"the text has {len(value)} characters; at most {limit} are allowed"


def _unfinished(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    if not isinstance(value, str) or spec.kind == "code":
        return
    before = str(_baseline(spec, view)).rstrip()
    text = value.rstrip()
    frame = split(text)
    ends = [text, frame.body.rstrip()] if frame.tail.startswith("\n\n") else [text]
    if text.count("```") % 2 and not before.count("```") % 2:
        yield "a code fence is not closed: the text looks cut off"
    elif text.count("(") - text.count(")") > max(0, before.count("(") - before.count(")")):
        yield "a bracket is not closed: the text looks cut off"
    elif cut := next((end for end in ends if _cut(end) and not any(_cut(e) for e in (before, split(before).body))), ""):
        yield f"the text ends in the middle of a sentence ({cut[-30:]!r})"


def _cut(text: str) -> bool:
    return text.endswith(("...", "…")) or _DANGLING.search(text) is not None


def _form(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
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
    if isinstance(value, str) and spec.kind == "text":
        grams = _grams(value, _LEAK_WORDS) - _grams(str(_baseline(spec, view)), _LEAK_WORDS)
        for text in [spec.description, *_requests(view)]:
            if shared := sorted(grams & _grams(text, _LEAK_WORDS)):
                yield f"the words {' '.join(shared[0])!r} are taken from the request, not meant for the program"
                return


def _requests(view: View) -> Iterator[str]:
    for name in META_PROMPTS:
        with contextlib.suppress(UnknownName, KeyError, OSError):
            yield view.prompt(name)


def _copied(spec: ParameterSpec, value: JsonValue, view: View) -> Iterator[str]:
    if spec.kind not in ("text", "code", "json"):
        return
    new, old = (" . ".join(_strings(v)) for v in (value, _baseline(spec, view)))
    grams = _grams(new, _COPY_WORDS) - _grams(old, _COPY_WORDS)
    if not grams:
        return
    ids = sorted({o.example for scored in view.archive for o in scored.outcomes})[:_EXAMPLES_READ]
    seen: Counter[tuple[str, ...]] = Counter()
    for id in ids:
        try:
            example = view.example(id)
        except AgentOptError:
            continue
        seen.update(grams & _grams(" . ".join(_strings(example)), _COPY_WORDS))
    # Wording that many examples share is the task's own boilerplate, not one example's content.
    common = max(3, len(ids) // 4)
    if copied := sorted(gram for gram, n in seen.items() if n < common):
        yield f"the words {' '.join(copied[0])!r} are copied from an example; write a general text"


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


def check_value(spec: ParameterSpec, value: JsonValue, view: View, *, off: Collection[str] = ()) -> list[Violation]:
    """The rules that a new value of one parameter breaks.

    Args:
        spec: the parameter.
        value: its proposed value.
        view: the run (baseline, examples, prompt files).
        off: names of rules that are switched off, beside those that the run has switched off.
    """
    off = {*off, *view.off}
    known(off)
    return [
        Violation(name, spec.name, reason)
        for name, rule in RULES.items()
        if name not in off
        for reason in rule(spec, value, view)
    ]


def check(
    proposal: Proposal, view: View, *, off: Collection[str] = (), others: Sequence[Candidate] = ()
) -> list[Violation]:
    """The rules that a proposal breaks; an empty list means that it may be evaluated.

    Args:
        proposal: what is suggested; only values that differ from the baseline's are looked at.
        view: the run.
        off: names of rules that are switched off (of ``RULES``, or ``duplicate``), beside those that the run has
            switched off.
        others: further candidates that it must not repeat (accepted in the same step, say).

    Raises:
        UnknownName: ``off`` names no rule.
    """
    off = {*off, *view.off}
    known(off)
    found: list[Violation] = []
    for name, value in proposal.candidate.values.items():
        spec = view.parameters.get(name)
        if spec is None:
            found.append(Violation("constraint", name, "no parameter has this name"))
        elif canonical(value) != canonical(view.baseline.values.get(name)):
            found += check_value(spec, value, view, off=off)
    if "duplicate" not in off:
        mine = _normal(proposal.candidate)
        for other in [*(scored.candidate for scored in view.archive), *others]:
            if _normal(other) == mine:
                same = "the same as" if other.id == proposal.candidate.id else "but for case and spaces the same as"
                found.append(Violation("duplicate", "", f"{same} candidate {other.id}"))
                break
    return found


def known(off: Collection[str]) -> None:
    """Raise ``UnknownName`` for a name that is no rule."""
    for name in off:
        if name != "duplicate" and name not in RULES:
            raise UnknownName("invariant", name, [*RULES, "duplicate"], "docs/optoprime.md lists them")


def _baseline(spec: ParameterSpec, view: View) -> JsonValue:
    return view.baseline.values.get(spec.name, spec.value)


def _normal(candidate: Candidate) -> str:
    values = {k: " ".join(v.split()).casefold() if isinstance(v, str) else v for k, v in candidate.values.items()}
    return canonical(values)


@lru_cache(maxsize=512)
def _grams(text: str, n: int) -> frozenset[tuple[str, ...]]:
    words = [word.casefold() for word in _WORD.findall(PLACEHOLDER.sub(" | ", text))]
    return frozenset(tuple(words[i : i + n]) for i in range(len(words) - n + 1))


def _words(value: JsonValue) -> Iterator[str]:
    for text in _strings(value):
        yield from text.split()


def _strings(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _strings(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from _strings(item)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield str(value)
