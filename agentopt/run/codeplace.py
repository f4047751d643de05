"""Where the code of a run that trains code is run: in one sandbox, baseline and candidates alike."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentopt.sandbox import Limits, open_sandbox
from agentopt.sandbox.execution import SandboxExec, modules_of
from agentopt.store import Store

if TYPE_CHECKING:
    from agentopt.run.setup import Plan

__all__ = ["code_place"]


@contextmanager
def code_place(plan: Plan, store: Store | None = None) -> Iterator[None]:
    """A sandbox for as long as a run works, if the run trains code; what isolation it gives is written into ``store``.

    Raises:
        UsageError: the isolation is not to be had, or a function needs what cannot come along.
    """
    config, trained = plan.config, [p for p in plan.target.parameters.values() if p.kind == "code"]
    if not trained:
        yield
        return
    limits = Limits(wall=config.code_timeout, cpu=config.code_timeout)
    weak, modules = config.allow_weak_sandbox, modules_of(trained)
    with open_sandbox(config.sandbox, preload=modules, limits=limits, weak=weak) as sandbox:
        if store is not None:
            store.append_now("sandbox", sandbox.isolation.record())
            if sandbox.isolation.weak:
                store.append_now(
                    "warning", {"text": f"the code of candidates is run in weak isolation: {sandbox.isolation}"}
                )
        with SandboxExec(sandbox, [p.name for p in trained]):
            yield
