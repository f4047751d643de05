"""``agentopt show``"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentopt._text import number, short
from agentopt.cli.console import RUN, print_json, print_table
from agentopt.cli.drawing import FORMATS, draw, outline
from agentopt.cli.measures import print_eval
from agentopt.cli.outcome import as_record
from agentopt.cli.place import RunsDir
from agentopt.cli.scores import evaluated
from agentopt.cli.synthesized import synthesized
from agentopt.errors import UnknownName, UsageError

if TYPE_CHECKING:
    from agentopt.core.values import Outcome
    from agentopt.evaluate import Eval
    from agentopt.run.files import RunFile

__all__ = ["show"]


def show(
    run: Annotated[str, typer.Argument(help=f"{RUN} Or an eval: what it pins.")] = "last",
    graph: Annotated[
        str | None, typer.Option("--graph", "-g", metavar="|".join(FORMATS), help="Draw only the traced graph.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the picture to this file.")] = None,
    candidate: Annotated[str, typer.Option("--candidate", help="best, baseline, or the beginning of an id.")] = "best",
    example: Annotated[str | None, typer.Option("--example", help="Of which example; default the first.")] = None,
    runs_dir: RunsDir = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show a run: its result, its steps, what changed, and the traced graph of an example."""
    from agentopt.run.evaluation import evaluation_of
    from agentopt.run.files import find_run, open_run
    from agentopt.run.result import result_of
    from agentopt.run.synthesis.result import synthesis_of

    try:
        folder = find_run(run, runs_dir)
    except UnknownName:
        if (pinned := _eval(run)) is None:
            raise
        print_eval(pinned, as_json=as_json)
        return
    if graph is not None and graph not in FORMATS:
        raise UsageError(f"--graph {graph!r} is none of {', '.join(FORMATS)}")
    with open_run(folder) as opened:
        if graph is not None or out is not None:
            outcome = _outcome(opened, candidate, example)
            traced = opened.graph(outcome)
            if traced is None:
                raise UsageError(f"example {outcome.example} has no traced graph")
            draw(traced, graph or (out.suffix.lstrip(".") if out and out.suffix[1:] in FORMATS else "svg"), out)
            return
        if opened.started["kind"] == "synthesize":
            synthesized(synthesis_of(folder, opened.status), as_json=as_json, fell=True)
            return
        if opened.started["kind"] == "evaluate":
            evaluated(evaluation_of(folder, opened.status), as_json=as_json)
            if not as_json:
                _print_weakness(opened)
                _print_graph(opened, "baseline", example)
            return
        if as_json:
            print_json(
                as_record(result_of(folder, opened.status))
                | {"config": opened.config.model_dump(mode="json"), "steps": _steps(opened)}
            )
            return
        config = opened.config
        typer.echo(f"run: {folder}")
        model = config.model or "none"
        typer.echo(
            f"{config.graph} on {config.task_told}: optimizer {config.optimizer}, model {model}, seed {config.seed}"
        )
        for line in result_of(folder, opened.status).summary():
            typer.echo(line)
        _print_weakness(opened)
        _print_steps(opened)
        _print_changes(opened)
        _print_graph(opened, candidate, example)


def _eval(name: str) -> Eval | None:
    """The eval of this name; None where there is none."""
    from agentopt.workspace import find, load_eval

    try:
        found = find("eval", name)
    except UsageError:
        return None
    return load_eval(name) if found.line else None


def _steps(run: RunFile) -> list[dict[str, Any]]:
    """One row a step: what was proposed, what was refused, how far it came, and the incumbent after it."""
    accepted: dict[int, int] = {}
    rejected: dict[int, int] = {}
    for event in run.events("proposal.accepted", "proposal.rejected"):
        count = accepted if event.type == "proposal.accepted" else rejected
        step = int(str(event.data["step"]))
        count[step] = count.get(step, 0) + 1
    rows = []
    for event in run.events("step.done"):
        data: Any = event.data
        heats = data.get("heats", [])
        gains = [h["difference"] for h in heats if h.get("difference") is not None]
        rows.append(
            {
                "step": data["step"] + 1,
                "proposed": accepted.get(data["step"], 0) + rejected.get(data["step"], 0),
                "rejected": rejected.get(data["step"], 0),
                "complete": sum(1 for h in heats if h.get("complete")),
                "best_difference": max(gains, default=None),
                "incumbent": data["incumbent"],
                "mean": data.get("mean"),
                "n": data.get("n"),
            }
        )
    return rows


def _print_steps(run: RunFile) -> None:
    rows = _steps(run)
    if not rows:
        return
    typer.echo("")
    columns = ["step", "proposed", "rejected", "ran in full", "best difference", "incumbent", "search score", "n"]
    lines = [
        (
            r["step"], r["proposed"], r["rejected"], r["complete"], number(r["best_difference"]), r["incumbent"][:8],
            number(r["mean"]), r["n"],
        )
        for r in rows
    ]  # fmt: skip
    print_table(columns, lines, right=[c for c in columns if c != "incumbent"])


def _print_weakness(run: RunFile) -> None:
    """Say which layers the sandbox lacked, where the run was allowed to do without."""
    for event in run.events("sandbox"):
        place: Any = event.data
        if place["weak"]:
            gone = "; ".join(f"{name}: {why}" for name, why in place["lacking"].items())
            typer.echo(f"weak sandbox: {place['backend']}, without {gone}")


def _print_changes(run: RunFile) -> None:
    best, baseline = run.best(), run.baseline()
    if best is None or baseline is None:
        return
    for name, value in best.values.items():
        if value != baseline.values.get(name):
            typer.echo(f"\n{name}, as the run found it:")
            for line in str(value).splitlines():
                typer.echo(f"  | {line}")


def _print_graph(run: RunFile, candidate: str, example: str | None) -> None:
    try:
        outcome = _outcome(run, candidate, example)
        traced = run.graph(outcome)
    except UsageError as problem:
        typer.echo(f"\n{problem}")
        return
    if traced is None:
        return
    score = f"score {number(outcome.score)}" if outcome.score is not None else outcome.status
    typer.echo(f"\nexample {outcome.example} ({outcome.split}, {score}), traced; * may change:")
    for line in outline(traced):
        typer.echo(line)
    if outcome.feedback is not None and outcome.feedback.text:
        typer.echo(f"feedback: {short(outcome.feedback.text, 100)}")
    typer.echo(f"(`agentopt show {run.dir.name} --graph svg --out graph.svg` draws it; mermaid and dot too)")


def _outcome(run: RunFile, candidate: str, example: str | None) -> Outcome:
    """The outcome that is shown: of a candidate, on one example or the first."""
    baseline, best = run.baseline(), run.best()
    known = {entry.candidate.id for entry in run.candidates()}
    if candidate in ("best", "baseline"):
        chosen = best if candidate == "best" else baseline
        wanted = None if chosen is None else chosen.id
    else:
        hits = [id_ for id_ in known if id_.startswith(candidate)]
        if len(hits) != 1:
            raise UnknownName("candidate", candidate, known, f"`agentopt show {run.dir.name} --json` lists them")
        wanted = hits[0]
    outcomes = run.outcomes(wanted)
    if example is not None:
        ids = {o.example for o in outcomes}
        outcomes = [o for o in outcomes if o.example.startswith(example)]
        if not outcomes:
            raise UnknownName("example", example, ids, "of this candidate")
    traced = [o for o in outcomes if o.trace is not None]
    if not traced:
        raise UsageError(f"run {run.dir.name} has no evaluation of {candidate} yet")
    return traced[0]
