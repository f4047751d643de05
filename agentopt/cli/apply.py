"""``agentopt apply``"""

from __future__ import annotations

import difflib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from agentopt._lines import lines
from agentopt._text import short
from agentopt.cli.console import print_json, wide
from agentopt.cli.place import RunsDir
from agentopt.errors import UsageError

__all__ = ["Change", "apply", "changes"]


@dataclass(frozen=True)
class Change:
    """One parameter that the run changed. ``write`` is None when no file holds it, and it has to be set by hand."""

    name: str
    old: Any
    new: Any
    read: Path | None = None
    write: Path | None = None
    drifted: bool = False
    """The file has neither the text that the run began with nor the one that it found."""
    done: bool = False
    """The file has the new text already."""
    code: str = ""
    """Of a function: its whole file as it will be."""

    def diff(self) -> list[str]:
        """A unified diff, from what is there now to what the run found."""
        from agentopt.workspace import read_prompt

        if self.write is None or self.read is None:
            return [f"--- {self.name}", f"- {json.dumps(self.old)}", f"+ {json.dumps(self.new)}"]
        names = (_shown(self.read), _shown(self.write))
        if self.code:
            texts = (_listed(_exact(self.read)), _listed(self.code))
            return list(difflib.unified_diff(*texts, *names, lineterm=""))
        before = read_prompt(self.read).text
        return list(difflib.unified_diff(before.splitlines(), str(self.new).splitlines(), *names, lineterm=""))


def apply(
    run: Annotated[
        str,
        typer.Argument(help="A run: as elsewhere; last is the last optimization."),
    ] = "last",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Show the diff; write nothing.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Also overwrite prompts that changed since the run.")] = False,
    unshown: Annotated[
        bool, typer.Option("--unproven", help="Also write what no test has shown to be better than the baseline.")
    ] = False,
    runs_dir: RunsDir = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the best prompts and functions of a run back into their files, after showing the diff.

    A prompt of the built-in workspace or of a package is written into yours, where it shadows the original. Numbers,
    choices and demonstrations are in no file of their own: they are told, to be set by hand.
    """
    from agentopt.run.best import read_best, said, unproven
    from agentopt.run.files import find_run

    folder = find_run(run, runs_dir, kind="optimize")
    record = read_best(folder)
    found = list(changes(record))
    to_write = [c for c in found if c.write is not None and not c.done]
    refused, drifted = "", [c for c in found if c.drifted]
    if to_write and unproven(record) and not unshown:
        refused = "no test has shown that this candidate is better; nothing was written (--unproven writes it)"
    elif drifted and not force:
        refused = f"{_shown(drifted[0].read)} has changed since the run; nothing was written (--force overwrites it)"
    written = [] if dry_run or refused else to_write
    if as_json:
        listed = [
            {
                "name": c.name,
                "old": c.old,
                "new": c.new,
                "file": c.write and str(c.write),
                "drifted": c.drifted,
                "done": c.done,
            }
            for c in found
        ]
        print_json(
            {
                "run": str(folder),
                "claim": record.get("claim"),
                "improved": bool(record.get("improved")),
                "changes": listed,
                "written": [c.name for c in written],
            }
        )
    else:
        typer.echo(f"run: {folder}\n{said(record)}")
        _tell(found)
    if refused and not dry_run:
        raise UsageError(refused)
    for change in written:
        _write(change)
        if not as_json:
            typer.echo(f"wrote {_shown(change.write)}")


def changes(record: dict[str, Any]) -> Iterator[Change]:
    """What the best candidate of a run changes, and in which files. ``record`` is its ``candidate.json``."""
    from agentopt.workspace import read_prompt

    for name, new in record["values"].items():
        old = record["baseline"].get(name)
        if new == old:
            continue
        place = record.get("files", {}).get(name)
        if place and str(place).endswith(".py") and name.endswith(".code"):
            yield _of_code(name, str(old), str(new), Path(place))
            continue
        if not place or not str(place).endswith(".md"):
            yield Change(name, old, new)
            continue
        read, write = _places(str(place))
        now = read_prompt(read).text
        same = now.strip() == str(new).strip()
        yield Change(name, old, new, read, write, drifted=not same and now.strip() != str(old).strip(), done=same)


def _of_code(name: str, old: str, new: str, path: Path) -> Change:
    """The change of a function in a Python file."""
    from agentopt.workspace.rewriting import function_in, replaced

    if not path.is_file():
        raise UsageError(f"{path} is gone: the source of {name} was read from there")
    text, qualified = _exact(path), name.removesuffix(".code")
    now = function_in(text, qualified)
    if now is None:
        return Change(name, old, new)
    same = now.strip() == new.strip()
    drifted = not same and now.strip() != old.strip()
    return Change(name, old, new, path, path, drifted, same, "" if same else replaced(text, qualified, new))


def _exact(path: Path) -> str:
    """A file with the line ends that it has."""
    with path.open(encoding="utf-8", newline="") as file:
        return file.read()


def _listed(text: str) -> list[str]:
    return [line.rstrip("\r\n") for line in lines(text)]


def _places(place: str) -> tuple[Path, Path]:
    """Where a prompt is read now, and where it is written to."""
    from agentopt.workspace import find_root, search_path

    path = Path(place)
    if path.is_absolute():
        if not path.is_file():
            raise UsageError(f"{path} is gone: the run's prompt was read from there")
        return path, path
    root = find_root()
    for workspace in search_path():
        read = workspace.root / path
        if read.is_file():
            if root is None:
                raise UsageError(f"there is no workspace here to write {place} into: go to it, or `agentopt init` one")
            return read, root / path
    raise UsageError(f"no workspace here has {place}, where the run read its prompt: go to the run's workspace")


def _write(change: Change) -> None:
    from agentopt.workspace import read_prompt, rewrite

    assert change.read is not None and change.write is not None
    text = change.code or rewrite(change.write, str(change.new), head=read_prompt(change.read).head)
    change.write.parent.mkdir(parents=True, exist_ok=True)
    beside = change.write.with_name(f".{change.write.name}.new")
    beside.write_text(text, encoding="utf-8", newline="")
    os.replace(beside, change.write)


def _tell(found: list[Change]) -> None:
    if not found:
        typer.echo("nothing to apply: the best candidate is the baseline")
    for change in found:
        typer.echo("")
        if change.done:
            typer.echo(f"{change.name}: {_shown(change.write)} has the new text already")
            continue
        for line in change.diff():
            typer.echo(_coloured(line))
        if change.write is None:
            typer.echo(f"set {change.name} = {short(json.dumps(change.new))} by hand: no file holds it")


def _coloured(line: str) -> str:
    if not wide() or line.startswith(("---", "+++")):
        return line
    return typer.style(line, fg={"+": "green", "-": "red", "@": "cyan"}.get(line[:1]))


def _shown(path: Path | None) -> str:
    if path is None:
        return "-"
    try:
        return str(path.relative_to(Path.cwd()))
    except ValueError:
        return str(path)
