"""The table of commands, and the way from ``argv`` to one of them."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Sequence
from typing import Annotated, Any, NamedTuple, NoReturn

import typer
from typer.core import TyperGroup

import agentopt
from agentopt.errors import AgentOptError, BudgetExhausted, UsageError

__all__ = ["COMMANDS", "application", "execute"]


class Entry(NamedTuple):
    """A command: where it is, what the overview says of it, and under which heading."""

    target: str
    help: str
    panel: str


WRITE, RUN, LOOK, TOOLS = "Workspace", "Run", "Look", "Machine"

COMMANDS = {
    "init": Entry("agentopt.cli.init:init", "Make a small workspace that works at once.", WRITE),
    "list": Entry("agentopt.cli.list:list_", "List graphs, tasks, prompts, evals and optimizers.", WRITE),
    "check": Entry("agentopt.cli.check:check", "Import and validate everything; no model is called.", WRITE),
    "run": Entry("agentopt.cli.run:run", "Run a graph on one input.", RUN),
    "eval": Entry("agentopt.cli.eval:eval_", "Score a graph on a task, or run an eval.", RUN),
    "rescore": Entry("agentopt.cli.rescore:rescore", "Score the answers of a run again; no model is called.", RUN),
    "optimize": Entry("agentopt.cli.optimize:optimize", "Make a graph better on a task, within a budget.", RUN),
    "synthesize": Entry(
        "agentopt.cli.synthesize:synthesize", "Make a data set of optimization problems with a model.", RUN
    ),
    "resume": Entry("agentopt.cli.resume:resume", "Go on with a run that was interrupted.", RUN),
    "runs": Entry("agentopt.cli.runs:runs", "List runs.", LOOK),
    "show": Entry("agentopt.cli.show:show", "Show a run: its result, its steps, its traced graph.", LOOK),
    "report": Entry("agentopt.cli.report:report", "Write a run's report as one HTML page.", LOOK),
    "compare": Entry("agentopt.cli.compare:compare", "Compare two runs: paired difference and exact test.", LOOK),
    "leaderboard": Entry("agentopt.cli.leaderboard:leaderboard", "Put the runs of an eval side by side.", LOOK),
    "replay": Entry("agentopt.cli.replay:replay", "Execute a run again, offline, and name the first difference.", LOOK),
    "export": Entry("agentopt.cli.export:export", "Write an evaluation as a log of inspect-ai.", LOOK),
    "apply": Entry("agentopt.cli.apply:apply", "Write the best prompts of a run back.", LOOK),
    "models": Entry("agentopt.cli.models:app", "Local models: list, pull, path, rm.", TOOLS),
    "serve": Entry("agentopt.cli.serve:serve", "Serve a model on an OpenAI-compatible endpoint.", TOOLS),
    "cache": Entry("agentopt.cli.cache:app", "The cache of answers: stats, clear.", TOOLS),
    "doctor": Entry("agentopt.cli.doctor:doctor", "Say what is missing, and which command brings it.", TOOLS),
}


class Overview(TyperGroup):
    """The top command: its help lists the commands under headings. Plain text: rich's help takes 0.3 s to load."""

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Write one section for each heading."""
        for panel in dict.fromkeys(entry.panel for entry in COMMANDS.values()):
            with formatter.section(panel):
                formatter.write_dl([(name, entry.help) for name, entry in COMMANDS.items() if entry.panel == panel])


def execute(argv: Sequence[str] | None = None) -> NoReturn:
    """Run the command that ``argv`` (default: the process's) names, and exit with its code."""
    args = list(sys.argv[1:] if argv is None else argv)
    command = typer.main.get_command(application(_needed(args)))
    try:
        command.main(args=args, prog_name="agentopt")
    except UsageError as problem:
        _end(str(problem), 2)
    except BudgetExhausted as problem:
        _end(str(problem), 4)
    except AgentOptError as problem:
        if os.environ.get("AGENTOPT_TRACEBACK"):
            raise
        _end(str(problem), 1)
    sys.exit(0)


def application(needed: str | None = None) -> typer.Typer:
    """The Typer application; only the command ``needed`` is imported, or all of them when it is ``*``."""
    app = typer.Typer(
        name="agentopt",
        help="Make LLM programs better from feedback: trace them, change them, claim only what is shown.",
        no_args_is_help=True,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        cls=Overview,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
    app.callback()(_options)
    for name, entry in COMMANDS.items():
        made = _load(entry.target) if needed in (name, "*") else _stub(entry.help)
        if isinstance(made, typer.Typer):
            app.add_typer(made, name=name, help=entry.help, no_args_is_help=True)
        else:
            app.command(name)(made)
    return app


def _needed(args: list[str]) -> str | None:
    if any(key.endswith("_AGENTOPT_COMPLETE") or key == "_AGENTOPT_COMPLETE" for key in os.environ):
        return "*"
    return next((a for a in args if not a.startswith("-")), None)


def _load(target: str) -> Any:
    module, _, name = target.partition(":")
    return getattr(importlib.import_module(module), name)


def _stub(help: str) -> Callable[[], None]:
    def stub() -> None: ...

    stub.__doc__ = help
    return stub


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"agentopt {agentopt.__version__}")
        raise typer.Exit


def _options(
    version: Annotated[
        bool, typer.Option("--version", help="Print the version and exit.", is_eager=True, callback=_version)
    ] = False,
) -> None: ...


def _end(message: str, code: int) -> NoReturn:
    typer.echo(f"error: {' '.join(message.split())}", err=True)
    sys.exit(code)
