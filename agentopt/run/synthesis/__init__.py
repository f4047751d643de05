"""Making data sets of optimization problems with a model, after ReSocratic (Yang et al., ICLR 2025).

::

    from agentopt.run.synthesis import SynthesisOptions, synthesize

    made = synthesize(SynthesisOptions(kind="linear", draws=50), model="openai/...", budget="calls=500")
    made.rows, made.tally.reasons()
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentopt._lazy import lazy

if TYPE_CHECKING:
    from agentopt.run.synthesis.drive import go_on, synthesize, synthesize_async
    from agentopt.run.synthesis.options import SynthesisOptions
    from agentopt.run.synthesis.result import Synthesis, synthesis_of
    from agentopt.run.synthesis.tally import STAGES, Fell, Tally

__all__ = [
    "STAGES",
    "Fell",
    "Synthesis",
    "SynthesisOptions",
    "Tally",
    "go_on",
    "synthesis_of",
    "synthesize",
    "synthesize_async",
]

_HOMES = {
    "drive": "go_on synthesize synthesize_async",
    "options": "SynthesisOptions",
    "result": "Synthesis synthesis_of",
    "tally": "STAGES Fell Tally",
}

__getattr__ = lazy(__name__, _HOMES)
