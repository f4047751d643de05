"""What a page says of a run besides its cells: claim, candidates, steps, rejected proposals, warnings, commands."""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

from agentopt.core.values import Outcome
from agentopt.errors import StoreError
from agentopt.evaluate import Claim, minimum_detectable, summarize
from agentopt.evaluate.clusters import cluster_labels, cluster_variance
from agentopt.evaluate.summary import pair
from agentopt.llm.types import model_identity
from agentopt.report.clean import clean
from agentopt.report.diff import changes
from agentopt.run.config import runs_folder, said_with
from agentopt.run.files import RunFile
from agentopt.run.stored import stored_examples

__all__ = ["candidates", "claim", "commands", "head", "incumbents", "rejected", "warnings"]

MOST_DIFFS = 60
"""Candidates, and rejected proposals, whose changes are shown word by word; the best candidate's always are."""
_UNFINISHED = {
    "interrupted": "The run was interrupted: what follows is what it has so far.",
    "running": "The run is going on: what follows is what it has so far.",
    "budget": "The budget ended before the run did: what follows is what it has so far.",
}


def head(run: RunFile) -> dict[str, Any]:
    """Names, times and settings."""
    config, started = run.config, run.started
    models = {role: model_identity(config.model_of(role) or "") for role in ("agent", "optimizer", "judge")}
    sentinel = next((e.data for e in run.events("sentinel") if e.data.get("examples")), None)
    end = max((e.time for e in run.events("run.finished", "step.done", "baseline.done")), default=None)
    return {
        "name": run.dir.name, "kind": started["kind"], "status": run.status, "unfinished": _UNFINISHED.get(run.status),
        "graph": config.graph.rpartition("@")[2], "objective": started["objective"],
        "task": said_with(started["task"]["name"], config.task_args),
        "optimizer": config.optimizer, "models": {r: m for r, m in models.items() if m}, "seed": config.seed,
        "started": run.time, "ended": end, "reason": run.state.ended or "", "score_range": started["score_range"],
        "splits": {name: part["n"] for name, part in started["splits"].items()},
        "endpoints": started["endpoints"], "versions": started["versions"], "task_hash": started["task"]["hash"],
        "evaluator": started["evaluator"], "noise": dict(run.state.noise or {}), "sentinel": sentinel,
        "config": config.model_dump(mode="json", exclude_defaults=True),
        "forecast": [line for e in run.events("forecast") for line in e.data["lines"]],  # type: ignore[union-attr]
    }  # fmt: skip


def claim(run: RunFile) -> dict[str, Any]:
    """What may be said of the run: the verdict, the sentence, and the evidence behind it."""
    found, splits = run.claim(), run.started["splits"]
    if run.started["kind"] != "optimize":
        return _evaluation(run)
    least, given = _least(run, splits["test"]["n"])
    base: dict[str, Any] = {
        "least": least, "given": given, "test_n": splits["test"]["n"], "claim": None, "tested": [],
    }  # fmt: skip
    if found is not None:
        verdict, _, sentence = found.sentence.partition(": ")
        return base | {
            "verdict": verdict, "sentence": sentence, "shown": found.shown, "claim": found.model_dump(mode="json"),
            "tested": list(_tested(run)), "fresh": _fresh(found),
        }  # fmt: skip
    if run.status == "budget":
        verdict, sentence = "Nothing is claimed", "The budget ended before the test on untouched examples was made."
    elif run.status in ("interrupted", "running"):
        verdict, sentence = "Nothing is claimed yet", "The test on untouched examples has not been made."
    else:
        verdict = "No improvement shown"
        sentence = (
            "Nothing beat the baseline on the search and validation examples, so the test examples were not used."
        )
    return base | {"verdict": verdict, "sentence": sentence, "shown": False}


def _evaluation(run: RunFile) -> dict[str, Any]:
    outcomes = run.outcomes()
    low, high = run.started["score_range"]
    summary = summarize(outcomes, (low, high), clusters=run.clusters) if outcomes else None
    splits = ", ".join(dict.fromkeys(o.split for o in outcomes))
    if summary is None or summary.mean is None:
        verdict, sentence = "No score yet", "Nothing has been evaluated."
    else:
        verdict, sentence = f"{summary.mean:.2f}", f"An evaluation ({splits} split), no comparison: {summary.sentence}."
    return {"verdict": verdict, "sentence": sentence, "shown": False, "claim": None, "tested": [], "least": None,
            "given": "", "test_n": 0}  # fmt: skip


def _least(run: RunFile, n: int) -> tuple[float | None, str]:
    """The smallest difference that the test was likely to show, and what that supposes."""
    found = run.claim()
    if found is not None and found.n > 1 and found.test != "McNemar":
        return _least_seen(run, found)
    clusters = 0
    if found is None:  # the test to come would count them once
        with suppress(StoreError):  # the page says elsewhere what cannot be read
            clusters = len(set(cluster_labels([*stored_examples(run.store, run.started, "test")], run.clusters)))
    given = "scores of 0 and 1, a tenth of the examples lost"
    if clusters:
        given += f"; each of {clusters} clusters counted as one example"
    return (minimum_detectable(clusters or n) if n > 1 else None), given


def _least_seen(run: RunFile, found: Claim) -> tuple[float | None, str]:
    """The same, by the spread of the differences that the test was made on."""
    baseline, best, archive = run.baseline(), run.best(), run.state.archive
    assert baseline is not None
    assert best is not None
    scores = pair(archive.means(baseline.id, "test"), archive.means(best.id, "test"))
    if found.interval != "cluster":
        spread = statistics.stdev(scores.differences)
        return minimum_detectable(found.n, sd=spread), f"differences with the standard deviation seen, {spread:.2f}"
    labels = cluster_labels(scores.examples, run.clusters)
    clusters = len(set(labels))
    if clusters < found.needed:
        return None, ""
    error = math.sqrt(cluster_variance(scores.differences, labels))
    least = minimum_detectable(clusters, sd=error * math.sqrt(clusters))
    return least, f"differences of {clusters} clusters with the standard error seen, {error:.2f}"


def _fresh(found: Claim) -> str:
    if not found.touches:
        return "yes: no earlier use of these examples is on record"
    known = found.touched_examples
    return f"no: {f'at most {known}' if known is not None and known < found.n else 'all'} had been used before"


def _tested(run: RunFile) -> Iterator[dict[str, Any]]:
    for label, candidate in (("baseline", run.baseline()), ("best", run.best())):
        if candidate is not None:
            scored = run.state.archive.scored(candidate.id, "test")
            yield {"label": label, "mean": scored.mean, "low": scored.low, "high": scored.high, "n": scored.n}


def candidates(run: RunFile) -> list[dict[str, Any]]:
    """Everything that was admitted, baseline first: its name on the page, scores, family, fate and changes."""
    baseline, best = run.baseline(), run.best()
    if baseline is None:
        return []
    notes = {str(e.data["id"]): e.data for e in run.events("proposal.accepted")}
    fates, adopted = _fates(run), {str(e.data["id"]) for e in run.events("incumbent")}
    rows = []
    for scored in run.candidates():
        one = scored.candidate
        note: Any = notes.get(one.id, {})
        label = "baseline" if scored.step < 0 else f"{scored.step + 1}.{note['number'] + 1 if note else one.id[:4]}"
        unknown = "its step did not end" if scored.step >= 0 else ""
        rows.append(
            {
                "id": one.id, "label": label, "step": scored.step, "operator": scored.operator, "parents": one.parents,
                "mean": scored.mean, "low": scored.low, "high": scored.high, "n": scored.n,
                "whole": scored.n >= run.started["splits"]["search"]["n"],
                "best": best is not None and one.id == best.id, "adopted": one.id in adopted or scored.step < 0,
                "fate": fates.get(one.id, unknown), "why": note.get("why", ""), "notes": note.get("rejected", []),
                "changes": [],
            }
        )  # fmt: skip
        if len(rows) <= MOST_DIFFS + 1 or rows[-1]["best"]:
            rows[-1]["changes"] = list(changes(baseline.values, one.values))
    labels = {row["id"]: row["label"] for row in rows}
    for row in rows:
        row["from"] = [labels.get(p, p[:8]) for p in row["parents"]]
    return rows


def _fates(run: RunFile) -> dict[str, str]:
    """How far each candidate came, in words."""
    fates: dict[str, str] = {}
    for event in run.events("step.done", "incumbent", "validation.done"):
        data: Any = event.data
        if event.type == "step.done":
            for heat in data.get("heats", []):
                fates.setdefault(heat["id"], heat["ended"] or "ran on every search example")
        elif event.type == "incumbent":
            fates[data["id"]] = f"incumbent after step {data['step'] + 1}"
        else:
            for id_, numbers in data["scores"].items():
                if numbers["mean"] is not None:
                    told = f"validation {numbers['mean']:.3f} on {numbers['n']}"
                    fates[id_] = "; ".join(filter(None, (fates.get(id_), told)))
    return fates


def incumbents(run: RunFile) -> list[tuple[int, float]]:
    """(step, the incumbent's mean on the search split after it), beginning with the baseline at -1."""
    line = []
    for event in run.events("baseline.done", "step.done"):
        data: Any = event.data
        if data["mean"] is not None:
            line.append((data.get("step", -1), data["mean"]))
    return line


def rejected(run: RunFile, known: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Proposals that were refused before anything was paid for their evaluation. ``known`` are the candidates."""
    baseline = run.baseline()

    def named(texts: list[str]) -> list[str]:
        for row in known:
            texts = [text.replace(row["id"], row["label"]) for text in texts]
        return texts

    rows: list[dict[str, Any]] = []
    for event in run.events("proposal.rejected"):
        data: Any = event.data
        shown = len(rows) < MOST_DIFFS
        rows.append(
            {
                "label": f"{data['step'] + 1}.{data['number'] + 1}", "operator": data["operator"], "why": data["why"],
                "reasons": named(data["reasons"]), "notes": data["rejected"],
                "changes": list(changes(baseline.values, data["values"])) if baseline and shown else [],
            }
        )  # fmt: skip
    return rows


def warnings(run: RunFile, outcomes: list[Outcome], escapes: list[tuple[str, str, str]]) -> list[str]:
    """Everything that takes away from what the numbers say, one line each."""
    told = [str(e.data["text"]) for e in run.events("warning")]
    lost = [str(clean(o.error or "unknown")).strip() for o in outcomes if o.status == "infra_error"]
    errors = Counter(text.splitlines()[-1] for text in lost)
    for reason, count in errors.most_common(5):
        told.append(f"{count} evaluations were lost to the world and do not count: {reason}")
    for status, word in (("agent_error", "failed in the program"), ("timeout", "ran out of time")):
        count = sum(o.status == status for o in outcomes)
        if count:
            told.append(f"{count} of {len(outcomes)} evaluations {word}: they count as the lowest score")
    unscored = sum(o.status == "ok" and o.score is None for o in outcomes)
    if unscored:
        told.append(f"{unscored} answers have no score and do not count")
    ends = [str(event.data["message"]) for event in run.events("budget.exhausted")]
    told += [text for text in ends if text not in (run.state.ended or "")]
    for how, where in dict.fromkeys((how, where) for _, how, where in escapes):
        told.append(f"{where}: {how} takes a value out of the trace; feedback cannot reach what made it")
    return list(dict.fromkeys(told))


def commands(run: RunFile) -> list[tuple[str, str]]:
    """What can be done with the run, each with its command."""
    where = run.dir.name + ("" if run.config.runs_dir == runs_folder() else f" --runs-dir {run.config.runs_dir}")
    listed = []
    if run.state.claim is None and run.started["kind"] == "optimize":
        budget = " --add-budget calls=200" if run.status == "budget" else ""
        listed.append(("go on where it stopped; nothing answered is asked again", f"agentopt resume {where}{budget}"))
    listed.append(("the same in the terminal", f"agentopt show {where}"))
    listed.append(("execute it again offline, and name the first difference", f"agentopt replay {where}"))
    if run.started["kind"] == "optimize":
        listed.append(
            ("the diff that would be written back; without --dry-run it is", f"agentopt apply {where} --dry-run")
        )
    return listed
