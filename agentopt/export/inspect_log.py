"""Logs of inspect-ai: an evaluation of ours as an ``.eval`` file, written with inspect's own library."""

from __future__ import annotations

import importlib
import json
import math
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import agentopt
from agentopt.core.values import Outcome
from agentopt.errors import MissingDependency, UsageError
from agentopt.run.evaluation import evaluation_of
from agentopt.run.files import RunFile
from agentopt.run.result import Evaluation

__all__ = ["KEY", "SCORE", "failure", "library", "text_of", "write_log"]

KEY = "agentopt"
"""Under this name of a sample's and a log's metadata stands what inspect's own fields have no room for."""
SCORE = "score"
"""Name of the score in inspect's table; parts stand beside it under their own names."""


def library(name: str) -> Any:
    """A module of inspect-ai.

    Raises:
        MissingDependency: it is not installed.
    """
    try:
        return importlib.import_module(f"inspect_ai.{name}" if name else "inspect_ai")
    except ModuleNotFoundError as problem:
        if (problem.name or "").partition(".")[0] != "inspect_ai":
            raise
        raise MissingDependency("logs and tasks of inspect-ai need it: `pip install 'agentopt[inspect]'`") from None


def write_log(run: str | Path, file: str | Path) -> Path:
    """Write an evaluation as a log of inspect-ai (``.eval``, or ``.json``); returns the file's path.

    Each cell is a sample: the repeat is inspect's epoch, the score and its parts are inspect's scores, a failure or
    timeout of the program has the lowest score with its reason, and a cell that was lost to the world is an error
    without a score. ``read_log`` has the outcomes back exactly, and the examples with the clusters that the run counts.

    Raises:
        MissingDependency: inspect-ai is not installed.
        UsageError: the run is no evaluation, or the file's ending is neither of the two.
    """
    place = Path(file)
    if place.suffix not in (".eval", ".json"):
        raise UsageError(f"{place}: a log of inspect-ai is an .eval or a .json file")
    log, folder = library("log"), Path(run)
    with RunFile(folder) as opened:
        done = evaluation_of(folder, opened.status)
        times = {(e.example, e.repeat): t for t, e in _times(opened)}
        made = log.EvalLog(
            status={"evaluated": "success", "interrupted": "cancelled"}.get(done.status, "error"),
            eval=_spec(log, done, opened),
            plan=log.EvalPlan(steps=[log.EvalPlanStep(solver=done.config.graph)]),
            results=_results(log, done),
            stats=_stats(log, done, opened, times),
            samples=[_sample(log, done, o, times.get((o.example, o.repeat)), opened) for o in done.outcomes],
        )
    place.parent.mkdir(parents=True, exist_ok=True)
    log.write_eval_log(made, str(place.resolve()))
    return place


def _times(run: RunFile) -> list[tuple[float, Outcome]]:
    """When each cell was committed."""
    return [(e.time, Outcome.model_validate(e.data["outcome"])) for e in run.events("cell")]


def _spec(log: Any, done: Evaluation, run: RunFile) -> Any:
    config, first = done.config, run.started
    said = first.get("eval") or {}
    generate = library("model").GenerateConfig(max_tokens=config.max_tokens, temperature=config.temperature)
    return log.EvalSpec(
        created=_moment(run.time), eval_id=run.store.id, run_id=run.store.id, task_id=first["task"]["hash"][:22],
        task=said.get("name") or config.task, task_version=said.get("version", first["task"]["version"]),
        task_args=dict(config.task_args), solver=config.graph, model=config.model or "none",
        model_generate_config=generate, packages={"agentopt": agentopt.__version__},
        dataset=log.EvalDataset(name=config.task, samples=len(done.examples), sample_ids=list(done.examples)),
        config=log.EvalConfig(epochs=config.repeats, limit=config.limit, fail_on_error=False),
        metadata={
            KEY: {
                "run": run.dir.name, "split": done.split, "task": first["task"], "score_range": first["score_range"],
                "evaluator": first["evaluator"], "eval": said or None,
                "departs": done.measured.departure if done.measured else "",
            }
        },
    )  # fmt: skip


def _results(log: Any, done: Evaluation) -> Any:
    s = done.summary
    told = {"mean": s.mean, "low": s.low, "high": s.high, "n": s.n}
    scores = [_table(log, SCORE, {k: v for k, v in told.items() if v is not None}, s.n)]
    for row in done.measured.measures if done.measured else ():
        told = {"mean": row.mean, "low": row.low, "high": row.high, "n": row.n}
        scores.append(_table(log, row.name, {k: v for k, v in told.items() if v is not None}, row.n))
    answered = sum(o.status != "infra_error" for o in done.outcomes)
    return log.EvalResults(total_samples=done.planned, completed_samples=answered, scores=scores)


def _table(log: Any, name: str, values: Mapping[str, float], n: int) -> Any:
    metrics = {key: log.EvalMetric(name=key, value=value) for key, value in values.items()}
    return log.EvalScore(name=name, scorer=name, scored_samples=n, metrics=metrics)


def _stats(log: Any, done: Evaluation, run: RunFile, times: Mapping[Any, float]) -> Any:
    used = {}
    if done.outcomes:
        first, *others = map(_usage, done.outcomes)
        used = {done.config.model or "none": sum(others, start=first)}
    ended = max(times.values(), default=run.time)
    return log.EvalStats(started_at=_moment(run.time), completed_at=_moment(ended), model_usage=used)


def _usage(outcome: Outcome) -> Any:
    read, written = (int(outcome.metrics.get(k, 0)) for k in ("input_tokens", "output_tokens"))
    return library("model").ModelUsage(input_tokens=read, output_tokens=written, total_tokens=read + written)


def _sample(log: Any, done: Evaluation, outcome: Outcome, ended: float | None, run: RunFile) -> Any:
    example = done.examples[outcome.example]
    # the cluster that the run counts it in, which its eval may have named: a log has no other place for an eval
    counted = example.model_copy(update={"cluster": run.clusters.get(example.id)})
    model, model_name = library("model"), done.config.model or "none"
    asked, answer = text_of(example.input), text_of(outcome.output)
    output = model.ModelOutput.from_content(model_name, answer)
    output.usage = _usage(outcome)
    error = None
    if outcome.status == "infra_error":
        message = (outcome.error or "no reason").strip()
        error = log.EvalError(message=message, traceback=message, traceback_ansi=message)
    seconds = outcome.metrics.get("seconds")
    began = None if ended is None else ended - (seconds or 0.0)
    kept = outcome.model_dump(mode="json", exclude={"trace", "candidate"})
    return log.EvalSample(
        id=example.id, epoch=outcome.repeat + 1, input=asked, target=text_of(example.target),
        messages=[model.ChatMessageUser(content=asked), model.ChatMessageAssistant(content=answer, model=model_name)],
        output=output, scores=_scores(run.started["score_range"][0], outcome), error=error,
        total_time=seconds, working_time=seconds,
        metadata={**example.meta, KEY: {"example": counted.model_dump(mode="json"), "outcome": kept}},
        model_usage={model_name: _usage(outcome)}, uuid=f"{done.candidate.id}-{example.id}-{outcome.repeat}",
        started_at=None if began is None else _moment(began), completed_at=None if ended is None else _moment(ended),
    )  # fmt: skip


def _scores(lowest: float, outcome: Outcome) -> dict[str, Any] | None:
    """Inspect's scores of a cell; None where it does not count."""
    score = library("scorer").Score
    if outcome.status in ("agent_error", "timeout"):
        return {SCORE: failure(lowest, outcome.status, outcome.error or "")}
    if outcome.feedback is None or outcome.score is None or not math.isfinite(outcome.score):
        return None
    said = outcome.feedback
    made = {SCORE: score(value=outcome.score, answer=text_of(outcome.output), explanation=said.text or None)}
    return made | {name: score(value=value) for name, value in said.parts.items() if name != SCORE}


def failure(lowest: float, status: str, error: str) -> Any:
    """Inspect's score of a program that failed: the lowest, with the last line of its error."""
    told = error.strip().splitlines()[-1:] or [""]
    return library("scorer").Score(value=lowest, explanation=f"{status}: {told[0]}")


def text_of(value: Any) -> str:
    """A value as inspect shows it: a text as it is, anything else as JSON.

    >>> text_of("a"), text_of({"n": 1}), text_of(None)
    ('a', '{"n": 1}', '')
    """
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()
