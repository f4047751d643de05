"""The optimizers that come with agentopt, by name."""

from __future__ import annotations

import importlib
import inspect
from typing import Any

from agentopt.errors import UnknownName
from agentopt.optim.base import Optimizer

__all__ = ["BUILTIN", "make"]

BUILTIN = {
    "opro": "agentopt.optim.opro.optimizer:OPRO",
    "demos": "agentopt.optim.demos:DemoSearch",
    "optoprime": "agentopt.optim.optoprime.optimizer:OptoPrimeOptimizer",
    "paraphrase": "agentopt.optim.paraphrase:ParaphraseBest",
    "random": "agentopt.optim.random_search:RandomSearch",
    "sfs": "agentopt.optim.forest.optimizer:SFS",
    "repeated": "agentopt.optim.forest.baselines:Repeated",
    "themed": "agentopt.optim.forest.baselines:Themed",
    "refine": "agentopt.optim.forest.baselines:Refine",
    "tree": "agentopt.optim.forest.baselines:Tree",
    "genetic": "agentopt.optim.forest.baselines:Genetic",
}
"""Name to ``module:class``; modules are imported when asked for."""


def make(name: str, **options: Any) -> Optimizer:
    """An optimizer by name, with its options.

    Args:
        name: one of ``BUILTIN``.
        options: keyword arguments of its class.

    Raises:
        UnknownName: no such optimizer, or it has no such option; says which one was probably meant.

    >>> make("random", local=0.2).name
    'random'
    """
    if name not in BUILTIN:
        raise UnknownName("optimizer", name, BUILTIN, f"there are {', '.join(sorted(BUILTIN))}")
    module, _, attribute = BUILTIN[name].partition(":")
    kind = getattr(importlib.import_module(module), attribute)
    known = [option for option in inspect.signature(kind.__init__).parameters if option != "self"]
    for option in options:
        if option not in known:
            raise UnknownName(f"option of optimizer {name!r}", option, known, f"it has {', '.join(known)}")
    made: Optimizer = kind(**options)
    return made
