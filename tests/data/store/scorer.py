"""The scorer of the old runs beside this file: as it was when they were made, for a run is bound to its scorer."""

from typing import Any


def same(example: Any, output: Any) -> float:
    """1 when the output is the target."""
    return float(output == example.target)
