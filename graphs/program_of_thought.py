"""Program of thought: the model writes a program that solves the problem, and does no arithmetic itself.

After Chen et al. 2023 (https://arxiv.org/abs/2211.12588) and the direct route of LLMOPT (https://arxiv.org/abs/2410.13213):
one prompt, one answer. The scorer runs the program.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from agentopt import allm, graph, node, prompt

PROGRAM = prompt("agents/program_of_thought")


@node
def listed(names: Sequence[str]) -> str:
    """The keys that the program is to print, one a line, quoted as JSON quotes them."""
    return "\n".join(json.dumps(name, ensure_ascii=False) for name in names)


@graph
async def program_of_thought(problem: str, names: Sequence[str] = ("objective",)) -> str:
    """Ask for the program; what comes back is the model's whole answer, and the scorer finds the program in it."""
    return await allm(PROGRAM, problem=problem, names=listed(names))
