"""What the crash benchmark counts: the server's log, the program's witness and the run file, side by side."""

from __future__ import annotations

import json
import zlib
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

from crash_program import CONNECTIONS
from scipy import stats

from agentopt.core.values import canonical
from agentopt.run.files import open_run
from agentopt.store import Event, Store

__all__ = ["audit", "end_state", "read_requests", "totals"]


def audit(folder: Path, name: str, killed: list[str], requests: list[tuple[str, str]], whole: Any) -> dict[str, Any]:
    """Hold what the server saw, what the program was given, and what the run file says against each other."""
    given: dict[str, int] = {}
    events: list[tuple[int, str, int]] = []
    for line in (folder / name / "witness").read_text().splitlines():
        generation, kind, *rest = line.split()
        if kind == "answer":
            given.setdefault(rest[0], int(generation))
        else:
            events.append((int(rest[0]), rest[1], int(rest[2])))
    seen: dict[str, int] = {}
    asked_again, after_kill, resent, retried = [], set(), Counter[int](), 0
    for key, reference in requests:
        run, _, number = key.partition("/")
        if run != name:
            continue
        generation = int(number)
        if reference in given and given[reference] < generation:
            asked_again.append(f"{reference} ({killed[given[reference]]}, {killed[generation - 1]})")
            after_kill.add(generation - 1)
        elif reference in seen and seen[reference] == generation:
            retried += 1
        elif reference in seen:
            resent[seen[reference]] += 1
        seen[reference] = generation
    with open_run(folder / name / "runs" / "run") as run:
        kept = {(e.seq, e.type, zlib.crc32(canonical(e.data).encode())) for e in run.events()}
        answered = answered_in(run.store)
        charged = sum(amounts.get("calls", 0.0) for amounts in run.spend().values())
    lost_events = [e for e in events if e not in kept]
    lost_answers = [r for r in given if r in seen and answered is not None and r not in answered]
    requests_sent = len(seen) + sum(resent.values()) + len(asked_again) + retried
    return {
        "run": name,
        "kills": len(killed),
        "points": dict(Counter(killed)),
        "calls": len(seen),
        "requests": requests_sent,
        "charged_calls": charged,
        "answers_given": len(given),
        "events_given": len(events),
        "asked_again": len(asked_again),
        "which": asked_again[:5],
        "kills_with_asked_again": len(after_kill),
        "resent": sum(resent.values()),
        "most_resent": max(resent.values(), default=0),
        "beyond": sum(n > CONNECTIONS for n in resent.values()),
        "retried": retried,
        "lost": len(lost_events) + len(lost_answers),
        "equal": whole is None or end_state(folder / name) == whole,
    }


def read_requests(log: Path) -> list[tuple[str, str]]:
    """Key and reference of every request, in order."""
    return [(key, reference) for key, _, reference in (line.partition(" ") for line in log.read_text().splitlines())]


def answered_in(store: Store) -> set[str] | None:
    """References of the calls whose answers the run file has; None where it keeps no journal."""

    def call(event: Event) -> tuple[str, str]:
        return str(event.data["address"]), str(event.data["hash"])

    payloads = {call(e): str(e.data["payload"]) for e in store.events("call.sent")}
    received = [payloads[call(e)] for e in store.events("call.received")]
    if not payloads:
        return None
    return {json.loads(store.blob(id_))["messages"][0]["content"].removeprefix("ref ") for id_ in received}


def end_state(folder: Path) -> dict[str, Any]:
    """Everything that a run came to, times apart."""
    with open_run(folder / "runs" / "run") as run:
        state = run.state
        outcomes = {
            (o.candidate, o.example, o.repeat, o.split, o.status, o.score, json.dumps(o.output)) for o in run.outcomes()
        }
        incumbents = [(e.data["step"], e.data["incumbent"], e.data["mean"]) for e in run.events("step.done")]
        judged = {
            (e.type, e.data["step"], e.data["number"], e.data["id"])
            for e in run.events("proposal.accepted", "proposal.rejected")
        }
        return {
            "outcomes": outcomes, "incumbents": incumbents, "judged": judged, "noise": dict(state.noise or {}),
            "candidates": [(e.candidate, e.step, e.operator) for e in state.archive], "ended": state.ended,
            "chosen": state.chosen, "claim": state.claim, "status": state.finished, "optimizer": state.optimizer,
            "best": {p.name: p.read_text() for p in sorted((run.dir / "best").iterdir())},
        }  # fmt: skip


def totals(rows: list[dict[str, Any]]) -> dict[str, Any]:
    """Sums over runs, with an exact upper bound for what was not seen."""
    sums: dict[str, Any] = defaultdict(int)
    points: Counter[str] = Counter()
    for row in rows:
        for key, value in row.items():
            if isinstance(value, int | float) and key != "most_resent":
                sums[key] += value
        points.update(row["points"])
    kills, runs = sums["kills"], len(rows)
    sums |= {
        "points": dict(points), "runs": runs, "unequal": runs - sums["equal"],
        "most_resent": max(row["most_resent"] for row in rows),
    }  # fmt: skip
    sums["bounds"] = {
        "asked_again": bound(sums["kills_with_asked_again"], kills),
        "lost": bound(min(sums["lost"], kills), kills),
        "beyond": bound(sums["beyond"], kills),
        "unequal": bound(sums["unequal"], runs),
    }
    return dict(sums)


def bound(events: int, n: int) -> float:
    """Clopper and Pearson's upper 95% bound of a rate, one-sided."""
    return float(stats.binomtest(events, n, alternative="less").proportion_ci(0.95, method="exact").high)
