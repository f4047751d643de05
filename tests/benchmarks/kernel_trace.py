"""trace-opt (microsoft/Trace), as ``kernel_measure`` asks it."""

from __future__ import annotations

from contextlib import nullcontext
from importlib.metadata import version
from typing import Any

from kernel_measure import main
from opto import trace


@trace.bundle()
def plus(a: Any, b: Any) -> Any:
    """[plus] the sum"""
    return a + b


class Lib:
    """The defaults of the library."""

    def session(self) -> Any:
        return nullcontext()

    def version(self) -> str:
        return version("trace-opt")

    def parameter(self) -> Any:
        return trace.node(1, trainable=True)

    def add(self, x: Any) -> Any:
        return x + 1

    def call(self, x: Any) -> Any:
        return plus(x, 2)

    def join(self, a: Any, b: Any) -> Any:
        return a + b

    def backward(self, output: Any) -> None:
        output.backward("larger")

    def reset(self, parameter: Any) -> None:
        parameter.zero_feedback()


if __name__ == "__main__":
    main(Lib())
