"""OptoPrime on the ask/tell protocol."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Mapping, Sequence
from typing import Any, Literal, get_args

from pydantic import JsonValue

from agentopt.core.values import Outcome, Proposal
from agentopt.errors import AgentOptError, UsageError
from agentopt.llm.types import Message
from agentopt.optim.base import ParameterSpec, Scored, View
from agentopt.optim.meta import fill, section, show, size_of
from agentopt.optim.operators import tunable
from agentopt.optim.options import check_change, check_flag, check_kinds, check_number, check_off
from agentopt.optim.optoprime.memory import choose, ladder, outcome_of, remember
from agentopt.optim.optoprime.report import Caps, Run, report
from agentopt.optim.suggest import Sampling, settle, suggest

__all__ = ["ExamplePolicy", "Focus", "OptoPrimeOptimizer"]

Focus = Literal["mixed", "one", "all"]
ExamplePolicy = Literal["mixed", "worst", "best", "random"]


class OptoPrimeOptimizer:
    """Suggests values by one model call on the trace of the incumbent, its feedback, and a memory of earlier tries.

    Each proposal of a step is a request of its own: another seed, another temperature, other examples, and, with focus
    on one parameter, another parameter. Nothing is adopted on trust: a suggestion passes the parameter's own check and
    the invariants or is repaired once; a truncated answer is dropped.

    Args:
        memory: how many earlier tries the report shows.
        examples: how many runs of the incumbent the report shows.
        choose: which: ``worst``, ``best``, ``random``, or ``mixed`` (all but one of the worst, and one of the best).
        focus: ask for one parameter at a time in turn (``one``), for all together (``all``), or for all in the first
            proposal of a step and for one in the others (``mixed``).
        temperature: highest sampling temperature; the proposals of a step spread from 0.4 times it to it.
        max_prompt_tokens: the report is shortened until its estimate is below.
        max_tokens: cap of the answer.
        reasoning: ask for a short reason before the values.
        insist: have an answer that changes nothing, or that was tried before, repaired like an invalid one.
        mask_graph: leave the graph out of the report (for ablations).
        kinds: kinds of parameter that it tunes; demonstrations are not among them: they are what happened, not what a
            model makes up.
        off: invariants that are switched off.

    Raises:
        UsageError: an option out of range.
    """

    name = "optoprime"

    def __init__(
        self,
        *,
        memory: int = 5,
        examples: int = 3,
        choose: ExamplePolicy = "mixed",
        focus: Focus = "mixed",
        temperature: float = 0.9,
        max_prompt_tokens: int = 3000,
        max_tokens: int = 500,
        reasoning: bool = True,
        insist: bool = True,
        mask_graph: bool = False,
        kinds: Collection[str] = ("text", "code", "number", "choice", "json"),
        off: Collection[str] = (),
    ) -> None:
        for option, value, known in (("focus", focus, Focus), ("choose", choose, ExamplePolicy)):
            if value not in get_args(known):
                raise UsageError(f"optoprime: {option}={value!r} is none of {', '.join(get_args(known))}")
        for option, number, low in (
            ("memory", memory, 0), ("examples", examples, 1),
            ("max_prompt_tokens", max_prompt_tokens, 200), ("max_tokens", max_tokens, 1),
        ):  # fmt: skip
            check_number("optoprime", option, number, low=low, whole=True)
        check_number("optoprime", "temperature", temperature, low=0)
        for option, flag in (("reasoning", reasoning), ("insist", insist), ("mask_graph", mask_graph)):
            check_flag("optoprime", option, flag)
        check_kinds("optoprime", kinds)
        check_off("optoprime", off)
        self.memory, self.examples, self.choose, self.focus = memory, examples, choose, focus
        self.temperature, self.max_prompt_tokens, self.max_tokens = temperature, max_prompt_tokens, max_tokens
        self.insist = insist
        self.reasoning, self.mask_graph, self.kinds, self.off = reasoning, mask_graph, tuple(kinds), tuple(off)
        self._turn = 0

    def check_parameters(self, parameters: Mapping[str, ParameterSpec], prompt: Callable[[str], str]) -> None:
        """Refuse a search without a parameter that it changes."""
        check_change(self.name, parameters, self.kinds)

    async def ask(self, view: View, n: int) -> list[Proposal]:
        """Up to ``n`` proposals, from ``n`` requests sent side by side (and a repair for each where needed)."""
        specs = tunable(view, self.kinds)
        if not specs:
            return []
        plans = []
        for i in range(n):
            asked = self._asked(specs, i)
            runs = self._runs(view)
            messages = self.messages(view, asked, runs)
            warmth = self.temperature * (0.4 + 0.6 * (i / (n - 1) if n > 1 else 0.5))
            plans.append(
                (asked, messages, Sampling(f"optoprime/{i}", view.rng.randrange(2**31 - 1), warmth, self.max_tokens))
            )
        self._turn += 1
        current = view.best.candidate.values
        found = await asyncio.gather(
            *(
                suggest(
                    view,
                    messages,
                    asked,
                    current,
                    sampling,
                    reasoning=self.reasoning,
                    off=self.off,
                    refuse=(lambda values: already(view, values)) if self.insist else None,
                )
                for asked, messages, sampling in plans
            )
        )
        return settle(view, list(found), self.name)

    def _asked(self, specs: Sequence[ParameterSpec], i: int) -> list[ParameterSpec]:
        """The parameters of the i-th request of this step."""
        if len(specs) == 1 or self.focus == "all" or (self.focus == "mixed" and i == 0):
            return list(specs)
        return [specs[(self._turn + i) % len(specs)]]

    def _runs(self, view: View) -> list[Run]:
        """The incumbent's runs that a report shows, by the example policy."""
        chosen = pick(view.best, self.examples, self.choose, view.rng)
        runs = []
        for outcome in chosen:
            try:
                given, _ = view.example(outcome.example)
            except AgentOptError:
                given = None
            runs.append(Run.of(outcome, view.graph(outcome), view.parameters, given))
        return runs

    def messages(self, view: View, asked: Sequence[ParameterSpec], runs: Sequence[Run]) -> list[Message]:
        """The request: as much of report and memory as fits ``max_prompt_tokens``."""
        return build(
            view.prompt("meta/optoprime"),
            view.objective,
            asked,
            view.best.candidate.values,
            runs,
            choose(view.archive, view.best.candidate.id, self.memory),
            max_tokens=self.max_prompt_tokens,
            archive=view.archive if self.memory else (),
            mask_graph=self.mask_graph,
        )

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing to keep: the memory is read from the archive, which holds every outcome."""

    def state(self) -> dict[str, JsonValue]:
        """Whose turn it is."""
        return {"turn": self._turn}

    def load(self, state: Mapping[str, JsonValue]) -> None:
        """Take a state that ``state`` gave."""
        turn = state.get("turn", 0)
        self._turn = turn if isinstance(turn, int) else 0


def already(view: View, values: Mapping[str, JsonValue]) -> str:
    """Why a suggestion on the incumbent brings nothing new, or ""."""
    if not values:
        return "no value was changed: suggest another value"
    made = view.best.candidate.change(dict(values))
    for scored in view.archive:
        if scored.candidate.id == made.id:
            what = ", ".join(f"{name} = {show(value, 30)}" for name, value in values.items())
            return f"{what} was tried before ({outcome_of(scored, 40)}): suggest another value"
    return ""


def pick(scored: Scored, n: int, policy: ExamplePolicy, rng: Any) -> list[Outcome]:
    """Outcomes to show, one an example: the worst, the best, both, or random ones; ties are drawn."""
    latest = {o.example: o for o in scored.outcomes if o.status != "infra_error"}
    usable = list(latest.values())
    rng.shuffle(usable)
    if policy != "random":
        usable.sort(key=lambda o: -1e300 if o.score is None else o.score, reverse=policy == "best")
    if policy == "mixed" and 1 < n < len(usable):
        return [*usable[: n - 1], usable[-1]]
    return usable[:n]


def build(
    template: str,
    objective: str,
    asked: Sequence[ParameterSpec],
    current: Mapping[str, JsonValue],
    runs: Sequence[Run],
    tries: Sequence[Scored],
    *,
    max_tokens: int,
    archive: Sequence[Scored] = (),
    mask_graph: bool = False,
) -> list[Message]:
    """System and user message, shortened until they are estimated below ``max_tokens``.

    First long values, texts and programs are halved, then earlier tries and runs are left out.

    Raises:
        UsageError: even the shortest report is longer.
    """
    names = ", ".join(spec.name for spec in asked)
    part = "all" if len(asked) > 1 else "text" if asked[0].kind == "text" else "one"
    task = fill(section(template, part), {"name": names, "names": names})
    system = fill(section(template, "system"), {})
    caps, runs, tries = Caps(), list(runs), list(tries)
    while True:
        sections = report(runs, asked, current, caps, mask_graph=mask_graph)
        steps = ladder(archive, asked[0], current, len(tries)) if len(asked) == 1 else ""
        memory = "" if steps else remember(tries, asked, current, min(caps.value, 60))
        values = {"objective": objective, "task": task, "memory": memory, "ladder": steps, **sections}
        messages = [
            Message(role="system", content=system),
            Message(role="user", content=fill(section(template, "user"), values)),
        ]
        size = size_of(messages)
        if size <= max_tokens:
            return messages
        if caps.value > 40:
            caps = caps.smaller()
        elif len(tries) > 2:
            tries = tries[-(len(tries) // 2) :]
        elif len(runs) > 1:
            runs = runs[: len(runs) // 2]
        elif caps != caps.smaller():
            caps = caps.smaller()
        elif tries:
            tries = []
        else:
            raise UsageError(
                f"the optimizer's shortest report has about {size} tokens, above max_prompt_tokens={max_tokens}: "
                "raise max_prompt_tokens"
            )
