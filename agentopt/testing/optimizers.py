"""What every ``Optimizer`` keeps: pytest tests to inherit from, and a window on a run that exists only in a test."""

from __future__ import annotations

import contextlib
import copy
import json
import math
import random
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, cast

from agentopt._aio import run_sync
from agentopt._builtin import shipped_prompt
from agentopt.core import Parameter
from agentopt.core.values import Budget, Candidate, Feedback, Outcome, Proposal
from agentopt.errors import LLMError, TransientLLMError, TruncatedAnswer, UsageError
from agentopt.llm.types import Request, Response
from agentopt.optim.base import ParameterSpec, Scored
from agentopt.testing.scripted import Reply, ScriptedLLM

if TYPE_CHECKING:
    from agentopt.optim.base import Optimizer, View

__all__ = ["FakeView", "OptimizerContract", "spec_of"]


def spec_of(parameter: Parameter[Any]) -> ParameterSpec:
    """What an optimizer may know of a parameter."""
    return ParameterSpec(**parameter.spec_dict(), check=parameter.check)


@dataclass
class FakeView:
    """A ``View`` over an archive that a test fills: see ``agentopt.optim.base.View`` for the fields.

    ``evaluated(candidate, outcomes)`` gives the window of the next step, with one more entry in the archive.
    """

    parameters: Mapping[str, ParameterSpec]
    llm: Any
    objective: str = "Answer the question."
    archive: Sequence[Scored] = ()
    examples: Mapping[str, tuple[Any, Any]] = field(default_factory=dict)
    step: int = 0
    seed: int = 0
    graph_of: Callable[[Outcome], Any] = lambda outcome: None
    prompts: Callable[[str], str] = shipped_prompt
    off: Collection[str] = ()
    frozen: Sequence[str] = ()
    score_range: tuple[float, float] = (0.0, 1.0)
    remaining: Budget = field(default_factory=Budget)

    def __post_init__(self) -> None:
        self.rng = random.Random(f"{self.seed}/{self.step}")

    @property
    def baseline(self) -> Candidate:
        """Where the run started."""
        if self.archive:
            return self.archive[0].candidate
        return Candidate(values={name: spec.value for name, spec in self.parameters.items()}, origin="baseline")

    @property
    def best(self) -> Scored:
        """The entry with the best mean; the earlier one of equals."""
        known = [entry for entry in self.archive if entry.mean is not None]
        if known:
            return max(known, key=lambda entry: entry.mean or 0.0)
        return self.archive[0] if self.archive else Scored(self.baseline, None, 0, None, None, ())

    def example(self, id: str) -> tuple[Any, Any]:
        """Input and target of an example."""
        if id not in self.examples:
            raise UsageError(f"example {id!r} does not belong to the search split")
        return self.examples[id]

    def graph(self, outcome: Outcome) -> Any:
        """The traced graph of an outcome."""
        return self.graph_of(outcome)

    def prompt(self, name: str) -> str:
        """The text of a prompt file."""
        return self.prompts(name)

    def evaluated(self, candidate: Candidate, outcomes: Sequence[Outcome], operator: str = "") -> FakeView:
        """The window with one more evaluated candidate."""
        scores = [o.score for o in outcomes if o.score is not None]
        mean = math.fsum(scores) / len(scores) if scores else None
        entry = Scored(candidate, mean, len(scores), mean, mean, tuple(outcomes), self.step, operator)
        return self._with(archive=[*self.archive, entry])

    def next(self) -> FakeView:
        """The window of the next step."""
        return self._with(step=self.step + 1)

    def _with(self, **changes: Any) -> FakeView:
        fields = {name: getattr(self, name) for name in self.__dataclass_fields__}
        return FakeView(**{**fields, **changes})


MALFORMED: tuple[Reply, ...] = (
    "",
    " \n",
    "{",
    "null",
    "[]",
    "{}",
    "42",
    '"text"',
    "I am sorry, I cannot do that.",
    '{"suggestion": null}',
    '{"suggestion": {"nobody": 1}}',
    '{"suggestion": {"instruction": 7, "count": "many", "tone": {"a": []}}}',
    '{"suggestion": {"instruction": "cut in the mid',
    "[" * 5000,
    "{" * 5000,
    "\x00\ufffd\ud7ff",
    "a" * 20_000,
    '{"count": 1e999, "tone": NaN}',
    Response(text='{"suggestion": {"count": 3}', finish="length"),
    Response(text="", finish="content_filter"),
    TruncatedAnswer("cut", "{"),
)
"""Answers that a model may give and an optimizer must bear."""


class OptimizerContract:
    """Inherit, name the subclass ``Test...``, and say how an optimizer is made.

    ::

        class TestMine(OptimizerContract):
            def make_optimizer(self):
                return MyOptimizer()

            def reply(self, request):
                return '{"suggestion": {"count": 4}}'  # a good answer of its model

    The search space has a text ``instruction`` with a placeholder, an integer ``count`` and a choice ``tone``;
    override ``parameters`` for another. Its score rises with ``count``.
    """

    rounds = 3
    """Steps that the runs of these tests take."""

    def make_optimizer(self) -> Optimizer:
        """A fresh optimizer, always with the same options."""
        raise LLMError(f"{type(self).__name__} does not say how its optimizer is made: define make_optimizer()")

    def reply(self, request: Request) -> Reply:
        """A useful answer of the optimizer's model."""
        return '{"suggestion": {"instruction": "Work out {{question}} with care.", "count": 4, "tone": "warm"}}'

    def parameters(self) -> dict[str, Parameter[Any]]:
        """The search space."""
        made: list[Parameter[Any]] = [
            Parameter("Answer {{question}} now.", name="instruction", description="what the model is told"),
            Parameter(2, name="count", kind="number", low=1, high=9, description="how many examples are shown"),
            Parameter("plain", name="tone", kind="choice", choices=("plain", "warm", "stern")),
        ]
        return {parameter.name: parameter for parameter in made}

    def view(self, reply: Callable[[Request], Reply] | None = None) -> FakeView:
        """A window on a run whose baseline has been evaluated."""
        specs = {name: spec_of(parameter) for name, parameter in self.parameters().items()}
        examples = {f"e{i}": (f"{i} + {i}", str(2 * i)) for i in range(4)}
        view = FakeView(specs, ScriptedLLM(reply or self.reply), examples=examples)
        return view.evaluated(view.baseline, self.outcomes(view.baseline, view), "baseline")

    def outcomes(self, candidate: Candidate, view: FakeView) -> list[Outcome]:
        """Outcomes of a candidate on all examples."""
        count = candidate.values.get("count", 0)
        score = min(1.0, float(count) / 9) if isinstance(count, int | float) else 0.0
        return [
            Outcome(
                candidate=candidate.id,
                example=id,
                split="search",
                output=given,
                feedback=Feedback(score=score, text=f"The answer should have been {target}."),
            )
            for id, (given, target) in view.examples.items()
        ]

    def ask(self, optimizer: Optimizer, view: FakeView, n: int = 2) -> list[Proposal]:
        """One ask, with what every ask must keep."""
        before = _snapshot(view)
        proposals = run_sync(optimizer.ask(cast("View", view), n))
        assert _snapshot(view) == before, "an optimizer changed what it may only read"
        assert isinstance(proposals, list)
        assert len(proposals) <= n
        for proposal in proposals:
            assert set(proposal.candidate.values) == set(view.parameters)
            for name, value in proposal.candidate.values.items():
                assert view.parameters[name].check(value) == value
            Proposal.model_validate_json(proposal.model_dump_json())
        json.dumps(optimizer.state(), allow_nan=False)
        return proposals

    def advance(self, optimizer: Optimizer, view: FakeView, n: int = 2) -> tuple[FakeView, list[Proposal]]:
        """One ask, the evaluation of what it gave, and the tell."""
        proposals = self.ask(optimizer, view, n)
        told: list[Outcome] = []
        for proposal in proposals:
            outcomes = self.outcomes(proposal.candidate, view)
            view = view.evaluated(proposal.candidate, outcomes, proposal.operator)
            told.extend(outcomes)
        optimizer.tell(told)
        return view.next(), proposals

    def test_has_a_name(self) -> None:
        assert self.make_optimizer().name

    def test_proposes_something(self) -> None:
        assert self.ask(self.make_optimizer(), self.view())

    def test_gives_no_more_than_asked_for(self) -> None:
        for n in (1, 3, 5):
            self.ask(self.make_optimizer(), self.view(), n)

    def test_the_same_run_gives_the_same_proposals(self) -> None:
        assert self._run(self.make_optimizer(), self.view()) == self._run(self.make_optimizer(), self.view())

    def test_a_loaded_state_goes_on_exactly(self) -> None:
        for stop in range(1, self.rounds):
            view, first = self.view(), self.make_optimizer()
            for _ in range(stop):
                view, _ = self.advance(first, view)
            kept = json.loads(json.dumps(first.state(), allow_nan=False))
            second = self.make_optimizer()
            second.load(kept)
            assert json.loads(json.dumps(second.state())) == kept
            assert self._run(first, view.next()) == self._run(second, view.next())

    def test_a_state_is_not_shared(self) -> None:
        view, optimizer = self.view(), self.make_optimizer()
        view, _ = self.advance(optimizer, view)
        kept = json.dumps(optimizer.state(), sort_keys=True)
        held = optimizer.state()
        self.advance(optimizer, view)
        assert json.dumps(held, sort_keys=True) == kept, "a state that was given out changed later"

    def test_bears_malformed_answers(self) -> None:
        for answer in MALFORMED:
            optimizer = self.make_optimizer()
            view = self.view(lambda request, answer=answer: copy.copy(answer))  # type: ignore[misc]
            view, _ = self.advance(optimizer, view)
            self.advance(optimizer, view)

    def test_a_model_that_cannot_be_asked_is_no_lack_of_ideas(self) -> None:
        for error in (LLMError("the key was refused"), TransientLLMError("still down after every attempt")):
            view = self.view(lambda request, error=error: copy.copy(error))  # type: ignore[misc]
            with contextlib.suppress(LLMError):
                proposals = self.ask(self.make_optimizer(), view)
                assert any(p.candidate.id != view.best.candidate.id for p in proposals), "it proposes nothing, silently"

    def test_bears_cells_without_a_score(self) -> None:
        view = self.view()
        lost = [Outcome(candidate=view.baseline.id, example="e0", status="infra_error", error="the server was down")]
        broken = [
            Outcome(candidate=view.baseline.id, example="e1", status="agent_error", error="ValueError: no number")
        ]
        optimizer = self.make_optimizer()
        for outcomes in (lost, broken, []):
            alone = FakeView(view.parameters, view.llm, examples=view.examples)
            self.ask(optimizer, alone.evaluated(view.baseline, outcomes, "baseline"))
            optimizer.tell(outcomes)

    def _run(self, optimizer: Optimizer, view: FakeView) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        for _ in range(self.rounds):
            view, proposals = self.advance(optimizer, view)
            found.extend(proposal.model_dump(mode="json") for proposal in proposals)
        return found


def _snapshot(view: FakeView) -> str:
    """What an optimizer might change, as text."""
    entries = [(e.candidate.model_dump(), e.mean, e.n, [o.model_dump() for o in e.outcomes]) for e in view.archive]
    specs = [(s.name, s.kind, s.value, s.choices) for s in view.parameters.values()]
    return repr((entries, specs, view.examples, view.objective, view.step))
