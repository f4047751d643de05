"""A run by an eval: its protocol as options of a run, where it departs from it, and what the run keeps of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from agentopt._aio import in_thread
from agentopt._text import short
from agentopt.core.values import Outcome, canonical
from agentopt.errors import UsageError
from agentopt.evaluate import Eval, Example, Task
from agentopt.evaluate.measured import Departure, EvalRecord, record_of
from agentopt.evaluate.protocol import PINNED
from agentopt.evaluate.scoring import ScorerError
from agentopt.run.codeplace import program_place
from agentopt.run.config import RunConfig
from agentopt.run.files import RunFile
from agentopt.run.stored import stored_eval
from agentopt.run.target import jsonable
from agentopt.store import blob_id

__all__ = ["as_event", "departures", "eval_of", "guessed", "pinned_options", "recorded"]


async def recorded(
    pinned: Eval, config: RunConfig, task: Task, split: str, values: Mapping[str, Any], examples: Sequence[Example]
) -> EvalRecord:
    """What a run keeps of its eval; answers without a model are scored for it."""
    departs = departures(pinned, config, split, values)
    guesses = await guessed(pinned, config, task, examples)
    return record_of(pinned, examples, departs=departs, guesses=guesses, notes=task.notes)


def as_event(kept: EvalRecord) -> tuple[dict[str, JsonValue], bytes]:
    """How ``run.started`` names an eval, and the blob that it names."""
    blob = kept.model_dump_json().encode()
    departs: list[JsonValue] = [d.model_dump(mode="json") for d in kept.departs]
    said: dict[str, JsonValue] = {
        "name": kept.name,
        "version": kept.version,
        "hash": kept.hash,
        "departs": departs,
        "record": blob_id(blob),
    }
    return said, blob


def eval_of(run: RunFile) -> EvalRecord | None:
    """The eval that a run was made by; None where it was made without one."""
    return stored_eval(run.store, run.started)


def pinned_options(pinned: Eval) -> dict[str, Any]:
    """The protocol as keywords of ``evaluate``, without graph and task."""
    return {name: value for name, value in pinned.pinned.items() if name not in ("graph", "task")}


def departures(pinned: Eval, config: RunConfig, split: str, values: Mapping[str, Any]) -> list[Departure]:
    """Where a run is not what its eval pins.

    >>> pinned = Eval(task="sums", graph="solve", repeats=2)
    >>> [d.told for d in departures(pinned, RunConfig(graph="./graphs/solve.py@solve", task="sums"), "all", {})]
    ['repeats 1 (pinned: 2)']
    """
    now = config.model_dump(mode="json") | {"split": split, "values": jsonable(values)}
    found = []
    for name in PINNED:
        then, given = pinned.pinned[name], now[name]
        if name in ("graph", "task"):
            then, given = (str(value).rpartition("@")[2] for value in (then, given))
        if canonical(then) != canonical(given):
            found.append(Departure(field=name, pinned=then, given=given))
    return found


async def guessed(pinned: Eval, config: RunConfig, task: Task, examples: Sequence[Example]) -> dict[str, list[Outcome]]:
    """The eval's answers without a model, scored by the task.

    Raises:
        UsageError: a guess gives another number of answers than there are examples, or one that cannot be scored.
    """
    found: dict[str, list[Outcome]] = {}
    if not pinned.guesses:
        return found
    with program_place(config, task.scorer):
        for guess in pinned.guesses:
            answers = list(guess.answers(examples))
            if len(answers) != len(examples):
                raise UsageError(
                    f"eval {pinned.name!r}: the guess {guess.title!r} has {len(answers)} answers for {len(examples)} "
                    "examples; give one for each"
                )
            pairs = zip(examples, answers, strict=True)
            found[guess.title] = [await _scored(task, guess.title, e, answer) for e, answer in pairs]
    return found


async def _scored(task: Task, title: str, example: Example, answer: Any) -> Outcome:
    feedback = await task.ascore(example, answer, aside=in_thread)
    if isinstance(feedback, ScorerError):
        raise UsageError(
            f"the guess {title!r} cannot be scored (example {example.id}, answer {short(answer)}): {feedback.text}; "
            "give answers of the form that the graph gives"
        )
    return Outcome(candidate=f"guess: {title}", example=example.id, output=jsonable(answer), feedback=feedback)
