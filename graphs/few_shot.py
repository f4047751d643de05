"""A prompt with solved examples before it.

What may change: the words of the request (``few_shot``), and which examples come before it (``demos``: none at first).
The optimizer ``demos`` searches them among the task's own examples, by label or by runs that went well.
"""

from __future__ import annotations

from agentopt import allm, graph, prompt
from agentopt.workspace import demo_turns, demonstrations, prompt_text

REQUEST = prompt("agents/few_shot")
DEMOS = demonstrations()
shown = demo_turns(form=prompt_text("agents/few_shot_answer"))


@graph
async def few_shot(problem: str) -> str:
    """Show the demonstrations, then put the problem."""
    return await allm(REQUEST, problem=problem, messages=shown(REQUEST, DEMOS))
