r"""Does the scorer of closed forms say what a person says? Labelled pairs, beside plain text and Math-Verify alone.

    python tests/benchmarks/mathcheck.py          # prints a table and writes docs/results/mathcheck.{json,md}
    python tests/benchmarks/mathcheck.py --all    # prints every pair on which one of the three differs from the label
    python tests/benchmarks/mathcheck.py --page   # makes the page anew from mathcheck.json

The pairs are in ``tests/data/mathcheck_pairs.jsonl``: kind, target, reply, and whether a person who reads the reply
would say that it gives the target as its answer, exactly and in closed form. They were labelled by hand and not with
the help of a checker. Compared are

- ours: the scorer ``closed_form``
- Math-Verify alone: the whole reply and the target go to ``parse`` and ``verify`` with their defaults
- plain text: the content of the last ``\boxed{}`` is the target, blanks aside
"""

from __future__ import annotations

import argparse
import asyncio
import json
import platform
import re
import sys
import time
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from agentopt.evaluate import Example
from agentopt.evaluate.extremal.checker import LIMITS, MODULES
from agentopt.evaluate.extremal.reply import final_answer
from agentopt.evaluate.extremal.scorer import closed_form
from agentopt.evaluate.programs import use_runner
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.sandbox import Job, Sandbox, open_sandbox

ROOT = Path(__file__).resolve().parents[2]
PAIRS = ROOT / "tests" / "data" / "mathcheck_pairs.jsonl"
RESULTS = ROOT / "docs" / "results"
FIELDS, VERDICTS = ("kind", "target", "reply", "right"), ("ours", "text", "alone", "plain", "seconds")
ALONE = r"""
import logging

logging.disable(logging.CRITICAL)


def check(target, reply):
    from math_verify import parse, verify

    gold = parse("\\boxed{" + target + "}", parsing_timeout=None)
    return bool(verify(gold, parse(reply, parsing_timeout=None), timeout_seconds=None))
"""


@dataclass(frozen=True)
class Pair:
    """A reply, what was to be said, and whether a person says that it was."""

    kind: str
    target: str
    reply: str
    right: bool


@dataclass(frozen=True)
class Said:
    """What the three say of a pair: True, False, or None without a verdict; and the words of ours."""

    pair: Pair
    ours: bool | None
    text: str
    alone: bool | None
    plain: bool
    seconds: float


def pairs() -> list[Pair]:
    """All labelled pairs."""
    return [Pair(**json.loads(line)) for line in PAIRS.read_text("utf-8").splitlines()]


def plain_text(pair: Pair) -> bool:
    """Whether the last box holds the target, blanks aside."""
    bare = [re.sub(r"\s", "", text) for text in (final_answer(pair.reply).text, pair.target)]
    return bare[0] == bare[1]


async def judge(sandbox: Sandbox, pair: Pair) -> Said:
    """What the three say."""
    begin = time.perf_counter()
    feedback: Any = await closed_form()(Example(input="q", target=pair.target), pair.reply)
    seconds = time.perf_counter() - begin
    result = await sandbox.run(Job(source=ALONE, entry="check", args=[pair.target, pair.reply], limits=LIMITS))
    alone = bool(result.value) if result.ok else None
    ours = None if feedback.score is None else feedback.score == 1.0
    return Said(pair, ours, feedback.text, alone, plain_text(pair), seconds)


async def measure() -> list[Said]:
    """All pairs, one after the other."""
    with open_sandbox(require=MODULES, limits=LIMITS, servers=1) as sandbox, use_runner(SandboxRunner(sandbox)):
        return [await judge(sandbox, pair) for pair in pairs()]


def counted(said: list[Said]) -> list[dict[str, Any]]:
    """A row a kind, and one for all."""
    rows = []
    for kind in [*dict.fromkeys(s.pair.kind for s in said), "all"]:
        some = [s for s in said if kind in (s.pair.kind, "all")]
        row: dict[str, Any] = {"kind": kind, "pairs": len(some)}
        for who in ("ours", "alone", "plain"):
            row[who] = {
                "agrees": sum(getattr(s, who) is s.pair.right for s in some),
                "wrong_accepted": sum(getattr(s, who) is True and not s.pair.right for s in some),
                "right_refused": sum(getattr(s, who) is False and s.pair.right for s in some),
                "no_verdict": sum(getattr(s, who) is None for s in some),
            }
        rows.append(row)
    return rows


def told(row: dict[str, Any]) -> str:
    """Agreement, with what differs."""
    none = f", {row['no_verdict']} without a verdict" if row["no_verdict"] else ""
    return f"{row['agrees']} ({row['wrong_accepted']} accepted, {row['right_refused']} refused{none})"


def page(rows: list[dict[str, Any]], said: list[Said]) -> str:
    """The page of results."""
    whole = rows[-1]
    lines = [
        "# Checking closed forms",
        "",
        f"{whole['pairs']} labelled pairs of target and reply. The scorer `closed_form` agrees with the label on "
        f"{whole['ours']['agrees']}, Math-Verify {version('math-verify')} on the whole reply on "
        f"{whole['alone']['agrees']}, comparing the text of the last box on {whole['plain']['agrees']}. "
        "`python tests/benchmarks/mathcheck.py` makes this page; [mathcheck.json](mathcheck.json) has every pair.",
        "",
        "A label says whether a person finds that the reply gives the target, exactly and in closed form. The pairs "
        "were written with faults in mind and labelled by hand, so the shares say which faults exist and not how often "
        "a model's replies meet them. "
        "Accepted: a wrong reply scored as right. Refused: a right one scored as wrong. Without a verdict: what "
        f"reached the limit of a check, {LIMITS.cpu:g} s of processor time, or that of memory.",
        "",
        "| kind | pairs | ours | Math-Verify alone | plain text |",
        "| --- | --- | --- | --- | --- |",
    ]
    for row in rows:
        name = f"**{row['kind']}**" if row is whole else row["kind"]
        lines.append(f"| {name} | {row['pairs']} | {' | '.join(told(row[w]) for w in ('ours', 'alone', 'plain'))} |")
    differing = [s for s in said if s.ours is not s.pair.right]
    lines += ["", f"Ours differs on {len(differing)}:" if differing else "Ours differs on none.", ""]
    lines += [
        f"- {s.pair.kind}: target `{s.pair.target}`, reply `{s.pair.reply[:60]}`, label {s.pair.right}: {s.text[:120]}"
        for s in differing
    ]
    return "\n".join(lines).rstrip() + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--all", action="store_true", help="print the pairs on which one of the three differs")
    parser.add_argument("--page", action="store_true", help="make the page anew from mathcheck.json, and check nothing")
    arguments = parser.parse_args()
    if arguments.page:
        kept = json.loads((RESULTS / "mathcheck.json").read_text("utf-8"))["pairs"]
        said = [Said(Pair(*(p[f] for f in FIELDS)), *(p[f] for f in VERDICTS)) for p in kept]
        (RESULTS / "mathcheck.md").write_text(page(counted(said), said), "utf-8")
        return 0
    said = asyncio.run(measure())
    rows = counted(said)
    print(page(rows, said))
    for s in said if arguments.all else ():
        if not (s.ours is s.alone is s.plain is s.pair.right):
            print(f"{s.pair.target!r} {s.pair.reply[:80]!r}: label {s.pair.right}, ours {s.ours}, alone {s.alone}")
    RESULTS.mkdir(exist_ok=True)
    content = {
        "python": platform.python_version(),
        "math_verify": version("math-verify"),
        "rows": rows,
        "pairs": [
            {**vars(s.pair), "ours": s.ours, "text": s.text, "alone": s.alone, "plain": s.plain,
             "seconds": round(s.seconds, 2)} for s in said
        ],
    }  # fmt: skip
    (RESULTS / "mathcheck.json").write_text(json.dumps(content, indent=1, ensure_ascii=False) + "\n", "utf-8")
    (RESULTS / "mathcheck.md").write_text(page(rows, said), "utf-8")
    return 1 if any(s.ours is True and not s.pair.right for s in said) else 0


if __name__ == "__main__":
    sys.exit(main())
