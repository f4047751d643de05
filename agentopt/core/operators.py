"""The operators that nodes trace, as tables; and as signatures, for type checkers."""

from __future__ import annotations

import math
import operator as op
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentopt.core.node import Node

__all__ = ["BINARY", "COMPARISON", "UNARY", "Operators"]

BINARY: dict[str, Callable[[Any, Any], Any]] = {
    "add": op.add,
    "sub": op.sub,
    "mul": op.mul,
    "matmul": op.matmul,
    "truediv": op.truediv,
    "floordiv": op.floordiv,
    "mod": op.mod,
    "divmod": divmod,
    "pow": pow,
    "lshift": op.lshift,
    "rshift": op.rshift,
    "and": op.and_,
    "or": op.or_,
    "xor": op.xor,
}
"""Those that also work with the node on the right side."""

COMPARISON: dict[str, Callable[[Any, Any], Any]] = {
    "lt": op.lt,
    "le": op.le,
    "gt": op.gt,
    "ge": op.ge,
    "getitem": op.getitem,
}

UNARY: dict[str, Callable[..., Any]] = {
    "neg": op.neg,
    "pos": op.pos,
    "abs": abs,
    "invert": op.invert,
    "round": round,
    "pow": pow,
    "trunc": math.trunc,
    "floor": math.floor,
    "ceil": math.ceil,
}


class Operators:
    """Signatures of what the tables become."""

    __slots__ = ()

    if TYPE_CHECKING:

        def _b(self, other: Any) -> Node[Any]: ...

        __add__ = __sub__ = __mul__ = __matmul__ = __truediv__ = __floordiv__ = __mod__ = __divmod__ = _b
        __radd__ = __rsub__ = __rmul__ = __rmatmul__ = __rtruediv__ = __rfloordiv__ = __rmod__ = __rdivmod__ = (
            __rpow__
        ) = _b
        __rpow__ = __lshift__ = __rshift__ = __and__ = __or__ = __xor__ = _b
        __rlshift__ = __rrshift__ = __rand__ = __ror__ = __rxor__ = _b
        __lt__ = __le__ = __gt__ = __ge__ = __getitem__ = _b

        def __contains__(self, item: object) -> bool: ...
        def _u(self, *digits: Any) -> Node[Any]: ...

        __neg__ = __pos__ = __abs__ = __invert__ = __round__ = __trunc__ = __floor__ = __ceil__ = __pow__ = _u
