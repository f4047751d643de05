r"""Extremal problems with closed-form answers: reading a reply, comparing forms, and auditing labels by search.

::

    from agentopt.evaluate.extremal import audit, closed_form

    scorer = closed_form()                          # the last box, compared by Math-Verify in the sandbox
    audit("Find the minimum of $x + 4/x$ for positive $x$.", "4").status        # agrees

``docs/extrembench.md`` says how an answer is read, and what a verdict means.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentopt._lazy import lazy

if TYPE_CHECKING:
    from agentopt.evaluate.extremal.auditing import Audit, audit
    from agentopt.evaluate.extremal.notation import plain_math
    from agentopt.evaluate.extremal.reply import FinalAnswer, final_answer
    from agentopt.evaluate.extremal.scorer import closed_form
    from agentopt.evaluate.extremal.search import Constraint, Found, Program, find_extremum

__all__ = [
    "Audit",
    "Constraint",
    "FinalAnswer",
    "Found",
    "Program",
    "audit",
    "closed_form",
    "final_answer",
    "find_extremum",
    "plain_math",
]

_HOMES = {
    "auditing": "Audit audit",
    "scorer": "closed_form",
    "reply": "FinalAnswer final_answer",
    "notation": "plain_math",
    "search": "Constraint Found Program find_extremum",
}

__getattr__ = lazy(__name__, _HOMES)
