"""Pairs of formulations of which it is known whether they are equivalent: drawn problems and transformations of them.

The transformations are those of EquivaFormulation (Zhai et al. 2025, arXiv 2502.14760), letters c to l, and near
misses of them that change the problem a little.
"""

from __future__ import annotations

from agentopt.evaluate.equivalence.pairs.making import Pair, make_pair, make_pairs
from agentopt.evaluate.equivalence.pairs.problems import FAMILIES, draw_problem
from agentopt.evaluate.equivalence.pairs.transforms import TRANSFORMS, Changed, Transform

__all__ = ["FAMILIES", "TRANSFORMS", "Changed", "Pair", "Transform", "draw_problem", "make_pair", "make_pairs"]
