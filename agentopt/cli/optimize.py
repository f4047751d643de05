"""``agentopt optimize``"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any

import typer

from agentopt.cli.console import print_json
from agentopt.cli.flags import configured, with_flags
from agentopt.cli.outcome import code_of, finished, interrupted
from agentopt.cli.progress import Progress
from agentopt.run.config import RunConfig

__all__ = ["optimize"]


@with_flags(RunConfig)
def optimize(
    flags: dict[str, Any],
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print the forecast and stop: no model is called.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Make a graph better on a task, within a budget, and test what comes out on untouched examples.

    What is not given comes from AGENTOPT_* variables, then from [run] in agentopt.toml. Exit code 4: the budget ended
    before an improvement was shown; 130: interrupted, everything paid for is saved.
    """
    config = configured(RunConfig, flags)
    if dry_run:
        _forecast(config, as_json=as_json)
        return
    from agentopt.run.api import optimize_async

    options = {name: getattr(config, name) for name in RunConfig.model_fields if name not in ("graph", "task")}
    with Progress(quiet=quiet) as progress, interrupted(config.runs_dir):
        result = asyncio.run(optimize_async(config.graph, task=config.task, **progress.options, **options))
    finished(result, as_json=as_json)
    raise typer.Exit(code_of(result))


def _forecast(config: RunConfig, *, as_json: bool) -> None:
    from agentopt.llm.ledger import Ledger
    from agentopt.llm.stack import Stack
    from agentopt.run import setup
    from agentopt.run.forecast import forecast

    plan = setup.plan(config)
    setup.preflight(plan, setup.optimizer_of(config))
    stack = Stack(Ledger(config.budget), clients=plan.clients, prices=setup.prices(config))
    setup.check_models(plan, stack)  # what a run would refuse is refused here
    baseline = plan.target.baseline()
    lines = forecast(config, plan.splits, setup.estimate(plan)).lines()
    if as_json:
        print_json({"parameters": sorted(baseline.values), "forecast": lines})
        return
    typer.echo(f"parameters: {', '.join(sorted(baseline.values))}")
    for line in lines:
        typer.echo(line)
