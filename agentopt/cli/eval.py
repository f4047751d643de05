"""``agentopt eval``"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentopt._text import number
from agentopt.cli.flags import configured, flag, pairs, with_flags
from agentopt.cli.outcome import interrupted
from agentopt.cli.progress import Progress
from agentopt.cli.scores import GATE_NOT_MET, code_of_evaluation, evaluated
from agentopt.errors import UsageError
from agentopt.run.config import RunConfig, runs_folder

if TYPE_CHECKING:
    from agentopt.evaluate import Eval
    from agentopt.run.result import Evaluation

__all__ = ["eval_"]

SPLITS = ("search", "validation", "test", "all")
# Fields that only an optimization has.
SEARCHING = {
    "optimizer", "optimizer_args", "optimizer_model", "optimizer_max_tokens", "proposals", "steps", "patience",
    "minibatch", "finalists", "parameters", "invariants_off", "frozen",
}  # fmt: skip
FREE = {"runs_dir", "name", "max_connections"}
"""Fields that may be others when an evaluation goes on."""


@with_flags(RunConfig, leave_out=SEARCHING)
def eval_(
    flags: dict[str, Any],
    split: Annotated[
        str | None, typer.Option("--split", help="search, validation, test or all. [default: the eval's, or search]")
    ] = None,
    other_graph: Annotated[
        str | None, typer.Option("--graph", "-g", metavar="GRAPH", help="With an eval: this graph, not the eval's.")
    ] = None,
    values: Annotated[
        str | None,
        typer.Option("--values", metavar="RUN", help="Use the best values of this run, in place of the graph's own."),
    ] = None,
    resume: Annotated[
        str | None,
        typer.Option("--resume", metavar="RUN", help="Go on with this evaluation, or with the last one: last."),
    ] = None,
    retry_errors: Annotated[
        bool, typer.Option("--retry-errors", help="With --resume: evaluate again what infrastructure errors lost.")
    ] = False,
    add_budget: Annotated[
        str | None,
        typer.Option("--add-budget", metavar="AXIS=AMOUNT,...", help="With --resume: may be spent on top."),
    ] = None,
    fail_on_error: Annotated[
        float | None,
        typer.Option(
            "--fail-on-error",
            metavar="SHARE|COUNT",
            help="Stop, and exit with 5, when infrastructure errors lose more examples than this: 0, 5, 0.1 (a share).",
        ),
    ] = None,
    gate: Annotated[float | None, typer.Option("--gate", help="Exit with 3 when the mean is below this.")] = None,
    examples: Annotated[bool, typer.Option("--examples", help="Show every example.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress; only the result.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print the result as JSON; progress goes to stderr.")] = False,
) -> None:
    """Score a graph on a task, or under the pinned protocol of an eval. Every mean has its interval and its n.

    GRAPH is a graph (with --task) or an eval (`agentopt list evals`). What is given on the command line goes before
    what an eval pins, and the result then says so.

    Exit codes: 0 done; 2 a mistake in the command; 3 the mean is below --gate; 4 the budget ended on the way; 5 more
    infrastructure errors than --fail-on-error allows, or no score at all; 130 interrupted. After 4, 5 and 130
    everything that was paid for is kept, and --resume goes on.
    """
    if split is not None and split not in SPLITS:
        raise UsageError(f"--split {split!r} is none of {', '.join(SPLITS)}")
    if resume is None:
        for option, wanted in (("--retry-errors", retry_errors), ("--add-budget", add_budget)):
            if wanted:
                raise UsageError(f"{option} is for an evaluation that has begun: add --resume RUN, or --resume last")
        own = {"fail_on_error": fail_on_error, "gate": gate}
        pinned = _eval(flags)
        if pinned is not None:
            done = _measured(pinned, flags, other_graph, values, own | {"split": split}, quiet)
        elif other_graph is not None:
            raise UsageError("--graph is for an eval: without one, the graph is the argument")
        else:
            done = _new(flags, values, own | {"split": split or "search"}, quiet)
    else:
        given = flags | ({} if other_graph is None else {"other_graph": other_graph})
        given |= {name: v for name, v in (("split", split), ("values", values)) if v is not None}
        done = _again(resume, given, gate, quiet, {
            "retry_errors": retry_errors, "add_budget": add_budget, "fail_on_error": fail_on_error,
            "max_connections": flags.get("max_connections"),
        })  # fmt: skip
    evaluated(done, as_json=as_json, examples=examples)
    code = code_of_evaluation(done)
    if gate is not None and (done.summary.mean is None or done.summary.mean < gate):
        typer.echo(f"gate not met: the mean {number(done.summary.mean)} is below {gate}", err=True)
        code = code or GATE_NOT_MET
    raise typer.Exit(code)


def _eval(flags: dict[str, Any]) -> Eval | None:
    """The eval that the argument names; None where it is a graph, or not given."""
    from agentopt.errors import UnknownName
    from agentopt.workspace import Item, find, load_eval, names

    name = flags.get("graph")
    if name is None:
        return None
    found: dict[str, Item] = {}
    broken: list[UsageError] = []
    for kind in ("eval", "graph"):
        try:
            item = find(kind, name)
        except UnknownName:
            continue
        except UsageError as problem:  # a file that does not parse may be where it is
            broken.append(problem)
            continue
        if item.line:  # a file that is named may define something else
            found[kind] = item
    if "graph" in found and ("eval" not in found or "task" in flags):
        return None
    if "eval" not in found and "task" not in flags:
        known = [item.name for kind in ("graph", "eval") for item in names(kind)]
        if broken:
            raise broken[0]
        if ".py" in name or "/" in name:
            return None  # told by whoever loads the graph
        raise UnknownName("graph or eval", name, known, "`agentopt list` shows what there is")
    if "eval" not in found:
        return None
    if "graph" in found and load_eval(name).graph != name:  # an eval of that very graph is what is meant without --task
        evals, graph = found["eval"], found["graph"]
        raise UsageError(
            f"{name!r} is an eval ({evals.ref}) and a graph ({graph.ref}): {evals.ref} means the eval, and --task TASK "
            "the graph"
        )
    if "task" in flags:
        raise UsageError(f"--task: the eval {name!r} pins its task; leave that out, or name a graph")
    made: Eval = load_eval(name)
    return made


def _measured(
    pinned: Eval, flags: dict[str, Any], graph: str | None, values: str | None, own: dict[str, Any], quiet: bool
) -> Evaluation:
    from agentopt.run.best import best_values
    from agentopt.run.measure import measure_async
    from agentopt.run.pinned import pinned_options

    fixed = {name: v for name, v in pinned_options(pinned).items() if name in RunConfig.model_fields}
    given = {name: v for name, v in flags.items() if name != "graph"}
    if "task_args" in given:
        given["task_args"] = {**pinned.task_args, **pairs(given["task_args"], "--task-arg")}
    config = configured(RunConfig, {**fixed, **given, "graph": graph or pinned.graph, "task": pinned.task})
    options = {name: getattr(config, name) for name in RunConfig.model_fields if name not in ("graph", "task")}
    if values is not None:
        own["values"] = {**pinned.values, **best_values(values, config.runs_dir)}
    with Progress(quiet=quiet) as progress, interrupted(config.runs_dir):
        return asyncio.run(measure_async(pinned, graph=config.graph, **progress.options, **own, **options))


def _new(flags: dict[str, Any], values: str | None, own: dict[str, Any], quiet: bool) -> Evaluation:
    config = configured(RunConfig, flags)
    from agentopt.run.api import evaluate_async
    from agentopt.run.best import best_values

    options = {name: getattr(config, name) for name in RunConfig.model_fields if name not in ("graph", "task")}
    options |= own
    options["values"] = best_values(values, config.runs_dir) if values else None
    with Progress(quiet=quiet) as progress, interrupted(config.runs_dir):
        return asyncio.run(evaluate_async(config.graph, task=config.task, **progress.options, **options))


def _again(run: str, given: dict[str, Any], gate: float | None, quiet: bool, options: dict[str, Any]) -> Evaluation:
    """Go on with an evaluation. What else is given on the command line must be what it was begun with."""
    from agentopt.run.api import resume_async
    from agentopt.run.evaluation import check_gate
    from agentopt.run.files import find_run, open_run
    from agentopt.run.result import Evaluation

    runs_dir = str(given.get("runs_dir") or runs_folder())
    folder = find_run(run, runs_dir, kind="evaluate")
    with open_run(folder) as opened:
        if opened.started["kind"] != "evaluate":
            raise UsageError(f"run {folder.name} is an optimization: `agentopt resume {folder.name}` goes on with it")
        _same(opened.config, opened.started, _of_eval(given, opened.started), folder.name)
        check_gate(gate, opened.started["score_range"])
    with Progress(quiet=quiet) as progress, interrupted(runs_dir, folder.name):
        progress.say(f"going on with {folder}")
        done = asyncio.run(resume_async(folder, **progress.options, **options))
    assert isinstance(done, Evaluation)
    return done


def _of_eval(given: dict[str, Any], started: dict[str, Any]) -> dict[str, Any]:
    """The flags with the graph in the place of the eval that the run was begun by."""
    rest = {name: value for name, value in given.items() if name != "other_graph"}
    said = started.get("eval")
    if said is not None and rest.get("graph", "").rpartition("@")[2] == said["name"]:
        rest.pop("graph")
    if "other_graph" in given:
        rest["graph"] = given["other_graph"]
    return rest


def _same(config: RunConfig, started: dict[str, Any], given: dict[str, Any], name: str) -> None:
    """Refuse flags that would make another evaluation of it."""
    fields = {n: v for n, v in given.items() if n in RunConfig.model_fields and n not in FREE}
    before = {n: getattr(config, n) for n in RunConfig.model_fields}
    now = configured(RunConfig, {**before, **fields}).model_dump(mode="json")
    then = config.model_dump(mode="json")
    other = [flag(n) for n in fields if now[n] != then[n]]
    if "split" in given and given["split"] != started["split"]:
        other.append("--split")
    if "values" in given:
        other.append("--values")
    if other:
        more = "; more budget is --add-budget" if "--budget" in other else ""
        raise UsageError(
            f"{', '.join(other)}: evaluation {name} was begun otherwise, and goes on as it was begun{more} "
            f"(`agentopt show {name} --json` has its options); leave that out, or begin a new one without --resume"
        )
