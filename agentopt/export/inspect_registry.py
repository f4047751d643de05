"""What inspect-ai finds of agentopt by itself: the evals of the workspace at hand, and the built-in ones.

It is the entry point of the group ``inspect_ai``; ``inspect eval agentopt/NAME`` imports it.
"""

from __future__ import annotations

from typing import Any

from agentopt.export.inspect_log import library
from agentopt.export.inspect_task import as_inspect
from agentopt.workspace import names

__all__ = ["register"]


def register() -> list[str]:
    """Make a task of inspect-ai of every eval that a name finds from here; returns their names."""
    task, found = library("").task, dict.fromkeys(item.name for item in names("eval"))
    for name in found:
        task(name=name)(_maker(name))  # inspect puts the package's name before it
    return list(found)


def _maker(name: str) -> Any:
    def made(graph: str | None = None) -> Any:
        return as_inspect(name, graph=graph)

    made.__name__ = made.__qualname__ = name
    return made


register()
