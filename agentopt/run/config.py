"""``RunConfig``: the one spelling of every option of a run.

Command-line flags, ``AGENTOPT_*`` variables, the ``[run]`` table of ``agentopt.toml`` and the keywords of
``agentopt.optimize`` are all made from it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, JsonValue, field_serializer

from agentopt.core.values import Budget, Frozen
from agentopt.llm.types import without_key
from agentopt.workspace.settings import run_defaults

__all__ = ["RunConfig", "runs_folder", "said_with"]


def _several(value: Any) -> Any:
    return (value,) if isinstance(value, str) else value


Texts = Annotated[tuple[str, ...], BeforeValidator(_several)]
"""Several texts, or one."""


def _folder(value: Any) -> Any:
    return os.fspath(value) if isinstance(value, os.PathLike) else value


def said_with(name: str, args: Mapping[str, JsonValue]) -> str:
    """A name with arguments, for people.

    >>> said_with("bbh", {"name": "navigate"}), said_with("bills", {"n": 20, "seed": 3}), said_with("bills", {})
    ('bbh(name=navigate)', 'bills(n=20, seed=3)', 'bills')
    """
    told = ", ".join(f"{key}={value if isinstance(value, str) else json.dumps(value)}" for key, value in args.items())
    return f"{name}({told})" if told else name


class RunConfig(Frozen):
    """Everything that decides how a run goes."""

    graph: str
    """The graph to run or improve: a name, or ``./file.py@name``."""
    task: str
    """The task that it is judged on: a name, or ``./file.py@name``."""
    parameters: Texts = ()
    """Search only these parameters; all when not given."""
    task_args: dict[str, JsonValue] = Field(default_factory=dict)
    """Arguments of the task, such as its number of examples."""
    optimizer: str = "optoprime"
    """Who proposes: a name (`agentopt list optimizers`)."""
    optimizer_args: dict[str, JsonValue] = Field(default_factory=dict)
    """Options of the optimizer."""
    budget: Budget = Budget()
    """What may be spent: ``calls=400,tokens=2e6,usd=2,evaluations=300,seconds=600``."""
    model: str | None = None
    """The agent's model: ``local/NAME``, ``openai/NAME``, any litellm name, or ``http://host:port/v1``."""
    optimizer_model: str | None = None
    """The optimizer's model; the agent's when not given."""
    judge_model: str | None = None
    """The judge's model; the agent's when not given."""
    prices: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Model to USD per million input tokens and per million output tokens, for models whose price is not known."""
    limit: int | None = Field(None, gt=0)
    """At most this many examples: of the split that is evaluated; for a search, in all, splits keeping their shares."""
    repeats: int = Field(1, gt=0)
    """Evaluate each example this many times; repeats average within the example."""
    seed: int = 0
    """Seed of splits, minibatches and proposals."""
    max_connections: int = Field(16, gt=0)
    """Cells and requests in flight at once."""
    sandbox: str = "auto"
    """Where the code of candidates runs: local, bubblewrap, docker, or auto."""
    allow_weak_sandbox: bool = False
    """Run the code of candidates also where the sandbox lacks a layer; the run records which."""
    code_timeout: float = Field(10.0, gt=0)
    """Seconds for one call of a function whose source is trained."""
    timeout: float = Field(120.0, gt=0)
    """Seconds for what a program does itself on one example, for one attempt at a model call (an embedded model's:
    without a step of it), and for a scorer's own work. Waiting for models and for the sandbox is not counted."""
    proposals: int = Field(4, gt=0)
    """Candidates a step."""
    steps: int | None = Field(None, ge=0)
    """Stop after this many steps; without it, the budget and the patience decide."""
    patience: int = Field(4, gt=0)
    """Stop after this many steps in a row without a new incumbent."""
    minibatch: int | None = Field(None, gt=0)
    """Examples on which new candidates race first; without it, a quarter of the search split, at least 8."""
    invariants_off: Texts = ()
    """Invariants on proposals that are switched off: placeholders, schema, frozen, length, unfinished, form, leak,
    copied, duplicate."""
    frozen: Texts = ()
    """Texts that proposals must keep word for word, in every parameter that holds them."""
    finalists: int = Field(3, gt=0)
    """Candidates that meet the baseline on the validation split."""
    max_tokens: int = Field(512, gt=0)
    """Output cap of an agent's or judge's call that sets none."""
    optimizer_max_tokens: int | None = Field(None, gt=0)
    """Output cap of every optimizer's call; none: what the optimizer asks for, 1024 where it asks for nothing."""
    temperature: float | None = Field(0.0, ge=0)
    """Sampling temperature of an agent's call that sets none; ``none`` leaves it to the server."""
    cache: bool = True
    """Use the workspace's response cache."""
    runs_dir: Annotated[str, BeforeValidator(_folder)] = "runs"
    """Folder of the runs: a text or a path."""
    name: str | None = None
    """Name of the run's folder; made from time, graph and task when not given."""

    @property
    def task_told(self) -> str:
        """The task with the arguments that it was given, for people: ``bbh(name=navigate)``."""
        return said_with(self.task, self.task_args)

    def model_of(self, role: str) -> str | None:
        """The model of a role: agent, optimizer or judge."""
        return {"optimizer": self.optimizer_model, "judge": self.judge_model}.get(role) or self.model

    @field_serializer("model", "optimizer_model", "judge_model", when_used="json")
    def _written(self, model: str | None) -> str | None:
        """As it is written down: a key in a URL is not; a resumed run takes it from ``AGENTOPT_API_KEY``."""
        return model and without_key(model)

    @field_serializer("prices", when_used="json")
    def _written_prices(self, prices: dict[str, tuple[float, float]]) -> dict[str, tuple[float, float]]:
        return {without_key(model): price for model, price in prices.items()}


def runs_folder() -> str:
    """Where runs are made when nothing is said: ``AGENTOPT_RUNS_DIR``, ``runs_dir`` under ``[run]``, or ``runs``.

    Raises ``UsageError`` when ``[run]`` has a field that does not exist.
    """
    return str(run_defaults(RunConfig.model_fields).get("runs_dir", RunConfig.model_fields["runs_dir"].default))
