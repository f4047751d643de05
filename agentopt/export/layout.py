"""A layered layout: parents above children, few crossings, long edges bent around boxes."""

from __future__ import annotations

import itertools
from collections import deque
from dataclasses import dataclass, field

from agentopt.core import Graph, Record

__all__ = ["Layout", "Spot", "lay_out", "nearest"]

_SWEEPS = 6
_THIN = 14.0


@dataclass(slots=True)
class Spot:
    """A place in a layer: a node's box, or a bend of a long edge (``id`` None). In pixels; ``x`` is the middle."""

    id: str | None
    layer: int
    width: float
    x: float = 0.0
    above: list[Spot] = field(default_factory=list)
    below: list[Spot] = field(default_factory=list)


@dataclass(slots=True)
class Layout:
    """Where everything goes: spots by id, and for every edge the spots that it passes, ends included."""

    spots: dict[str, Spot]
    edges: list[tuple[str, str, list[Spot]]]
    layers: list[list[Spot]]
    width: float


def nearest(graph: Graph, limit: int) -> tuple[list[Record], int]:
    """Up to ``limit`` records nearest to the output, parents first, and how many are left out."""
    if len(graph) <= limit:
        return graph.topological(), 0
    start = graph.output if graph.output is not None else graph.nodes[-1].id
    kept = {start}
    queue = deque([start])
    while queue and len(kept) < limit:
        for parent, _, _ in graph[queue.popleft()].parents:
            if parent not in kept and len(kept) < limit:
                kept.add(parent)
                queue.append(parent)
    return [record for record in graph.topological() if record.id in kept], len(graph) - len(kept)


def lay_out(records: list[Record], widths: dict[str, float], gap: float = 24.0) -> Layout:
    """Places for records (parents first) whose boxes have the given widths."""
    levels = _levels(records)
    spots = {record.id: Spot(record.id, levels[record.id], widths[record.id]) for record in records}
    layers: list[list[Spot]] = [[] for _ in range(max(levels.values(), default=-1) + 1)]
    for spot in spots.values():
        layers[spot.layer].append(spot)
    edges = []
    for record in records:
        for parent in dict.fromkeys(parent for parent, _, _ in record.parents):
            if parent in spots:
                edges.append((parent, record.id, _thread(spots[parent], spots[record.id], layers)))
    for sweep in range(_SWEEPS):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            _sort(layer, _ranks(layers, layer), down)
    total = max((sum(s.width for s in layer) + gap * (len(layer) + 1) for layer in layers), default=gap)
    for layer in layers:
        used = sum(s.width for s in layer) + gap * (len(layer) - 1)
        x = (total - used) / 2
        for spot in layer:
            spot.x = x + spot.width / 2
            x += spot.width + gap
    return Layout(spots, edges, layers, total)


def _levels(records: list[Record]) -> dict[str, int]:
    """Layer of each record: below its parents; what has no parents stands right above its first child."""
    level: dict[str, int] = {}
    for record in records:
        level[record.id] = 1 + max((level[p] for p, _, _ in record.parents if p in level), default=-1)
    first: dict[str, int] = {}
    for record in records:
        for parent, _, _ in record.parents:
            first[parent] = min(first.get(parent, level[record.id]), level[record.id])
    for record in records:
        if record.id in first and not any(p in level for p, _, _ in record.parents):
            level[record.id] = first[record.id] - 1
    return level


def _thread(top: Spot, bottom: Spot, layers: list[list[Spot]]) -> list[Spot]:
    """The spots of an edge, with a bend in every layer between its ends."""
    path = [top]
    for layer in range(top.layer + 1, bottom.layer):
        bend = Spot(None, layer, _THIN)
        layers[layer].append(bend)
        path.append(bend)
    path.append(bottom)
    for upper, lower in itertools.pairwise(path):
        upper.below.append(lower)
        lower.above.append(upper)
    return path


def _ranks(layers: list[list[Spot]], layer: list[Spot]) -> dict[int, float]:
    """Relative position of the spots in a layer and its neighbours."""
    if not layer:
        return {}
    here = layer[0].layer
    near = layers[max(here - 1, 0) : here + 2]
    return {id(s): i / max(len(other), 1) for other in near for i, s in enumerate(other)}


def _sort(layer: list[Spot], rank: dict[int, float], down: bool) -> None:
    """Order a layer by where the neighbours of each spot are; what has none keeps its place."""

    def middle(spot: Spot) -> float:
        near = spot.above if down else spot.below
        return sum(rank[id(s)] for s in near) / len(near) if near else rank[id(spot)]

    layer.sort(key=middle)
