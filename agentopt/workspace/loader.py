"""Import of workspace files, without putting names like ``tasks`` into anybody's ``sys.modules``.

Each workspace root gets an empty module with a private name whose ``__path__`` is the root; files are then imported
below it in the ordinary way. Relative imports, ``inspect.getsource``, dataclasses and tracebacks all work.
"""

from __future__ import annotations

import importlib
import sys
import traceback
from contextvars import ContextVar
from pathlib import Path
from types import ModuleType
from typing import Any

from agentopt.errors import AgentOptError, MissingDependency, UsageError
from agentopt.workspace.roots import Workspace

__all__ = ["load_file", "refuse_while_importing"]

_STAMP = "__agentopt_stamp__"
_IMPORTING: ContextVar[str] = ContextVar("agentopt_importing", default="")


def refuse_while_importing(what: str) -> None:
    """Raise ``UsageError`` when a workspace file is being imported: a file that is looked into must start nothing."""
    if place := _IMPORTING.get():
        raise UsageError(
            f"{place} calls agentopt.{what} when it is imported, which would start it once more: "
            'put the call under `if __name__ == "__main__":`'
        )


def load_file(workspace: Workspace, path: Path) -> ModuleType:
    """Import ``path``, a Python file below the workspace's root. A file that changed since is imported anew.

    Raises ``UsageError`` with file and line when the file cannot be imported.
    """
    parts = path.relative_to(workspace.root).with_suffix("").parts
    if any("." in part for part in parts):
        raise UsageError(f"{path}: a workspace file cannot be imported with a dot in its name; rename it")
    parent = sys.modules.get(workspace.module)
    if parent is None:
        parent = ModuleType(workspace.module, f"Files of the workspace {workspace.root}.")
        parent.__path__ = [str(workspace.root)]
        sys.modules[workspace.module] = parent
    name = ".".join((workspace.module, *parts))
    stamp = _stamp(path)
    known = sys.modules.get(name)
    if known is not None and getattr(known, _STAMP, stamp) == stamp:
        return known
    if known is not None:
        del sys.modules[name]
    importlib.invalidate_caches()
    token = _IMPORTING.set(workspace.relative(path))
    # Bytecode is told apart by second and size: a file that is written twice in a second would be read as it was first.
    writes, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        module = importlib.import_module(name)
    except AgentOptError:
        raise
    except ModuleNotFoundError as problem:
        raise _missing(workspace, path, problem) from problem
    except Exception as problem:
        raise UsageError(f"{_where(workspace, path, problem)}: {type(problem).__name__}: {problem}") from problem
    finally:
        sys.dont_write_bytecode = writes
        _IMPORTING.reset(token)
    setattr(module, _STAMP, stamp)
    return module


def _stamp(path: Path) -> tuple[int, int]:
    status = path.stat()
    return status.st_mtime_ns, status.st_size


def _missing(workspace: Workspace, path: Path, problem: ModuleNotFoundError) -> UsageError:
    where, name = _where(workspace, path, problem), problem.name or "?"
    if name.startswith(workspace.module):
        inner = name.removeprefix(workspace.module).lstrip(".").replace(".", "/")
        return UsageError(f"{where}: there is no {inner}.py in the workspace {workspace.root}")
    package = name.partition(".")[0]
    return MissingDependency(f"{where}: no module named {name!r}; `pip install {package}` may bring it")


def _where(workspace: Workspace, path: Path, problem: BaseException) -> str:
    line: Any = getattr(problem, "lineno", None) if isinstance(problem, SyntaxError) else None
    for frame in traceback.extract_tb(problem.__traceback__):
        if Path(frame.filename) == path:
            line = frame.lineno
    return f"{workspace.relative(path)}:{line}" if line else workspace.relative(path)
