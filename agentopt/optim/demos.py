"""Demonstrations as a search: which solved examples a model is shown. No model is asked; only evaluations are paid."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from pydantic import JsonValue

from agentopt.core import Graph
from agentopt.core.values import Candidate, Outcome, Proposal, canonical
from agentopt.errors import UsageError
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.operators import tunable
from agentopt.optim.options import check_number

__all__ = ["DemoSearch", "bootstrapped", "demonstrated", "labelled"]

SOURCES = ("labelled", "bootstrapped", "mixed")
_DRAWS = 8
"""Draws of one proposal before a repetition is let through (the run then turns it down)."""

Demo = dict[str, JsonValue]

_NO_DEMOS = (
    "optimizer demos: the graph has no parameter of kind demos; `demonstrations()` of agentopt.workspace makes one "
    "(graphs/few_shot.py shows how)"
)


class DemoSearch:
    """Draws sets of demonstrations at random and leaves it to the run to keep the best.

    *Labelled* demonstrations are examples of the search split with their targets (and what a parameter's own pool
    offers). *Bootstrapped* ones come from runs that went well: the input and the whole reply of the model's call,
    reasoning included, of any candidate so far on an example of the search split, the latest success on each. *Mixed*
    sets have both. The first proposals are the plainest (labelled, then bootstrapped, in the order of the examples);
    after that, size, members and order are random. All other parameters stay as in the incumbent.

    After BootstrapFewShot and its random search in DSPy (Khattab et al. 2023, https://arxiv.org/abs/2310.03714, section
    4); selected demonstrations often bring more than instructions: Wan et al. 2024 (https://arxiv.org/abs/2406.15708).
    Other than there, an example never sees a demonstration of itself (the run leaves it out), successes of all
    candidates count, not only of the first program, and labelled sets vary in size.

    Args:
        max_bootstrapped: most examples that a set has bootstrapped demonstrations of.
        max_labelled: up to so many demonstrations a mixed set is filled with labelled ones, and a labelled set has.
        threshold: score from which a run counts as a success.
        sources: kinds of sets, in turn: of ``labelled``, ``bootstrapped``, ``mixed``.

    Raises:
        UsageError: an option out of range.
    """

    name = "demos"

    def __init__(
        self,
        *,
        max_bootstrapped: int = 4,
        max_labelled: int = 8,
        threshold: float = 1.0,
        sources: Sequence[str] = SOURCES,
    ) -> None:
        chosen = tuple(sources.split(",")) if isinstance(sources, str) else tuple(sources)
        if unknown := [source for source in chosen if source not in SOURCES]:
            raise UsageError(f"demos: sources={unknown[0]!r} is none of {', '.join(SOURCES)}")
        if not chosen:
            raise UsageError(f"demos: sources is empty; give one or more of {', '.join(SOURCES)}")
        check_number("demos", "max_bootstrapped", max_bootstrapped, low=1, whole=True)
        check_number("demos", "max_labelled", max_labelled, low=1, whole=True)
        check_number("demos", "threshold", threshold)
        self.max_bootstrapped, self.max_labelled = max_bootstrapped, max_labelled
        self.threshold, self.sources = threshold, chosen
        self._drawn = 0

    def check_parameters(self, parameters: Mapping[str, ParameterSpec], prompt: Callable[[str], str]) -> None:
        """Refuse a search without demonstrations."""
        if not any(spec.kind == "demos" for spec in parameters.values()):
            raise UsageError(_NO_DEMOS)

    async def ask(self, view: View, n: int) -> list[Proposal]:
        """Up to ``n`` sets of demonstrations; fewer where nothing is solved and nothing has a target.

        Raises:
            UsageError: there is no parameter of kind ``demos``.
        """
        specs = tunable(view, ("demos",))
        if not specs:
            raise UsageError(_NO_DEMOS)
        solved = {spec.name: bootstrapped(view, spec, self.threshold) for spec in specs}
        given = {spec.name: labelled(view, spec) for spec in specs}
        known = {scored.candidate.id for scored in view.archive}
        proposals: list[Proposal] = []
        for _ in range(n):
            drawn = self._new(view, specs, given, solved, known)
            self._drawn += 1
            if drawn is not None:
                known.add(drawn.candidate.id)
                proposals.append(drawn)
        return proposals

    def _new(
        self,
        view: View,
        specs: Sequence[ParameterSpec],
        given: Mapping[str, list[Demo]],
        solved: Mapping[str, dict[str, list[Demo]]],
        known: set[str],
    ) -> Proposal | None:
        """A set that was not tried before, or the last one drawn; None where there is nothing to show."""
        parent, made = view.best.candidate, None
        for draw in range(_DRAWS):
            turn = self._drawn
            plain = draw == 0 and turn < len(self.sources)
            values: dict[str, JsonValue] = {}
            told: list[str] = []
            for spec in specs:
                source = self.sources[turn % len(self.sources)]
                old, new = self._draw(source, given[spec.name], solved[spec.name], None if plain else view.rng)
                shown = [*new, *old]
                if shown:
                    values[spec.name] = list(shown)
                    told.append(f"{spec.name}: {len(new)} bootstrapped, {len(old)} labelled")
            if values:
                candidate: Candidate = parent.change(values, origin=self.name)
                made = Proposal(candidate=candidate, why="; ".join(told), operator=self.name)
                if candidate.id not in known:
                    break
        return made

    def _draw(
        self, source: str, given: Sequence[Demo], solved: Mapping[str, list[Demo]], rng: random.Random | None
    ) -> tuple[list[Demo], list[Demo]]:
        """Labelled and bootstrapped demonstrations of one set; without ``rng`` the first ones, as many as may be."""
        new: list[Demo] = []
        if source != "labelled" and solved:
            for example in _some(sorted(solved), self.max_bootstrapped, rng):
                new += solved[example]
        if source == "bootstrapped" and new:
            return [], new
        shown = {demo.get("example") for demo in new}
        rest = [demo for demo in given if demo.get("example") not in shown or demo.get("example") is None]
        return _some(rest, max(0, self.max_labelled - len(new)), rng), new

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing: successes are read from the archive."""

    def state(self) -> dict[str, JsonValue]:
        """How many sets were drawn."""
        return {"drawn": self._drawn}

    def load(self, state: Mapping[str, JsonValue]) -> None:
        """Take a state that ``state`` gave."""
        drawn = state.get("drawn", 0)
        self._drawn = drawn if isinstance(drawn, int) else 0


def labelled(view: View, spec: ParameterSpec) -> list[Demo]:
    """The parameter's pool, and the search examples that have a target, as demonstrations of their targets.

    Examples only where they are what the parameter's call is asked: where the first call that was shown such
    demonstrations was asked something else, a target is no answer to it.
    """
    found: list[Demo] = [dict(demo) for demo in spec.choices if isinstance(demo, Mapping)]
    outcomes = {o.example: o for o in view.archive[0].outcomes} if view.archive else {}
    for id in sorted(outcomes):
        given, target = view.example(id)
        question = _asked(view, outcomes[id], spec.name, given)
        if target is not None and question is not None:
            found.append({"input": question, "output": target, "example": id})
    return found


def bootstrapped(view: View, spec: ParameterSpec, threshold: float = 1.0) -> dict[str, list[Demo]]:
    """By example: the calls of its latest successful run that were (or could have been) shown demonstrations.

    Args:
        view: the run; its archive has outcomes of the search split only.
        spec: the parameter of kind ``demos``.
        threshold: score from which a run is a success.
    """
    found: dict[str, list[Demo]] = {}
    for outcome in (o for scored in reversed(view.archive) for o in scored.outcomes):
        good = outcome.status == "ok" and outcome.score is not None and outcome.score >= threshold
        graph = view.graph(outcome) if good and outcome.example not in found else None
        if graph is None:
            continue
        calls: list[Demo] = [
            {"input": question, "output": outcome.output, "reply": reply, "example": outcome.example}
            for question, reply in demonstrated(graph, spec.name)
        ]
        if calls:
            found[outcome.example] = calls
    return found


def demonstrated(graph: Graph, name: str) -> Iterator[tuple[JsonValue, str]]:
    """Question and reply of each model call that a parameter reaches by way of no other call.

    The question is the value of the one placeholder of the call's prompt; of several, a dict; where the prompt is no
    filled template, its text.
    """
    carries: set[str] = set()
    for record in graph.nodes:
        if record.kind == "param":
            if record.name == name:
                carries.add(record.id)
        elif any(parent in carries and kind != "control" for parent, _, kind in record.parents):
            if record.kind != "llm":
                carries.add(record.id)
            elif isinstance(record.value, str) and record.value.strip() and record.more.get("finish") != "length":
                question = _question(graph, record)
                if question is not None:
                    yield question, record.value


def _question(graph: Graph, call: Any) -> JsonValue:
    prompts = [parent for parent, role, _ in call.parents if role == "prompt"]
    if not prompts:
        text: JsonValue = call.constants.get("prompt")
        return text
    prompt = graph[prompts[0]]
    if prompt.kind != "render":
        return str(prompt.value)
    values: dict[str, JsonValue] = {role: value for role, value in prompt.constants.items() if "template" not in role}
    values |= {role: graph[parent].value for parent, role, kind in prompt.parents if "template" not in role}
    if len(values) == 1:
        (only,) = values.values()
        return only
    return values or str(prompt.value)


def _asked(view: View, outcome: Outcome, name: str, given: Any) -> JsonValue:
    """What a call that the parameter reaches is asked, where that is the example's input or a part of it; else None.

    Where no trace says, the input itself.
    """
    graph = view.graph(outcome)
    questions = [] if graph is None else [question for question, _ in demonstrated(graph, name)]
    question: JsonValue = questions[0] if questions else given
    parts = {canonical(part) for part in (given.values() if isinstance(given, Mapping) else ())}
    asked = question.values() if isinstance(question, Mapping) else (question,)
    same = canonical(question) == canonical(given) or all(canonical(part) in parts for part in asked)
    return question if same else None


def _some(items: Sequence[Any], most: int, rng: random.Random | None) -> list[Any]:
    """At least one of the items where there are any, at most ``most``, in random order; without ``rng`` the first."""
    most = min(most, len(items))
    if rng is None or most <= 0:
        return list(items[: max(0, most)])
    return rng.sample(list(items), rng.randint(1, most))
