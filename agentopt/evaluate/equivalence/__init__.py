"""Are two formulations the same problem? Linear and mixed-integer programs, at three levels, with witnesses.

``equivalence(reference, candidate)`` gives a verdict (equivalent, not equivalent, undecided), the maps between the
variables, and a point that shows a difference, which ``recheck`` checks again in rational arithmetic.
``equivalent_to`` is a scorer of formulations.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentopt.evaluate.equivalence.affine import Affine
    from agentopt.evaluate.equivalence.asking import Asked, ask_equivalence
    from agentopt.evaluate.equivalence.check import equivalence
    from agentopt.evaluate.equivalence.draws import Range, Template, equivalence_on_draws
    from agentopt.evaluate.equivalence.formulation import (
        Constraint,
        Formulation,
        Objective,
        Variable,
        read_formulation,
    )
    from agentopt.evaluate.equivalence.maps import Part, Parts, VariableMap
    from agentopt.evaluate.equivalence.notation import read_affine, read_map, read_text
    from agentopt.evaluate.equivalence.rechecking import recheck
    from agentopt.evaluate.equivalence.reduce import core_of
    from agentopt.evaluate.equivalence.scorer import equivalent_to, stated_formulation
    from agentopt.evaluate.equivalence.tables import read_mapping, read_table
    from agentopt.evaluate.equivalence.verdict import Equivalence, Limits, Witness

__all__ = [
    "Affine",
    "Asked",
    "Constraint",
    "Equivalence",
    "Formulation",
    "Limits",
    "Objective",
    "Part",
    "Parts",
    "Range",
    "Template",
    "Variable",
    "VariableMap",
    "Witness",
    "ask_equivalence",
    "core_of",
    "equivalence",
    "equivalence_on_draws",
    "equivalent_to",
    "read_affine",
    "read_formulation",
    "read_map",
    "read_mapping",
    "read_table",
    "read_text",
    "recheck",
    "stated_formulation",
]

_HOMES = {
    "affine": "Affine",
    "asking": "Asked ask_equivalence",
    "check": "equivalence",
    "draws": "Range Template equivalence_on_draws",
    "formulation": "Constraint Formulation Objective Variable read_formulation",
    "maps": "Part Parts VariableMap",
    "notation": "read_affine read_map read_text",
    "rechecking": "recheck",
    "reduce": "core_of",
    "scorer": "equivalent_to stated_formulation",
    "tables": "read_mapping read_table",
    "verdict": "Equivalence Limits Witness",
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names.split():
            return getattr(importlib.import_module(f"{__name__}.{home}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)
