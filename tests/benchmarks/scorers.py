"""Do the scorers read replies as a person does? Labelled pairs of reply and target, ours beside OPRO's published rules.

    python tests/benchmarks/scorers.py           # prints a table and writes docs/results/scorers.{json,md}
    python tests/benchmarks/scorers.py --all     # prints every pair on which OPRO's rules and the label differ too

The pairs are in ``tests/data/scorer_pairs.jsonl``: type of task, target, reply, and whether a person who reads the
reply would say that it gives the target as its answer. They were written by hand and not with the help of a scorer.
Exit code 1 when ours differs from a label.
"""

from __future__ import annotations

import argparse
import json
import re
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentopt.evaluate import Example, brackets, stated_number, stated_option, verdict, word_list

ROOT = Path(__file__).resolve().parents[2]
PAIRS = ROOT / "tests" / "data" / "scorer_pairs.jsonl"
RESULTS = ROOT / "docs" / "results"

OURS: dict[str, Callable[[Example, Any], Any]] = {
    "number": stated_number(),
    "true_false": verdict("True", "False"),
    "yes_no": verdict("Yes", "No", also_positive=("true",), also_negative=("false",)),
    "plausible": verdict("yes", "no", also_positive=("plausible", "true"), also_negative=("implausible", "false")),
    "valid": verdict("valid", "invalid"),
    "option": stated_option(),
    "brackets": brackets(),
    "words": word_list(),
}
TOLD = {
    "number": "a number (GSM8K, SVAMP, MultiArith, object_counting, multistep_arithmetic_two)",
    "true_false": "True or False (boolean_expressions)",
    "yes_no": "Yes or No (causal_judgement, navigate, web_of_lies)",
    "plausible": "yes or no (sports_understanding)",
    "valid": "valid or invalid (formal_fallacies)",
    "option": "one of several options (AQuA, 17 tasks of BIG-Bench Hard)",
    "brackets": "closing brackets (dyck_languages)",
    "words": "words in order (word_sorting)",
}


@dataclass(frozen=True)
class Pair:
    """A reply, what was to be said, and whether a person says that it was."""

    kind: str
    target: Any
    reply: str
    right: bool
    options: dict[str, str]

    def example(self) -> Example:
        return Example(input="", target=self.target, meta={"options": dict(self.options)} if self.options else {})


def pairs() -> list[Pair]:
    """All labelled pairs."""
    found = []
    for line in PAIRS.read_text("utf-8").splitlines():
        row = json.loads(line)
        found.append(Pair(row["kind"], row["target"], row["reply"], row["right"], row.get("options", {})))
    return found


def ours(pair: Pair) -> tuple[bool, str]:
    """Whether our scorer of that type says right, and its words."""
    said = OURS[pair.kind](pair.example(), pair.reply)
    return said.score == 1.0, said.text


# ----------------------------------------------------------------------------------------------------------------------
# THE RULES UNDER TEST. OPRO's published scoring (google-deepmind/opro at e81b2f5), written anew from a description of
# what it does. Its faults are kept on purpose: this is what ours is compared with, and nothing else may use it.

_SMALL = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen"
    " eighteen nineteen"
)
_ROUND = "twenty thirty forty fifty sixty seventy eighty ninety"
_WORDS = {
    **{f"{t}-{u}": 10 * i + j for i, t in enumerate(_ROUND.split(), 2) for j, u in enumerate(_SMALL.split()[:10]) if j},
    **{t: 10 * i for i, t in enumerate(_ROUND.split(), 2)},
    **{u: j for j, u in enumerate(_SMALL.split())},
}
_OPPOSITE = {"yes": "true", "no": "false", "valid": "true", "invalid": "false"}


def _no_punctuation(text: str) -> str:
    return re.sub(r"[^\w\s]", "", text).strip()


def _opro_normalised(reply: str) -> tuple[str, bool]:
    text = re.split(r"\n\s*q:|next question", reply.lower())[0]
    marked = False
    for markers in (("answer is", "answer:", "#### "), ("is:", "are:")):
        places = [(text.rfind(m), m) for m in markers if m in text]
        if places and not marked:
            at, marker = max(places)
            text, marked = text[at + len(marker) :], True
    text = re.split(r"is the (?:final |right |correct )?answer", text)[0]
    text = text.strip().strip(".\"'“”").strip()
    letters = re.findall(r"\(([a-z])\)", text)
    return (f"({letters[0]})", marked) if len(letters) == 1 else (text, marked)


def _opro_number(text: str, marked: bool, target: Any) -> bool:
    text = text.split("=")[-1]
    text = re.sub(r"[$,%€£¥]", "", text).split(":")[0]
    for word, value in _WORDS.items():
        text = re.sub(rf"\b{word}\b", str(value), text)
    tokens = [re.sub(r"[a-z]+$", "", t.strip(".\"'()[]{}*")) for t in text.split()]
    tokens = [t for t in tokens if t and not t.isalpha() and re.search(r"\d", t)]
    said = (tokens[0] if marked else tokens[-1]) if tokens else ""
    try:
        said = str(round(float(said)))
    except (ValueError, OverflowError):
        digits = re.findall(r"\d+", text)
        said = digits[-1] if digits else ""
    return _no_punctuation(said) == _no_punctuation(str(round(float(target))))


def _opro_boolean(text: str, target: str) -> bool:
    said = _no_punctuation(text.split(".")[0])
    said = {"0": "false", "1": "true"}.get(said, said)
    return said == target or (said in ("true", "false") and _OPPOSITE.get(target) == said)


def _opro_option(text: str, target: str, options: dict[str, str]) -> bool:
    letter = target.strip("()")
    texts = {k.lower(): _no_punctuation(v.lower()) for k, v in options.items()}
    said = _no_punctuation(text)
    others = [v for k, v in texts.items() if k != letter]
    return said in (letter, texts[letter]) or (texts[letter] in said and not any(v in said for v in others))


def opro(pair: Pair) -> bool:
    """Whether OPRO's rules say right."""
    text, marked = _opro_normalised(pair.reply)
    if pair.kind == "number":
        return _opro_number(text, marked, pair.target)
    target = str(pair.target).lower()
    if target in text:
        return True
    if pair.kind == "option":
        return _opro_option(text, target, pair.options)
    if pair.kind in ("brackets", "words"):
        return _no_punctuation(text) == _no_punctuation(target)
    return _opro_boolean(text, target)


# The end of the rules under test.
# ----------------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Row:
    """What came out for one type."""

    kind: str
    pairs: int
    ours_wrong: int
    opro_accepts: int
    """Wrong replies that OPRO's rules score as right."""
    opro_refuses: int
    """Right replies that OPRO's rules score as wrong."""


def measure() -> list[Row]:
    """One row a type."""
    rows = []
    for kind in OURS:
        some = [p for p in pairs() if p.kind == kind]
        rows.append(
            Row(
                kind,
                len(some),
                sum(ours(p)[0] != p.right for p in some),
                sum(opro(p) and not p.right for p in some),
                sum(p.right and not opro(p) for p in some),
            )
        )
    return rows


def page(rows: list[Row]) -> str:
    total = sum(r.pairs for r in rows)
    agreed = total - sum(r.ours_wrong for r in rows)
    accepts, refuses = sum(r.opro_accepts for r in rows), sum(r.opro_refuses for r in rows)
    lines = [
        "# Scorers",
        "",
        f"{total} labelled pairs of reply and target. Ours agrees with the label on {agreed} ({agreed / total:.1%});"
        f" OPRO's published rules, on {total - accepts - refuses} ({1 - (accepts + refuses) / total:.1%}): they score"
        f" {accepts} wrong replies as right and {refuses} right replies as wrong."
        " `python tests/benchmarks/scorers.py` makes this page.",
        "",
        "A label says whether a person who reads the reply finds that it gives the target as its answer. The pairs were"
        " written by hand with faults in mind, so the shares say which faults exist and not how often a model's replies"
        " meet them; and ours was mended until it agreed, so its agreement is no estimate for other replies.",
        "",
        "| type | pairs | ours disagrees | OPRO: wrong reply scored right | OPRO: right reply scored wrong |",
        "| --- | --- | --- | --- | --- |",
    ]
    lines += [f"| {TOLD[r.kind]} | {r.pairs} | {r.ours_wrong} | {r.opro_accepts} | {r.opro_refuses} |" for r in rows]
    lines += [
        f"| **all** | {total} | {total - agreed} | {accepts} | {refuses} |",
        "",
        "OPRO's rules are written anew from a description of its code (google-deepmind/opro at e81b2f5), without the"
        " unwrapping of `\\boxed{}`, which it does in its evaluation only and never while it optimizes.",
        "",
    ]
    return "\n".join(lines)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="print the pairs that OPRO's rules get wrong")
    arguments = parser.parse_args()
    rows = measure()
    print(page(rows))
    for pair in pairs():
        said, text = ours(pair)
        if said != pair.right:
            print(f"OURS DIFFERS: {pair.kind} {pair.target!r} {pair.reply!r}: label {pair.right}, scorer: {text}")
        if arguments.all and opro(pair) != pair.right:
            print(f"opro: {pair.kind} {pair.target!r} {pair.reply!r}: label {pair.right}")
    RESULTS.mkdir(exist_ok=True)
    content = {"pairs": sum(r.pairs for r in rows), "types": [vars(r) for r in rows]}
    (RESULTS / "scorers.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
    (RESULTS / "scorers.md").write_text(page(rows), "utf-8")
    return 1 if any(r.ours_wrong for r in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
