"""OptiBench's own protocol: a skeleton of a PySCIPOpt program, and the question (Yang et al. 2025, arXiv 2407.09887).

To be measured on ``--task optibench --task-arg protocol=official``, where the scorer reads lines and no JSON.
"""

from __future__ import annotations

from agentopt import allm, graph, prompt

SYSTEM = prompt("agents/optibench_system")
ZERO_SHOT = prompt("agents/optibench_zero_shot")
FEW_SHOT = prompt("agents/optibench_few_shot")
MAX_TOKENS = 2048  # as in the released scripts


@graph
async def optibench_zero_shot(problem: str) -> str:
    """Skeleton and question."""
    return await allm(ZERO_SHOT, system=SYSTEM, problem=problem, max_tokens=MAX_TOKENS, temperature=0.0)


@graph
async def optibench_few_shot(problem: str) -> str:
    """Skeleton, two worked examples, and the question."""
    return await allm(FEW_SHOT, system=SYSTEM, problem=problem, max_tokens=MAX_TOKENS, temperature=0.0)
