"""What is measured, for any library: standard library only, since it runs in the peers' own environments.

A library is described by an object with ``parameter()``, ``add(x)`` (one traced operator), ``call(x)`` (one traced call
of a two-argument function), ``join(a, b)`` (their sum), ``backward(output)``, ``reset(parameter)`` and ``session()``,
the context in which it traces.
"""

from __future__ import annotations

import gc
import json
import resource
import sys
import time
import tracemalloc
from collections.abc import Callable
from typing import Any

SHAPES = ("chain", "star", "diamonds")


def build(lib: Any, shape: str, n: int) -> tuple[Any, Any]:
    """A graph over one parameter: n operators in a row, n readers of the parameter that are summed, or n diamonds."""
    parameter = lib.parameter()
    x = parameter
    if shape == "chain":
        for _ in range(n):
            x = lib.add(x)
    elif shape == "star":
        x = lib.add(parameter)
        for _ in range(n - 1):
            x = lib.join(x, lib.add(parameter))
    elif shape == "diamonds":
        for _ in range(n):
            x = lib.join(lib.add(x), lib.add(x))
    else:
        raise ValueError(shape)
    return parameter, x


def timed(fn: Callable[[], Any]) -> float:
    """Seconds of processor time of one run (others share the machine), with the collector off and run before."""
    gc.collect()
    gc.disable()
    try:
        begin = time.process_time()
        fn()
        return time.process_time() - begin
    finally:
        gc.enable()


def forward(lib: Any, what: str, n: int, runs: int) -> list[float]:
    """Microseconds an operator or a call, one number a run of ``n`` in a row."""

    def operators() -> None:
        x = lib.parameter()
        with lib.session():
            for _ in range(n):
                x = lib.add(x)

    def calls() -> None:
        x = lib.parameter()
        with lib.session():
            for _ in range(n):
                x = lib.call(x)

    run = operators if what == "operator" else calls
    run()
    return [timed(run) / n * 1e6 for _ in range(runs)]


def backward(lib: Any, shape: str, n: int, runs: int, enough: float) -> list[float]:
    """Milliseconds of one backward pass, each over a new graph; no further run once ``enough`` seconds are spent."""
    found: list[float] = []
    end = time.perf_counter() + enough
    for _ in range(runs):
        if found and time.perf_counter() > end:
            break
        with lib.session():
            parameter, output = build(lib, shape, n)
        found.append(timed(lambda output=output: lib.backward(output)) * 1e3)
        lib.reset(parameter)
    return found


def size(lib: Any, n: int, runs: int) -> list[float]:
    """Bytes kept for each ``x + 1`` of a chain, whatever nodes the library makes for it."""
    found = []
    for _ in range(runs):
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        with lib.session() as session:
            kept = session, build(lib, "chain", n)
        found.append((tracemalloc.get_traced_memory()[0] - before) / n)
        tracemalloc.stop()
        del kept
    return found


def leak(lib: Any, steps: int, runs: int) -> list[float]:
    """Bytes still held for each training step (ten operators, backward, reset) when the caller keeps nothing."""
    parameter = lib.parameter()

    def step() -> None:
        x = parameter
        with lib.session():
            for _ in range(10):
                x = lib.add(x)
        lib.backward(x)
        lib.reset(parameter)

    found = []
    for _ in range(runs):
        for _ in range(20):
            step()
        gc.collect()
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        for _ in range(steps):
            step()
        gc.collect()
        found.append((tracemalloc.get_traced_memory()[0] - before) / steps)
        tracemalloc.stop()
    return found


def main(lib: Any) -> None:
    """Run one measurement, named on the command line as JSON, and print the runs as JSON."""
    task = json.loads(sys.argv[1])
    kind, runs = task["kind"], task["runs"]
    resource.setrlimit(resource.RLIMIT_AS, (task["memory"], task["memory"]))
    if kind == "forward":
        result: Any = forward(lib, task["what"], task["n"], runs)
    elif kind == "backward":
        result = backward(lib, task["shape"], task["n"], runs, task["enough"])
    elif kind == "size":
        result = size(lib, task["n"], runs)
    elif kind == "leak":
        result = leak(lib, task["n"], runs)
    elif kind == "version":
        result = lib.version()
    else:
        result = getattr(lib, kind)(task["n"])
    print(json.dumps(result))
