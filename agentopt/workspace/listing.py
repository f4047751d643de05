"""What a workspace holds, found without importing anything: Python files are parsed, not run."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from agentopt.workspace.roots import Workspace

__all__ = ["KINDS", "Item", "in_file", "items", "unparsed"]

KINDS = {"graph": "graphs", "task": "tasks", "prompt": "prompts", "eval": "evals", "optimizer": "optimizers"}
_MAKERS = {"graph": {"graph"}, "task": {"task", "Task", "from_metric"}, "eval": {"evaluation"}}


@dataclass(frozen=True)
class Item:
    """A thing with a name. ``ref`` is how it is found again; ``about`` is the first line of its docstring."""

    kind: str
    name: str
    path: Path
    workspace: Workspace
    line: int = 0
    about: str = ""
    attribute: str = ""
    """What it is called in its file, where that is not its name: the class of an optimizer."""

    @property
    def ref(self) -> str:
        """``tasks/demo.py@name`` or ``prompts/agents/solver.md``, relative to the workspace."""
        place = self.workspace.relative(self.path)
        return f"{place}@{self.attribute or self.name}" if self.path.suffix == ".py" else place


def items(workspace: Workspace, kind: str) -> list[Item]:
    """Everything of one kind (graph, task, prompt, eval, optimizer) in a workspace, sorted by name."""
    folder = workspace.root / KINDS[kind]
    if not folder.is_dir():
        return []
    found: list[Item] = []
    for path in sorted(p for p in folder.rglob("*") if p.is_file() and _visible(p.relative_to(folder))):
        if path.suffix == ".py" and kind != "prompt":
            found += in_file(workspace, path, kind)
        elif path.suffix == ".md" and kind == "prompt" and path.name != "README.md":
            name = path.relative_to(folder).with_suffix("").as_posix()
            found.append(Item(kind, name, path, workspace, about=_first_words(path)))
    return sorted(found, key=lambda item: (item.name, item.path.stem != item.name, item.path))


def unparsed(workspace: Workspace, kind: str) -> str | None:
    """The first file of a kind that does not parse, and why; what it defines cannot be found."""
    for path in sorted((workspace.root / KINDS[kind]).rglob("*.py")):
        try:
            ast.parse(path.read_bytes())
        except (SyntaxError, ValueError) as problem:
            line = getattr(problem, "lineno", None)
            return f"{workspace.relative(path)}{f':{line}' if line else ''} does not parse: {problem}"
    return None


def in_file(workspace: Workspace, path: Path, kind: str) -> Iterator[Item]:
    """The graphs (or tasks, ...) that a Python file defines at its top level. A file that does not parse has none."""
    try:
        tree = ast.parse(path.read_bytes())
    except (SyntaxError, ValueError):
        return
    if kind == "optimizer":
        yield from _optimizers(workspace, path, tree)
        return
    makers = _MAKERS[kind]
    for statement in tree.body:
        if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            if any(_called(d) in makers for d in statement.decorator_list):
                about = (ast.get_docstring(statement) or "").partition("\n")[0]
                yield Item(kind, statement.name, path, workspace, statement.lineno, about)
        elif isinstance(statement, ast.Assign | ast.AnnAssign) and isinstance(statement.value, ast.Call):
            targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
            if _called(statement.value) in makers:
                for target in targets:
                    if isinstance(target, ast.Name) and not target.id.startswith("_"):
                        yield Item(kind, target.id, path, workspace, statement.lineno)


def _optimizers(workspace: Workspace, path: Path, tree: ast.Module) -> Iterator[Item]:
    """Classes with a method ``ask``, by their ``name = "..."`` or, without one, the class's."""
    for kind in (s for s in tree.body if isinstance(s, ast.ClassDef) and not s.name.startswith("_")):
        if any(isinstance(s, ast.FunctionDef | ast.AsyncFunctionDef) and s.name == "ask" for s in kind.body):
            about = (ast.get_docstring(kind) or "").partition("\n")[0]
            yield Item("optimizer", _said_name(kind) or kind.name, path, workspace, kind.lineno, about, kind.name)


def _said_name(kind: ast.ClassDef) -> str:
    for statement in kind.body:
        match statement:
            case (
                ast.Assign(targets=[ast.Name(id="name")], value=ast.Constant(value=str(name)))
                | ast.AnnAssign(target=ast.Name(id="name"), value=ast.Constant(value=str(name)))
            ):
                return name
    return ""


def _visible(path: Path) -> bool:
    return not any(part.startswith((".", "_")) for part in path.parts)


def _called(expression: ast.expr) -> str:
    if isinstance(expression, ast.Call):
        expression = expression.func
    if isinstance(expression, ast.Attribute):
        return expression.attr
    return expression.id if isinstance(expression, ast.Name) else ""


def _first_words(path: Path) -> str:
    text = path.read_text(encoding="utf-8", errors="replace")
    for line in text.splitlines()[:20]:
        key, sep, value = line.partition(":")
        if sep and key.strip() in ("description", "about"):
            return value.strip().strip("\"'")
    return ""
