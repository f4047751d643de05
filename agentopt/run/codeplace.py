"""Where a run executes code that models wrote: in a sandbox, baseline and candidates alike."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from agentopt.evaluate.programs import needs_runner, use_runner
from agentopt.evaluate.sandboxed import LIMITS as PROGRAM_LIMITS
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.sandbox import Limits, Sandbox, open_sandbox
from agentopt.sandbox.execution import SandboxExec, modules_of
from agentopt.store import Store

if TYPE_CHECKING:
    from agentopt.run.setup import Plan

__all__ = ["code_place"]


@contextmanager
def code_place(plan: Plan, store: Store | None = None) -> Iterator[None]:
    """A sandbox for as long as a run works, if the run executes code: trained functions, or programs that are answers.

    What isolation it gives is written into ``store``.

    Raises:
        UsageError: the isolation is not to be had, or a function needs what cannot come along.
    """
    config, trained = plan.config, [p for p in plan.target.parameters.values() if p.kind == "code"]
    with ExitStack() as stack:
        if trained:
            limits = Limits(wall=config.code_timeout, cpu=config.code_timeout)
            sandbox = stack.enter_context(_opened(plan, store, limits, modules_of(trained)))
            stack.enter_context(SandboxExec(sandbox, [p.name for p in trained]))
        if needs_runner(plan.task.scorer):
            stack.enter_context(use_runner(SandboxRunner(stack.enter_context(_opened(plan, store, PROGRAM_LIMITS)))))
        yield


@contextmanager
def _opened(plan: Plan, store: Store | None, limits: Limits, modules: Sequence[str] = ()) -> Iterator[Sandbox]:
    """A sandbox as the run's options say, noted down."""
    config = plan.config
    with open_sandbox(config.sandbox, preload=modules, limits=limits, weak=config.allow_weak_sandbox) as sandbox:
        if store is not None:
            store.append_now("sandbox", sandbox.isolation.record())
            if sandbox.isolation.weak:
                text = f"the code of candidates is run in weak isolation: {sandbox.isolation}"
                store.append_now("warning", {"text": text})
        yield sandbox
