"""``agentopt list``"""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Annotated

import typer

import agentopt
from agentopt._text import short
from agentopt.cli.console import print_json, print_table
from agentopt.errors import UnknownName

__all__ = ["list_"]


def list_(
    kind: Annotated[str, typer.Argument(help="graphs, tasks, prompts, evals or optimizers; default all.")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what can be named: where it comes from, and what it shadows. Nothing is imported."""
    from agentopt import workspace
    from agentopt.workspace.listing import KINDS, unparsed

    wanted = {folder: key for key, folder in KINDS.items()}
    if kind and kind not in {*wanted, *wanted.values()}:
        raise UnknownName("kind", kind, list(wanted), "kinds are graphs, tasks, prompts, evals, optimizers")
    rows: list[dict[str, str]] = []
    for key in KINDS:
        if kind in ("", key, KINDS[key]):
            first: dict[str, str] = {}
            for item in workspace.names(key):
                place = f"{item.workspace.source}: {item.ref}"
                row = {"kind": key, "name": item.name, "source": item.workspace.source, "ref": item.ref}
                rows.append({**row, "about": item.about, "shadowed_by": first.get(item.name, "")})
                first.setdefault(item.name, place)
    if kind in ("", "optimizer", "optimizers"):
        own = {row["name"]: f"{row['source']}: {row['ref']}" for row in rows if row["kind"] == "optimizer"}
        rows += [
            {
                "kind": "optimizer", "name": name, "source": "built-in", "ref": "", "about": about,
                "shadowed_by": own.get(name, ""),
            }
            for name, about in _optimizers()
        ]  # fmt: skip
    if as_json:
        print_json(rows)
        return
    lines = [
        (
            row["kind"],
            row["name"],
            row["source"],
            f"(shadowed by {row['shadowed_by']})" if row["shadowed_by"] else short(row["about"]),
        )
        for row in rows
    ]
    print_table(["kind", "name", "from", "about"], lines)
    for space in workspace.search_path():
        for key in ("graph", "task", "optimizer"):
            if kind in ("", key, KINDS[key]) and (broken := unparsed(space, key)) is not None:
                typer.echo(f"warning: {broken} (what it defines is not listed)", err=True)


def _optimizers() -> list[tuple[str, str]]:
    """Names of the optimizers with the first line of their documentation; their modules are parsed, not imported."""
    from agentopt.optim.registry import BUILTIN

    found = []
    package = Path(agentopt.__file__).resolve().parents[1]
    for name, target in sorted(BUILTIN.items()):
        module, _, wanted = target.partition(":")
        source = (package / f"{module.replace('.', '/')}.py").read_text(encoding="utf-8")
        classes = [c for c in ast.parse(source).body if isinstance(c, ast.ClassDef) and c.name == wanted]
        about = (ast.get_docstring(classes[0]) or "") if classes else ""
        found.append((name, about.partition("\n")[0]))
    return found
