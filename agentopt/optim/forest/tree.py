"""The forest: seeds with a tree on each, under one root. Pure data and arithmetic; no model is asked here."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from pydantic import JsonValue

from agentopt.optim.forest.policy import SELECTIONS, Arm, softmax

__all__ = ["ROOT", "Forest", "Node"]

ROOT = -1
"""The number of the root, which holds no candidate."""


@dataclass(slots=True)
class Node:
    """A candidate in its tree.

    ``open`` are directions that were written and not tried yet, in order; ``tried`` those that were. ``logp`` is how
    likely its text was, where that is known (for PUCT).
    """

    id: str
    parent: int = ROOT
    direction: str = ""
    theme: str = ""
    visits: int = 1
    open: list[str] = field(default_factory=list)
    tried: list[str] = field(default_factory=list)
    logp: float = 0.0
    scouted: bool = False


@dataclass(slots=True)
class Forest:
    """Nodes in the order in which they were made, by number. Scores are not kept here but looked up by candidate.

    >>> forest = Forest()
    >>> seed = forest.add(Node("a"))
    >>> child = forest.add(Node("b", parent=seed, direction="use a set"))
    >>> forest.values({"a": 0.5, "b": 0.75})
    {0: 0.75, 1: 0.75}
    """

    nodes: list[Node] = field(default_factory=list)
    root_visits: int = 1

    def add(self, node: Node) -> int:
        """Take a node in; its number. Equal seeds are one node, and so is a child that repeats a node."""
        for number, known in enumerate(self.nodes):
            if known.id == node.id:
                return number
        self.nodes.append(node)
        return len(self.nodes) - 1

    def children(self, number: int) -> list[int]:
        """Numbers of the children of a node, or of the seeds, in order."""
        return [i for i, node in enumerate(self.nodes) if node.parent == number]

    def seed_of(self, number: int) -> int:
        """The seed of the tree that a node stands in."""
        while self.nodes[number].parent != ROOT:
            number = self.nodes[number].parent
        return number

    def depth(self, number: int) -> int:
        """Steps from the seed."""
        steps = 0
        while self.nodes[number].parent != ROOT:
            number, steps = self.nodes[number].parent, steps + 1
        return steps

    def values(self, scores: Mapping[str, float], alpha: float = 1.0) -> dict[int, float]:
        """The value of each node that has a score: its own, raised by ``alpha`` towards better ones below it.

        Light et al. 2024, equation 2, replayed in the order in which the nodes were made.
        """
        values: dict[int, float] = {}
        for number, node in enumerate(self.nodes):
            if node.id not in scores:
                continue
            values[number] = value = scores[node.id]
            at = node.parent
            while at != ROOT:
                if at in values:
                    values[at] = max(values[at], (1 - alpha) * values[at] + alpha * value)
                    value = values[at]
                at = self.nodes[at].parent
        return values

    def select(
        self,
        scores: Mapping[str, float],
        *,
        policy: str = "uct",
        leave: str = "better",
        blocked: Collection[int] = (),
        alpha: float = 1.0,
        **constants: float,
    ) -> int | None:
        """The node to make the next child of, with one visit more on the way down to it; None when there is none.

        From the root down to the child that the policy likes best (the first of equals), until a node has an open
        direction, or no child has a higher score than the node itself (``leave="better"``), or it has no children
        (``leave="full"``). Light et al. 2024, section 3.

        Args:
            scores: score by candidate id, 0 to 1; nodes without one are still being evaluated, or were lost.
            policy: a name of ``SELECTIONS``.
            leave: when a node without open directions is left.
            blocked: nodes that cannot take a further child now.
            alpha: of the back-up.
            constants: of the policy.
        """
        values = self.values(scores, alpha)
        alive: dict[int, list[int]] = {}
        for number in reversed(range(len(self.nodes))):  # children come after their parents
            if number in values:
                below = [child for child in self.children(number) if child in alive]
                if below or number not in blocked:
                    alive[number] = below
        at, options = ROOT, [number for number in self.children(ROOT) if number in alive]
        if not options:
            return None
        self.root_visits += 1
        visits = self.root_visits
        while True:
            at = self._best(options, values, visits, policy, constants)
            node = self.nodes[at]
            node.visits += 1
            options, visits = alive[at], node.visits
            if at in blocked:
                continue
            score = scores[node.id]
            better = any(scores[self.nodes[child].id] > score for child in options)
            if node.open or not options or (leave == "better" and not better):
                return at

    def _best(
        self, options: Sequence[int], values: Mapping[int, float], visits: int, policy: str, constants: Any
    ) -> int:
        priors = softmax([self.nodes[number].logp for number in options])
        worth = SELECTIONS[policy]
        liked = [
            worth(Arm(values[number], self.nodes[number].visits, prior), visits, **constants)
            for number, prior in zip(options, priors, strict=True)
        ]
        return options[liked.index(max(liked))]

    def state(self) -> dict[str, JsonValue]:
        """As JSON."""
        return {"nodes": [asdict(node) for node in self.nodes], "root_visits": self.root_visits}

    @classmethod
    def of(cls, state: Mapping[str, Any]) -> Forest:
        """From what ``state`` gave."""
        return cls([Node(**node) for node in state.get("nodes", ())], int(state.get("root_visits", 1)))
