"""Scripted models: a model named ``scripted/NAME`` is the function ``NAME`` of the workspace's ``scripted.py``.

It takes the request and returns the answer's text, so that a workspace can be tried, tested and shown without any
model, key or network. What it says proves nothing about real models.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING

from agentopt.errors import UnknownName, UsageError
from agentopt.workspace.loader import load_file
from agentopt.workspace.roots import require_root, search_path

if TYPE_CHECKING:
    from agentopt.llm.types import Client

__all__ = ["scripted"]

FILE = "scripted.py"


def scripted(name: str) -> Client:
    """The client of ``scripted/NAME``; ``name`` with or without the prefix.

    Raises:
        UsageError: the workspace has no ``scripted.py``.
        UnknownName: it defines no such function; the message has a suggestion.
    """
    from agentopt.testing import ScriptedLLM

    name = name.removeprefix("scripted/")
    for workspace in search_path():
        path = workspace.root / FILE
        if path.is_file():
            module = load_file(workspace, path)
            known = {
                k: v for k, v in vars(module).items() if callable(v) and getattr(v, "__module__", "") == module.__name__
            }
            if name in known and not name.startswith("_"):
                identity = hashlib.sha256(path.read_bytes()).hexdigest()[:12]
                return ScriptedLLM(known[name], endpoint=f"scripted/{name}+{identity}", model=f"scripted/{name}")
            raise UnknownName("scripted model", name, (k for k in known if not k.startswith("_")), f"see {path}")
    raise UsageError(f"model scripted/{name}: no {FILE} in the workspace at or above {require_root()}")
