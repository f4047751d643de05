"""A pinned measurement: a task, the graph and the settings that its number is made under, and what else is read off.

An eval is found by name in a workspace's ``evals/``, one file each, as tasks and graphs are.
"""

from __future__ import annotations

import inspect
import textwrap
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, get_args, overload

from pydantic import Field, JsonValue

from agentopt.core.values import Frozen, canonical, digest
from agentopt.errors import UsageError
from agentopt.evaluate.splits import SplitChoice
from agentopt.evaluate.task import Example, first_paragraph

__all__ = ["PINNED", "Eval", "EvalFactory", "Guess", "Measure", "Published", "always", "commonest", "evaluation"]

Label = Callable[[Example], object]
"""What a function of an example says of it: a text, or something that is told as one."""

PINNED = (
    "graph", "task", "task_args", "values", "split", "limit", "repeats", "seed", "max_tokens", "temperature",
)  # fmt: skip
"""The fields of an ``Eval`` that the protocol is; what is given otherwise on a command line departs from it."""


class Published(Frozen):
    """A published result. It is shown beside ours and marked: it was made under a protocol of its own."""

    model: str
    """The model, or the system, as its paper calls it."""
    score: float
    """On the scale of the measure: a share from 0 to 1, where it is one."""
    protocol: str
    """How it was made, in words: what is asked, how many samples, which examples, how an answer is judged."""
    source: str
    """Where it stands: paper and table, or page and date."""
    measure: str = "score"
    """Of what it is: ``score``, or the name of a measure."""
    n: int | None = Field(None, gt=0)
    """Examples, where the source says how many."""


@dataclass(frozen=True)
class Measure:
    """A named number beside the score, read off every outcome; repeats average within an example.

    >>> Measure("parses", "Answers that parse").of
    'parts.parses'

    Raises:
        UsageError: ``of`` is nothing that an outcome has, or ``over`` is a function without a name.
    """

    name: str
    """What tables and ``--measure`` call it."""
    title: str = ""
    """What it is, in words; by default its name."""
    of: str = ""
    """What is read: ``parts.NAME`` of the feedback (the default, with the measure's name), ``metrics.NAME`` of the
    outcome (``seconds``, ``calls``, ``input_tokens``, ``output_tokens``, ``usd``), ``score``, or ``answered``: whether
    the program gave an answer at all."""
    kind: Literal["share", "mean"] = "share"
    """A ``share`` lies from 0 to 1; a ``mean`` is of any scale."""
    over: Callable[[Example], bool] | None = None
    """The examples that count, as a function with a name; all when not given."""
    failed: float | Literal["by kind"] | None = "by kind"
    """What a part counts for where the program failed or ran out of time and nothing was scored; None: not at all.
    ``by kind`` is 0 for a share and None for a mean."""
    lower_is_better: bool = False
    """Which direction a comparison calls better."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "of", self.of or f"parts.{self.name}")
        object.__setattr__(self, "title", self.title or self.name)
        if self.failed == "by kind":
            object.__setattr__(self, "failed", 0.0 if self.kind == "share" else None)
        kind, _, inner = self.of.partition(".")
        if not (self.of in ("score", "answered") or (kind in ("parts", "metrics") and inner)):
            raise UsageError(
                f"measure {self.name!r} reads {self.of!r}; it can read parts.NAME, metrics.NAME, score, answered"
            )
        if self.name in ("score", ""):
            raise UsageError(f"a measure is called {self.name!r}: the score is shown by itself; give another name")
        if self.over is not None and self.subset in ("", "<lambda>"):
            raise UsageError(
                f"measure {self.name!r}: the examples it is over need a name to be told by; give `over` a function"
            )

    @property
    def subset(self) -> str:
        """The name of the examples that count; empty when all do."""
        return "" if self.over is None else str(getattr(self.over, "__name__", "")).replace("_", " ").strip()


@dataclass(frozen=True)
class Guess:
    """Answers that need no model, scored beside every result: what a number is worth is seen against them."""

    title: str
    """As it stands in the table."""
    answers: Callable[[Sequence[Example]], Sequence[JsonValue]]
    """From the examples to an answer for each, in their order."""


def always(answer: JsonValue) -> Guess:
    """The same answer to everything.

    >>> always("yes").title
    'always "yes"'
    """
    return Guess(f"always {canonical(answer)}", lambda examples: [answer] * len(examples))


def commonest(answer: Callable[[Example], JsonValue] | None = None) -> Guess:
    """The answer that is right most often, to everything; ``answer`` makes it of an example, by default its target.

    >>> commonest().answers([Example(input=i, target=i % 3 == 0) for i in range(9)])[0]
    False
    """

    def answers(examples: Sequence[Example]) -> Sequence[JsonValue]:
        given = [e.target if answer is None else answer(e) for e in examples]
        often = Counter(map(canonical, given))
        best = max(given, key=lambda value: often[canonical(value)], default=None)
        return [best] * len(examples)

    return Guess("always the commonest target", answers)


@dataclass(frozen=True)
class Eval:
    """A measurement with everything that its number depends on.

    >>> sums = Eval(task="sums", graph="solve", split="test", repeats=3, measures=[Measure("short")], name="sums-3")
    >>> sums.pinned["repeats"], [m.of for m in sums.measures]
    (3, ['parts.short'])

    Raises:
        UsageError: a split that does not exist, two measures of one name, a published number of an unknown measure.
    """

    task: str
    """Name of the task."""
    graph: str
    """Name of the graph that is measured unless another is given."""
    name: str = ""
    """The name of the function that ``@evaluation`` decorates."""
    version: int = 1
    """Of the measurement, as ``@evaluation(version=...)`` says it."""
    about: str = ""
    """What is measured, in words; by default the first paragraph of that function's docstring."""
    task_args: Mapping[str, JsonValue] = field(default_factory=dict)
    """Arguments of the task."""
    values: Mapping[str, JsonValue] = field(default_factory=dict)
    """Values of the graph's parameters in place of its own: how many samples, which prompt, ..."""
    split: SplitChoice = "all"
    """Which examples."""
    limit: int | None = None
    """At most so many of them."""
    repeats: int = 1
    """How often each is asked."""
    seed: int = 0
    """Of splits and sampling."""
    max_tokens: int = 512
    """Output cap of a call that sets none."""
    temperature: float | None = 0.0
    """Of a call that sets none; None leaves it to the server."""
    measures: Sequence[Measure] = ()
    """Numbers beside the score."""
    group: Label | None = None
    """Examples with one label count as one cluster: near-duplicates say the same thing again, and an interval that took
    them for independent would be too narrow. A label of None is none; without a function it is ``Example.cluster``."""
    by: Label | None = None
    """The type of an example, for a table by type; None leaves it out of the table."""
    guesses: Sequence[Guess] = ()
    """What answers without a model score."""
    published: Sequence[Published] = ()
    """Published results."""
    notes: Sequence[str] = ()
    """What has to be said with every result."""

    def __post_init__(self) -> None:
        if self.split not in get_args(SplitChoice):
            raise UsageError(f"eval {self.name!r}: split {self.split!r} is none of {', '.join(get_args(SplitChoice))}")
        if self.repeats < 1 or self.max_tokens < 1 or (self.limit is not None and self.limit < 1):
            raise UsageError(f"eval {self.name!r}: repeats, max_tokens and limit are 1 or more")
        if self.temperature is not None:  # 0 is 0.0, also in the hash
            object.__setattr__(self, "temperature", float(self.temperature))
        for many in ("measures", "guesses", "published", "notes"):
            object.__setattr__(self, many, tuple(getattr(self, many)))
        names = [measure.name for measure in self.measures]
        if twice := [name for name, n in Counter(names).items() if n > 1]:
            raise UsageError(f"eval {self.name!r}: two measures are called {twice[0]!r}")
        for row in self.published:
            if row.measure not in ("score", *names):
                raise UsageError(
                    f"eval {self.name!r}: a published number of {row.model} is of {row.measure!r}, which is no measure "
                    f"of it; there are {', '.join(['score', *names])}"
                )

    @property
    def pinned(self) -> dict[str, JsonValue]:
        """The protocol: everything that a number depends on beside the model, as JSON."""
        return {k: dict(v) if isinstance(v := getattr(self, k), Mapping) else v for k in PINNED}

    @property
    def hash(self) -> str:
        """sha256 of name, version, protocol, and how measures and clusters are read: the same for the same measurement.

        What is only shown beside it (published results, notes, guesses) does not enter.
        """
        read = [[m.name, m.of, m.kind, m.failed, m.lower_is_better, _told(m.over)] for m in self.measures]
        return digest([self.name, self.version, self.pinned, read, _told(self.group), _told(self.by)])


def _told(function: Callable[..., Any] | None) -> str | None:
    """A function as it is written; where that cannot be read, its name."""
    if function is None:
        return None
    try:
        return textwrap.dedent(inspect.getsource(function))
    except (OSError, TypeError):
        return getattr(function, "__qualname__", type(function).__name__)


class EvalFactory:
    """What ``@evaluation`` makes of a function: call it for the ``Eval``. Name and version are known before."""

    def __init__(self, function: Callable[[], Eval], *, version: int = 1) -> None:
        self.__wrapped__ = function
        self.__doc__ = function.__doc__
        self.__name__ = self.name = function.__name__
        self.__module__ = function.__module__
        self.version = version
        if inspect.signature(function).parameters:
            raise UsageError(f"eval {self.name!r} takes arguments; a pinned measurement has none: make one eval each")

    def __call__(self) -> Eval:
        """Make the eval.

        Raises:
            UsageError: the function returned something else.
        """
        made = self.__wrapped__()
        if not isinstance(made, Eval):
            raise UsageError(f"eval {self.name!r} returned a {type(made).__name__}; return an Eval")
        about = made.about or first_paragraph(self.__doc__)
        return replace(made, name=self.name, version=self.version, about=about)

    def __repr__(self) -> str:
        return f"<eval {self.name} v{self.version}>"


@overload
def evaluation(function: Callable[[], Eval], /) -> EvalFactory: ...


@overload
def evaluation(*, version: int = ...) -> Callable[[Callable[[], Eval]], EvalFactory]: ...


def evaluation(function: Callable[[], Eval] | None = None, /, *, version: int = 1) -> Any:
    """Make a named measurement of a function that returns an ``Eval``.

    The function's name becomes the eval's; the first paragraph of its docstring says what is measured.

    >>> @evaluation(version=2)
    ... def sums_once():
    ...     '''Sums, each asked once.'''
    ...     return Eval(task="sums", graph="solve", split="test", guesses=[commonest()])
    >>> sums_once().name, sums_once().version, sums_once().about
    ('sums_once', 2, 'Sums, each asked once.')
    """
    if function is not None:
        return EvalFactory(function, version=version)
    return lambda f: EvalFactory(f, version=version)
