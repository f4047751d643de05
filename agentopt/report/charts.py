"""Where things stand in the page's charts. The templates draw; nothing here knows of SVG but its units, pixels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

__all__ = ["intervals", "lineage", "scores", "ticks"]

Row = Mapping[str, Any]


def ticks(low: float, high: float, most: int = 6) -> list[float]:
    """Round numbers that cover ``low`` to ``high``, at most ``most`` of them and at least two.

    >>> ticks(0.31, 0.92)
    [0.2, 0.4, 0.6, 0.8, 1.0]
    """
    span = (high - low) or 1.0
    size = 10.0 ** math.floor(math.log10(span))
    for unit in (size / 10, size / 5, size / 4, size / 2, size, 2 * size, 5 * size, 10 * size):
        first, last = math.floor(low / unit + 1e-9), math.ceil(high / unit - 1e-9)
        if 1 <= last - first <= most - 1:
            return [round(i * unit, 10) for i in range(first, last + 1)]
    return [low, low + span]


def scores(
    rows: Sequence[Row], line: Sequence[tuple[int, float]], score_range: tuple[float, float], width: int, height: int
) -> dict[str, Any]:
    """The chart of scores by step.

    Args:
        rows: candidates, each with ``step`` (-1 for the baseline), ``mean``, ``low`` and ``high``.
        line: (step, the incumbent's mean after it), the baseline first.
        score_range: lowest and highest score of the task: the chart shows no more than that.
        width, height: of the picture.
    """
    shown = [r for r in rows if r["mean"] is not None]
    values = [v for r in shown for v in (r["low"], r["high"])] + [mean for _, mean in line]
    low, high = (min(values), max(values)) if values else score_range
    marks = ticks(max(low, score_range[0]), min(high, score_range[1]))
    left, right, top, bottom = 44.0, width - 12.0, 12.0, height - 34.0
    last = max([r["step"] for r in shown] + [s for s, _ in line], default=0)
    column = (right - left) / (last + 2)

    def x(step: float) -> float:
        return round(left + (step + 1.5) * column, 1)

    def y(value: float) -> float:
        return round(bottom - (value - marks[0]) / (marks[-1] - marks[0]) * (bottom - top), 1)

    points = []
    for step in dict.fromkeys(r["step"] for r in shown):
        group = [r for r in shown if r["step"] == step]
        gap = min(18.0, 0.8 * column / len(group))
        for place, row in enumerate(group):
            at = round(x(step) + (place - (len(group) - 1) / 2) * gap, 1)
            points.append({"row": row, "x": at, "y": y(row["mean"]), "low": y(row["low"]), "high": y(row["high"])})
    path, before = "", None
    for step, mean in line:
        if before is None:
            path = f"M{x(step - 0.4)},{y(mean)}"
        else:
            path += f" H{x(step - 0.5)} V{y(mean)}"
        before = mean
    if path:
        path += f" H{x(line[-1][0] + 0.5)}"
    every = max(1, math.ceil((last + 2) * 30 / (right - left)))
    return {
        "width": width, "height": height, "left": left, "right": right, "top": top, "bottom": bottom, "path": path,
        "points": points, "marks": [{"y": y(t), "text": f"{t:g}"} for t in marks],
        "steps": [{"x": x(s), "text": "base" if s < 0 else str(s + 1)} for s in range(-1, last + 1)
                  if s < 0 or (s + 1) % every == 0],
    }  # fmt: skip


def intervals(
    rows: Sequence[Row], score_range: tuple[float, float], width: int, labels: float = 78.0
) -> dict[str, Any]:
    """A row for each of a few candidates: its mean and its interval on the scale of the scores.

    ``labels`` is the room for the names at the left.
    """
    low, high = score_range
    left, right, step = labels, width - 58.0, 40.0

    def x(value: float) -> float:
        return round(left + (value - low) / (high - low) * (right - left), 1)

    placed = [
        {"row": row, "y": 24 + i * step, "x": x(row["mean"]), "low": x(row["low"]), "high": x(row["high"])}
        for i, row in enumerate(r for r in rows if r["mean"] is not None)
    ]
    end = 24 + len(placed) * step
    return {
        "width": width, "height": end + 6, "rows": placed, "end": end - 14, "left": left, "right": right,
        "marks": [{"x": x(t), "text": f"{t:g}"} for t in ticks(low, high) if low <= t <= high],
    }  # fmt: skip


def lineage(rows: Sequence[Row]) -> dict[str, Any]:
    """The family of candidates: a column for each step, a curve from each parent to its child."""
    wide, high, across, down = 92.0, 36.0, 150.0, 48.0
    columns: dict[int, list[Row]] = {}
    for row in rows:
        columns.setdefault(row["step"], []).append(row)
    tallest = max((len(c) for c in columns.values()), default=1)
    boxes: dict[str, dict[str, Any]] = {}
    for place, step in enumerate(sorted(columns)):
        offset = (tallest - len(columns[step])) * down / 2
        for i, row in enumerate(columns[step]):
            boxes[row["id"]] = {"row": row, "x": 12 + place * across, "y": 12 + offset + i * down}
    curves = []
    for child in boxes.values():
        for parent in (boxes[p] for p in child["row"]["parents"] if p in boxes):
            x0, y0, x1, y1 = parent["x"] + wide, parent["y"] + high / 2, child["x"], child["y"] + high / 2
            bend = (x0 + x1) / 2
            adopted = child["row"]["adopted"]
            curves.append({"path": f"M{x0},{y0} C{bend},{y0} {bend},{y1} {x1},{y1}", "adopted": adopted})
    return {
        "boxes": list(boxes.values()), "curves": sorted(curves, key=lambda c: bool(c["adopted"])), "wide": wide,
        "high": high, "width": 24 + (len(columns) - 1) * across + wide, "height": 24 + (tallest - 1) * down + high,
    }  # fmt: skip
