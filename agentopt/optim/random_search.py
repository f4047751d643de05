"""Random search: the baseline that sees no feedback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from pydantic import JsonValue

from agentopt.core.values import Outcome, Proposal
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.operators import jitter, permutable, rewrite, tunable, uniform
from agentopt.optim.options import check_change, check_number, check_off
from agentopt.optim.suggest import Sampling, Suggestion, settle

__all__ = ["RandomSearch"]

_NATIVE = ("number", "choice", "demos")


class RandomSearch:
    """Draws candidates at random and leaves it to the run to keep the best.

    Numbers are uniform within their bounds or, with probability ``local``, a normal step from the incumbent; choices
    are uniform; demos a random subset. A JSON list of numbers or words, such as a tour, has its items in a random order
    or, with probability ``local``, a stretch of the incumbent's turned round. For a text there is no such thing as a
    uniform draw: the optimizer's model is asked for a fresh instruction, from the goal and the baseline's text, in a
    random style. It never sees scores, feedback or traces. One text is redrawn a proposal, the others stay as in the
    incumbent. Code and other JSON stay as they are.

    Args:
        local: share of draws of a number or a list that step from the incumbent.
        scale: standard deviation of a number's step, as a share of the range.
        temperature: of the model that writes texts.
        max_tokens: cap of its answers.
        off: invariants that are switched off.

    Raises:
        UsageError: an option out of range.
    """

    name = "random"
    styles = ("one short sentence", "two sentences", "a numbered list of steps", "a strict tone", "a friendly tone")

    def __init__(
        self,
        *,
        local: float = 0.5,
        scale: float = 0.1,
        temperature: float = 1.0,
        max_tokens: int = 400,
        off: Collection[str] = (),
    ) -> None:
        check_number("random", "local", local, low=0, high=1)
        check_number("random", "scale", scale, low=0)
        check_number("random", "temperature", temperature, low=0)
        check_number("random", "max_tokens", max_tokens, low=1, whole=True)
        check_off("random", off)
        self.local, self.scale, self.temperature, self.max_tokens, self.off = local, scale, temperature, max_tokens, off

    def check_parameters(self, parameters: Mapping[str, ParameterSpec], prompt: Callable[[str], str]) -> None:
        """Refuse a search without a parameter that it changes."""
        if not any(_drawable(spec) for spec in parameters.values()):
            check_change(self.name, parameters, ("text", *_NATIVE))

    async def ask(self, view: View, n: int) -> list[Proposal]:
        """Draw ``n`` candidates; one model call for each that redraws a text."""
        plans = [self._plan(view, i) for i in range(n)]
        return settle(view, await asyncio.gather(*(self._drawn(view, *plan) for plan in plans)), self.name)

    def _plan(self, view: View, i: int) -> tuple[dict[str, JsonValue], ParameterSpec | None, str, Sampling]:
        """Everything random of one proposal, drawn before anything is awaited."""
        rng, best = view.rng, view.best.candidate.values
        drawn: dict[str, JsonValue] = {}
        for spec in view.parameters.values():
            if not _drawable(spec):
                continue
            local = spec.kind in ("number", "json") and rng.random() < self.local
            drawn[spec.name] = jitter(spec, best[spec.name], rng, self.scale) if local else uniform(spec, rng)
        texts = tunable(view, ("text",))
        text = rng.choice(texts) if texts else None
        seed = rng.randrange(2**31 - 1)
        return drawn, text, rng.choice(self.styles), Sampling(f"random/{i}", seed, self.temperature, self.max_tokens)

    async def _drawn(
        self, view: View, drawn: dict[str, JsonValue], text: ParameterSpec | None, style: str, sampling: Sampling
    ) -> Suggestion:
        found = Suggestion({})
        if text is not None:
            start = view.baseline.values[text.name]
            found = await rewrite(
                view, text, start, "meta/random_instruction", sampling, extra={"style": style}, off=self.off
            )
        return replace(found, values={**drawn, **found.values}, why="drawn at random")

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing is learned."""

    def state(self) -> dict[str, JsonValue]:
        """There is none: the random numbers come from the view."""
        return {}

    def load(self, state: Mapping[str, JsonValue]) -> None:
        """There is none to take."""


def _drawable(spec: ParameterSpec) -> bool:
    """Whether a value can be drawn without a model."""
    return spec.kind in _NATIVE or permutable(spec)
