"""Scattered Forest Search on the ask/tell protocol."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from agentopt.optim.forest.machine import Machine, Step

__all__ = ["SFS"]


@dataclass(kw_only=True, eq=False)
class SFS(Machine):
    """Several seeds in different manners, a tree on each; children by written directions; insights shared by all trees.

    Light et al. 2024, "Scattered Forest Search: Smarter Code Space Exploration with LLMs",
    https://arxiv.org/abs/2411.05010, section 3. The options are those of ``Settings``; ``forest``, ``scatter`` and
    ``scout`` switch the three parts, each with everything else equal.

    Raises:
        UnknownName: a strategy that does not exist.
        UsageError: an option out of range.

    >>> SFS(scout=False, select="puct").directions
    2
    """

    name: ClassVar[str] = "sfs"

    def picks(self, step: Step, n: int) -> list[int]:
        """Nodes by UCT or PUCT, one after the other, each with the visits of those before."""
        forest, room, picked = self._forest, dict[int, int](), list[int]()
        while len(picked) < n:
            full = [number for number, left in room.items() if left < 1]
            number = forest.select(
                step.scores.by_id, policy=self.select, leave=self.leave, blocked=full, alpha=self.alpha, c=self.c,
                puct_c=self.puct_c, puct_base=self.puct_base,
            )  # fmt: skip
            if number is None:
                break
            room.setdefault(number, len(forest.nodes[number].open) or self.directions)
            room[number] -= 1
            picked.append(number)
        return picked
