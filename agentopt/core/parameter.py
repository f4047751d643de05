"""``Parameter``: a named thing that an optimizer may change, and what it may become."""

from __future__ import annotations

import copy
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from agentopt.core import constraints
from agentopt.core.cell import Op
from agentopt.core.node import Node, _make
from agentopt.core.scope import BODY, GRAPH, SCOPE, Env, require_run
from agentopt.errors import ConstraintError, UsageError

__all__ = ["Parameter"]

T = TypeVar("T")


class Parameter(Node[T]):
    """A named, trainable node.

    ``value`` is the value of the ``Override`` in force, else the deployed one (``default``). Setting it (``p.value =
    x``) checks and deploys. Beside a node's public names it owns those of its arguments, ``default``, ``check``,
    ``placeholders`` and ``spec_dict``.

    Args:
        value: the deployed value; of JSON types.
        name: unique within an agent; what candidates are keyed by.
        kind: text, code, number, choice, json or demos.
        description: what it is for, in words for the optimizer.
        constraint: what it must keep to, in words for the optimizer.
        validator: called with a new value; False, a text (the reason) or a ``ValueError`` refuses it.
        low, high, integer: bounds of a number, both included; ``integer`` follows the value unless given.
        choices: what a choice may be; of demos, the pool that an optimizer may draw from.
        json_schema: what a json value must satisfy.
        path: the file it came from, where ``agentopt apply`` writes it back.

    Raises:
        ConstraintError: the value itself is not admitted.

    >>> steps = Parameter(3, name="steps", kind="number", low=1, high=9)
    >>> steps.check("4")
    4
    >>> steps.check(12)
    Traceback (most recent call last):
    agentopt.errors.ConstraintError: parameter 'steps': 12 is above 9
    """

    __slots__ = (
        "choices",
        "constraint",
        "default",
        "description",
        "high",
        "integer",
        "json_schema",
        "kind",
        "low",
        "name",
        "origin",
        "path",
        "validator",
    )

    def __new__(cls, *args: Any, name: str = "", description: str = "", **kwargs: Any) -> Parameter[T]:
        made = Op(name, "param", (), description)
        return _make(made, None, (), Env(), None, sys._getframe(1), cls)  # type: ignore[no-any-return]

    def __init__(
        self,
        value: T,
        *,
        name: str,
        kind: str = "text",
        description: str = "",
        constraint: str = "",
        validator: Callable[[Any], Any] | None = None,
        low: float | None = None,
        high: float | None = None,
        integer: bool | None = None,
        choices: Sequence[Any] = (),
        json_schema: Mapping[str, Any] | None = None,
        path: str | None = None,
    ) -> None:
        if kind not in constraints.KINDS:
            raise UsageError(f"parameter {name!r}: kind {kind!r} is none of {', '.join(constraints.KINDS)}")
        if not name or any(mark in name for mark in "/\n\0"):
            raise UsageError(f"a parameter's name is a word without '/', not {name!r}")
        self.name, self.kind, self.description, self.constraint = name, kind, description, constraint
        self.validator, self.low, self.high, self.choices = validator, low, high, tuple(choices)
        self.integer = isinstance(value, int) if integer is None and kind == "number" else bool(integer)
        self.json_schema, self.path = json_schema, path
        self.origin: tuple[Callable[..., Any], tuple[Callable[..., Any], ...]] | None = None
        self.default = value
        self.default = self.check(value)

    @property
    def value(self) -> T:
        """The value in force here; read inside a node's body it becomes a parent of that node."""
        value = self._n_plain()
        frame = SCOPE.get()[1]
        if frame is not None and frame.kind is GRAPH and (frame.control is None or frame.control[0] is not self):
            frame.control = (self, frame.control)
        return value  # type: ignore[no-any-return]

    @value.setter
    def value(self, value: Any) -> None:
        self.default = self.check(value)

    def _n_plain(self) -> Any:
        env, frame = SCOPE.get()
        require_run(f"parameter {self.name!r} is read")
        assigned = env.values.get(self.name)
        value = self.default if assigned is None else assigned.value_for(self)
        if frame is not None and frame.kind is BODY:
            frame.reads[id(self)] = self
        for trace in env.traces:
            trace.values[self] = value
        return copy.deepcopy(value) if self.kind in ("json", "demos") else value

    def check(self, value: Any) -> T:
        """``value`` converted to the parameter's type.

        Raises:
            ConstraintError: it is not admitted; the message says why.
        """
        try:
            return constraints.check(self, value)  # type: ignore[no-any-return]
        except ConstraintError as exc:
            raise ConstraintError(f"parameter {self.name!r}: {exc}") from None

    @property
    def placeholders(self) -> tuple[str, ...]:
        """The names in double braces of a text, in order."""
        return constraints.placeholders(str(self.default)) if self.kind == "text" else ()

    def spec_dict(self) -> dict[str, Any]:
        """The parameter and its deployed value as JSON-able fields (those of an optimizer's ``ParameterSpec``)."""
        return {
            "name": self.name,
            "kind": self.kind,
            "value": copy.deepcopy(self.default),
            "description": self.description,
            "constraint": self.constraint,
            "low": self.low,
            "high": self.high,
            "integer": self.integer,
            "choices": self.choices,
            "json_schema": self.json_schema,
        }

    def __repr__(self) -> str:
        text = repr(self.default)
        return f"<Parameter {self.name} ({self.kind}): {text if len(text) <= 60 else text[:57] + '...'}>"

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter[T]:
        spec = self.spec_dict()
        return type(self)(spec.pop("value"), **spec, validator=self.validator, path=self.path)

    def __reduce__(self) -> Any:
        raise TypeError(f"parameter {self.name!r} is not pickled; send its name and value as JSON")
