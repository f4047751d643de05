"""The operators of nodes, made from the tables and given to ``Node``."""

from __future__ import annotations

import operator
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from agentopt.core.cell import ATOMS, Op
from agentopt.core.nest import split, unwrap
from agentopt.core.node import Node, _apply, _make, _raise, _same
from agentopt.core.operators import BINARY, COMPARISON, UNARY
from agentopt.core.scope import SCOPE

__all__ = ["eq"]


def _binary(name: str, fn: Callable[[Any, Any], Any], swapped: bool = False) -> Callable[[Any, Any], Any]:
    """An operator as a method of ``Node``; the first branch is the hot one, for plain values and nodes."""
    made = Op(name, "operator", ("a", "b"))

    def apply(self: Node[Any], other: Any) -> Any:
        kind = type(other)
        if type(self) is not Node or (kind not in ATOMS and kind is not Node):
            return _operate(made, fn, self, other, swapped, sys._getframe(1))
        plain = other._n_value if kind is Node else other
        env, frame = SCOPE.get()
        pair = (other, self) if swapped else (self, other)
        try:
            value = fn(plain, self._n_value) if swapped else fn(self._n_value, plain)
        except Exception as exc:
            _raise(made, exc, pair, env, frame, sys._getframe(1))
        return _make(made, value, pair, env, frame, sys._getframe(1))

    return apply


def _operate(made: Op, fn: Any, self: Node[Any], other: Any, swapped: bool, caller: FrameType) -> Any:
    plain, record = unwrap(other)
    mine = self._n_plain()
    if swapped:
        return _apply(made, lambda: fn(plain, mine), (record, self), caller)
    return _apply(made, lambda: fn(mine, plain), (self, record), caller)


def _unary(name: str, fn: Callable[..., Any]) -> Callable[..., Any]:
    made = Op(name, "operator", ("a", "b", "c"))

    def apply(self: Node[Any], *args: Any) -> Any:
        plain, record, _ = split(args)
        mine = self._n_plain()
        return _apply(made, lambda: fn(mine, *plain), (self, *record), sys._getframe(1))

    return apply


def _contains(self: Node[Any], item: object) -> bool:
    return bool(_CONTAINS(self, item))


_CONTAINS = _binary("contains", operator.contains)
setattr(Node, "__contains__", _contains)  # noqa: B010
for _name, _fn in (BINARY | COMPARISON).items():
    setattr(Node, f"__{_name}__", _binary(_name, _fn))
for _name, _fn in BINARY.items():
    setattr(Node, f"__r{_name}__", _binary(_name, _fn, swapped=True))
for _name, _fn in UNARY.items():
    setattr(Node, f"__{_name}__", _unary(_name, _fn))


def eq(a: Any, b: Any) -> Node[bool]:
    """The traced ``==``.

    >>> from agentopt.core import Node, eq
    >>> eq(Node(3), 3).value
    True
    """
    plain, record, _ = split((a, b))
    return _apply(_EQ, lambda: _same(*plain), tuple(record), sys._getframe(1))  # type: ignore[no-any-return]


_EQ = Op("eq", "operator", ("a", "b"))
