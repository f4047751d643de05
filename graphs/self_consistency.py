"""Several lines of reasoning side by side, and the answer that most of them end with.

Self-consistency, after Wang et al. 2022 (https://arxiv.org/abs/2203.11171, section 2). What may change: the words of
the request (those of ``chain_of_thought``), how many samples are drawn, and how far they may differ (``temperature``).
"""

from __future__ import annotations

import asyncio
from collections import Counter

from agentopt import Parameter, allm, graph, node, prompt
from agentopt.evaluate.answers import Unreadable, one_number, stated_answer

REQUEST = prompt("agents/chain_of_thought")
SAMPLES = Parameter(
    5,
    name="samples",
    kind="number",
    low=1,
    high=15,
    description="how many replies are drawn for a vote; each costs one call",
    constraint="a whole number; odd numbers have fewer ties",
)
TEMPERATURE = Parameter(
    0.7,
    name="temperature",
    kind="number",
    low=0.1,
    high=1.5,
    description="how far the replies may differ: near 0 they are all alike and a vote is worth nothing",
)


@node
def vote(replies: list[str]) -> str:
    """The answer that most replies state; of equally frequent ones the first. Replies without an answer do not vote."""
    stated = [(reading(answer), answer) for answer in map(statement, replies) if answer]
    if not stated:
        return replies[0]
    counts = Counter(key for key, _ in stated)
    winner = max(counts, key=counts.__getitem__)
    return "Answer: " + next(answer for key, answer in stated if key == winner)


def statement(reply: str) -> str:
    """What a reply states as its answer; empty where it states none."""
    try:
        return stated_answer(reply)
    except Unreadable:
        return ""


def reading(answer: str) -> str:
    """What makes two answers the same: the number in them, else their words without case, spaces and full stops."""
    try:
        return str(one_number(answer).normalize())
    except Unreadable:
        return " ".join(answer.casefold().strip(" .*").split())


@graph
async def self_consistency(problem: str) -> str:
    """Ask several times at once, and let the answers vote."""
    calls = [allm(REQUEST, problem=problem, temperature=TEMPERATURE, sample=i) for i in range(SAMPLES.value)]
    return vote(await asyncio.gather(*calls))
