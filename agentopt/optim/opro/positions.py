"""Where an instruction stands beside a question, and so where its mark stands in the exemplars of a meta-prompt."""

from __future__ import annotations

from agentopt.optim.frame import split

__all__ = ["MARKS", "POSITIONS", "position_of"]

POSITIONS = ("before_Q", "Q_begin", "Q_end", "A_begin")
"""On a line of its own before the question, at its begin, at its end, and at the begin of the answer (section 5.1 of
the paper; ``before_Q`` is in its code)."""
MARKS = ("<INS>", "</INS>", "<Start>", "</Start>", "<TEXT>", "</TEXT>", "<trace>", "</trace>")
"""Tags of the meta-prompts, which no value may hold. Words that have the letters INS in them are no such tag."""


def position_of(template: str) -> str:
    """Where the part of a template that is tuned stands.

    >>> position_of("Think.\\n\\n{{question}}"), position_of("{{question}}\\n\\nThink.")
    ('Q_begin', 'Q_end')
    """
    return "Q_end" if split(template).head else "Q_begin"
