"""The agent: plain Python, with one prompt that may change."""

from agentopt import graph, llm, node, prompt

SOLVER = prompt("solver")  # prompts/solver.md


@node
def tidy(answer: str) -> str:
    """Take the last line of an answer, without spaces around it."""
    return answer.strip().splitlines()[-1].strip() if answer.strip() else ""


@graph
def solve(problem: str) -> str:
    """Put the problem to the model, and tidy up what it says."""
    return tidy(llm(SOLVER, problem=problem))
