"""The table of what is there: means with intervals, exact paired tests with Holm's correction, and what is missing.

The unit of every statistic is a test example (a problem, on numbers), its score averaged over the seeds: the test
examples are the same for all seeds, so they are not counted more than once.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from optimizers_protocol import ALL, BOTH, CORE, FULL, METHODS, NUMBERS, STARTS, Sizes, cells, method, protocol_hash

from agentopt.evaluate import interval
from agentopt.evaluate.stats import difference_interval, holm, paired_permutation

ALPHA = 0.05
Lines = Sequence[Mapping[str, Any]]


def read_lines(path: Path, sizes: Sizes) -> list[dict[str, Any]]:
    """The lines of this protocol; one that was cut by a kill is left out, of two of a cell the first counts."""
    names = {*STARTS, *(m.name for m in METHODS)}
    found: dict[tuple[str, str, int], dict[str, Any]] = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        try:
            line = json.loads(text)
        except json.JSONDecodeError:
            continue
        task, name = line.get("task"), line.get("method")
        if task in ALL and name in names and line.get("protocol") == protocol_hash(sizes, task, name):
            found.setdefault((line["task"], line["method"], line["seed"]), line)
    return list(found.values())


def by_example(lines: Lines) -> dict[str, float]:
    """Scores by example, averaged over seeds; the examples that all of the lines have."""
    ids = set.intersection(*(set(line["outcomes"]) for line in lines)) if lines else set()
    return {i: statistics.fmean(line["outcomes"][i] for line in lines) for i in sorted(ids)}


def paired(a: Mapping[str, float], b: Mapping[str, float]) -> dict[str, Any]:
    """The difference ``a - b`` with its interval, and the exact two-sided p value of the paired permutation test."""
    ids = sorted(a.keys() & b.keys())
    differences = [a[i] - b[i] for i in ids]
    low, high = difference_interval(differences)
    return {
        "n": len(ids),
        "difference": math.fsum(differences) / len(ids),
        "low": low,
        "high": high,
        "p": paired_permutation([round(d, 9) for d in differences]),
    }


FAMILIES = (
    "against the start", "ours against peers", "with demonstrations (full table)", "among ours, and among peers",
)  # fmt: skip
"""Holm's correction is made within each, for a task; the page shows all but the last."""


def pairs_of(task: str) -> list[tuple[str, str, str]]:
    """Family and names of what is compared on a task: everybody with the start, and with who may change the same.

    On numbers nobody is compared with the start: the best of some candidates, the start among them, is never below it.
    """
    names = [m.name for m in METHODS if task in m.tasks]
    found = [(_family(name, 0), name, STARTS[0]) for name in names if task != NUMBERS]
    for i, a in enumerate(names):
        for b in names[i + 1 :]:
            if method(a).slot == method(b).slot:
                across = (method(a).who == "ours") != (method(b).who == "ours")
                found.append((_family(a, 1 if across else 3), a, b))
    return found


def _family(name: str, family: int) -> str:
    """A family by its number; what may change demonstrations has one for itself, so that the core's are its own."""
    return FAMILIES[2 if method(name).slot == BOTH else family]


def comparisons(task: str, lines: Lines, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """Every comparison of a task, made of the seeds that both have."""
    mine = {(line["method"], line["seed"]): line for line in lines if line["task"] == task}
    start = mine.get((STARTS[0], 0))
    found = []
    for family, a, b in pairs_of(task):
        others = {s: start if b == STARTS[0] else mine.get((b, s)) for s in seeds}
        shared = [s for s in seeds if (a, s) in mine and others[s] is not None]
        if not shared:
            continue
        left, right = [mine[a, s] for s in shared], [x for s in shared if (x := others[s]) is not None]
        ups = [_mean(x) - _mean(y) for x, y in zip(left, right, strict=True)]
        row = paired(by_example(left), by_example(right))
        found.append({"family": family, "a": a, "b": b, "seeds": len(shared), "by_seed": ups, **row})
    for family in FAMILIES:
        members = [row for row in found if row["family"] == family]
        absent = sum(name == family for name, *_ in pairs_of(task)) - len(members)  # the family is fixed in writing
        for row, adjusted in zip(members, holm([r["p"] for r in members] + [1.0] * absent), strict=False):
            row["p_holm"], row["verdict"] = adjusted, verdict(row, adjusted, len(seeds))
    return found


def verdict(row: Mapping[str, Any], adjusted: float, seeds: int) -> str:
    """``ahead`` or ``behind`` where it is shown: significant after Holm, all seeds there, two thirds of them alike."""
    sign = 1 if row["difference"] > 0 else -1
    steady = 3 * sum(sign * up > 0 for up in row["by_seed"]) >= 2 * seeds
    if adjusted <= ALPHA and row["seeds"] == seeds and steady:
        return "ahead" if sign > 0 else "behind"
    return "not shown"


def _mean(line: Mapping[str, Any]) -> float:
    return statistics.fmean(line["outcomes"].values())


def rows(task: str, lines: Lines, seeds: Sequence[int]) -> list[dict[str, Any]]:
    """A row for each method of a task that has a line."""
    found = []
    names = [*(STARTS if task != NUMBERS else ()), *(m.name for m in METHODS if task in m.tasks)]
    for name in names:
        mine = sorted((x for x in lines if (x["task"], x["method"]) == (task, name)), key=lambda x: x["seed"])
        if not mine:
            continue
        scores = list(by_example(mine).values())
        low, high = interval(scores)
        spend = {
            role: {
                k: statistics.fmean(x["spend"][role][k] for x in mine)
                for k in ("calls", "input_tokens", "output_tokens")
            }
            for role in ("agent", "optimizer")
        }
        found.append(
            {
                "method": name,
                "who": "" if name in STARTS else method(name).who,
                "slot": "" if name in STARTS else "numbers" if task == NUMBERS else method(name).slot,
                "seeds": [x["seed"] for x in mine],
                "mean": statistics.fmean(scores),
                "low": low,
                "high": high,
                "n": len(scores),
                "by_seed": [_mean(x) for x in mine],
                "changed": sum(x.get("values") is not None and x["values"] != start(lines, task) for x in mine),
                "solved": sum(x["more"].get("solved", 0) for x in mine),
                "ended": _endings(task, mine),
                "spend": spend,
                "seconds": statistics.fmean(x["seconds"] for x in mine),
                "missing": [s for s in seeds if s not in {x["seed"] for x in mine}] if name not in STARTS else [],
            }
        )
    return found


def _endings(task: str, lines: Lines) -> dict[str, int]:
    """Why searches ended, with how many; on numbers of each problem."""
    told = [str(line.get("ended", "")) for line in lines if line["method"] not in STARTS]
    parts = [part for text in told for part in (text.split("; ") if task == NUMBERS else [text])]
    return dict(Counter(part[:120] for part in parts).most_common())


def start(lines: Lines, task: str) -> Any:
    """The values that a task's searches start from."""
    return next((x["values"] for x in lines if (x["task"], x["method"]) == (task, STARTS[0])), None)


def summarise(lines: Lines, sizes: Sizes, code: str) -> dict[str, Any]:
    """Everything that the page shows: the core table, and what there is of the full one.

    Args:
        lines: what there is.
        sizes: of the protocol.
        code: hash of the present code; cells of other code are named.
    """
    have = {(x["task"], x["method"], x["seed"]) for x in lines}
    wanted = cells(sizes)
    missing = [c for c in wanted if (c.task, c.method, c.seed) not in have]
    shown = [*CORE, *(task for task in FULL if any(x["task"] == task for x in lines))]
    return {
        "seeds": list(sizes.seeds),
        "tasks": {
            task: {"rows": rows(task, lines, sizes.seeds), "pairs": comparisons(task, lines, sizes.seeds)}
            for task in shown
        },
        "cells": len(wanted),
        "missing": [str(c) for c in missing],
        "code": code,
        "other_code": {
            other: [f"{x['task']} / {x['method']} / seed {x['seed']}" for x in lines if x["code"] == other]
            for other in sorted({str(x["code"]) for x in lines} - {code})
        },
        "machines": sorted({str(x["machine"]) for x in lines}),
    }


TITLES = {
    "numerical": "Numerical problems",
    "mail": "Mail: the topic of a message",
    "boolean": "BIG-Bench Hard: boolean_expressions",
    "bills": "Bills: prices in words, read by a program (full table)",
    "navigate": "BIG-Bench Hard: navigate (full table)",
    "objects": "BIG-Bench Hard: object_counting (full table)",
}


def markdown(summary: Mapping[str, Any]) -> str:
    """The page."""
    page = [
        "# Optimizers side by side",
        "",
        "What was fixed before is in [protocol.md](protocol.md); every search with all its outcomes is a line of "
        "[optimizers.jsonl](optimizers.jsonl); the figures are in [optimizers.json](optimizers.json). "
        "`python tests/benchmarks/optimizers.py` makes this page, and goes on where it stopped.",
        "",
        f"{summary['cells'] - len(summary['missing'])} of {summary['cells']} cells of the core table are there"
        + (f" ({', '.join(summary['machines'])})." if summary["machines"] else "."),
    ]
    for task, found in summary["tasks"].items():
        page += ["", f"## {TITLES[task]}", ""]
        page += _table(task, found["rows"], summary["seeds"]) if found["rows"] else ["Nothing is there yet."]
        for family in FAMILIES[:3]:
            members = [row for row in found["pairs"] if row["family"] == family]
            if members:
                page += ["", f"{family[0].upper()}{family[1:]}:", "", *_pairs(members, summary["seeds"])]
    if summary["other_code"]:
        page += ["", "## Cells of other code", ""]
        page += ["The settings are the same; the code of library or benchmark has changed since (its hash first).", ""]
        page += [f"- `{code}`: {', '.join(made)}" for code, made in summary["other_code"].items()]
    if summary["missing"]:
        page += ["", "## Missing", "", *(f"- {cell}" for cell in summary["missing"])]
    return "\n".join(page) + "\n"


def _table(task: str, found: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> list[str]:
    numbers = task == NUMBERS
    what = "best score found" if numbers else "test"
    page = [
        f"| method | of | may change | {what}, 95 % interval | by seed | {'solved' if numbers else 'changed'} "
        "| agent calls | optimizer calls | optimizer tokens in / out | s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for row in found:
        many = len(row["seeds"])
        agent, optimizer = row["spend"]["agent"], row["spend"]["optimizer"]
        last = f"{row['solved']} of {row['n'] * many}" if numbers else f"{row['changed']} of {many}"
        searched = row["method"] not in STARTS
        cost = (
            f"{agent['calls']:.0f} | {optimizer['calls']:.0f} | {optimizer['input_tokens']:.0f} / "
            f"{optimizer['output_tokens']:.0f} | {row['seconds']:.0f}"
            if searched
            else "- | - | - | -"
        )
        seeds_told = " ".join(f"{v:.2f}" for v in row["by_seed"]) + (" (not all)" if row["missing"] else "")
        page.append(
            f"| {row['method']} | {row['who']} | {row['slot']} | {row['mean']:.3f} [{row['low']:.3f}, "
            f"{row['high']:.3f}], n = {row['n']} | {seeds_told} | {last if searched else '-'} | {cost} |"
        )
    if endings := [(row["method"], row["ended"]) for row in found if row["ended"]]:
        page += ["", "How searches ended" + (", problem by problem:" if numbers else ":"), ""]
        page += [f"- {name}: {', '.join(f'{why} ({n})' for why, n in ended.items())}" for name, ended in endings]
    if numbers:
        page += ["", "GEPA and MIPROv2 work on texts only and have no row here."]
    return page


def _pairs(found: Sequence[Mapping[str, Any]], seeds: Sequence[int]) -> list[str]:
    page = ["| | against | difference, 95 % interval | p | p (Holm) | by seed | verdict |", "| --- " * 7 + "|"]
    for row in found:
        told = row["verdict"] + ("" if row["seeds"] == len(seeds) else f", {row['seeds']} of {len(seeds)} seeds so far")
        page.append(
            f"| {row['a']} | {row['b']} | {row['difference']:+.3f} [{row['low']:+.3f}, {row['high']:+.3f}] | "
            f"{row['p']:.2g} | {row['p_holm']:.2g} | {' '.join(f'{v:+.2f}' for v in row['by_seed'])} | {told} |"
        )
    return page
