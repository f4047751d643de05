"""From a configuration to the parts of a run: graph, task, models, store, ledger, clients."""

from __future__ import annotations

import asyncio
import functools
import inspect
import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from agentopt.core.values import Candidate, canonical
from agentopt.errors import UnknownName, UsageError
from agentopt.evaluate import Example, SplitLedger, Splits, Task, evaluator_hash, from_metric
from agentopt.evaluate.splits import SplitChoice
from agentopt.llm.cache import ResponseCache
from agentopt.llm.context import Session
from agentopt.llm.gateway import Gateway
from agentopt.llm.ledger import Ledger
from agentopt.llm.prices import Price, per_token
from agentopt.llm.stack import Stack
from agentopt.llm.types import Client, Request
from agentopt.optim.base import ChecksParameters, Optimizer
from agentopt.optim.invariants import known
from agentopt.optim.overlap import strings
from agentopt.optim.registry import BUILTIN, make
from agentopt.run.calllog import Refusals, StoreLog
from agentopt.run.cells import Cells
from agentopt.run.config import RunConfig
from agentopt.run.effects import StoreTape, world
from agentopt.run.forecast import CallCost, forecast, told
from agentopt.run.parts import Parts
from agentopt.run.sources import Sources, collect, opened
from agentopt.run.target import Target
from agentopt.store import Store, blob_id
from agentopt.workspace import find_root, load_graph, load_optimizer, load_task, names, prompt_text, scripted

__all__ = ["Links", "Plan", "connect", "link", "plan", "started", "task_of"]


@dataclass(slots=True)
class Plan:
    """What is known before anything is opened: the objects that the configuration names."""

    config: RunConfig
    target: Target
    task: Task
    splits: Splits
    clients: dict[str, Client] = field(default_factory=dict)
    sources: Sources = field(default_factory=Sources)
    """Workspace files and libraries behind the run."""
    reference: str = ""
    """How the graph is named: as it was given, or as its object is."""


def plan(
    config: RunConfig,
    graph: Any = None,
    task: Any = None,
    metric: Callable[..., Any] | None = None,
    clients: Mapping[str, Client] | None = None,
    *,
    limit_of: SplitChoice | None = None,
) -> Plan:
    """Resolve names to objects. Objects that are given go before the names in ``config``.

    ``limit_of`` is what ``config.limit`` counts: the split of an evaluation, or, without it, the examples of a search.

    Raises ``UsageError`` (``UnknownName``, ``MissingDependency``) for what cannot be had.
    """
    given = frozenset(kind for kind, thing in (("graph", graph), ("task", task)) if thing is not None)
    named = config.graph if graph is None else reference(graph)
    with opened() as of_graph:
        if graph is None:
            graph = load_graph(config.graph)
    with opened() as of_task:
        made = task_of(config, task, metric)
    read = {"graph": of_graph, "task": of_task}
    target = Target(graph, config.graph, config.parameters)
    ready = dict(clients or {})
    for role in ("agent", "optimizer", "judge"):
        model = config.model_of(role)
        if model and model.startswith("scripted/") and model not in ready:
            ready[model] = scripted(model)
    splits = made.splits(limit=config.limit, of=limit_of, seed=config.seed)
    return Plan(config, target, made, splits, ready, collect(config, target, given, read), named)


def task_of(config: RunConfig, task: Any = None, metric: Callable[..., Any] | None = None) -> Task:
    """The task that a configuration names, or that was given in its place."""
    if task is None:
        task = load_task(config.task, **config.task_args)
    elif callable(task) and not isinstance(task, Task):
        task = task(**config.task_args)
    if isinstance(task, Task):
        return task
    if isinstance(task, Sequence) and not isinstance(task, str):
        if metric is None:
            raise UsageError("a list of examples needs metric=..., a function (gold, prediction, trace) -> score")
        return from_metric(metric, task, name=config.task)
    raise UsageError(f"task is {type(task).__name__}: give a name, a Task, or a list of examples with metric=...")


def preflight(plan: Plan, optimizer: Optimizer) -> None:
    """Refuse what cannot work before anything is made.

    That is: examples that the graph cannot be called with, no parameter to search, or none that the optimizer changes,
    an invariant that does not exist, a frozen text in no parameter, a budget that is too small.
    """
    check_inputs(plan)
    values = plan.target.baseline().values
    if isinstance(optimizer, ChecksParameters):
        optimizer.check_parameters(plan.target.specs, prompt_text)
    known(plan.config.invariants_off)
    if "constraint" in plan.config.invariants_off:
        raise UsageError("what a parameter admits is part of the program: change the parameter, not invariants_off")
    for text in plan.config.frozen:
        if not any(text in held for value in values.values() for held in strings(value)):
            raise UsageError(f"the frozen text {text!r} is in no parameter; there are {', '.join(sorted(values))}")
    forecast(plan.config, plan.splits, estimate(plan))


def check_inputs(plan: Plan) -> None:
    """Raise ``UsageError`` for the first example that the graph cannot be called with."""
    for part in _parts(plan.splits):
        for example in part:
            plan.target.admit(example.input)


def started(plan: Plan, endpoints: Mapping[str, str], kind: str) -> tuple[dict[str, Any], list[bytes]]:
    """The first event of a run and its blobs: configuration, splits, identities, sources, examples."""
    blobs = [canonical([e.model_dump(mode="json") for e in part]).encode() for part in _parts(plan.splits)]
    data = {
        "kind": kind,
        "config": plan.config.model_dump(mode="json"),
        "graph": plan.target.name,
        "task": {"name": plan.task.name, "version": plan.task.version, "hash": plan.task.hash},
        "objective": plan.task.objective,
        "evaluator": evaluator_hash(plan.task.scorer),
        "score_range": list(plan.task.score_range),
        "splits": {
            name: {"n": len(part), "hash": plan.splits.hash(name) if part else "", "examples": blob_id(blob)}
            for name, part, blob in zip(("search", "validation", "test"), _parts(plan.splits), blobs, strict=True)
        },
        "endpoints": dict(endpoints),
        "sources": {name: blob_id(content) for name, content in plan.sources.files.items()},
        "refs": plan.sources.refs,
        "versions": plan.sources.versions,
        "left_out": plan.sources.left_out,
    }
    return data, [*blobs, *plan.sources.files.values()]


def _parts(splits: Splits) -> tuple[tuple[Example, ...], ...]:
    return splits.search, splits.validation, splits.test


def optimizer_of(config: RunConfig) -> Optimizer:
    """The optimizer that the configuration names: a file's, the workspace's, a built-in one, or a plug-in's."""
    name, own = config.optimizer, [item.name for item in names("optimizer")]
    if name in BUILTIN and name not in own:
        return make(name, **config.optimizer_args)
    try:
        made: Optimizer = load_optimizer(name, **config.optimizer_args)
    except UnknownName as problem:
        if problem.what != "optimizer":
            raise
        known = sorted({*BUILTIN, *own})
        raise UnknownName("optimizer", name, known, f"there are {', '.join(known)}") from None
    return made


@dataclass(frozen=True, slots=True)
class Links:
    """The clients of a run over its store."""

    ledger: Ledger
    log: StoreLog
    stack: Stack
    client: Client
    """What asks: the stack, with refusals of the budget written down."""
    turn: Callable[[], int]
    """Counts completions."""


def link(config: RunConfig, clients: Mapping[str, Client], store: Store, *, elapsed: float = 0.0) -> Links:
    """Journal, cache, budget, limits, retry and providers of a run, over its store."""
    ledger = Ledger(config.budget, spent=store.spend(), elapsed=elapsed, grace=config.timeout)
    lost = store.unanswered()
    for call in lost:  # sent before a crash: charged as reserved, and sent again when its turn comes
        ledger.charge(call["role"], call["reserved"])
    if lost:
        sums = {axis: sum(call["reserved"].get(axis, 0.0) for call in lost) for axis in ("calls", "tokens", "usd")}
        were = "1 call was" if len(lost) == 1 else f"{len(lost)} calls were"
        text = f"{were} under way when the run was cut off: charged as reserved ({told(sums)})"
        store.append_now("warning", {"text": text})
    log = StoreLog(store, turn := itertools.count().__next__)
    stack = Stack(
        ledger,
        log,
        _cache(config),
        clients=clients,
        max_connections=config.max_connections,
        prices=prices(config),
        on_divergence=lambda request, _: _diverged(store, request),
    )
    return Links(ledger, log, stack, Refusals(stack, store), turn)


def connect(plan: Plan, store: Store, *, optimizer: Optimizer | None, elapsed: float = 0.0) -> tuple[Parts, Stack]:
    """Put the clients of a run together over its store."""
    config = plan.config
    links = link(config, plan.clients, store, elapsed=elapsed)
    known = StoreTape.known(store)
    cells = Cells(
        plan.target, plan.task, store, links.ledger, links.client, sessions(config, links.stack.gateway),
        concurrency=config.max_connections, timeout=config.timeout, turn=links.turn, again=links.log.again,
        world=world(config.seed, lambda scope: StoreTape(store, scope, known)),
    )  # fmt: skip
    parts = Parts(
        config, plan.target, plan.task, plan.splits, optimizer or make("random"), store, links.ledger, links.client,
        cells, split_ledger(config), functools.cache(prompt_text), estimate(plan),
    )  # fmt: skip
    return parts, links.stack


def sessions(
    config: RunConfig, gateway: Gateway, prompt: Callable[[str], str] = prompt_text
) -> Callable[[Client, str, int], Session]:
    """What makes the session of a scope: models by role and defaults. Called in the loop that serves the calls."""
    loop = asyncio.get_running_loop()
    models = {role: model for role in ("agent", "optimizer", "judge") if (model := config.model_of(role))}

    def session(client: Client, scope: str, repeat: int) -> Session:
        defaults = {"max_tokens": config.max_tokens, "temperature": config.temperature, "repeat": repeat,
                    "timeout": config.timeout}  # fmt: skip
        given = {k: v for k, v in defaults.items() if v is not None}
        return Session(client, models, given, scope, loop=loop, prompt=prompt, gateway=gateway)

    return session


def check_models(plan: Plan, stack: Stack) -> dict[str, str]:
    """Identity of the endpoint behind each role; raises ``MissingDependency`` for what is not here."""
    endpoints = {}
    for role in ("agent", "optimizer", "judge"):
        model = plan.config.model_of(role)
        if model:
            endpoints[role] = stack.endpoint(model)
    return endpoints


def prices(config: RunConfig) -> dict[str, Price]:
    """The run's own prices, a token."""
    return {model: Price(input=read / 1e6, output=written / 1e6) for model, (read, written) in config.prices.items()}


def estimate(plan: Plan) -> CallCost:
    """What a cell may cost, before one has been run: one call with the longest text and an example."""
    config = plan.config
    if not config.model:
        return CallCost(calls=0.0, tokens=0.0, usd=0.0)
    texts = [len(str(s.value).encode()) for s in plan.target.specs.values() if s.kind == "text"]
    examples = [len(canonical(e.input).encode()) for e in plan.splits.search] or [0]
    size = max(texts, default=0) + sum(examples) / len(examples)
    rate = per_token(config.model, prices(config))
    usd = None if rate is None else size / 4 * rate[0] + 32 * rate[1]
    return CallCost(
        1.0, size / 4 + 32, usd, most_tokens=max(texts, default=0) + max(examples) + 192 + config.max_tokens
    )


def split_ledger(config: RunConfig) -> SplitLedger:
    """The ledger of used splits: the workspace's, or, outside of one, that of the folder of runs."""
    return SplitLedger(_shared(config) / "splits.sqlite")


def _cache(config: RunConfig) -> ResponseCache | None:
    return ResponseCache(_shared(config) / "responses.sqlite") if config.cache else None


def _shared(config: RunConfig) -> Path:
    """Where things lie that the runs of one place share."""
    return (find_root() or Path(config.runs_dir)) / ".agentopt"


def _diverged(store: Store, request: Request) -> None:
    where = str(request.address)
    store.append_now("warning", {"text": f"the call at {where} differs from the one in the journal: it is asked anew"})


def reference(thing: Any) -> str:
    """How an object given in Python is named in the run: ``./file.py@name`` when that finds it again, else its name."""
    name = str(getattr(thing, "__qualname__", "") or getattr(thing, "name", "") or type(thing).__name__)
    try:
        file = inspect.getsourcefile(inspect.unwrap(thing))
    except TypeError:
        return name
    if file is None or "<" in name or "." in name or not Path(file).is_file():
        return name.rpartition(".")[2]
    place = Path(file).resolve()
    here = Path.cwd().resolve()
    return (
        f"./{place.relative_to(here).as_posix()}@{name}" if place.is_relative_to(here) else f"{place.as_posix()}@{name}"
    )


def same_space(plan: Plan, baseline: Candidate) -> None:
    """Refuse to go on with a program whose parameters are not those of the run."""
    now, then = set(plan.target.parameters), set(baseline.values)
    if now != then:
        raise UsageError(
            f"the parameters of {plan.target.name} have changed since the run began (then {sorted(then)}, now "
            f"{sorted(now)}): restore the program, or start a new run"
        )
