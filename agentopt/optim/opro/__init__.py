"""OPRO (Yang et al. 2024): a model reads the best candidates with their scores and writes a better one.

``settings`` has every option; the strategies behind their names are in ``history`` (which candidates are shown, in
which order, with which numbers), ``exemplars`` (which examples), ``schedule`` (temperature), ``styles`` and
``positions`` (wording), ``starts`` (where it begins). ``request`` builds the meta-prompt, ``forms`` and ``polish`` read
the answers, ``optimizer`` is the machine.
"""

from agentopt.optim.opro.optimizer import OPRO
from agentopt.optim.opro.settings import Settings

__all__ = ["OPRO", "Settings"]
