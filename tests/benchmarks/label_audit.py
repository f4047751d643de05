"""Are the labels of the extremal problems right, as far as a search can tell? And would it tell if they were not?

    python tests/benchmarks/label_audit.py             # the files in AGENTOPT_DATA/extrembench
    python tests/benchmarks/label_audit.py FILE ...    # other files of problems

Prints a table and writes ``docs/results/label_audit.{json,md}``. A statement is read without executing anything, its
extremum sought from many starting points by SLSQP, and the label compared (``agentopt.evaluate.extremal.auditing``).
Beside it stands what the audit says of wrong labels that were planted: each label times 1.05 and 0.95 (plus and minus
0.05 where it is 0), and the labels of three problems of public collections that are known to be wrong. Exit code 1 when
a given label is refuted.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import platform
import sys
import time
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentopt.evaluate.extremal.auditing import Audit, audit, judged
from agentopt.evaluate.extremal.latex import NotRead
from agentopt.evaluate.extremal.problems import ENDINGS, read_problems
from agentopt.evaluate.extremal.search import Found
from agentopt.evaluate.extremal.statement import read_statement_of

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
KNOWN_WRONG = (
    (
        "USAMO 2017/6 in Omni-MATH, recorded as 1/2; the minimum is 2/3",
        r"Let $a, b, c, d \geq 0$ with $a + b + c + d = 4$. Find the minimum value of "
        r"$\frac{a}{b^3+4}+\frac{b}{c^3+4}+\frac{c}{d^3+4}+\frac{d}{a^3+4}$.",
        r"\frac{1}{2}",
    ),
    (
        "a JBMO problem in Omni-MATH, recorded as 721480000/27; the maximum is 48407500",
        r"Let $x \geq 20$, $y \geq 40$, $z \geq 1675$ with $x + y + z = 2015$. Find the maximum value of $xyz$.",
        r"\frac{721480000}{27}",
    ),
    (
        "IneqMath train 13, recorded as 1/7; the best constant is 4/27",
        r"Let $a, b, c \geq 0$. Find the largest constant $C$ such that $a^3+b^3+c^3+abc \geq C(a+b+c)^3$ holds.",
        r"\frac{1}{7}",
    ),
)
"""Statements in our words, with the labels that those collections have."""
SAYS = {
    "agrees": "the search finds the label",
    "refuted": "a point in the open is better than the label",
    "doubtful": "a point at the edge is better than the label",
    "not reached": "the best point that was found is worse than the label",
    "nothing found": "no feasible point was found",
    "not read": "the statement is beyond the reader",
}


@dataclass(frozen=True)
class Judged:
    """An audit of a problem, and of its planted labels."""

    file: str
    id: str
    said: Audit
    planted: tuple[str, ...]
    seconds: float


def planted(statement: str, said: Audit) -> tuple[str, ...]:
    """What the audit would have said of labels that are 5 % off, from the same search."""
    if said.found is None or said.label is None or said.status != "agrees":
        return ()
    try:
        program = read_statement_of(statement)
    except NotRead:
        return ()
    step = 0.05 * abs(said.label) if said.label else 0.05
    found = Found(said.found, said.witness, 1, 1)
    return tuple(judged(program, found, said.label + sign * step) for sign in (1, -1))


def judge(path: Path, starts: int) -> list[Judged]:
    """All problems of a file."""
    rows = []
    for problem in read_problems(path):
        begin = time.thread_time()
        said = audit(problem.statement, problem.answer, starts=starts)
        rows.append(Judged(path.name, problem.id, said, planted(problem.statement, said), time.thread_time() - begin))
    return rows


def files() -> list[Path]:
    """The files of problems in the data folder."""
    folder = Path(os.environ.get("AGENTOPT_DATA", "")) / "extrembench"
    return sorted(p for p in folder.glob("*") if p.suffix in ENDINGS) if folder.is_dir() else []


def page(rows: list[Judged], known: list[tuple[str, Audit]], starts: int) -> str:
    """The page of results."""
    count = Counter(row.said.status for row in rows)
    read = len(rows) - count["not read"]
    told = Counter(status for row in rows for status in row.planted)
    each = [row.seconds for row in rows if row.said.found is not None]
    lines = [
        "# Auditing labels by search",
        "",
        f"{len(rows)} problems of {', '.join(sorted({row.file for row in rows}))}: {read} are read, of "
        f"{count['agrees']} the search finds the label. `python tests/benchmarks/label_audit.py` makes this page; "
        "[label_audit.json](label_audit.json) has every problem.",
        "",
        "| | problems | of labels 5 % off |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {status}: {says} | {count[status]} | {told[status] or '-'} |" for status, says in SAYS.items()]
    lines += [
        "",
        f"{starts} starts a problem, {sum(each) / max(1, len(each)):.1f} s of processor time in the mean, at most "
        f"{max(each, default=math.nan):.0f} s. Labels were planted where the given one agrees, so all are wrong.",
        "",
        "Known wrong labels of public collections:",
        "",
        "| problem | the audit says | found |",
        "| --- | --- | --- |",
    ]
    lines += [f"| {name} | {said.status} | {said.found:.8g} |" for name, said in known if said.found is not None]
    doubted = [row for row in rows if row.said.status not in ("agrees", "not read")]
    lines += ["", "Labels that are not confirmed:" if doubted else "No label that is read is in doubt.", ""]
    lines += [f"- {r.id}: {r.said.status}; label {r.said.label}, found {r.said.found}" for r in doubted]
    lines += ["", "Not read:", ""]
    lines += [f"- {row.id}: {row.said.why}" for row in rows if row.said.status == "not read"]
    lines += [
        "",
        "The reader was written with these statements at hand, so its share says little of others. The stand-in's "
        "labels had been reproduced by a search of the same kind before: that this one agrees shows that it reads the "
        "statements rightly, and not much more of the labels.",
    ]
    return "\n".join(lines) + "\n"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="*", type=Path)
    parser.add_argument("--starts", type=int, default=24)
    arguments = parser.parse_args()
    chosen = arguments.files or files()
    if not chosen:
        parser.error("no files: name some, or name with AGENTOPT_DATA a folder that has extrembench/")
    rows = [row for path in chosen for row in judge(path, arguments.starts)]
    known = [(name, audit(statement, label, starts=arguments.starts)) for name, statement, label in KNOWN_WRONG]
    text = page(rows, known, arguments.starts)
    print(text)
    if not arguments.files:
        RESULTS.mkdir(exist_ok=True)
        content: dict[str, Any] = {
            "python": platform.python_version(),
            "starts": arguments.starts,
            "problems": [
                {
                    "file": r.file,
                    "id": r.id,
                    **r.said.record(),
                    "planted": list(r.planted),
                    "seconds": round(r.seconds, 2),
                }
                for r in rows
            ],
            "known_wrong": [{"problem": name, **said.record()} for name, said in known],
        }
        (RESULTS / "label_audit.json").write_text(json.dumps(content, indent=1) + "\n", "utf-8")
        (RESULTS / "label_audit.md").write_text(text, "utf-8")
    return 1 if any(row.said.status == "refuted" for row in rows) else 0


if __name__ == "__main__":
    sys.exit(main())
