"""From names to objects: ``load_graph``, ``load_task``, ``load_eval``, ``load_optimizer``."""

from __future__ import annotations

import difflib
import importlib.metadata
import inspect
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agentopt.errors import UnknownName, UsageError
from agentopt.workspace.listing import KINDS, Item, in_file, items, unparsed
from agentopt.workspace.loader import load_file
from agentopt.workspace.roots import Workspace, find_root, search_path

DECORATORS = {"graph": "graph", "task": "task", "eval": "evaluation"}
_OPTIMIZER = ("name", "ask", "tell", "state", "load")
__all__ = ["find", "load_eval", "load_graph", "load_item", "load_optimizer", "load_task", "names"]


def names(kind: str, path: Sequence[Workspace] | None = None) -> list[Item]:
    """Everything of a kind on the search path, shadowed ones included, in the order of lookup."""
    return [item for workspace in (search_path() if path is None else path) for item in items(workspace, kind)]


def find(kind: str, name: str, path: Sequence[Workspace] | None = None) -> Item:
    """The item that a name means: ``NAME``, ``FILE@NAME`` (below the kind's folder) or ``./any/file.py[@NAME]``.

    Raises ``UnknownName`` with a suggestion, or ``UsageError`` for a file that is not there.
    """
    place, at, wanted = name.partition("@")
    if place.endswith((".py", ".md")) or (not at and place.startswith((".", "/"))):
        return _explicit(kind, place, wanted)
    searched = list(search_path() if path is None else path)
    roots = [workspace.root for workspace in searched]
    everything = names(kind, searched)
    if at:
        for item in everything:
            file = item.path.relative_to(item.workspace.root / KINDS[kind]).with_suffix("").as_posix()
            if (file, item.name) == (place, wanted):
                return item
        raise UnknownName(kind, name, [f"{item.path.stem}@{item.name}" for item in everything])
    named = [item for item in everything if item.name == name]
    if kind == "prompt":
        # prompts/agents/ may be left out; within one workspace the exact name goes first.
        named += [item for item in everything if item.name == f"agents/{name}"]
        named.sort(key=lambda item: roots.index(item.workspace.root))
    if named:
        return named[0]
    for workspace in searched:
        if (broken := unparsed(workspace, kind)) is not None:
            raise UsageError(f"no {kind} named {name!r}, and {broken}")
    raise UnknownName(kind, name, dict.fromkeys(item.name for item in everything))


def _explicit(kind: str, place: str, wanted: str) -> Item:
    path = Path(place).expanduser().absolute().resolve()
    if not path.is_file() and not Path(place).is_absolute():
        path = next((f for w in search_path() if (f := (w.root / place).resolve()).is_file()), path)
    if not path.is_file():
        raise UsageError(f"no file {place!r} for the {kind} (looked in {Path.cwd()})")
    root = find_root(path)
    workspace = Workspace(root if root is not None else path.parent)
    if path.suffix != ".py":
        return Item(kind, path.stem, path, workspace)
    found = list(in_file(workspace, path, kind))
    if wanted:
        named = (item for item in found if wanted in (item.name, item.attribute))
        return next(named, Item(kind, wanted, path, workspace))
    if len(found) != 1:
        listed = ", ".join(f"{place}@{item.name}" for item in found) or (
            "no class with `ask`" if kind == "optimizer" else f"none decorated with @{DECORATORS[kind]}"
        )
        raise UsageError(f"{place} does not say which {kind}: use {place}@NAME (there: {listed})")
    return found[0]


def load_item(item: Item) -> Any:
    """Import the file of an item and return the object of its name."""
    module = load_file(item.workspace, item.path)
    name = item.attribute or item.name
    try:
        return getattr(module, name)
    except AttributeError:
        public = [n for n in vars(module) if not n.startswith("_")]
        close = difflib.get_close_matches(name, public, n=1)
        guess = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(f"{item.workspace.relative(item.path)} defines no {name!r}{guess}") from None


def load_graph(name: str) -> Any:
    """The graph of that name: a decorated function, or an instance when the name is a class.

    Args:
        name: ``NAME``, ``FILE@NAME`` or ``./file.py@NAME``.

    Raises:
        UnknownName: nothing is called so; the message has a suggestion.
        UsageError: its file cannot be imported, or it is not callable.
    """
    item = find("graph", name)
    made = load_item(item)
    if inspect.isclass(made):
        made = _call(made, {}, item)
    if not callable(made):
        raise UsageError(f"{item.ref} is {type(made).__name__}, not something that can be called")
    return made


def load_task(name: str, /, **args: Any) -> Any:
    """The task of that name, made with ``args`` (such as ``n=50, seed=1``).

    Raises:
        UnknownName: nothing is called so; the message has a suggestion.
        UsageError: its file cannot be imported, or it takes no such argument.
    """
    item = find("task", name)
    made = load_item(item)
    if hasattr(made, "splits") and not inspect.isclass(made):
        if args:
            raise UsageError(f"task {name!r} takes no arguments, but got {', '.join(sorted(args))}")
        return made
    if not callable(made):
        raise UsageError(f"{item.ref} is {type(made).__name__}, not a task")
    return _call(made, args, item)


def load_eval(name: str) -> Any:
    """The pinned measurement of that name (an ``agentopt.evaluate.Eval``).

    Raises:
        UnknownName: nothing is called so; the message has a suggestion.
        UsageError: its file cannot be imported, or it is no eval.
    """
    item = find("eval", name)
    made = load_item(item)
    made = _call(made, {}, item) if callable(made) else made
    if not (hasattr(made, "pinned") and hasattr(made, "measures")):
        raise UsageError(f"{item.ref} is {type(made).__name__}, not an eval: decorate a function with @evaluation")
    return made


def load_optimizer(name: str, **options: Any) -> Any:
    """An optimizer from a workspace's ``optimizers/``, any file (``./mine.py@Shorten``), or an installed package.

    A package names its own in the entry point group ``agentopt.optimizers``. The built-in ones are known to
    ``agentopt.optim.registry.make``.

    Raises:
        UnknownName: nothing is called so; the message has a suggestion.
        UsageError: its file cannot be imported, it takes no such option, or it is no optimizer.
    """
    plugins = {entry.name: entry for entry in importlib.metadata.entry_points(group="agentopt.optimizers")}
    try:
        item = find("optimizer", name)
    except UnknownName:
        if name not in plugins:
            own = [item.name for item in names("optimizer")]
            raise UnknownName("optimizer", name, [*own, *plugins]) from None
        return plugins[name].load()(**options)
    made = _call(load_item(item), options, item)
    if missing := [part for part in _OPTIMIZER if not hasattr(made, part)]:
        raise UsageError(
            f"{item.ref} is no optimizer: it has no {', '.join(missing)} (see `agentopt.optim.base.Optimizer`)"
        )
    return made


def _call(made: Any, args: dict[str, Any], item: Item) -> Any:
    try:
        inspect.signature(made).bind(**args)
    except TypeError as problem:
        known = list(inspect.signature(made).parameters)
        close = [m for a in args if a not in known for m in difflib.get_close_matches(a, known, n=1)]
        guess = f"; did you mean {close[0]!r}?" if close else ""
        raise UsageError(
            f"{item.kind} {item.name!r}: {problem}{guess} (it takes: {', '.join(known) or 'nothing'})"
        ) from None
    except ValueError:
        pass
    return made(**args)
