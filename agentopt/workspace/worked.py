"""Examples before a question, shown as earlier turns: worked ones from a file, and demonstrations that are searched.

Two ways to choose them. ``shots`` counts the first so many of a fixed list. A parameter of kind ``demos`` holds the
list itself, and an optimizer chooses what is in it: from a pool, from labelled examples, from runs that went well.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from agentopt.core import Parameter, node, render
from agentopt.core.constraints import placeholders
from agentopt.workspace.prompts import prompt_text

__all__ = ["Demo", "demo_turns", "demonstrations", "read_worked", "shots", "worked_turns"]

Pairs = Sequence[tuple[str, str]]
Demo = Mapping[str, Any]
"""``input``: a text, or one value for each placeholder of the request. ``output``: the answer. ``reply``, where it is
known: the whole text that a model wrote. ``example``: id of the example that it was made from."""


def read_worked(name: str) -> list[tuple[str, str]]:
    """Problems and replies of a prompt file whose blocks, apart by a blank line, each end with the reply in one line.

    >>> read_worked("agents/sorter_worked")[0][1]
    'technical'
    """
    blocks = (block.rpartition("\n") for block in prompt_text(name).split("\n\n"))
    return [(problem, reply) for problem, _, reply in blocks]


def shots(pairs: Pairs) -> Parameter[int]:
    """How many of them are shown: a parameter that begins at none."""
    return Parameter(
        0,
        name="shots",
        kind="number",
        low=0,
        high=len(pairs),
        description="how many worked examples the model is shown before the problem; each makes the prompt longer",
        constraint="a whole number",
    )


def worked_turns(pairs: Pairs) -> Callable[..., list[tuple[str, str]]]:
    """The node ``worked(request, shots)`` of a graph: ``request`` is a template with ``{{problem}}``."""

    @node
    def worked(request: str, shots: int) -> list[tuple[str, str]]:
        """The first so many worked examples, as turns of a conversation that uses the same request."""
        return _turns(request, as_demos(pairs[:shots]), "{{answer}}")

    return worked


def as_demos(pairs: Iterable[tuple[str, str]]) -> list[dict[str, Any]]:
    """Problems and replies as demonstrations.

    >>> as_demos([("2 + 2?", "4")])
    [{'input': '2 + 2?', 'output': '4'}]
    """
    return [{"input": problem, "output": reply} for problem, reply in pairs]


def demonstrations(pool: Pairs = (), name: str = "demos") -> Parameter[list[dict[str, Any]]]:
    """A parameter that holds the demonstrations which are shown; it begins with none.

    Args:
        pool: problems and replies that an optimizer may draw from, beside the examples of a run.
        name: the parameter's name.
    """
    return Parameter(
        [],
        name=name,
        kind="demos",
        choices=as_demos(pool),
        description="solved examples that the model is shown before the problem, in this order",
    )


def demo_turns(form: str = "{{answer}}") -> Callable[..., list[tuple[str, str]]]:
    """The node ``shown(request, demos)`` of a graph: ``request`` is the template that the problem itself is put in.

    Args:
        form: how an answer is put where no whole reply is known, as the task's scorer wants to read it.

    >>> shown = demo_turns("Answer: {{answer}}")
    >>> shown("Solve {{problem}}", [{"input": "2 + 2", "output": 4}])
    [('user', 'Solve 2 + 2'), ('assistant', 'Answer: 4')]
    """

    @node
    def shown(request: str, demos: list[dict[str, Any]]) -> list[tuple[str, str]]:
        """The demonstrations as turns of a conversation that uses the same request."""
        return _turns(request, demos, form)

    return shown


def _turns(request: str, demos: Iterable[Demo], form: str) -> list[tuple[str, str]]:
    turns: list[tuple[str, str]] = []
    for i, demo in enumerate(demos):
        reply = demo.get("reply")
        answer = demo["output"]
        said = reply if isinstance(reply, str) else str(render(form, answer=_text(answer)))
        turns += [("user", str(render(request, **_fields(request, demo["input"], i)))), ("assistant", said)]
    return turns


def _fields(request: str, given: Any, i: int) -> dict[str, str]:
    """The values of a request's placeholders in a demonstration."""
    wanted = placeholders(request)
    if not isinstance(given, Mapping):
        given = {wanted[0]: given} if len(wanted) == 1 else {}
    if lacking := [name for name in wanted if name not in given]:
        raise ValueError(f"demonstration {i} has no {', '.join(lacking)}: its input must fill {', '.join(wanted)}")
    return {name: _text(given[name]) for name in wanted}


def _text(value: Any) -> str:
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
