"""Other people's metrics and data: ``metric(gold, prediction, trace)`` and a list of examples become a ``Task``."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from agentopt.errors import UsageError
from agentopt.evaluate.scoring import call_scorer, scorer_name
from agentopt.evaluate.splits import SplitSpec
from agentopt.evaluate.task import Example, Task, as_example

__all__ = ["from_metric"]


def from_metric(
    metric: Callable[..., Any],
    examples: Iterable[Any],
    *,
    inputs: Sequence[str] = (),
    name: str = "",
    objective: str = "",
    score_range: tuple[float, float] = (0.0, 1.0),
    split: SplitSpec | None = None,
) -> Task:
    """A task from a metric and examples.

    Args:
        metric: called as ``metric(gold, prediction, trace)``, or without the trace. It returns what any scorer may
            return: a number in the range, a bool, ``(score, text)``, an object with ``score`` and ``feedback``, ...
        examples: each an ``Example`` or an ``(input, target)`` pair, for which gold is the ``Example``; or a dict (gold
            is the dict), whose input is its "input" or what ``inputs`` names; or an object with ``inputs()`` and
            ``labels()`` as DSPy's examples have (gold is the object).
        inputs: names of the fields of a dict that the graph gets.

    >>> def same(gold, prediction, trace=None):
    ...     return prediction == gold["answer"]
    >>> t = from_metric(same, [{"question": "2 + 2", "answer": "4"}], inputs=["question"])
    >>> t.examples[0].input, t.score(t.examples[0], "4").score
    ({'question': '2 + 2'}, 1.0)

    Raises:
        UsageError: an example that cannot be read; the message names its place in the list.
    """
    golds: dict[str, Any] = {}
    read: list[Example] = []
    for index, value in enumerate(examples):
        example, gold = _read(value, index, tuple(inputs))
        read.append(example)
        golds[example.id] = gold
    return Task(
        name=name or scorer_name(metric),
        examples=read,
        scorer=Metric(metric, golds),
        objective=objective,
        score_range=score_range,
        split=split or SplitSpec(),
    )


class Metric:
    """A scorer that hands a metric the gold object it knows."""

    def __init__(self, metric: Callable[..., Any], golds: Mapping[str, Any]) -> None:
        self.__wrapped__ = metric
        self.__name__ = scorer_name(metric)
        self._golds = golds

    def __call__(self, example: Example, output: Any, trace: Any = None) -> Any:
        return call_scorer(self.__wrapped__, self._golds.get(example.id, example), output, trace)


def _read(value: Any, index: int, inputs: tuple[str, ...]) -> tuple[Example, Any]:
    if isinstance(value, Mapping):
        fields = dict(value)
        if inputs:
            missing = [k for k in inputs if k not in fields]
            if missing:
                raise UsageError(f"example {index} has no field {missing[0]!r}; it has {sorted(map(str, fields))}")
            rest = {k: v for k, v in fields.items() if k not in inputs}
            return as_example(({k: fields[k] for k in inputs}, rest), index), value
        if "input" not in fields:
            raise UsageError(
                f"example {index} has the fields {sorted(map(str, fields))}; say which the graph "
                "gets: task=from_metric(metric, examples, inputs=[...])"
            )
        rest = {k: v for k, v in fields.items() if k != "input"}
        target = rest.get("target", rest)
        return as_example((fields["input"], target), index), value
    if callable(getattr(value, "inputs", None)) and callable(getattr(value, "labels", None)):
        return as_example((dict(value.inputs()), dict(value.labels())), index), value
    example = as_example(value, index)
    return example, example
