"""OptiBench's own reader: a model is asked for each figure, in a dialogue of its own."""

from __future__ import annotations

from collections.abc import Sequence

from agentopt.evaluate.modelling.answers import Reading
from agentopt.evaluate.modelling.official import NOT_OPTIMAL, below_dashes, official_number
from agentopt.evaluate.modelling.solved import Solved
from agentopt.llm.call import allm
from agentopt.llm.context import current_session

__all__ = ["MAX_TOKENS", "read_by_model"]

MAX_TOKENS = 512
"""Output cap of one extraction, as in the released scripts."""


async def read_by_model(solved: Solved, question: str, names: Sequence[str]) -> Reading:
    """Ask a model for the value of each name in what a program printed.

    Within a run the calls are the judge's: its model, and its account. The value is looked for in ``\\boxed{}``,
    rounded to five decimals, and read by ``official_number``.

    Args:
        solved: a program that ran, with what it printed.
        question: the problem's text.
        names: what is asked for.

    Raises:
        LLMError, BudgetExhausted: the model could not be asked.
    """
    output = below_dashes(solved.stderr + solved.stdout).strip()
    if NOT_OPTIMAL in output:
        return Reading(missing=tuple(names), claim="not_optimal")
    session = current_session()
    system, template = session.prompt("judges/figure_system"), session.prompt("judges/figure")
    values: dict[str, float] = {}
    for name in names:
        reply = await allm(
            template,
            system=system,
            question=question,
            program=solved.program,
            output=output,
            figure=name,
            max_tokens=MAX_TOKENS,
            temperature=0.0,
            name="figure",
        )
        number = official_number(str(reply))
        if number is not None:
            values[name] = number
    return Reading(values, {}, tuple(name for name in names if name not in values))
