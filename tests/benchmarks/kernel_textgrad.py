"""textgrad, as ``kernel_measure`` asks it. Its variables hold text, so the operator is concatenation (of an empty text,
so that nothing grows), its backward pass gets an engine that answers at once with a fixed text, and its log file (half
a gigabyte for a chain of 20) is switched off.
"""

from __future__ import annotations

import logging
from contextlib import nullcontext
from importlib.metadata import version
from typing import Any

import textgrad
from kernel_measure import main
from textgrad.autograd.string_based_ops import StringBasedFunction
from textgrad.engine import EngineLM


class Stub(EngineLM):
    """Answers without a model."""

    model_string = "stub"
    system_prompt = ""

    def generate(self, *args: Any, **kwargs: Any) -> str:
        return "larger"

    def __call__(self, *args: Any, **kwargs: Any) -> str:
        return "larger"


class Lib:
    """The defaults of the library, with a stub for the language model."""

    def __init__(self) -> None:
        logging.disable(logging.CRITICAL)
        self.engine = Stub()
        self.nothing = textgrad.Variable("", role_description="nothing", requires_grad=False)
        self.plus = StringBasedFunction(lambda a, b: a.value + b.value, "the sum")

    def session(self) -> Any:
        return nullcontext()

    def version(self) -> str:
        return version("textgrad")

    def parameter(self) -> Any:
        return textgrad.Variable("1", role_description="p", requires_grad=True)

    def _short(self, made: Any) -> Any:
        made.role_description = "sum"
        return made

    def add(self, x: Any) -> Any:
        return self._short(x + self.nothing)

    def call(self, x: Any) -> Any:
        return self.plus({"a": x, "b": self.nothing}, response_role_description="sum")

    def join(self, a: Any, b: Any) -> Any:
        joined = self._short(a + b)
        joined.value = "1"
        return joined

    def backward(self, output: Any) -> None:
        output.backward(self.engine)

    def reset(self, parameter: Any) -> None:
        parameter.reset_gradients()
        self.nothing.reset_gradients()


if __name__ == "__main__":
    main(Lib())
