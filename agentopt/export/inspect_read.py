"""A log of inspect-ai as a run of ours, so that it is shown and compared as one."""

from __future__ import annotations

import hashlib
import itertools
import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pydantic import JsonValue

from agentopt.core.values import Candidate, Feedback, Outcome, canonical, digest
from agentopt.errors import UsageError
from agentopt.evaluate import Example
from agentopt.export.inspect_log import KEY, SCORE, library
from agentopt.run.config import RunConfig
from agentopt.run.evaluation import KIND
from agentopt.store import Store, blob_id

__all__ = ["Log", "import_log", "read_log"]

LETTERS = {"C": 1.0, "I": 0.0, "P": 0.5, "N": 0.0, "yes": 1.0, "no": 0.0, "true": 1.0, "false": 0.0}
"""What the texts of inspect's scores are worth, as its own metrics read them."""


@dataclass(frozen=True, slots=True)
class Log:
    """What a log of inspect-ai says, as values of ours."""

    task: str
    version: int | str
    model: str
    solver: str
    status: str
    """evaluated, interrupted, or errors."""
    repeats: int
    score_range: tuple[float, float]
    scorer: str
    """Which of the log's scores became the score; the others are parts."""
    examples: tuple[Example, ...]
    outcomes: tuple[Outcome, ...]
    made_here: bool
    """Whether agentopt wrote it; then examples and outcomes are those of the run, by the clusters that it counts."""
    evaluator: str


def read_log(file: str | Path) -> Log:
    """Read a log of inspect-ai (``.eval`` or ``.json``).

    The first score of a sample is its score (texts are worth what inspect's metrics say: C 1, P 0.5, I and N 0); other
    scores that are numbers become parts. A sample that ended with an error is lost to the world: it does not count.

    Raises:
        MissingDependency: inspect-ai is not installed.
        UsageError: the file is none of its logs, or holds no sample.
    """
    place = Path(file)
    if not place.is_file():
        raise UsageError(f"there is no file {place}")
    try:
        log = library("log").read_eval_log(str(place.resolve()))
    except (ValueError, KeyError, OSError) as problem:
        raise UsageError(f"{place} cannot be read as a log of inspect-ai: {problem}") from None
    if not log.samples:
        raise UsageError(f"{place} holds no sample: it was written without them, or none had ended")
    ours = (log.eval.metadata or {}).get(KEY) or {}
    found = [_cell(sample) for sample in log.samples]
    scored = [o.score for _, o in found if o.score is not None]
    low, high = ours.get("score_range") or (min([0.0, *scored]), max([1.0, *scored]))
    named = Counter(next(iter(s.scores), SCORE) for s in log.samples if s.scores)
    examples = {e.id: e for e, _ in found}
    return Log(
        task=str((ours.get("task") or {}).get("name") or log.eval.task.rpartition("/")[2]),
        version=log.eval.task_version, model=log.eval.model, solver=log.eval.solver or "inspect",
        status={"success": "evaluated", "cancelled": "interrupted"}.get(log.status, "errors"),
        repeats=max(o.repeat for _, o in found) + 1, score_range=(float(low), float(high)),
        scorer=named.most_common(1)[0][0] if named else SCORE, examples=tuple(examples.values()),
        outcomes=tuple(o for _, o in found), made_here=bool(ours),
        evaluator=str(ours.get("evaluator") or f"inspect:{digest(sorted(named))}"),
    )  # fmt: skip


def import_log(file: str | Path, runs_dir: str | Path = "runs") -> Path:
    """Make a run of a log of inspect-ai, once for the same content; returns its folder.

    It is an evaluation on all of its samples; it has no calls and no graph, so it cannot be replayed or gone on with.

    Raises:
        MissingDependency, UsageError: as ``read_log``.
    """
    place = Path(file)
    if not place.is_file():
        raise UsageError(f"there is no file {place}")
    sum_ = hashlib.sha256(place.read_bytes()).hexdigest()
    stem = "".join(c if c.isalnum() or c in "._-" else "-" for c in place.stem)[:60].strip("-.")
    folder = Path(runs_dir) / f"{stem}-{sum_[:8]}"
    if (folder / "run.sqlite").exists():
        return folder
    log = read_log(place)
    candidate = Candidate(values={}, origin="baseline")
    blob = canonical([e.model_dump(mode="json") for e in log.examples]).encode()
    empty = canonical([]).encode()
    config = RunConfig(
        graph=log.solver, task=log.task, model=log.model, repeats=log.repeats, runs_dir=str(runs_dir), name=folder.name
    )
    started = {
        "kind": KIND, "config": config.model_dump(mode="json"), "graph": log.solver, "objective": "",
        "task": {"name": log.task, "version": log.version, "hash": digest(sorted(e.content for e in log.examples))},
        "evaluator": log.evaluator, "score_range": list(log.score_range), "split": "all", "limit_of": "all",
        "splits": {
            name: {"n": n, "hash": "", "examples": blob_id(content)}
            for name, n, content in (("search", 0, empty), ("validation", 0, empty), ("test", len(log.examples), blob))
        },
        "endpoints": {"agent": log.model}, "sources": {}, "refs": {}, "versions": {}, "left_out": [],
        "candidate": candidate.model_dump(mode="json"), "imported": {"from": "inspect", "sha256": sum_},
    }  # fmt: skip
    turn = itertools.count()
    with Store(folder) as store:
        store.append_now("run.started", started, [blob, empty])
        store.append_now("baseline", {"candidate": candidate.model_dump(mode="json")})
        for outcome in log.outcomes:
            own = outcome.model_copy(update={"candidate": candidate.id, "split": "test"})
            store.post("cell", {"outcome": own.model_dump(mode="json"), "elapsed": 0.0, "turn": next(turn)})
        text = f"made from a log of inspect-ai, of whose scores {log.scorer!r} is the score"
        store.append_now("warning", {"text": text})
        store.append_now("run.finished", {"status": log.status, "spend": {}})
    return folder


def _cell(sample: Any) -> tuple[Example, Outcome]:
    """The example and the outcome of a sample."""
    kept = (sample.metadata or {}).get(KEY)
    example = _example(sample)
    if isinstance(kept, Mapping) and "outcome" in kept:
        return example, Outcome.model_validate({**kept["outcome"], "candidate": ""})
    usage = sample.model_usage.values()
    metrics = {
        "input_tokens": float(sum(u.input_tokens + (u.input_tokens_cache_read or 0) for u in usage)),
        "output_tokens": float(sum(u.output_tokens for u in usage)),
    }
    if sample.total_time is not None:
        metrics["seconds"] = float(sample.total_time)
    lost = sample.error is not None
    return example, Outcome(
        candidate="", example=example.id, repeat=sample.epoch - 1, status="infra_error" if lost else "ok",
        output=sample.output.completion, metrics=metrics, error=sample.error.message if lost else None,
        feedback=None if lost else _feedback(sample.scores or {}),
    )  # fmt: skip


def _example(sample: Any) -> Example:
    """The example of a sample; as it was kept, where the sample is of a log or a task of ours.

    Samples of such a task have the cluster, as the eval reads it, in metadata of its own. What samples of others have
    under that name may be anything.
    """
    said = sample.metadata or {}
    kept = said.get(KEY)
    if isinstance(kept, Mapping) and "example" in kept:
        known = {} if "outcome" in kept or "cluster" not in said else {"cluster": said["cluster"]}
        return Example.model_validate({**kept["example"], **known})
    target: JsonValue = sample.target
    if isinstance(target, list) and len(target) == 1:
        target = target[0]
    return Example(id=str(sample.id), input=_asked(sample.input), target=target)


def _asked(given: Any) -> str:
    """The question of a sample: its text, or what its last message of a user says."""
    if isinstance(given, str):
        return given
    users = [m.text for m in given if m.role == "user"]
    return str(users[-1] if users else given[-1].text)


def _feedback(scores: Mapping[str, Any]) -> Feedback | None:
    values = {name: _worth(score.value) for name, score in scores.items()}
    if not values:
        return None
    first, *others = values
    parts = {name: value for name in others if (value := values[name]) is not None}
    value = scores[first].value
    if isinstance(value, Mapping):
        parts |= {str(k): worth for k, v in value.items() if (worth := _worth(v)) is not None}
    return Feedback(score=values[first], text=scores[first].explanation or "", parts=parts)


def _worth(value: Any) -> float | None:
    """A score of inspect as a number; the mean of several; None where it says nothing."""
    if isinstance(value, str):
        if value in LETTERS:
            return LETTERS[value]
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool | int | float):
        return float(value) if math.isfinite(value) else None
    several = value.values() if isinstance(value, Mapping) else value
    known = [worth for v in several or () if (worth := _worth(v)) is not None]
    return math.fsum(known) / len(known) if known else None
