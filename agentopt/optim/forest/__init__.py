"""Scattered Forest Search (Light et al. 2024): a search for programs and texts in which a model is the only move.

``settings`` has every option. ``tree`` and ``policy`` are the search without a model; ``themes``, ``directions`` and
``insights`` are what foresting, scattering and scouting work with; ``report``, ``words``, ``forms`` and ``writer`` put
requests together and read the answers; ``scores`` and ``agreement`` say what a candidate is worth. ``machine`` is what
all searches share, ``optimizer`` has SFS, ``baselines`` what it is compared with. ``selftests`` has tests that a model
writes for itself.
"""

from agentopt.optim.forest.baselines import Genetic, Refine, Repeated, Themed, Tree
from agentopt.optim.forest.optimizer import SFS
from agentopt.optim.forest.settings import Settings

__all__ = ["SFS", "Genetic", "Refine", "Repeated", "Settings", "Themed", "Tree"]
