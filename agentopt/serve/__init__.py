"""Local models: the catalogue, the weights, and the engines that answer from them.

Engines run in child processes; ``agentopt.serve.local.provider`` gives a client of one.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentopt.serve.download import Progress, pull
    from agentopt.serve.entries import Model, catalogue, find
    from agentopt.serve.folder import installed, models_dir, path, remove
    from agentopt.serve.local import LocalClient, provider

__all__ = [
    "LocalClient",
    "Model",
    "Progress",
    "catalogue",
    "find",
    "installed",
    "models_dir",
    "path",
    "provider",
    "pull",
    "remove",
]

_WHERE = {
    "LocalClient": "local",
    "Model": "entries",
    "Progress": "download",
    "catalogue": "entries",
    "find": "entries",
    "installed": "folder",
    "models_dir": "folder",
    "path": "folder",
    "provider": "local",
    "pull": "download",
    "remove": "folder",
}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(f"{__name__}.{_WHERE[name]}"), name)
