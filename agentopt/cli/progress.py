"""Progress of a run on a terminal: its lines, and a moving one below them."""

from __future__ import annotations

from typing import Any, Self

from agentopt.cli.console import console
from agentopt.run.telling import EventLike, Telling

__all__ = ["Progress"]


class Progress:
    """A subscriber of a run's events that tells a person, on stderr. Use it as a context manager.

    Args:
        quiet: say nothing.
        live: whether to show a moving line; default when stderr is a terminal.
    """

    def __init__(self, *, quiet: bool = False, live: bool | None = None) -> None:
        self._quiet = quiet
        self._console = console(stderr=True)
        self._live = (self._console.is_terminal if live is None else live) and not quiet
        self._telling = Telling(self.say, float("inf")) if self._live else Telling(self.say)
        self._status: Any = None

    @property
    def options(self) -> dict[str, Any]:
        """Options of ``optimize``, ``evaluate`` and ``resume`` that have a run told here."""
        return {"on_event": self, "progress": False}

    def __enter__(self) -> Self:
        if self._live:
            self._status = self._console.status("starting")
            self._status.start()
        return self

    def __exit__(self, *_: object) -> None:
        if self._status is not None:
            self._status.stop()

    def __call__(self, event: EventLike) -> None:
        """Take an event in."""
        self._telling(event)
        if self._status is not None:
            self._status.update(self._telling.counted)

    def say(self, text: str) -> None:
        """Print a line above the moving one, unless quiet."""
        if not self._quiet:
            self._console.print(text, markup=False)
