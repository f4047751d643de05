"""``agentopt check``: import and validate everything that a workspace holds, before a run does."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from agentopt.errors import AgentOptError, MissingData, UsageError
from agentopt.workspace.listing import KINDS, Item, items
from agentopt.workspace.loader import load_file
from agentopt.workspace.prompts import broken_placeholders, read_prompt
from agentopt.workspace.resolve import find, load_item, load_optimizer
from agentopt.workspace.roots import Workspace, search_path
from agentopt.workspace.scripting import FILE
from agentopt.workspace.settings import run_defaults

__all__ = ["Problem", "check"]


@dataclass(frozen=True)
class Problem:
    """Something that would make a run fail. ``where`` is a file (with a line) relative to the workspace."""

    where: str
    what: str

    def __str__(self) -> str:
        return f"{self.where}: {self.what}"


def check(
    workspace: Workspace,
    *,
    run_fields: tuple[str, ...] = (),
    absent: list[Problem] | None = None,
    notes: list[Problem] | None = None,
) -> list[Problem]:
    """Every problem of a workspace; an empty list when all is well.

    Every Python file is imported, prompts are parsed, tasks are made with their defaults and split, the parameters of
    graphs are listed, evals are made and what they name is looked up, optimizers are made with their defaults, and the
    fields of ``[run]`` are compared with ``run_fields`` where those are given. No model is called. A task whose data
    set is not on this machine is no problem; ``absent``, where it is given, gets to know it. So does ``notes`` of what
    would surprise and is allowed.
    """
    found = list(_folders(workspace))
    for kind in KINDS:
        seen: dict[str, Item] = {}
        for item in items(workspace, kind):
            if item.name in seen:
                found.append(Problem(item.ref, f"the {kind} {item.name!r} is also defined in {seen[item.name].ref}"))
            seen.setdefault(item.name, item)
            found += _attempt(workspace, item, [] if absent is None else absent)
            if kind == "prompt" and notes is not None:
                notes += _surprises(item)
    for path in _files(workspace):
        found += _imports(workspace, path)
    if run_fields:
        try:
            run_defaults(run_fields, start=workspace.root, environ={})
        except UsageError as problem:
            found.append(Problem("agentopt.toml", str(problem)))
    return list(dict.fromkeys(found))


def _folders(workspace: Workspace) -> Iterator[Problem]:
    for folder in KINDS.values():
        for path in sorted((workspace.root / folder).rglob("__init__.py")):
            yield Problem(workspace.relative(path), "a workspace folder is not a package; remove this file")


def _files(workspace: Workspace) -> list[Path]:
    paths = [p for f in KINDS.values() for p in sorted((workspace.root / f).rglob("*.py")) if p.name != "__init__.py"]
    return [*paths, *(p for p in [workspace.root / FILE] if p.is_file())]


def _imports(workspace: Workspace, path: Path) -> Iterator[Problem]:
    try:
        load_file(workspace, path)
    except AgentOptError as problem:
        yield Problem(workspace.relative(path), _without(str(problem), workspace.relative(path)))


def _without(text: str, place: str) -> str:
    return text.removeprefix(f"{place}: ")


def _attempt(workspace: Workspace, item: Item, absent: list[Problem]) -> Iterator[Problem]:
    try:
        if item.kind == "prompt":
            _prompt(item)
        elif item.kind == "graph":
            _graph(load_item(item))
        elif item.kind == "task":
            _task(load_item(item))
        elif item.kind == "eval":
            _eval(load_item(item)(), search_path(workspace.root))
        elif item.kind == "optimizer":
            load_optimizer(f"{item.path}@{item.attribute}")
    except MissingData as problem:
        absent.append(Problem(item.ref, str(problem)))
    except UsageError as problem:
        yield Problem(item.ref, _without(str(problem), workspace.relative(item.path)))
    except Exception as problem:
        yield Problem(item.ref, f"{type(problem).__name__}: {problem}")


def _prompt(item: Item) -> None:
    file = read_prompt(item.path)
    if broken := broken_placeholders(file.text):
        above = file.path.read_text(encoding="utf-8").partition(file.text)[0]
        told = ", ".join(f"{text!r} (line {line + above.count(chr(10))})" for line, text in broken)
        raise UsageError(f"no placeholder, so nothing is put in there: {told}; one is written {{{{name}}}}")


def _surprises(item: Item) -> Iterator[Problem]:
    try:
        name = read_prompt(item.path).name
    except UsageError:  # told as a problem
        return
    if name not in (item.path.stem, item.name):
        yield Problem(
            item.ref,
            f"the front matter names the parameter {name!r}: runs show it so, while `prompt({item.name!r})` finds the "
            "file; let the two agree, or leave the name out",
        )


def _graph(made: Any) -> None:
    from agentopt.core import parameters

    if inspect.isclass(made):
        made = made()
    if not callable(made):
        raise UsageError(f"is {type(made).__name__}, not something that can be called")
    parameters(made)


def _task(made: Any) -> None:
    task = made if hasattr(made, "splits") and not inspect.isclass(made) else made()
    if hasattr(task, "splits"):
        task.splits()


def _eval(pinned: Any, path: list[Workspace]) -> None:
    """What an eval names is there, and its functions can be called with an example."""
    from agentopt.core import parameters

    graph = load_item(find("graph", pinned.graph, path))
    unknown = set(pinned.values) - set(parameters(graph() if inspect.isclass(graph) else graph))
    if unknown:
        raise UsageError(f"the graph {pinned.graph!r} has no parameter named {', '.join(sorted(unknown))}")
    task = load_item(find("task", pinned.task, path))
    examples = (task if hasattr(task, "splits") else task(**pinned.task_args)).examples
    for function in (pinned.group, pinned.by, *(m.over for m in pinned.measures)):
        if function is not None:
            function(examples[0])
