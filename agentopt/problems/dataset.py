"""A data set of synthesized problems: rows of JSON, each with its question, answer, program and where it comes from."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Literal

from pydantic import Field, JsonValue, ValidationError

from agentopt.core.values import Frozen, digest
from agentopt.errors import UsageError

__all__ = ["OBJECTIVE", "Row", "read_dataset", "written"]

OBJECTIVE = "The optimal objective value"
"""The key of the objective among the answers of a synthesized problem."""


class Row(Frozen):
    """One question of a synthesized problem."""

    version: Literal[1] = 1
    """Of this form of row."""
    id: str
    """A name of its own in the data set."""
    question: str
    """What is put to a model."""
    table: bool
    """Whether it was asked for with a table."""
    answers: dict[str, float] = Field(min_length=1)
    """Every figure that is asked for, by key; the last is the objective."""
    kind: Literal["linear", "nonlinear"]
    """From which kind of demonstrations it was grown."""
    constraints: int
    """How many constraints its scenario has."""
    scenario: str
    """The stepwise demonstration behind it."""
    program: str
    """The program that gave the answer."""
    cluster: str
    """Shared by all questions that were grown from one demonstration."""
    provenance: dict[str, JsonValue]
    """Run, draw, seeds, repetition, model, addresses of the calls, samples and how many of them agree."""

    @property
    def hashes(self) -> dict[str, str]:
        """sha256 of question, scenario and program."""
        return {name: digest(getattr(self, name)) for name in ("question", "scenario", "program")}


def written(rows: Iterable[Row]) -> str:
    """Rows as JSON lines; each has its hashes too."""
    return "".join(
        json.dumps({**row.model_dump(mode="json"), "hashes": row.hashes}, ensure_ascii=False) + "\n" for row in rows
    )


def read_dataset(path: str | Path) -> list[Row]:
    """Read a data set; every row's hashes are checked.

    Raises:
        UsageError: there is no such file, or a line of it is no row, or not as it was written.
    """
    place = Path(path).expanduser()
    try:
        lines = place.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"the data set {place} cannot be read ({error}); `agentopt synthesize` makes one") from None
    rows = []
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            data = json.loads(line)
            hashes = data.pop("hashes")
            row = Row.model_validate(data)
        except (ValueError, KeyError, AttributeError, TypeError, ValidationError) as error:
            reason = error.errors()[0]["msg"] if isinstance(error, ValidationError) else str(error)
            reason = f"it has no field {reason}" if isinstance(error, KeyError) else reason
            raise UsageError(f"{place}:{number} is no row of a data set ({reason})") from None
        if hashes != row.hashes:
            changed = [name for name, value in row.hashes.items() if hashes.get(name) != value]
            raise UsageError(f"{place}:{number}: {', '.join(changed)} of {row.id} is not what was written")
        rows.append(row)
    return rows
