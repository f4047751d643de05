"""A synthesis as a run: with a store, a budget and a clock, told while it goes on, and resumed after anything."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Unpack

from agentopt.core.values import Budget
from agentopt.errors import StoreError, UsageError
from agentopt.evaluate.summary import counted
from agentopt.llm.types import Client
from agentopt.problems.dataset import Row, written
from agentopt.run import setup
from agentopt.run.config import RunConfig
from agentopt.run.earlier import Earlier
from agentopt.run.forecast import told
from agentopt.run.given import configured
from agentopt.run.lifetime import Listener, begun, interruptible, keep_clock, run_here, subscribe
from agentopt.run.naming import new_folder
from agentopt.run.options import Options
from agentopt.run.synthesis.calls import Caller
from agentopt.run.synthesis.options import SynthesisOptions
from agentopt.run.synthesis.pipeline import PROMPTS, Pipeline
from agentopt.run.synthesis.result import DATASET, KIND, Synthesis, synthesis_of
from agentopt.run.synthesis.seeds import Draw, Seed, draws, load_seeds
from agentopt.run.synthesis.solver import StoredSolver, solver_place
from agentopt.run.synthesis.tally import Tally
from agentopt.store import Store
from agentopt.workspace import prompt_text, scripted

__all__ = ["GRAPH", "go_on", "synthesize", "synthesize_async"]

GRAPH = "resocratic"
"""What stands in the place of a graph's name in the list of runs."""
_PER_TOKEN = 4  # bytes of text a token, for the forecast


def synthesize(
    knobs: SynthesisOptions | None = None,
    *,
    on_event: Listener | None = None,
    progress: bool = True,
    **options: Unpack[Options],
) -> Synthesis:
    """Make a data set of optimization problems from seed demonstrations, with a model.

    Args:
        knobs: what is grown and which filters it must pass.
        on_event: called with every event of the run.
        progress: say on stderr what happens.
        options: model, budget, prices, seed, max_connections, sandbox, timeout, cache, runs_dir, name, clients: as in
            ``agentopt.optimize``.

    Returns:
        A ``Synthesis``, also where the budget ended or Ctrl-C came; ``resume`` goes on with it.

    Raises:
        UsageError: no model, seeds that cannot be used, or an option that a synthesis does not have.
    """
    return run_here(synthesize_async(knobs, on_event=on_event, progress=progress, **options))


async def synthesize_async(
    knobs: SynthesisOptions | None = None,
    *,
    on_event: Listener | None = None,
    progress: bool = True,
    **options: Unpack[Options],
) -> Synthesis:
    """``synthesize`` for code that runs in an event loop."""
    knobs = knobs or SynthesisOptions()
    config, given = configured(GRAPH, knobs.seeds, {**options})
    if config.budget.evaluations is not None:
        raise UsageError("a synthesis evaluates nothing: give its budget in calls, tokens, usd or seconds")
    if not config.model:
        raise UsageError("no model is named: give one with --model, AGENTOPT_MODEL or `model` in agentopt.toml")
    seeds, notes = load_seeds(knobs.seeds)
    due = draws(seeds, knobs)
    texts = {name: prompt_text(f"synthesis/{name}") for name in PROMPTS}
    folder = new_folder(config)
    with begun(folder), Store(folder) as store:
        subscribe(store, on_event, progress)
        links = setup.link(config, _clients(config, given["clients"]), store)
        try:
            endpoint = links.stack.endpoint(config.model)
            with solver_place(config, store, knobs.program_seconds) as solver:
                await store.append("run.started", {
                    "kind": KIND, "config": config.model_dump(mode="json"), "graph": GRAPH, "score_range": [0.0, 1.0],
                    "task": {"name": knobs.seeds, "version": 1, "hash": ""}, "splits": {}, "evaluator": "",
                    "endpoints": {"agent": endpoint}, "knobs": knobs.model_dump(mode="json"), "prompts": texts,
                    "seeds": [seed.model_dump(mode="json") for seed in seeds], "planned": len(due),
                })  # fmt: skip
                for note in notes:
                    await store.append("warning", {"text": note})
                await store.append("forecast", {"lines": _forecast(due, seeds, knobs, config)})
                return await _drive(links, store, config, knobs, seeds, texts, due, solver, endpoint)
        finally:
            await links.stack.aclose()


async def go_on(
    earlier: Earlier, *, add_budget: Budget | str | None = None, clients: Mapping[str, Client] | None = None
) -> Synthesis:
    """Go on with a synthesis: the same rounds once more, whose answered calls come from the journal.

    Raises:
        UsageError: it has ended with nothing left to do and a budget is added, or another model would answer.
    """
    store, first = earlier.store, earlier.first
    done = earlier.state.finished == "finished" and (store.folder / DATASET).exists()
    if done and add_budget is not None:
        raise UsageError(f"run {earlier.name} has made its data set: more budget changes nothing")
    if done:
        return synthesis_of(store.folder, "finished")
    extra = earlier.add(add_budget)
    config, knobs = earlier.config, SynthesisOptions.model_validate(first["knobs"])
    seeds = [Seed.model_validate(seed) for seed in first["seeds"]]
    links = setup.link(config, _clients(config, clients or {}), store, elapsed=earlier.elapsed)
    try:
        endpoint = links.stack.endpoint(config.model or "")
        then = first["endpoints"]["agent"]
        if endpoint != then and store.last("call.received") is not None:
            raise UsageError(
                f"the model has changed since run {earlier.name} began (then {then}, now {endpoint}): restore it, or "
                "start a new synthesis"
            )
        with solver_place(config, store, knobs.program_seconds) as solver:
            await earlier.go_on(extra, "")
            due = draws(seeds, knobs)
            return await _drive(links, store, config, knobs, seeds, first["prompts"], due, solver, endpoint)
    finally:
        await links.stack.aclose()


async def _drive(
    links: setup.Links, store: Store, config: RunConfig, knobs: SynthesisOptions, seeds: list[Seed],
    texts: Mapping[str, str], due: list[Draw], solver: StoredSolver, endpoint: str,
) -> Synthesis:  # fmt: skip
    """Take all draws through, round by round, and write the data set, whatever the end is."""
    caller = Caller(links.client, config.model or "", config.seed, config.timeout, config.max_connections)
    run = {"run": store.id, "model": endpoint}
    pipeline = Pipeline(caller, solver, knobs, texts, seeds, run)
    logged = {int(str(e.data["number"])): e.data["tally"] for e in store.events("synthesis.round")}
    since, status = links.ledger.elapsed, "interrupted"
    rows: list[Row] = []

    def stop() -> None:
        caller.stopping = True

    try:
        with interruptible(stop, store):
            for number, at in enumerate(range(0, len(due), knobs.round_size)):
                made, tally = await pipeline.round(due[at : at + knobs.round_size])
                rows += made
                caller.check()
                solver.check()
                await _told(store, logged, number, at + knobs.round_size, len(due), tally, len(rows))
                if caller.over:
                    break
        if caller.ended is not None:
            await store.append("budget.exhausted", {"axis": caller.ended.axis, "message": str(caller.ended)})
        status = "budget" if caller.ended is not None else "interrupted" if caller.stopping else "finished"
        lost = _lost(caller, solver)
        if lost and status == "finished":
            status = "errors"
    finally:
        _write(store.folder, rows)
        await keep_clock(store, links.ledger, since)
    if status != "interrupted":
        await store.append("run.finished", {"status": status, "spend": links.ledger.by_role(), **lost})
    return synthesis_of(store.folder, status)


def _lost(caller: Caller, solver: StoredSolver) -> dict[str, Any]:
    """What was lost to the world and is tried again by a resumed run: how much, and why."""
    calls, programs = len(caller.lost), len(solver.lost)
    told = [f"{counted(calls, 'call')} to the model failed ({caller.why})"] if calls else []
    told += [f"{counted(programs, 'program')} could not be run ({solver.why})"] if programs else []
    return {"lost": calls + programs, "reason": ", and ".join(told)} if told else {}


async def _told(
    store: Store, logged: dict[int, Any], number: int, to: int, planned: int, tally: Tally, rows: int
) -> None:
    """Write down what came of a round, unless an earlier process of the run has done so."""
    data = tally.model_dump(mode="json")
    if logged.get(number) != data:
        told = {"number": number, "draws": min(to, planned), "planned": planned, "tally": data, "rows": rows}
        await store.append("synthesis.round", told)


def _write(folder: Path, rows: list[Row]) -> None:
    """The data set, as a whole or not at all."""
    place = folder / DATASET
    new = place.with_suffix(".new")
    try:
        new.write_text(written(rows), encoding="utf-8")
        new.replace(place)
    except OSError as error:
        raise StoreError(
            f"cannot write {place} ({error.strerror}); the run itself is kept: make room, then `agentopt resume "
            f"{folder.name}`"
        ) from error


def _clients(config: RunConfig, given: Mapping[str, Client]) -> dict[str, Client]:
    ready, model = dict(given), config.model or ""
    if model.startswith("scripted/") and model not in ready:
        ready[model] = scripted(model)
    return ready


def _forecast(due: list[Draw], seeds: list[Seed], knobs: SynthesisOptions, config: RunConfig) -> list[str]:
    """What is told before the first call."""
    most = knobs.most_constraints if knobs.expand else 1
    each = most * (knobs.samples + len(knobs.forms))
    size = sum(len(seed.demonstration.text) for seed in seeds) / len(seeds) / _PER_TOKEN
    tokens = len(due) * (2 * size + each * 2 * size)
    lines = [
        f"{len(due)} draws from {len(seeds)} seeds, {knobs.round_size} a round; a demonstration that is kept costs up "
        f"to {each} more calls ({most} problems, {knobs.samples} programs and {len(knobs.forms)} questions each)",
        f"at most about {told({'calls': len(due) * (1 + each), 'tokens': tokens})} in all",
    ]
    limits = config.budget.model_dump(exclude_none=True)
    if limits:
        lines.append(f"the budget is {told(limits)}; what is whole when it ends is the data set")
    return lines
