"""agentopt, as ``kernel_measure`` asks it."""

from __future__ import annotations

import gc
import resource
import time
from typing import Any

from kernel_measure import build, main

import agentopt
from agentopt.core import Node, Parameter, Trace, node, zero_feedback


@node
def plus(a: int, b: int) -> int:
    """the sum"""
    return a + b


class Lib:
    """Everything happens inside an open ``Trace``, as in a run."""

    def __init__(self) -> None:
        Node(0).backward("the first feedback loads the value types; that is not what is timed")

    def session(self) -> Any:
        return Trace()

    def version(self) -> str:
        return agentopt.__version__

    def parameter(self) -> Any:
        return Parameter(1, name="p", kind="number")

    def add(self, x: Any) -> Any:
        return x + 1

    def call(self, x: Any) -> Any:
        return plus(x, 2)

    def join(self, a: Any, b: Any) -> Any:
        return a + b

    def backward(self, output: Any) -> None:
        output.backward("larger")

    def reset(self, parameter: Any) -> None:
        zero_feedback([parameter])

    def traced(self, n: int) -> dict[str, float]:
        """Seconds and memory of a chain of n nodes in a trace: made, walked back, turned into a graph, freed."""
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        begin = time.perf_counter()
        with Trace() as trace:
            _, output = build(self, "chain", n)
        made = time.perf_counter()
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        output.backward("larger")
        walked = time.perf_counter()
        del output, trace
        gc.collect()
        freed = time.perf_counter()
        return {
            "made_s": made - begin,
            "backward_s": walked - made,
            "freed_s": freed - walked,
            "bytes_a_node": (peak - before) * 1024 / n,
        }


if __name__ == "__main__":
    main(Lib())
