"""Paraphrase and keep the best: the baseline that sees scores only through what was kept."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace

from pydantic import JsonValue

from agentopt.core.values import Outcome, Proposal
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.operators import jitter, movable, rewrite, tunable
from agentopt.optim.options import check_change, check_number, check_off
from agentopt.optim.suggest import Sampling, Suggestion, settle

__all__ = ["ParaphraseBest"]

_KINDS = ("text", "number", "choice", "demos")


class ParaphraseBest:
    """Changes one parameter of the incumbent a proposal: a text is reworded, a number or choice jittered.

    The model that rewords sees the incumbent's text and nothing else: no score, feedback or trace. With hill-climbing
    by the run this is the plain loop that prompt optimizers are to be measured against (the resampling step of APE,
    Zhou et al. 2022, section 3.2, without its proposal step).

    Args:
        scale: standard deviation of a number's step, as a share of its range.
        temperature: of the model that rewords; spread over the proposals of a step from half of it to all of it.
        max_tokens: cap of its answers.
        off: invariants that are switched off.

    Raises:
        UsageError: an option out of range.
    """

    name = "paraphrase"

    def __init__(
        self, *, scale: float = 0.1, temperature: float = 1.0, max_tokens: int = 400, off: Collection[str] = ()
    ) -> None:
        check_number("paraphrase", "scale", scale, low=0)
        check_number("paraphrase", "temperature", temperature, low=0)
        check_number("paraphrase", "max_tokens", max_tokens, low=1, whole=True)
        check_off("paraphrase", off)
        self.scale, self.temperature, self.max_tokens, self.off = scale, temperature, max_tokens, off
        self._turn = 0

    def check_parameters(self, parameters: Mapping[str, ParameterSpec], prompt: Callable[[str], str]) -> None:
        """Refuse a search without a parameter that it changes."""
        check_change(self.name, parameters, _KINDS)

    async def ask(self, view: View, n: int) -> list[Proposal]:
        """Up to ``n`` neighbours of the incumbent, the parameters in turn; one model call for each reworded text."""
        now = view.best.candidate.values
        specs = [spec for spec in tunable(view, _KINDS) if movable(spec, now[spec.name])]
        if not specs:
            return []
        plans: list[tuple[ParameterSpec, JsonValue, Sampling]] = []
        for i in range(n):
            spec = specs[(self._turn + i) % len(specs)]
            value = now[spec.name]
            near = value if spec.kind == "text" else jitter(spec, value, view.rng, self.scale)
            warmth = self.temperature * (0.5 + 0.5 * (i + 1) / n)
            plans.append(
                (spec, near, Sampling(f"paraphrase/{i}", view.rng.randrange(2**31 - 1), warmth, self.max_tokens))
            )
        self._turn += n
        return settle(view, await asyncio.gather(*(self._moved(view, *plan) for plan in plans)), self.name)

    async def _moved(self, view: View, spec: ParameterSpec, near: JsonValue, sampling: Sampling) -> Suggestion:
        if spec.kind != "text":
            return Suggestion({spec.name: near}, f"{spec.name} moved")
        found = await rewrite(view, spec, near, "meta/paraphrase", sampling, off=self.off)
        return replace(found, why=f"{spec.name} reworded")

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing is learned beyond the incumbent, which the run keeps."""

    def state(self) -> dict[str, JsonValue]:
        """Whose turn it is."""
        return {"turn": self._turn}

    def load(self, state: Mapping[str, JsonValue]) -> None:
        """Take a state that ``state`` gave."""
        turn = state.get("turn", 0)
        self._turn = turn if isinstance(turn, int) else 0
