"""The machine that Scattered Forest Search and its baselines share: seeds, then children of chosen nodes."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

from pydantic import JsonValue

from agentopt.core.values import Candidate, Outcome, Proposal
from agentopt.errors import BudgetExhausted, LLMError
from agentopt.optim.base import ParameterSpec, View
from agentopt.optim.forest import themes
from agentopt.optim.forest.insights import Insights, Note
from agentopt.optim.forest.scores import Scores
from agentopt.optim.forest.settings import Settings
from agentopt.optim.forest.tree import ROOT, Forest, Node
from agentopt.optim.forest.words import Words
from agentopt.optim.forest.writer import UNCHANGED, Asked, Writer
from agentopt.optim.meta import size_of
from agentopt.optim.operators import tunable
from agentopt.optim.options import check_change
from agentopt.optim.suggest import Suggestion

__all__ = ["Machine", "Step"]

_Stop = BudgetExhausted | LLMError


@dataclass(slots=True)
class Step:
    """What one ask works with, and what went wrong in it."""

    view: View
    scores: Scores
    words: Words
    writer: Writer
    faults: list[str] = field(default_factory=list)
    stopped: list[_Stop] = field(default_factory=list)
    answered: bool = False
    """Whether any call of this ask was answered."""

    def hear(self, faults: Sequence[str], stopped: _Stop | None) -> None:
        """Note how a request ended."""
        self.faults.extend(faults)
        if stopped is None:
            self.answered = True
        else:
            self.stopped.append(stopped)


@dataclass(kw_only=True, eq=False)
class Machine(Settings):
    """Seeds first, then children: ``picks`` says of which nodes. See ``Settings`` for the options.

    Several proposals may be in flight: a node that was picked has one visit more and one direction less, and a child
    is not gone down to before it has a score.
    """

    name: ClassVar[str] = "machine"

    _forest: Forest = field(default_factory=Forest, init=False, repr=False)
    _insights: Insights = field(default_factory=Insights, init=False, repr=False)
    _asked: int = field(default=0, init=False, repr=False)
    _made: int = field(default=0, init=False, repr=False)
    _order: list[int] = field(default_factory=list, init=False, repr=False)

    def check_parameters(self, parameters: Mapping[str, ParameterSpec], prompt: Callable[[str], str]) -> None:
        """Refuse a search without a parameter that it changes."""
        check_change(self.name, parameters, self.kinds)

    async def ask(self, view: View, n: int) -> list[Proposal]:
        """Up to ``n`` candidates: seeds as long as there are any to make, then children of the nodes picked.

        None once a candidate has full marks on all examples, or ``solutions`` were made.
        """
        specs = tunable(view, self.kinds)
        scores = Scores(view, self.weighting)
        n = n if self.solutions is None else min(n, self.solutions - self._made)
        if not specs or n < 1 or scores.solved() is not None:
            return []
        step = Step(view, scores, Words(view, self, specs), Writer(view, self, specs))
        start = view.baseline.id
        if not self._forest.nodes and (self.start or (self.start is None and scores.by_id.get(start, 0.0) > 0)):
            self._plant(start)
        if self._asked < self.wanted():
            return await self._seed(step, specs, n)
        await self._learn(step)
        return await self._grow(step, n)

    def wanted(self) -> float:
        """How many seeds are generated."""
        return self.seeds if self.forest else 0 if self._forest.nodes else 1

    def picks(self, step: Step, n: int) -> list[int]:
        """Numbers of the nodes that get a child now, at most ``n``, a node as often as it gets one."""
        raise NotImplementedError

    def born(self, number: int, place: int) -> None:
        """A node was made: a seed, or the child of the ``place``-th node picked in this ask."""

    # -- seeds ---------------------------------------------------------------------------------------------------

    async def _seed(self, step: Step, specs: Sequence[ParameterSpec], n: int) -> list[Proposal]:
        rng, first = step.view.rng, self._asked
        n = min(n, int(min(self.wanted(), 1e9)) - first)
        lists = themes.list_of(step.view.prompt("meta/forest_themes"), self.theme, specs)
        listed = [theme for one in lists for theme in one]
        if listed and len(self._order) != len(listed):
            self._order = themes.order_of(lists, rng)
        chosen = [listed[themes.draw(self._order, first + i)] if listed else "" for i in range(n)]
        warmth = self.temperature if self.seed_temperature is None else self.seed_temperature
        made: dict[str, tuple[Any, ...]] = {theme: step.words.seed(theme) for theme in dict.fromkeys(chosen)}
        asked = [
            Asked(f"{self.name}/seed/{first + i}", made[theme], self._seeds_of(step), warmth)
            for i, theme in enumerate(chosen)
        ]
        self._asked += n
        base = step.view.baseline
        found = await asyncio.gather(
            *(step.writer.candidate(a, base.values, _why_seed(t)) for a, t in zip(asked, chosen, strict=True))
        )
        born = [(i, base, Node("", ROOT, theme=theme)) for i, theme in enumerate(chosen)]
        return self._settle(step, found, born, f"{self.name}/seed")

    def _seeds_of(self, step: Step) -> tuple[int, ...]:
        return tuple(step.view.rng.randrange(2**31 - 1) for _ in range(self.retries + 1))

    def _plant(self, id: str) -> int:
        """A tree on the candidate where the run began."""
        return self._forest.add(Node(id))

    # -- scouting ------------------------------------------------------------------------------------------------

    async def _learn(self, step: Step) -> None:
        """What the children scored since the last ask taught; in the order in which they were made."""
        nodes, entries = self._forest.nodes, step.scores.entries
        new: list[tuple[Node, int, float]] = []
        for number, node in enumerate(nodes):
            if node.scouted or node.parent == ROOT or node.id not in step.scores.by_id:
                continue
            node.scouted, parent = True, nodes[node.parent].id
            change = step.scores.by_id[node.id] - step.scores.by_id.get(parent, 0.0)
            new.append((node, number, change))
            if node.direction:
                self._insights.note(Note(node.direction, self._forest.seed_of(number), change), most=self.notes)
        if not self.scout or not self.insights or not new:
            return
        told = self._insights.shown()
        asked = [
            Asked(
                f"{self.name}/scout/{number}",
                step.words.scout(entries[nodes[node.parent].id], entries[node.id], node.direction, change, told),
                self._seeds_of(step),
                self.temperature,
            )
            for node, number, change in new
        ]
        if not self._affords(step, asked):
            return
        for answer in await asyncio.gather(*(step.writer.lessons(one) for one in asked)):
            step.hear((), answer.stopped)
            self._insights.merge(answer.lines, most=self.insights)

    def _affords(self, step: Step, asked: Sequence[Asked]) -> bool:
        """Whether the budget bears these requests and one more candidate: to learn for nothing is a waste."""
        calls, tokens = step.view.remaining.calls, step.view.remaining.tokens
        largest = max(size_of(one.messages) for one in asked)
        needed = len(asked) * (largest + self.max_idea_tokens) + largest + self.max_tokens
        return (calls is None or calls > len(asked)) and (tokens is None or tokens >= needed)

    # -- children ------------------------------------------------------------------------------------------------

    async def _grow(self, step: Step, n: int) -> list[Proposal]:
        picked = self.picks(step, n)
        if not picked and (best := step.scores.best()) is not None and not self._standing(step):
            self._plant(best)  # no seed was of use
            picked = self.picks(step, n)
        await self._open(step, picked)
        nodes, entries, asked, born = self._forest.nodes, step.scores.entries, [], []
        for i, number in enumerate(picked):
            node = nodes[number]
            if not node.open:
                continue
            direction = node.open.pop(0)
            node.tried.append(direction)
            messages = step.words.write(entries[node.id], direction, self._insights.shown())
            asked.append(Asked(f"{self.name}/write/{i}", messages, self._seeds_of(step), self.temperature))
            prior = -math.log(len(node.tried))  # what a model writes first it holds for likeliest
            born.append((i, entries[node.id].candidate, Node("", number, direction, logp=prior)))
        found = await asyncio.gather(
            *(
                step.writer.candidate(one, parent.values, node.direction)
                for one, (_, parent, node) in zip(asked, born, strict=True)
            )
        )
        return self._settle(step, found, born, f"{self.name}/{'idea' if self.scatter else 'refine'}")

    def _standing(self, step: Step) -> bool:
        return any(node.id in step.scores.by_id for node in self._forest.nodes)

    async def _open(self, step: Step, picked: Sequence[int]) -> None:
        """Give the picked nodes directions where they have none; without scattering they are empty places."""
        nodes = self._forest.nodes
        bare = [number for number in dict.fromkeys(picked) if not nodes[number].open]
        if not self.scatter:
            for number in bare:
                nodes[number].open = [""] * self.directions
            for number in dict.fromkeys(picked):  # drawn more often than it has places
                nodes[number].open += [""] * (picked.count(number) - len(nodes[number].open))
            return
        asked = [
            Asked(
                f"{self.name}/scatter/{number}",
                step.words.scatter(
                    step.scores.entries[nodes[number].id], self._insights.shown(), [*nodes[number].tried]
                ),
                self._seeds_of(step),
                self.temperature,
            )
            for number in bare
        ]
        known = [nodes[number].tried for number in bare]
        answers = await asyncio.gather(*(step.writer.ideas(*pair) for pair in zip(asked, known, strict=True)))
        for number, answer in zip(bare, answers, strict=True):
            step.hear(answer.faults if not answer.lines else (), answer.stopped)
            if answer.stopped is None:
                filler = [step.words.part("generic")] * (self.directions - len(answer.lines))
                nodes[number].open = [*answer.lines, *filler]

    # -- the end of an ask ---------------------------------------------------------------------------------------

    def _settle(
        self, step: Step, found: Sequence[Suggestion], born: Sequence[tuple[int, Candidate, Node]], operator: str
    ) -> list[Proposal]:
        """Proposals, and their nodes. Why answers were of no use is told with a proposal of the unchanged incumbent.

        Raises:
            BudgetExhausted: the budget ended and nothing was made.
            LLMError: the model could not be asked at all.
        """
        out: list[Proposal] = []
        known = set(step.scores.entries) | {node.id for node in self._forest.nodes}
        for suggestion, (place, parent, node) in zip(found, born, strict=True):
            step.hear((), suggestion.stopped)
            same = f"the same as candidate {parent.id}"
            faults = [fault.replace(UNCHANGED, same) for fault in suggestion.rejected]
            if suggestion.values:
                candidate = parent.change(suggestion.values, origin=operator)
                if candidate.id not in known:
                    known.add(candidate.id)
                    node.id = candidate.id
                    self.born(self._forest.add(node), place)
                    out.append(
                        Proposal(candidate=candidate, why=suggestion.why, operator=operator, rejected=tuple(faults))
                    )
                    continue
                faults.append(f"{suggestion.why or operator}: the same as candidate {candidate.id}")
            step.faults.extend(faults)
        self._made += len(found)
        if not out:
            for end in step.stopped:
                if isinstance(end, BudgetExhausted):
                    raise end
            if step.stopped and not step.answered:
                raise step.stopped[0]
        if step.faults and not out:
            told = tuple(dict.fromkeys(step.faults))
            return [Proposal(candidate=step.view.best.candidate, operator=operator, rejected=told)]
        if step.faults:
            told = (*out[-1].rejected, *dict.fromkeys(step.faults))
            out[-1] = out[-1].model_copy(update={"rejected": told})
        return out

    def tell(self, outcomes: Sequence[Outcome]) -> None:
        """Nothing to keep: scores are read from the archive, which holds every outcome."""

    def state(self) -> dict[str, JsonValue]:
        """The forest, the insights, and how far the seeds are."""
        return {
            "forest": self._forest.state(),
            "insights": self._insights.state(),
            "asked": self._asked,
            "made": self._made,
            "order": list(self._order),
        }

    def load(self, state: Mapping[str, JsonValue]) -> None:
        """Take a state that ``state`` gave."""
        kept: Mapping[str, Any] = state
        self._forest, self._insights = Forest.of(kept.get("forest", {})), Insights.of(kept.get("insights", {}))
        self._asked, self._made = int(kept.get("asked", 0)), int(kept.get("made", 0))
        self._order = [int(place) for place in kept.get("order", ())]


def _why_seed(theme: str) -> str:
    return f"a seed: {theme}" if theme else "a seed"
