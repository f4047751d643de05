"""What is to be solved: examples, how an answer is scored, and in which words that is told to an optimizer."""

from __future__ import annotations

import asyncio
import functools
import inspect
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, get_type_hints, overload

from pydantic import Field, JsonValue, TypeAdapter, ValidationError, model_validator

from agentopt.core.values import Feedback, Frozen, digest
from agentopt.errors import UnknownName, UsageError
from agentopt.evaluate.scoring import Scorer, call_scorer, failed, normalise, scorer_name
from agentopt.evaluate.splits import SplitChoice, Splits, SplitSpec, make_splits

__all__ = ["Example", "Task", "TaskFactory", "as_example", "task"]


class Example(Frozen):
    """One instance of a task.

    >>> Example(input="1 + 1", target=2).id == Example(input="1 + 1", target=2).id
    True
    """

    id: str = ""
    """A name of its own; by default 16 hex digits of the hash of input and target."""
    input: JsonValue
    """What the graph gets; a dict is passed as keyword arguments."""
    target: JsonValue = None
    """What the scorer compares with."""
    meta: dict[str, JsonValue] = Field(default_factory=dict)
    """Anything else that is worth keeping; scorers may read it."""
    group: str | None = None
    """A label by which splits are stratified."""
    cluster: str | None = None
    """Examples with one cluster ask nearly the same: they are never on two sides of a split, and intervals and tests
    count them once."""

    @model_validator(mode="before")
    @classmethod
    def _named(cls, data: Any) -> Any:
        if isinstance(data, Mapping) and data.get("id") in (None, "") and "input" in data:
            try:
                return {**data, "id": digest([data["input"], data.get("target")])[:16]}
            except (TypeError, ValueError) as error:
                raise ValueError(f"input and target must be JSON: {error}") from None
        return data

    @functools.cached_property
    def content(self) -> str:
        """sha256 of input and target, whatever the id is."""
        return digest([self.input, self.target])


def as_example(value: Any, index: int = 0) -> Example:
    """Read an example from an ``Example``, an ``(input, target)`` pair, or a dict with the fields of ``Example``.

    Raises:
        UsageError: it is none of these; the message names its place in the list.
    """
    if isinstance(value, Example):
        return value
    try:
        if isinstance(value, tuple | list) and len(value) == 2:
            return Example(input=value[0], target=value[1])
        if isinstance(value, Mapping) and "input" in value:
            return Example.model_validate(dict(value))
    except ValidationError as error:
        reason = "; ".join(f"{'.'.join(map(str, e['loc'])) or 'example'}: {e['msg']}" for e in error.errors()[:3])
        raise UsageError(f"example {index} cannot be used: {reason}") from None
    raise UsageError(
        f"example {index} is a {type(value).__name__}; give an Example, an (input, target) pair,"
        " or a dict with 'input' and 'target'"
    )


@dataclass(frozen=True)
class Task:
    """A problem family: examples and a scorer.

    Examples that repeat an earlier one (same input and target) are left out, and ``notes`` says so.

    >>> from agentopt.evaluate.scorers import exact
    >>> t = Task("greet", [Example(input="en", target="hello"), Example(input="de", target="hallo")], exact())
    >>> t.score(t.examples[0], "hello").score
    1.0

    Raises:
        UsageError: no examples, one id for two different examples, a range that is empty or not finite.
    """

    name: str
    examples: Sequence[Example]
    scorer: Scorer
    version: int = 1
    objective: str = ""
    """What is wanted, in words: optimizers read it."""
    score_range: tuple[float, float] = (0.0, 1.0)
    """Lowest and highest score; higher is better."""
    split: SplitSpec = field(default_factory=SplitSpec)
    notes: tuple[str, ...] = ()
    """What was noticed about the examples."""
    test_only: frozenset[str] = frozenset()
    """Ids of the examples that are published as a test set: they are never searched on, and only they are tested on."""

    def __post_init__(self) -> None:
        low, high = (float(v) for v in self.score_range)
        if not (low < high and abs(low) < float("inf") and abs(high) < float("inf")):
            raise UsageError(f"task {self.name!r}: score_range is {self.score_range}; give (lowest, highest), finite")
        if not callable(self.scorer):
            raise UsageError(f"task {self.name!r}: the scorer is a {type(self.scorer).__name__}, not a function")
        examples, repeated = _distinct(self.name, [as_example(e, i) for i, e in enumerate(self.examples)])
        if not examples:
            raise UsageError(f"task {self.name!r} has no examples; a task needs at least one")
        notes = self.notes
        if repeated:
            total = len(examples) + repeated
            notes = (*notes, f"{repeated} of {total} examples repeat an earlier one and were left out")
        object.__setattr__(self, "score_range", (low, high))
        object.__setattr__(self, "examples", tuple(examples))
        object.__setattr__(self, "notes", notes)

    @property
    def hash(self) -> str:
        """sha256 of name, version, range and the content of all examples, whatever their order."""
        contents = sorted([e.id, e.content] for e in self.examples)
        return digest([self.name, self.version, list(self.score_range), contents])

    def splits(self, *, limit: int | None = None, of: SplitChoice | None = None, seed: int | None = None) -> Splits:
        """The search, validation and test examples: disjoint, fixed by the seed, stratified by group.

        Args:
            limit: at most so many examples, in all where ``of`` does not say of which split.
            of: the split that is limited, the others stay whole; ``all`` as without it, but a split may become empty.
            seed: in place of the one in ``split``.

        Raises:
            UsageError: a split would be empty.
        """
        spec = self.split if seed is None else self.split.model_copy(update={"seed": seed})
        return make_splits(self.examples, spec, limit=limit, of=of, task=self.name, test_only=self.test_only)

    def score(self, example: Example, output: Any, trace: Any = None) -> Feedback:
        """What the scorer says of ``output``; a ``ScorerError`` (no score) when the scorer fails.

        Raises:
            UsageError: the scorer is async; use ``await task.ascore(...)``.
        """
        try:
            returned = call_scorer(self.scorer, example, output, trace)
        except (Exception, SystemExit) as error:
            return failed(self.scorer, error)
        if inspect.isawaitable(returned):
            if inspect.iscoroutine(returned):
                returned.close()
            raise UsageError(f"scorer {scorer_name(self.scorer)!r} is async; use `await task.ascore(...)`")
        return normalise(returned, self.score_range, scorer=scorer_name(self.scorer))

    async def ascore(
        self, example: Example, output: Any, trace: Any = None, *, aside: Callable[[Any], Awaitable[Any]] | None = None
    ) -> Feedback:
        """As ``score``, for sync and async scorers alike. ``aside`` calls a plain scorer, in a thread for example."""
        call = functools.partial(call_scorer, self.scorer, example, output, trace)
        try:
            if aside is None or _is_async(self.scorer):
                returned = call()
            else:
                returned = await aside(call)
            if inspect.isawaitable(returned):
                returned = await returned
        except (Exception, SystemExit, asyncio.CancelledError) as error:
            return failed(self.scorer, error)
        return normalise(returned, self.score_range, scorer=scorer_name(self.scorer))

    def with_split(self, **changes: Any) -> Task:
        """The same task with other split sizes or another seed."""
        return replace(self, split=SplitSpec(**{**self.split.model_dump(), **changes}))


def _distinct(name: str, examples: Iterable[Example]) -> tuple[list[Example], int]:
    kept: list[Example] = []
    ids: dict[str, str] = {}
    contents: set[str] = set()
    repeated = 0
    for example in examples:
        content = example.content
        if content in contents:
            repeated += 1
            continue
        if ids.get(example.id, content) != content:
            raise UsageError(f"task {name!r}: two different examples have the id {example.id!r}; give each its own")
        ids[example.id] = content
        contents.add(content)
        kept.append(example)
    return kept, repeated


def _is_async(scorer: Scorer) -> bool:
    """Whether calling it gives a coroutine: an async function, or an object whose ``__call__`` is one."""
    return inspect.iscoroutinefunction(scorer) or inspect.iscoroutinefunction(type(scorer).__call__)


class TaskFactory:
    """What ``@task`` makes of a function: call it for a ``Task``.

    ``name``, ``version`` and ``parameters`` (name to default) can be read without calling it.
    """

    def __init__(self, function: Callable[..., Any], **options: Any) -> None:
        self.__wrapped__ = function
        self.__doc__ = function.__doc__
        self.__name__ = self.name = str(options.pop("name", None) or function.__name__)
        self.__module__ = function.__module__
        self.version: int = options.pop("version", 1)
        self._options = options
        signature = inspect.signature(function)
        bare = [p.name for p in signature.parameters.values() if p.default is p.empty]
        if bare:
            raise UsageError(f"task {self.name!r}: the arguments {', '.join(bare)} need defaults")
        self.parameters: dict[str, Any] = {p.name: p.default for p in signature.parameters.values()}

    def __call__(self, **args: Any) -> Task:
        """Build the task.

        Raises:
            UsageError: an argument it does not take or a value of the wrong type.
        """
        for name in args:
            if name not in self.parameters:
                known = ", ".join(f"{k}={v!r}" for k, v in self.parameters.items()) or "none"
                raise UnknownName(f"argument of task {self.name!r}", name, self.parameters, hint=f"it takes {known}")
        made = self.__wrapped__(**{name: self._converted(name, value) for name, value in args.items()})
        if isinstance(made, Task):
            return made
        if not (isinstance(made, tuple) and len(made) == 2 and callable(made[1])):
            raise UsageError(
                f"task {self.name!r} returned a {type(made).__name__}; return a Task or (examples, scorer)"
            )
        options = {k: v for k, v in self._options.items() if v is not None}
        options.setdefault("objective", first_paragraph(self.__doc__))
        return Task(name=self.name, examples=list(made[0]), scorer=made[1], version=self.version, **options)

    def _converted(self, name: str, value: Any) -> Any:
        """Texts (from a command line) as the annotated type, or the type of the default."""
        if not isinstance(value, str):
            return value
        default = self.parameters[name]
        wanted = get_type_hints(self.__wrapped__).get(name, type(default) if default is not None else str)
        try:
            return TypeAdapter(wanted).validate_python(value)
        except ValidationError as error:
            raise UsageError(f"task {self.name!r}: {name}={value!r}: {error.errors()[0]['msg']}") from None

    def __repr__(self) -> str:
        return f"<task {self.name} v{self.version}>"


def first_paragraph(doc: str | None) -> str:
    """The first paragraph of a docstring, on one line."""
    return " ".join(inspect.cleandoc(doc or "").split("\n\n")[0].split())


@overload
def task(function: Callable[..., Any], /) -> TaskFactory: ...


@overload
def task(
    *,
    version: int = ...,
    name: str | None = ...,
    objective: str | None = ...,
    score_range: tuple[float, float] | None = ...,
    split: SplitSpec | None = ...,
) -> Callable[[Callable[..., Any]], TaskFactory]: ...


def task(function: Callable[..., Any] | None = None, /, **options: Any) -> Any:
    """Make a task of a function that returns ``(examples, scorer)`` or a ``Task``.

    The function's arguments all have defaults; its name becomes the task's, the first paragraph of its docstring the
    objective.

    >>> from agentopt.evaluate.scorers import numeric
    >>> @task(version=2)
    ... def double(n: int = 3):
    ...     '''Double the number.'''
    ...     return [(i, 2 * i) for i in range(n)], numeric()
    >>> double(n=5).objective, len(double(n=5).examples)
    ('Double the number.', 5)
    """
    if function is not None:
        return TaskFactory(function, **options)
    return lambda f: TaskFactory(f, **options)
