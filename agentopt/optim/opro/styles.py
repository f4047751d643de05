"""The wordings of OPRO's meta-prompt: which file, and how an answer in plain text is read."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["STYLES", "Style"]


@dataclass(frozen=True, slots=True)
class Style:
    """A wording.

    ``markers`` stand around a text in the model's answer; ``at_answer``, where given, when the text begins an answer.
    ``exemplars``: whether examples of the task are shown.
    ``whole_history``: every earlier candidate is shown, whatever the options say.
    ``max_prompt_tokens``: from where on a meta-prompt is shortened, unless the options say; None: never.
    """

    file: str
    markers: tuple[str, str] = ("[", "]")
    at_answer: tuple[str, str] | None = None
    json: bool = True
    json_by_default: bool = False
    exemplars: bool = True
    whole_history: bool = False
    max_prompt_tokens: int | None = None


STYLES: dict[str, Style] = {
    "full": Style("meta/opro_full", json_by_default=True, max_prompt_tokens=3000),
    "short": Style("meta/opro_short", json_by_default=True, exemplars=False, max_prompt_tokens=3000),
    "paper": Style("meta/opro_paper"),
    "tags": Style("meta/opro_tags", ("<INS>", "</INS>"), ("<Start>", "</Start>"), json=False),
    "continue": Style("meta/opro_continue", ("<TEXT>", "</TEXT>"), json=False, exemplars=False, whole_history=True),
}
"""``paper``, ``tags`` and ``continue`` have the shape of the paper's meta-prompts for instruction-tuned, GPT and
pre-trained optimizers (Yang et al. 2024, appendix C), in our words."""
