"""What is compared, on what, with how much: everything that ``docs/results/protocol.md`` fixes, in numbers.

A result belongs to the settings that it was made with: their hash stands in its line, and a table is made of the lines
whose hash is that of the settings as they are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from functools import cache
from typing import Any

from optimizers_agents import agent, calculation, start_text

from agentopt.core.values import digest
from agentopt.evaluate import Example, SplitSpec, Task
from agentopt.optim.registry import BUILTIN
from agentopt.workspace import load_task

CAP = 384
"""Tokens of an answer of the optimizer's model, everybody's."""
SMALL, LARGE = "local/qwen2.5-coder-0.5b", "local/qwen2.5-coder-1.5b"


@dataclass(frozen=True)
class Sizes:
    """How much everybody gets."""

    version: int = 4
    search: int = 20
    """Examples that optimizers see, with targets and feedback."""
    validation: int = 12
    """Examples by which a search chooses among what it found."""
    agent_calls: int = 150
    """Calls of the agent's model in a search, validation included."""
    optimizer_calls: int = 24
    """Calls of the optimizer's model in a search; on numbers, on each problem."""
    optimizer_tokens: int = CAP
    """Cap of an answer of the optimizer's model."""
    seconds: float = 10800.0
    """After so many seconds a search is ended; what it has by then counts. Not in the hash: it only ends what hangs."""
    problems: int = 10
    """Numerical problems."""
    evaluations: int = 8
    """Candidates that a search may try on a numerical problem, after the start."""
    proposals: int = 4
    """Candidates a step of ours on texts (2 on numbers)."""
    patience: int = 12
    """Steps of ours in a row without a new incumbent, after which a search ends."""
    finalists: int = 2
    """Candidates of ours that meet the start on the validation split."""
    seeds: tuple[int, ...] = (0, 1, 2)


@dataclass(frozen=True)
class Method:
    """Who searches, where, and what of the agent it may change."""

    name: str
    who: str
    """``ours`` or the package."""
    tasks: tuple[str, ...]
    slot: str = "instruction"
    """``instruction``, or ``instruction and demos``; on numbers, the numbers."""
    options: dict[str, Any] = field(default_factory=dict)
    """Ours: options of the optimizer. Peers: what their script is told."""
    version: int = 1
    """Goes up with each mend of this method, ours or a peer's script: its lines from before are not in the table."""

    @property
    def there(self) -> bool:
        """Whether it can be run: ours are known to the registry."""
        return self.who != "ours" or self.name in BUILTIN


NUMBERS = "numerical"
CORE, FULL = (NUMBERS, "mail", "boolean"), ("bills", "navigate", "objects")
"""Tasks of the core table, and those that the full one has besides; in this order they are run."""
TEXTS = (*CORE[1:], *FULL)
ALL = (*TEXTS, NUMBERS)
BOTH = "instruction and demos"
METHODS = (
    Method("optoprime", "ours", ALL, options={"reasoning": False, "max_tokens": CAP}),
    Method("opro", "ours", ALL, options={"max_tokens": CAP}),
    Method("random", "ours", ALL, options={"max_tokens": CAP}),
    Method("paraphrase", "ours", ALL, options={"max_tokens": CAP}),
    Method("demos", "ours", TEXTS, BOTH, options={"max_labelled": 4, "max_bootstrapped": 4}),
    Method("trace", "trace-opt", ALL),
    Method("gepa", "gepa", TEXTS),
    Method("miprov2", "dspy", TEXTS, options={"demos": 0}),
    Method("miprov2 with demos", "dspy", TEXTS, BOTH, options={"demos": 4}),
)
GOAL = "Change the instruction so that the agent's replies score higher."
"""What ours are told of a text task: no more than peers, who get examples and feedback. A task's own objective may name
the answers that are wanted."""
STARTS = ("start", "start again")
"""No searches: the start itself on the test split, twice, so that what is noise can be seen."""


def method(name: str) -> Method:
    """A method by its name."""
    return next(m for m in METHODS if m.name == name)


@dataclass(frozen=True)
class TextTask:
    """A task whose agent is asked a question in words."""

    name: str
    model: str
    max_tokens: int
    test: int
    load: Callable[[], Task]
    read: Callable[[], Callable[[str], Any] | None] = lambda: None


TEXT_TASKS = {
    "mail": TextTask("mail", SMALL, 12, 100, lambda: load_task("mail", n=400, seed=2026)),
    "boolean": TextTask("boolean", SMALL, 32, 100, lambda: load_task("bbh", name="boolean_expressions")),
    "bills": TextTask("bills", SMALL, 48, 150, lambda: load_task("bills", n=400, seed=2026), calculation),
    "navigate": TextTask("navigate", LARGE, 128, 120, lambda: load_task("bbh", name="navigate")),
    "objects": TextTask("objects", LARGE, 128, 120, lambda: load_task("bbh", name="object_counting")),
}


def optimizer_model(task: str) -> str:
    """The model that proposes, by task."""
    return SMALL if task == NUMBERS else LARGE


@dataclass(frozen=True)
class Data:
    """A text task cut up for a seed."""

    spec: TextTask
    start: str
    search: Sequence[Example]
    validation: Sequence[Example]
    test: Sequence[Example]
    task: Task
    """Search and validation examples alone, for a search."""
    whole: Task
    """The test examples alone, for the end."""

    def agent(self) -> Any:
        """A fresh agent."""
        return agent(self.start, self.spec.max_tokens, self.spec.read())


@cache
def data(name: str, seed: int, sizes: Sizes) -> Data:
    """The examples of a text task: one test split for all seeds; search and validation are drawn from the rest."""
    spec = TEXT_TASKS[name]
    task = spec.load()
    cut = task.with_split(search=len(task.examples) - spec.test, validation=0, test=spec.test, seed=2026).splits()
    inner = _part(task, cut.search, SplitSpec(search=sizes.search, validation=sizes.validation, test=0, seed=seed))
    drawn = inner.splits()
    inner = _part(task, [*drawn.search, *drawn.validation], inner.split)
    again = inner.splits()
    whole = _part(task, cut.test, SplitSpec(search=0, validation=0, test=1.0))
    return Data(spec, start_text(name), again.search, again.validation, cut.test, inner, whole)


def _part(task: Task, examples: Sequence[Example], split: SplitSpec) -> Task:
    return Task(
        task.name, examples, task.scorer, version=task.version, objective=GOAL,
        score_range=task.score_range, split=split,
    )  # fmt: skip


@dataclass(frozen=True, order=True)
class Cell:
    """One search, or one look at the start."""

    task: str
    method: str
    seed: int

    def __str__(self) -> str:
        return f"{self.task} / {self.method} / seed {self.seed}"


def cells(sizes: Sizes, full: bool = False) -> list[Cell]:
    """All cells of a table: the starts first, then seed by seed, so that a table that is cut has every method.

    The full table has more tasks, and the methods that may change demonstrations; these come after all others, since
    what they show is a question of its own.
    """
    ordered = sorted((*CORE, *FULL) if full else CORE, key=lambda task: task == NUMBERS)
    found = [Cell(task, name, 0) for task in ordered if task != NUMBERS for name in STARTS]
    alike = [[m for m in METHODS if (m.slot == BOTH) is both] for both in ((False, True) if full else (False,))]
    return found + [
        Cell(t, m.name, seed) for ms in alike for seed in sizes.seeds for t in ordered for m in ms if t in m.tasks
    ]


def settings(sizes: Sizes, task: str, name: str) -> dict[str, Any]:
    """What a line of results is made with: sizes, agent, optimizer's model, method."""
    told: dict[str, Any] = {k: v for k, v in asdict(sizes).items() if k not in ("seeds", "seconds")}
    if task != NUMBERS:
        spec = TEXT_TASKS[task]
        told["agent"] = [spec.model, spec.max_tokens, spec.test, start_text(task)]
    if name not in STARTS:
        chosen = method(name)
        told["method"] = [chosen.who, chosen.version, chosen.slot, chosen.options, optimizer_model(task)]
        if chosen.who == "ours" and task != NUMBERS:
            told["goal"] = GOAL
    return told


def protocol_hash(sizes: Sizes, task: str, name: str) -> str:
    """The hash of the settings: lines with another one are of another protocol, and not in the table."""
    return digest([task, name, settings(sizes, task, name)])[:12]
