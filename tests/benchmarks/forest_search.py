"""One search of a program by an optimizer, program after program, with what each cost: for ``forest*.py``."""

from __future__ import annotations

import re
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, cast

from agentopt.core.values import Budget, Candidate, Feedback, Outcome
from agentopt.errors import BudgetExhausted
from agentopt.llm.types import Request, Response
from agentopt.optim.base import Optimizer, ParameterSpec, View
from agentopt.testing import FakeView

METHODS: dict[str, tuple[str, dict[str, Any]]] = {
    "SFS": ("sfs", {}),
    "SFS without scattering": ("sfs", {"scatter": False}),
    "SFS without foresting": ("sfs", {"forest": False}),
    "SFS without scouting": ("sfs", {"scout": False}),
    "SFS with PUCT": ("sfs", {"select": "puct"}),
    "repeated sampling": ("repeated", {}),
    "themed sampling": ("themed", {}),
    "line refinement": ("refine", {}),
    "plain tree search": ("tree", {}),
    "genetic": ("genetic", {}),
}
"""Name to optimizer and options. What is not named is the same for all; the start of the run is no seed."""

Judge = Callable[[str], Awaitable[Sequence[tuple[float, str]]]]
"""Score and words for each visible test of a program."""


@dataclass
class Made:
    """A program, the visible tests that it passes, and what had been spent when it was there."""

    program: str
    passed: list[bool]
    tokens: int
    calls: int


@dataclass
class Found:
    """A search: its programs in order; those that repeat an earlier one included, since they were paid for."""

    made: list[Made] = field(default_factory=list)
    tokens: int = 0
    calls: int = 0
    useless: int = 0
    seconds: float = 0.0

    def chosen(
        self, at: int | None = None, weight: Callable[[Sequence[Sequence[bool]]], Sequence[float]] | None = None
    ) -> int:
        """Place of the program that is returned: most visible tests passed, the earliest of equals."""
        shown = self.made[:at]
        weights = weight([m.passed for m in shown]) if weight else [1.0] * len(shown[0].passed)
        worth = [sum(w for w, good in zip(weights, m.passed, strict=True) if good) for m in shown]
        return worth.index(max(worth))


class Meter:
    """A client that counts, and ends the search at a number of tokens."""

    def __init__(self, client: Any, model: str, tokens: float) -> None:
        self.client, self.model, self.limit, self.tokens, self.calls = client, model, tokens, 0, 0

    async def complete(self, request: Request) -> Response:
        """Ask, unless nothing is left."""
        if self.tokens >= self.limit:
            raise BudgetExhausted("tokens", f"{self.tokens} of {self.limit:g} are spent")
        response: Response = await self.client.complete(request)
        self.calls += 1
        self.tokens += response.usage.input_tokens + response.usage.output_tokens
        return response


async def search(
    optimizer: Optimizer,
    client: Any,
    judge: Judge,
    *,
    start: str,
    objective: str,
    tests: Sequence[str],
    solutions: int,
    tokens: float,
    seed: int,
    model: str = "scripted/llm",
    in_flight: int = 1,
) -> Found:
    """Ask, judge and tell until a program passes all visible tests, or both limits are reached.

    Args:
        optimizer: fresh.
        client: who answers.
        judge: runs a program against the visible tests.
        start: what is there before the first program.
        objective: what is wanted.
        tests: the visible tests, as an optimizer may show them.
        solutions: programs after which the search may end.
        tokens: total tokens, input and output, after which it may end.
        seed: of the search.
        model: its name.
        in_flight: programs asked for at a time.
    """
    most = int(max(10 * tokens, 10_000 * solutions))
    meter, found, began = Meter(client, model, most), Found(), time.monotonic()
    specs = {"program": ParameterSpec("program", "code", start)}
    examples = {f"test {i}": (test, None) for i, test in enumerate(tests)}
    view = FakeView(specs, meter, objective=objective, examples=examples, seed=seed)
    view = view.evaluated(
        view.baseline, _outcomes(view.baseline, [(0.0, "nothing is there yet")] * len(tests)), "baseline"
    )
    programs: dict[str, tuple[str, list[bool]]] = {}
    idle = 0
    while (len(found.made) < solutions or meter.tokens < tokens) and idle < 5 and meter.calls < 40 * solutions:
        view.remaining = Budget(tokens=max(0, most - meter.tokens))
        try:
            proposals = await optimizer.ask(cast("View", view), in_flight)
        except BudgetExhausted:
            break
        known = {scored.candidate.id for scored in view.archive}
        fresh, told = 0, []
        for proposal in proposals:
            candidate = proposal.candidate
            found.useless += len(proposal.rejected)
            for id in re.findall(r"the same as candidate (\w{16})", "\n".join(proposal.rejected)):
                if id in programs:  # a repeat is a program that was paid for
                    fresh += 1
                    found.made.append(Made(*programs[id], meter.tokens, meter.calls))
            if candidate.id in known:
                continue
            said = await judge(str(candidate.values["program"]))
            outcomes = _outcomes(candidate, said)
            view = view.evaluated(candidate, outcomes, proposal.operator)
            told += outcomes
            fresh += 1
            programs[candidate.id] = (str(candidate.values["program"]), [score >= 1 for score, _ in said])
            found.made.append(Made(*programs[candidate.id], meter.tokens, meter.calls))
        optimizer.tell(told)
        view = view.next()
        idle = 0 if fresh else idle + 1
        if found.made and any(all(m.passed) for m in found.made[-max(1, fresh) :]):
            break
    found.tokens, found.calls, found.seconds = meter.tokens, meter.calls, round(time.monotonic() - began, 2)
    return found


def _outcomes(candidate: Candidate, said: Sequence[tuple[float, str]]) -> list[Outcome]:
    return [
        Outcome(candidate=candidate.id, example=f"test {i}", split="search", feedback=Feedback(score=s, text=t))
        for i, (s, t) in enumerate(said)
    ]
