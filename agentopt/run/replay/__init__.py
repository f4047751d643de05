"""Replay: a run is executed again, offline, from its own file, and the first difference is named.

Graph, scorer and optimizer run again in the same loop (``Runner``). Its client knows only the answers of the log, its
store compares what the loop appends with what the loop appended then.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from pydantic import JsonValue

from agentopt._aio import run_sync
from agentopt._offline import offline
from agentopt.core.values import Budget, Candidate
from agentopt.errors import AgentOptError, StoreError, UsageError
from agentopt.llm.gateway import Gateway
from agentopt.llm.ledger import Ledger
from agentopt.optim.base import Optimizer
from agentopt.optim.registry import make
from agentopt.run import setup
from agentopt.run.codeplace import code_place
from agentopt.run.config import RunConfig
from agentopt.run.effects import world
from agentopt.run.evaluation import score, split_names
from agentopt.run.files import find_run
from agentopt.run.lifetime import plainly
from agentopt.run.parts import Parts
from agentopt.run.replay.again import Gate, Remembered, RememberedTape, ReplayCells, ReplayRunner, Touches
from agentopt.run.replay.code import (
    changed_files,
    changed_versions,
    extracted,
    fresh,
    stored_config,
    stored_prompt,
    write_code,
)
from agentopt.run.replay.divergence import Diverged, Divergence, RecordEnds
from agentopt.run.replay.examples import example_difference
from agentopt.run.replay.log import Comparing, Report
from agentopt.run.replay.record import Part, damage, parts
from agentopt.run.state import State, fold
from agentopt.store import Event, Store

__all__ = ["Divergence", "ReplayResult", "replay", "replay_async", "write_stored_code"]

Code = Literal["stored", "current"]


@dataclass(frozen=True, slots=True)
class ReplayResult:
    """The end of a replay."""

    dir: Path
    """The run's folder."""
    divergence: Divergence | None
    """The first difference; None when there was none."""
    compared: dict[str, int]
    """How many calls, cells, decisions and effects were the same, and how many timeouts were taken from the log."""
    notes: tuple[str, ...]
    """What else is to be known: other versions, changed files, a run that was cut off."""
    code: Code
    """Whose code was executed."""
    from_step: int | None
    sequential: bool

    @property
    def clean(self) -> bool:
        """Whether everything was the same."""
        return self.divergence is None

    def summary(self) -> list[str]:
        """The result in a few lines, with the difference."""
        same = ", ".join(f"{n} {what}" for what, n in self.compared.items() if n)
        found = self.divergence
        if found is None:
            return [f"clean: {same or 'nothing to compare'}", *self.notes]
        head = [
            f"diverged: {found.what}",
            f"where: {found.where}" if found.where else "",
            f"before that: {same or 'nothing'}",
        ]
        return [*filter(None, head), *self.notes, *found.diff()]

    def record(self) -> dict[str, JsonValue]:
        """The result as JSON."""
        return {
            "run": str(self.dir),
            "clean": self.clean,
            "divergence": None if self.divergence is None else self.divergence.model_dump(mode="json"),
            "diff": [] if self.divergence is None else list(self.divergence.diff()),
            "compared": dict(self.compared),
            "notes": list(self.notes),
            "code": self.code,
            "from_step": self.from_step,
            "sequential": self.sequential,
        }


def replay(run: str | Path, **options: Any) -> ReplayResult:
    """Execute a run again, offline, against its own log, and name the first difference.

    No model is asked and nothing is written: a call without a journaled answer is a difference. While it goes on, no
    thread of this process can open a connection.

    Args:
        run: path, name, beginning of a name, or ``last``.
        from_step: take the state before this step (the first is 1) from the log, and begin there.
        code: ``stored`` executes the files that the run has kept; ``current`` those of the workspace at hand, which
            shows where a changed prompt, graph or library first matters.
        sequential: one cell after the other, in place of as many at once as the run had, in the recorded order.
        trust: execute stored code also where it is not the code of the workspace at hand.
        graph, task, metric, optimizer: the objects of a run that was started from Python with objects that have no
            name.
        runs_dir: where runs lie.

    Raises:
        UsageError: the run cannot be replayed: its code is not trusted, not stored, or cannot be loaded.
        StoreError: the file cannot be read.
    """
    return plainly(lambda: run_sync(replay_async(run, **options)))


def write_stored_code(run: str | Path, folder: str | Path, runs_dir: str | Path = "runs") -> list[Path]:
    """Write the files that a run has kept below ``folder``, to be looked at; returns their paths."""
    with Store(find_run(run, runs_dir), readonly=True) as store:
        begun = _begun(store)
        return write_code(store, begun["sources"], Path(folder))


async def replay_async(
    run: str | Path,
    *,
    from_step: int | None = None,
    code: Code = "stored",
    sequential: bool = False,
    trust: bool = False,
    graph: Any = None,
    task: Any = None,
    metric: Callable[..., Any] | None = None,
    optimizer: Optimizer | None = None,
    runs_dir: str | Path = "runs",
) -> ReplayResult:
    """``replay`` for code that runs in an event loop."""
    folder = find_run(run, runs_dir)
    given = {"graph": graph, "task": task, "optimizer": optimizer}
    report, notes = Report(), []
    with Store(folder, readonly=True) as store, contextlib.ExitStack() as stack:
        begun = _begun(store)
        if said := begun.get("rescored"):
            raise UsageError(
                f"run {folder.name} has the answers of {said['run']}, scored again: `agentopt replay {said['run']}`"
            )
        if said := begun.get("imported"):
            raise UsageError(f"run {folder.name} was made from a log of {said['from']}: it has no calls to replay")
        config = RunConfig.model_validate(begun["config"])
        events = list(store.events())
        todo = parts(events, from_step)
        notes += changed_versions(begun["versions"])
        left_out = list(begun.get("left_out", ()))
        if left_out:
            notes.append(f"not kept with the run, may hold a secret or is ignored by git: {', '.join(left_out)}")
        broken = damage(store, events)
        objects = graph is not None and task is not None
        if code == "stored" and not objects:
            _require_code(store, begun)
        changed = [] if objects else changed_files(store, _present(begun, broken))
        if code == "current" and changed:
            notes.append(f"changed since the run: {', '.join(changed)}")
        if broken is not None:
            return ReplayResult(folder, broken, report.counts, tuple(notes), code, from_step, sequential)
        place = None
        if code == "stored" and not objects:
            if changed and not trust:
                raise UsageError(
                    f"the code in run {folder.name} is not that of this workspace ({', '.join(changed[:5])}"
                    f"{', ...' if len(changed) > 5 else ''}), and a replay executes it here: look at it with "
                    f"`agentopt replay {folder} --write-code DIR`, then say --trust; or use --code current"
                )
            place = stack.enter_context(extracted(store, begun["sources"], left_out))
        gateways: list[Gateway] = []
        attempts = stack.enter_context(offline(lambda port: any(port == g.port for g in gateways), _refusal))
        stack.enter_context(fresh())
        plan = _plan(stored_config(config, begun["refs"], place, given), begun, config, given, metric)
        found = example_difference(store, begun, plan)
        if found is not None:
            report.diverge(found)
        for part in todo if found is None else ():
            gateways.append(gateway := Gateway())
            cut = await _part(folder, begun, plan, part, report, place, optimizer, gateway, sequential)
            if attempts and not report.found:
                report.diverge(Divergence(kind="network", what=f"the program wanted the network: {attempts[0]}"))
            if report.found:
                break
            if cut:
                notes.append(f"the run was cut off after event {part.end}; up to there it is the same")
    return ReplayResult(folder, report.first(), report.counts, tuple(notes), code, from_step, sequential)


async def _part(
    folder: Path,
    begun: dict[str, Any],
    plan: setup.Plan,
    part: Part,
    report: Report,
    place: Path | None,
    optimizer: Optimizer | None,
    gateway: Gateway,
    sequential: bool,
) -> bool:
    """Go through what one process of the run did; returns whether that process was cut off."""
    config = plan.config
    patience = max(60.0, config.timeout)
    with Comparing(folder, part, report) as log:
        gate = None if sequential else Gate(part.completions(), patience)
        client = Remembered(part, log, report, gate, patience)
        prompt = functools.cache(functools.partial(stored_prompt, place))
        cells = ReplayCells(
            (part, log, report, gate), plan.target, plan.task, log, ledger := Ledger(Budget()), client,
            setup.sessions(config, gateway, prompt), concurrency=1 if sequential else _at_once(config, log),
            timeout=patience, world=world(config.seed, lambda scope: RememberedTape(scope, part, log, report)),
        )  # fmt: skip
        chosen = make("random") if begun["kind"] == "evaluate" else optimizer or setup.optimizer_of(config)
        claim = next((e for e in part.spine if e.type == "claim"), None)
        made = Parts(
            config, plan.target, plan.task, plan.splits, chosen, log, ledger, client, cells, Touches(claim), prompt,
            setup.estimate(plan),
        )  # fmt: skip
        if gate is not None:
            report.told = functools.partial(_end, asyncio.get_running_loop(), gate)
        state = fold(log, begun)
        try:
            with code_place(plan):
                await _again(made, state, begun, plan, part, log)
        except RecordEnds:
            return True
        except Diverged:
            return False
        except (AgentOptError, asyncio.CancelledError) as error:
            if log.next is None:
                return True  # the run itself ended so
            log.differs("error", f"the replay ended with {type(error).__name__}: {error}", log.next, None, None)
        finally:
            await gateway.aclose()
        if not report.found and log.next is not None:
            log.differs("decision", f"the run went on with {log.next.type}, the replay ended", log.next, None, None)
    return False


async def _again(
    made: Parts, state: State, begun: dict[str, Any], plan: setup.Plan, part: Part, log: Comparing
) -> None:
    """What the run did, once more."""
    if begun["kind"] == "evaluate":
        await score(made, state.baseline or _candidate(plan, part), split_names(begun["split"]))
        return
    if state.baseline is not None and set(state.baseline.values) != set(plan.target.parameters):
        then, now = sorted(state.baseline.values), sorted(plan.target.parameters)
        raise log.differs("parameters", "the graph has other parameters now", log.next, then, now)
    await ReplayRunner(made, state).run()


def _at_once(config: RunConfig, log: Comparing) -> int:
    """Cells in flight: as many as any process of the run so far had."""
    resumed = [int(str(event.data.get("max_connections", 0))) for event in log.events("run.resumed")]
    return max([config.max_connections, *resumed])


def _end(loop: asyncio.AbstractEventLoop, gate: Gate, found: Divergence) -> None:
    loop.call_soon_threadsafe(gate.end, found.seq, (found.candidate, found.example))


def _begun(store: Store) -> dict[str, Any]:
    event: Event | None = store.last("run.started")
    if event is None:
        raise StoreError(f"run {store.folder} has no beginning: it was killed before anything was paid; delete it")
    begun: dict[str, Any] = dict(event.data)
    if begun["kind"] == "synthesize":
        raise UsageError(f"run {store.folder.name} made a data set, which is not replayed: `agentopt show` reads it")
    if "refs" not in begun:
        raise UsageError(
            f"run {store.folder.name} was made by an agentopt that did not keep its code, so it cannot be replayed; "
            "`agentopt show` still reads it"
        )
    return begun


def _require_code(store: Store, begun: dict[str, Any]) -> None:
    for name, id_ in begun["sources"].items():
        try:
            store.blob(id_)
        except StoreError as problem:
            raise UsageError(
                f"the run cannot be replayed from its own code: {name} is not whole ({problem}); "
                "`--code current` executes the workspace's"
            ) from None


def _present(begun: dict[str, Any], broken: Divergence | None) -> dict[str, str]:
    lost = None if broken is None else broken.recorded
    return {name: id_ for name, id_ in begun["sources"].items() if id_ != lost}


def _plan(
    config: RunConfig,
    begun: dict[str, Any],
    own: RunConfig,
    given: dict[str, Any],
    metric: Callable[..., Any] | None,
) -> setup.Plan:
    """The objects of the run. No model is needed, so scripted ones are not looked up."""
    models = [model for role in ("agent", "optimizer", "judge") if (model := own.model_of(role))]
    nobody: Any = object()
    return setup.plan(
        config, given["graph"], given["task"], metric, dict.fromkeys(models, nobody), limit_of=begun.get("limit_of")
    )


def _candidate(plan: setup.Plan, part: Part) -> Candidate:
    """What ``evaluate`` scored: the program's own values, or those that it was given."""
    own = Candidate(values={n: s.value for n, s in plan.target.specs.items()}, origin="baseline")
    then = next((e for e in part.spine if e.type == "baseline"), None)
    if then is None:
        return own
    recorded = Candidate.model_validate(then.data["candidate"])
    return recorded if recorded.origin != "baseline" else own


def _refusal(attempt: str) -> RuntimeError:
    return RuntimeError(f"a replay opens no connection: {attempt}; mark the function with agentopt.core.effects.effect")
