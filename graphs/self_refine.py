"""A draft, what a critic says of it, and a better one: again, until the critic has nothing to say.

Self-refine, after Madaan et al. 2023 (https://arxiv.org/abs/2303.17651, section 2): one model in three roles. What may
change: the words of each role (the draft's are those of ``chain_of_thought``), and how many rounds there are at most.
"""

from __future__ import annotations

from agentopt import Parameter, allm, graph, node, prompt

DRAFT = prompt("agents/chain_of_thought")
CRITIC = prompt("agents/self_refine_critic")
REVISE = prompt("agents/self_refine_revise")
ROUNDS = Parameter(
    1,
    name="rounds",
    kind="number",
    low=0,
    high=4,
    description="how often a draft is criticised and written anew at most; each round costs up to two calls",
    constraint="a whole number",
)


@node
def content(criticism: str) -> bool:
    """Whether the critic has nothing to mend."""
    return "nothing to mend" in criticism.casefold()


@graph
async def self_refine(problem: str) -> str:
    """Draft, criticise, revise."""
    draft = await allm(DRAFT, problem=problem, name="draft")
    for _ in range(ROUNDS.value):
        criticism = await allm(CRITIC, problem=problem, draft=draft, name="criticism")
        if content(criticism):
            break
        draft = await allm(REVISE, problem=problem, draft=draft, criticism=criticism, name="revision")
    return draft
