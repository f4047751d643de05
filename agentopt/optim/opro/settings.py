"""What can be chosen about OPRO: one field an option, strategies by name, checked once."""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from dataclasses import dataclass, fields
from typing import Any

from agentopt.errors import UnknownName, UsageError
from agentopt.optim.opro.exemplars import POLICIES
from agentopt.optim.opro.history import ESTIMATES, ORDERS
from agentopt.optim.opro.polish import QUOTES, SCRIPTS
from agentopt.optim.opro.positions import POSITIONS
from agentopt.optim.opro.schedule import SCHEDULES
from agentopt.optim.opro.styles import STYLES
from agentopt.optim.options import check_flag, check_kinds, check_number, check_off

__all__ = ["ANSWERS", "FOCUS", "Settings"]

ANSWERS = ("auto", "json", "text")
FOCUS = ("all", "one")

_LEAST = {
    "samples": 1, "history": 0, "exemplars": 0, "schedule_steps": 1, "max_tokens": 1, "max_prompt_tokens": 200,
    "max_chars": 1, "retries": 0, "starts": 0, "temperature": 0, "temperature_end": 0, "threshold": -math.inf,
    "start_low": -math.inf, "start_high": -math.inf,
}  # fmt: skip
_WHOLE = (*list(_LEAST)[:9],)


@dataclass(kw_only=True, eq=False)
class Settings:
    """The options of OPRO; each default is the paper's unless its line says otherwise.

    Raises:
        UnknownName: a strategy that does not exist; says which one was probably meant.
        UsageError: an option out of range, or two that do not fit together.
    """

    samples: int = 8
    """Independent answers to one meta-prompt, which make a step of OPRO."""
    history: int = 20
    """How many of the best earlier candidates are shown; 0 shows all."""
    order: str = "ascending"
    """Of the history: ``ascending`` (the best last), ``descending``, ``random``."""
    scores: int | str = 100
    """``infinite`` (3 decimals), ``none``, or a number of buckets: a score of 0.713 is shown as 71 with 100 of them."""
    measure: str = "auto"
    """Part of the feedback that is shown in place of the score, such as ``loss``; ``none`` shows the score. ``auto``:
    of a task that judges one example and names one part, this part."""
    estimate: str = "paired"
    """Score of a candidate that ran on a part of the examples: ``paired`` (the best candidate's score plus the
    difference on the examples that both ran on) or ``mean``. Where every candidate runs on all of them, as in the
    paper, the two are the same."""
    threshold: float | None = None
    """Candidates with a lower score are left out of the history, after the best were taken."""
    style: str = "full"
    """Wording of the meta-prompt: ``full`` (ours), ``short`` (ours, for weak models), or the shapes of the paper:
    ``paper`` (instruction-tuned optimizers), ``tags`` (GPT), ``continue`` (pre-trained)."""
    answer: str = "auto"
    """``json`` asks for JSON by a schema, which the server enforces where it can; ``text`` for the paper's brackets
    and tags. ``auto``: JSON in our styles, text in the paper's."""
    exemplars: int = 3
    """Examples of the task that are shown beside texts."""
    exemplar_policy: str = "random"
    """Which: ``random`` (others in each step), ``constant``, ``accumulative_most_frequent`` (often failed so far),
    ``current_most_frequent`` (most often failed by the candidates that are shown)."""
    weighted: bool = True
    """Draw often failed examples more often; false is what the paper's code does: any that ever failed, alike."""
    exemplars_first: bool = False
    """Show the examples before the history."""
    position: str = "auto"
    """Where the text stands in an example: ``before_Q``, ``Q_begin``, ``Q_end``, ``A_begin``; ``auto`` is where the
    parameter has it."""
    include_qa: bool = False
    """Write ``Q:`` and ``A:`` before question and answer of an example; ``before_Q`` and ``A_begin`` need it."""
    problem: bool | None = None
    """Show the input of the only example, such as the points of a tour; None: where a JSON value is searched for."""
    temperature: float = 1.0
    """Sampling temperature."""
    schedule: str = "constant"
    """Of the temperature over the steps: ``constant`` or ``linear_increase`` to ``temperature_end``."""
    temperature_end: float | None = None
    """Temperature at the end of the schedule."""
    schedule_steps: int = 200
    """Length of the schedule in steps of OPRO."""
    max_tokens: int = 512
    """Cap of an answer."""
    max_prompt_tokens: int | None = None
    """Examples, then the worst of the history are left out until the meta-prompt is estimated below this; the proposals
    then say how many were shown. None: 3000 in our styles, and no limit in the paper's. (Ours.)"""
    max_chars: int = 500
    """Longer texts are refused, placeholders not counted."""
    digits: bool = True
    """Whether a text may have digits; false is the paper's filter for GSM8K."""
    quotes: str = "straight"
    """Curly quotes become ``straight`` ones, are kept (``keep``) or make a text unusable (``refuse``)."""
    scripts: str = "same"
    """``same`` refuses texts in a script that neither the start nor the examples have; ``any`` takes all."""
    retries: int | None = None
    """How often an answer of no use is asked for anew, each time as a fresh sample; None: 3 for lists such as tours,
    else 0."""
    ahead: bool | None = None
    """Send one sample of a meta-prompt ahead, so that the others find its prefix in the server's cache; None: where
    the model runs on this machine. (Ours.)"""
    starts: int | None = None
    """Random starting points, evaluated before the first meta-prompt; None: 5 where no text is tuned, else 0."""
    start_low: float | None = None
    """Lower end of the starting numbers; None is the parameter's own."""
    start_high: float | None = None
    """Upper end of the starting numbers; None is the parameter's own."""
    start_values: Sequence[Any] = ()
    """Given starting points: values of the only parameter, or one object of name and value each."""
    focus: str = "all"
    """``all``: every answer gives all parameters; ``one``: one parameter an answer, in turn."""
    kinds: Collection[str] = ("text", "code", "number", "choice", "json")
    """Kinds of parameter that are tuned."""
    off: Collection[str] = ()
    """Invariants that are switched off."""

    def __post_init__(self) -> None:
        for option, known in (
            ("order", ORDERS), ("estimate", ESTIMATES), ("style", STYLES), ("answer", ANSWERS),
            ("exemplar_policy", POLICIES), ("position", ("auto", *POSITIONS)), ("schedule", SCHEDULES),
            ("quotes", QUOTES), ("scripts", SCRIPTS), ("focus", FOCUS),
        ):  # fmt: skip
            if not isinstance(value := getattr(self, option), str) or value not in known:
                raise UnknownName(f"{option} of opro", str(value), [*known], f"there are {', '.join(known)}")
        for one in fields(Settings):
            if one.default is None and getattr(self, one.name) == "none":  # as a command line has it
                setattr(self, one.name, None)
        for name, low in _LEAST.items():
            if not self._left_out(name):
                check_number("opro", name, getattr(self, name), low=low, whole=name in _WHOLE)
        for name in ("weighted", "exemplars_first", "include_qa", "digits", "problem", "ahead"):
            if not self._left_out(name):
                check_flag("opro", name, getattr(self, name))
        check_kinds("opro", self.kinds)
        check_off("opro", self.off)
        self._fits()

    def _left_out(self, name: str) -> bool:
        return getattr(self, name) is None and Settings.__dataclass_fields__[name].default is None

    def _fits(self) -> None:
        if self.scores not in ("infinite", "none") and (
            isinstance(self.scores, bool) or not isinstance(self.scores, int) or self.scores < 1
        ):
            raise UsageError(f"opro: scores={self.scores!r}; give a number of buckets, infinite, or none")
        if None not in (self.start_low, self.start_high) and self.start_low > self.start_high:  # type: ignore[operator]
            raise UsageError(f"opro: start_low={self.start_low} is above start_high={self.start_high}")
        if self.position in ("before_Q", "A_begin") and not self.include_qa:
            raise UsageError(f"opro: position={self.position} needs include_qa=true")
        if (self.schedule == "constant") != (self.temperature_end is None):
            raise UsageError("opro: schedule=linear_increase and temperature_end=NUMBER go together")
        if self.answer == "json" and not STYLES[self.style].json:
            raise UsageError(f"opro: style={self.style} has no JSON form; use answer=text, or style=full")
        if isinstance(self.start_values, str) or not isinstance(self.start_values, Sequence):
            raise UsageError(f"opro: start_values={self.start_values!r}; it must be a list of values")

    @property
    def prompt_limit(self) -> int | None:
        """Tokens that a meta-prompt may have; None where there is no limit."""
        return STYLES[self.style].max_prompt_tokens if self.max_prompt_tokens is None else self.max_prompt_tokens

    @property
    def json(self) -> bool:
        """Whether answers are asked for as JSON."""
        return self.answer == "json" or (self.answer == "auto" and STYLES[self.style].json_by_default)

    @property
    def markers(self) -> tuple[str, str]:
        """What stands around a text in an answer that is plain text."""
        style = STYLES[self.style]
        return style.at_answer if style.at_answer and self.position == "A_begin" else style.markers
