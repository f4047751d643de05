"""The command line: ``agentopt COMMAND``. One file a command; nothing is imported before it is needed."""

from __future__ import annotations

from collections.abc import Sequence

__all__ = ["main"]


def main(argv: Sequence[str] | None = None) -> None:
    """Run one command and exit with its code.

    0 ok, 1 error, 2 usage, 3 a gate was not met, 4 the budget ended before an improvement, 130 interrupted.
    """
    from agentopt.cli.app import execute

    execute(argv)
