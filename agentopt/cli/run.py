"""``agentopt run``"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentopt.cli.console import print_json
from agentopt.cli.drawing import FORMATS, draw
from agentopt.cli.flags import pairs
from agentopt.cli.place import RunsDir
from agentopt.errors import AgentOptError, NodeError, UsageError

if TYPE_CHECKING:
    from agentopt.core import Graph

__all__ = ["run"]


def run(
    graph: Annotated[str | None, typer.Argument(help="A graph: a name, or ./file.py@name.")] = None,
    text: Annotated[
        str | None, typer.Argument(metavar="[INPUT]", help="Its input: text, JSON, or - for stdin.")
    ] = None,
    arguments: Annotated[
        list[str] | None, typer.Option("--input", "-i", metavar="KEY=VALUE", help="Input by name. Repeatable.")
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", help="The model of its calls.")] = None,
    max_tokens: Annotated[int, typer.Option("--max-tokens", help="Output cap of a call that sets none.")] = 512,
    temperature: Annotated[float, typer.Option("--temperature", help="Of a call that sets none.")] = 0.0,
    best_of: Annotated[str | None, typer.Option("--run", help="Use the best values of this run.")] = None,
    picture: Annotated[
        str | None, typer.Option("--graph", "-g", metavar="|".join(FORMATS), help="Draw the traced graph too.")
    ] = None,
    out: Annotated[Path | None, typer.Option("--out", help="Write the picture to this file.")] = None,
    runs_dir: RunsDir = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print output and graph as JSON.")] = False,
) -> None:
    """Run a graph on one input, and print its answer. Nothing is stored."""
    from agentopt.run.best import best_values
    from agentopt.run.config import RunConfig
    from agentopt.workspace import load_graph, run_defaults

    defaults = run_defaults(RunConfig.model_fields)
    name, chosen = graph or defaults.get("graph"), model or defaults.get("model")
    if not name:
        raise UsageError("no graph is named: `agentopt run GRAPH INPUT` (`agentopt list graphs` shows what there is)")
    if picture is not None and picture not in FORMATS:
        raise UsageError(f"--graph {picture!r} is none of {', '.join(FORMATS)}")
    values = best_values(best_of, runs_dir) if best_of else {}
    loaded = load_graph(name)
    given = _input(text, arguments, sys.stdin)
    sampling = {"max_tokens": max_tokens, "temperature": temperature}
    output, traced = asyncio.run(_call(loaded, name, given, chosen, sampling, values))
    if as_json:
        print_json({"output": output, "graph": traced.to_json()})
        return
    typer.echo(output if isinstance(output, str) else json.dumps(output, ensure_ascii=False, indent=2))
    if picture is not None or out is not None:
        typer.echo("")
        draw(traced, picture or "svg", out)


async def _call(
    loaded: Any, name: str, given: Any, model: str | None, sampling: dict[str, Any], values: dict[str, Any]
) -> tuple[Any, Graph]:
    from agentopt.core import Node, Override, Trace
    from agentopt.core.failure import printed
    from agentopt.llm.context import Session, current_session, use_session
    from agentopt.run.target import Target, jsonable
    from agentopt.workspace import scripted

    base = current_session()
    client = scripted(model) if model and model.startswith("scripted/") else base.client
    models = {**base.models, **({"agent": model} if model else {})}
    target = Target(loaded, name)
    try:
        loop = asyncio.get_running_loop()
        with use_session(Session(client, models, sampling, loop=loop)), Override(values), Trace() as trace:
            try:
                output = await target.call(given)
            except Exception as problem:
                if isinstance(problem, AgentOptError) and not isinstance(problem, NodeError):
                    raise
                typer.echo(printed(problem), err=True)
                raise typer.Exit(1) from None
            trace.output = output if isinstance(output, Node) else None
        return jsonable(output), trace.graph
    finally:
        close = getattr(client, "aclose", None)
        if close is not None:
            await close()


def _input(text: str | None, arguments: list[str] | None, stdin: Any) -> Any:
    if arguments:
        if text is not None:
            raise UsageError("give the input as text or by name (--input KEY=VALUE), not both")
        return pairs(arguments, "--input")
    if text is None:
        raise UsageError("no input: `agentopt run GRAPH INPUT`, - for stdin, or --input KEY=VALUE")
    if text == "-":
        text = str(stdin.read()).rstrip("\n")
    if text.lstrip().startswith(("{", "[")):
        try:
            return json.loads(text)
        except json.JSONDecodeError:
            return text
    return text
