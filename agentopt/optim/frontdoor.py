"""The PyTorch-like front door: ``optimizer.zero_feedback(); y.backward("..."); optimizer.step()``."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from pydantic import JsonValue

from agentopt._aio import run_sync
from agentopt.core import Given, Graph, Node, Parameter, zero_feedback
from agentopt.core import parameters as find_parameters
from agentopt.core.graphs import jsonable
from agentopt.core.values import Candidate, Outcome, canonical
from agentopt.errors import ConstraintError, UsageError
from agentopt.llm.context import current_session
from agentopt.llm.types import Client, Request, Response
from agentopt.optim.base import OptimizerLLM, ParameterSpec, Scored, View
from agentopt.optim.registry import make
from agentopt.workspace.prompts import prompt_text

__all__ = ["OptoPrime", "Step"]

_KEPT = 200  # steps remembered: a loop may go on for ever


@dataclass(frozen=True, slots=True)
class Step:
    """What a step did: ``changed`` maps a parameter's name to (old value, new value)."""

    changed: Mapping[str, tuple[JsonValue, JsonValue]]
    why: str = ""
    rejected: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        """Whether anything changed."""
        return bool(self.changed)


class OptoPrime:
    """OptoPrime for a training loop of one's own.

    Each step shows the model the traces of all outputs that got feedback since ``zero_feedback``, with the weights of
    the feedback, and the values and feedback of earlier steps; then it sets the new values in place. Every suggestion
    passes the parameter's own check, or is repaired once, or is left out and reported. It is the machine that runs use
    (``optim.optoprime.OptoPrimeOptimizer``) behind another door.

    Args:
        parameters: a list of them, what ``parameters(agent)`` gives, or the agent itself.
        model: the optimizer's model; default is that of the current session (``AGENTOPT_MODEL``).
        objective: what is wanted, in words.
        memory: how many earlier tries the model is shown.
        seed: of everything that is drawn.
        client: who answers; default is the current session's.
        options: further options of ``OptoPrimeOptimizer`` (temperature, focus, mask_graph, ...).

    Raises:
        UsageError: no parameters, or two of one name.

    >>> from agentopt.core import Node, Parameter
    >>> from agentopt.testing import ScriptedLLM
    >>> w = Parameter(2, name="w", kind="number", low=0, high=10)
    >>> said = {"reasoning": "3 * w must grow", "suggestion": {"w": 5}}
    >>> optimizer = OptoPrime([w], client=ScriptedLLM([said]))
    >>> optimizer.zero_feedback()
    >>> y = Node(3, name="x") * w
    >>> y.backward("too small")
    >>> optimizer.step().changed, w.value
    ({'w': (2, 5)}, 5)
    """

    def __init__(
        self,
        parameters: Any,
        model: str | None = None,
        *,
        objective: str = "",
        memory: int = 5,
        seed: int = 0,
        client: Client | None = None,
        **options: Any,
    ) -> None:
        self.parameters = _named(parameters)
        self.model, self.objective, self.seed, self.client = model, objective, seed, client
        options = {"focus": "all", "examples": 8, "choose": "worst", "insist": False, **options}
        self._machine = make("optoprime", memory=memory, **options)
        self._archive: list[Scored] = []
        self._first: Candidate | None = None
        self._steps = 0

    def zero_feedback(self) -> None:
        """Forget the feedback given so far; what was learned from earlier steps stays in the memory."""
        zero_feedback(self.parameters.values())

    def step(self) -> Step:
        """Ask for new values and set them. Also works inside a running event loop (Jupyter).

        Raises:
            UsageError: no feedback has reached a parameter since ``zero_feedback``.
            LLMError: the model could not be asked; nothing has changed, and the step can be taken again.
        """
        return run_sync(self.step_async())

    async def step_async(self) -> Step:
        """``step`` for async code."""
        given = self._given()
        if not given:
            raise UsageError(
                "no feedback has reached the optimizer's parameters: call output.backward(...) on a node that was made "
                "with them, after zero_feedback() and before step()"
            )
        current = Candidate(values={name: jsonable(p.default)[0] for name, p in self.parameters.items()})
        self._first = self._first or current
        graphs, scored = self._evaluated(current, given)
        view = _View(
            step=self._steps,
            objective=self.objective,
            parameters={name: _spec(p) for name, p in self.parameters.items()},
            baseline=self._first,
            best=scored,
            archive=[*self._archive, scored],
            llm=self._llm(),
            rng=random.Random(f"{self.seed}/{self._steps}"),
            graphs=graphs,
        )
        proposals = await self._machine.ask(view, 1)
        self._archive.append(scored)
        self._steps += 1
        if not proposals:
            return Step({})
        changed: dict[str, tuple[JsonValue, JsonValue]] = {}
        rejected = list(proposals[0].rejected)
        for name, value in proposals[0].candidate.values.items():
            old = current.values[name]
            if canonical(value) != canonical(old):
                try:
                    self.parameters[name].value = value
                    changed[name] = (old, value)
                except ConstraintError as error:
                    rejected.append(str(error))
        return Step(changed, proposals[0].why, tuple(rejected))

    def state(self) -> dict[str, JsonValue]:
        """Memory and position, as JSON; the parameters' values are the caller's to keep."""
        return {
            "steps": self._steps,
            "machine": self._machine.state(),
            "first": None if self._first is None else self._first.model_dump(mode="json"),
            "memory": [
                {
                    "candidate": scored.candidate.model_dump(mode="json"),
                    "mean": scored.mean,
                    "outcomes": [outcome.model_dump(mode="json") for outcome in scored.outcomes],
                }
                for scored in self._archive
            ],
        }

    def load(self, state: Mapping[str, Any]) -> None:
        """Take a state that ``state`` gave."""
        self._steps = int(state["steps"])
        self._machine.load(state["machine"])
        self._first = None if state["first"] is None else Candidate(**state["first"])
        self._archive = []
        for kept in state["memory"]:
            outcomes = tuple(Outcome.model_validate(outcome) for outcome in kept["outcomes"])
            candidate = Candidate(**kept["candidate"])
            self._archive.append(Scored(candidate, kept["mean"], len(outcomes), None, None, outcomes))

    def _llm(self) -> OptimizerLLM:
        if self.client is not None:
            return _LLM(self.model or str(getattr(self.client, "model", "given")), self.client)
        session = current_session()
        return _LLM(self.model or session.models.get("optimizer") or session.model(), session.client)

    def _given(self) -> list[Given]:
        """Each piece of feedback once, although it reached several parameters."""
        found: dict[tuple[int, int, int], Given] = {}
        for parameter in self.parameters.values():
            seen: dict[tuple[int, int], int] = {}
            for given in parameter.feedback:
                key = (id(given.output), id(given.feedback))
                seen[key] = seen.get(key, 0) + 1
                found[(*key, seen[key])] = given
        return list(found.values())

    def _evaluated(self, current: Candidate, given: Iterable[Given]) -> tuple[dict[str, Any], Scored]:
        graphs: dict[str, Any] = {}
        outcomes, total, weights = [], 0.0, 0.0
        for i, (output, feedback, weight) in enumerate(given):
            key = f"{self._steps}.{i}"
            graphs[key] = graph = Graph.of(output)
            record = graph[graph.output or ""]
            error = record.error
            outcomes.append(
                Outcome(
                    candidate=current.id,
                    example=key,
                    status="agent_error" if error else "ok",
                    output=None if error else record.value,
                    feedback=feedback,
                    metrics={"weight": weight},
                    error=error,
                )
            )
            if feedback.score is not None:
                total, weights = total + weight * feedback.score, weights + weight
        mean = total / weights if weights else None
        return graphs, Scored(current, mean, len(outcomes), None, None, tuple(outcomes), self._steps)


@dataclass(slots=True)
class _LLM:
    model: str
    client: Client

    async def complete(self, request: Request) -> Response:
        return await self.client.complete(request)


@dataclass(slots=True)
class _View(View):
    step: int
    objective: str
    parameters: Mapping[str, ParameterSpec]
    baseline: Candidate
    best: Scored
    archive: list[Scored]
    llm: OptimizerLLM
    rng: random.Random
    graphs: dict[str, Any] = field(default_factory=dict)

    def example(self, id: str) -> tuple[Any, Any]:
        raise UsageError(f"{id!r} is a run of the caller's, not an example of a task")

    def graph(self, outcome: Outcome) -> Any:
        return self.graphs.get(outcome.example)

    def prompt(self, name: str) -> str:
        return prompt_text(name)


def _spec(parameter: Parameter[Any]) -> ParameterSpec:
    return ParameterSpec(**parameter.spec_dict(), check=parameter.check)


def _named(parameters: Any) -> dict[str, Parameter[Any]]:
    if isinstance(parameters, Mapping):
        found = list(parameters.values())
    elif isinstance(parameters, Parameter):
        found = [parameters]
    elif isinstance(parameters, Iterable) and not isinstance(parameters, Node | str):
        found = list(parameters)
    else:
        found = list(find_parameters(parameters).values())
    named: dict[str, Parameter[Any]] = {}
    for parameter in found:
        if not isinstance(parameter, Parameter):
            raise UsageError(f"OptoPrime takes parameters, not {parameter!r}; parameters(agent) finds an agent's")
        if named.setdefault(parameter.name, parameter) is not parameter:
            raise UsageError(f"two parameters are named {parameter.name!r}: give them different names")
    if not named:
        raise UsageError("OptoPrime needs at least one parameter; parameters(agent) finds an agent's")
    return named
