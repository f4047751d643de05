"""The page of the crash benchmark."""

from __future__ import annotations

from typing import Any

from crash_program import CONNECTIONS, POINTS

__all__ = ["page"]

HEAD = """\
# Kill -9, measured

Made by `python tests/benchmarks/crash.py`; every run is in `crash.json` beside this page. Runs with {connections}
connections and three calls a cell (one streamed, two at once) are killed with SIGKILL, resumed, and killed again;
then they go on to their end. A stub server in another process counts; its answers are a function of the request.
What the program was given (answers, committed events) it writes to a file that the store knows nothing of. Each
bound is Clopper and Pearson's upper one, one-sided, at 95%.

Machine: {cores} cores, Python {python}, SQLite {sqlite}; {arms}.
"""
COMPARED = """
End states are compared in full: outcomes with outputs and scores, candidates, judged proposals, incumbents, noise,
validation, claim, the optimizer's state, and the files of `best/`. A call that was in flight at a kill is charged at
its reservation and sent again.
"""
CONTROL = """
With the journal switched off the same program {verdict}: {asked_again:,} answers that it had been given were asked
again, after {kills_with_asked_again:,} of {kills:,} kills. Outcomes are committed there too, so what is asked again are
the calls of unfinished cells and of unfinished asks.
"""
TITLES = {"journal": "as it is", "control": "journal switched off"}
ROWS = [
    ("runs", "runs", ""),
    ("kills", "kills", ""),
    ("calls (different requests)", "calls", ""),
    ("requests at the server", "requests", ""),
    ("calls charged to the budget", "charged_calls", ""),
    ("answers given to the program", "answers_given", ""),
    ("events given to the program after their commit", "events_given", ""),
    ("**committed answers asked again**", "asked_again", "kills"),
    ("**results lost** (answers and events that the program was given)", "lost", "kills"),
    ("requests in flight at a kill, sent again", "resent", ""),
    ("the most of them at one kill", "most_resent", ""),
    (f"kills with more of them than {CONNECTIONS} connections", "beyond", "kills"),
    ("requests sent twice by one process", "retried", ""),
    ("**runs that ended otherwise than the uninterrupted one**", "unequal", "runs"),
]


def page(data: dict[str, Any]) -> str:
    """The whole Markdown page."""
    arms = {name: data[name]["totals"] for name in TITLES if name in data}
    told = "; ".join(f"{TITLES[n]}: {data[n]['seconds']:.0f} s at a load of {data[n]['load'][0]}" for n in arms)
    sums = list(arms.values())
    names, line = " | ".join(TITLES[n] for n in arms), "|---|" + "---|" * len(arms)
    lines = [HEAD.format(connections=CONNECTIONS, arms=told, **data["machine"]), f"| | {names} |", line]
    lines += [f"| {title} | {' | '.join(_cell(s, key, unit) for s in sums)} |" for title, key, unit in ROWS]
    lines.append(COMPARED)
    if "control" in arms:
        verdict = "fails" if arms["control"]["asked_again"] else "does not fail, so this page shows nothing"
        lines.append(CONTROL.lstrip().format(verdict=verdict, **arms["control"]))
    lines += [f"| killed | {names} |", line]
    lines += [f"| {where} | {' | '.join(str(s['points'].get(p, 0)) for s in sums)} |" for p, where in POINTS.items()]
    return "\n".join([*lines, ""])


def _cell(sums: dict[str, Any], key: str, unit: str) -> str:
    bound = sums["bounds"].get(key)
    return f"{sums[key]:,.0f}" + (f" (at most {bound:.2%} of {unit})" if bound is not None else "")
