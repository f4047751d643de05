"""Functions whose source is a parameter: checked, run in the sandbox, and what an optimizer gets to see."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from agentopt.core import Override, Trace, graph, node, trainable
from agentopt.core.values import Candidate
from agentopt.errors import ConstraintError, NodeError, UsageError
from agentopt.sandbox import Limits, open_sandbox
from agentopt.sandbox.execution import SandboxExec, modules_of
from agentopt.sandbox.served import ServedSandbox

RATE = 3
TABLE = {"a": (1, 2)}


@dataclass
class Point:
    x: int
    y: int = 0


def helper(x: int, by: int = RATE) -> int:
    return deeper(x) * by


def deeper(x: int) -> int:
    return x + math.floor(0.5)


@node
def lookup(name: str) -> int:
    return TABLE[name][0]


@trainable
def plain(x: int, y: int = RATE) -> int:
    return helper(x) + y + Counter("aa")["a"] + TABLE["a"][1]


@trainable(allow=[lookup])
def asks(name: str) -> Any:
    return lookup(name)


@trainable
def unoffered(name: str) -> Any:
    return lookup(name)


@trainable
def makes(x: int) -> Point:
    return Point(x, helper(x))


@trainable
def fib(n: int) -> int:
    return n if n < 2 else fib(n - 1) + fib(n - 2)


@trainable
async def later(x: int) -> int:
    await asyncio.sleep(0)
    return x + 1


@trainable
def items(n: int) -> Iterator[int]:
    yield from range(n)


@trainable
async def later_items(n: int) -> AsyncIterator[int]:
    for i in range(n):
        yield i


class Shop:
    def __init__(self) -> None:
        self.rate = 2
        self.lock = asyncio.Lock  # cannot be carried
        self.asked = 0

    def stock(self, name: str) -> int:
        self.asked += 1
        return len(name)

    @trainable
    def price(self, name: str) -> int:
        return self.rate * self.stock(name)


@pytest.fixture(scope="module")
def sandbox(host: Any) -> Iterator[ServedSandbox]:
    with open_sandbox("local", servers=1, limits=Limits(wall=20.0, cpu=20.0)) as opened:
        yield opened


def run(sandbox: ServedSandbox, function: Any, *args: Any, source: str | None = None) -> Any:
    """Call a function in the sandbox, with its own source or another."""
    parameter = function.__agentopt__.parameter
    values = {} if source is None else {parameter.name: source}
    with SandboxExec(sandbox, [parameter.name]), Override(values):
        got = function.traced(*args)
        return got.value if hasattr(got, "value") and not isinstance(got, Iterator) else got


def test_shipped_functions_run_there_as_here(sandbox: ServedSandbox) -> None:
    for function, args in ((plain, (2,)), (fib, (10,)), (makes, (2,))):
        here = function(*args)
        assert run(sandbox, function, *args) == (here.value if hasattr(here, "meta") else here)


def test_a_changed_source(sandbox: ServedSandbox) -> None:
    source = "import statistics\n\ndef before(x):\n    return x * 10\n\ndef plain(x, y=1):\n    return before(x) + after(y)\n\ndef after(y):\n    return statistics.mean([y])"  # noqa: E501
    assert run(sandbox, plain, 2, source=source) == 21
    assert run(sandbox, fib, 10, source="def fib(n):\n    return 1 if n < 2 else n * fib(n - 1)") == 3628800


def test_the_shipped_source_stays_here_outside_of_training(sandbox: ServedSandbox) -> None:
    with SandboxExec(sandbox):
        assert plain(2).value == plain(2).value


def test_host_functions_are_nodes(sandbox: ServedSandbox) -> None:
    with Trace() as trace:
        assert run(sandbox, asks, "a") == 1
    assert {"lookup", "asks"} <= {record.name for record in trace.graph.nodes}
    with pytest.raises(UsageError, match=r"offer it with @trainable\(allow=\[lookup\]\)"):
        run(sandbox, unoffered, "a")


def test_methods(sandbox: ServedSandbox) -> None:
    shop = Shop()
    with SandboxExec(sandbox, ["Shop.price.code"]):
        assert shop.price("abc").value == 6
        with Override({"Shop.price.code": "def price(self, name):\n    return self.rate + self.stock(name)"}):
            assert shop.price("abc").value == 5
    assert shop.asked == 2


async def test_coroutines_and_generators(sandbox: ServedSandbox) -> None:
    with SandboxExec(sandbox, ["later.code", "items.code", "later_items.code"]):
        assert (await later(1)).value == 2
        assert [item.value for item in items(3)] == [0, 1, 2]
        assert [item.value async for item in later_items(3)] == [0, 1, 2]
        with Override({"later.code": "async def later(x):\n    return -x"}):
            assert (await later(1)).value == -1


def test_errors_show_the_candidates_line_and_what_it_printed(sandbox: ServedSandbox) -> None:
    source = "def plain(x, y=3):\n    print('x is', x)\n    z = x - 2\n    return y / z"
    with Trace() as trace, pytest.raises(ZeroDivisionError) as caught:
        run(sandbox, plain, 2, source=source)
    assert isinstance(caught.value, NodeError)
    (failed,) = [record for record in trace.graph.nodes if record.error]
    assert ">>>    4 |     return y / z" in failed.error
    assert "x is 2" in failed.error
    assert "agentopt" not in failed.error


def test_prints_are_kept_with_the_node_and_reach_the_optimizer(sandbox: ServedSandbox) -> None:
    from agentopt.core import Graph
    from agentopt.optim.optoprime.program import read_program
    from agentopt.optim.optoprime.report import Caps, Run, report

    source = (
        "import sys\n\ndef plain(x, y=3):\n    print('x is', x)\n    print('odd', file=sys.stderr)\n    return x + y"
    )
    with Trace() as trace:
        assert run(sandbox, plain, 2, source=source) == 5
    graph = Graph.from_json(trace.graph.to_json())
    assert graph.printed == "printed:\nx is 2\nprinted to stderr:\nodd"
    seen = report([Run(read_program(graph, {}), 5, 0.0, "wrong")], [], {}, Caps())
    assert "5\nprinted:\nx is 2" in seen["others"] + seen["outputs"]
    with Trace() as trace:
        run(sandbox, plain, 2)
    assert trace.graph.printed == "" and all("printed" not in record.more for record in trace.graph.nodes)


def test_kept_prints_are_bounded(sandbox: ServedSandbox) -> None:
    source = "def plain(x, y=3):\n    print('a' * 5000 + 'end')\n    return 1"
    with Trace() as trace:
        run(sandbox, plain, 2, source=source)
    assert trace.graph.printed.startswith("printed:\n... (3,003 characters before)\naaa")
    assert trace.graph.printed.endswith("aend") and len(trace.graph.printed) < 2100


async def test_prints_of_coroutines_and_generators(sandbox: ServedSandbox) -> None:
    with SandboxExec(sandbox, ["later.code", "items.code"]), Trace() as trace:
        with Override({"later.code": "async def later(x):\n    print('L')\n    return -x"}):
            await later(1)
        with Override({"items.code": "def items(n):\n    print('I')\n    yield from range(n)"}):
            list(items(3))
    assert [r.more["printed"] for r in trace.graph.nodes if "printed" in r.more] == ["printed:\nL", "printed:\nI"]


@pytest.mark.parametrize(
    ("body", "kind"),
    [("while True: pass", TimeoutError), ("return bytearray(1 << 34)", NodeError),
     ("import sys; sys.exit()", RuntimeError),
     ("import os; os._exit(1)", RuntimeError), ("import socket; socket.socket()", PermissionError),
     ("return object()", RuntimeError), ("raise KeyError('k')", KeyError), ("import no_such", ModuleNotFoundError)],
)  # fmt: skip
def test_bad_code_is_an_error_of_the_node(sandbox: ServedSandbox, body: str, kind: type[Exception]) -> None:
    source = f"def plain(x, y=3):\n    {body}"
    limits = Limits(wall=1.0, cpu=1.0)
    with SandboxExec(sandbox, limits=limits), Override({"plain.code": source}), pytest.raises(kind):
        plain(1)


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("deff plain(x, y): return 1", "does not parse: SyntaxError"),
        ("def other(x, y): return 1", "it defines no function plain, only other"),
        ("x = 1", "it defines no function plain"),
        ("def plain(x): return 1", "plain lost the argument y"),
        ("def plain(y, x): return 1", "in the order"),
        ("def plain(x, y=1, *, z): return 1", "needs the argument z"),
        ("def plain(x, y): return 1", "needs the argument y"),
        ("async def plain(x, y): return 1", "must stay what it is"),
        ("def plain(x, y): yield 1", "must stay what it is"),
        ("def plain(x, y): return 1\n" + "#" * 200_000, "at most 100,000"),
        ("(" * 5000, "does not parse"),
    ],
)
def test_sources_that_are_refused(sandbox: ServedSandbox, source: str, words: str) -> None:
    with SandboxExec(sandbox), pytest.raises(ConstraintError, match=words):
        plain.__agentopt__.parameter.check(source)  # type: ignore[attr-defined]


def test_sources_that_are_admitted(sandbox: ServedSandbox) -> None:
    for source in (
        "def plain(x, y=3): return 1",
        "def plain(x, y=1, *, z=2): return 1",
        "def plain(*a, **k): return 1",
    ):
        with SandboxExec(sandbox):
            assert plain.__agentopt__.parameter.check(source) == source  # type: ignore[attr-defined]


def test_modules_are_known(host: Any) -> None:
    assert "math" in modules_of([plain.__agentopt__.parameter])  # type: ignore[attr-defined]


@graph
def total(x: int) -> Any:
    return plain(x) + 1


def test_in_a_graph(sandbox: ServedSandbox) -> None:
    with SandboxExec(sandbox, ["plain.code"]), Override({"plain.code": "def plain(x, y=3):\n    return x"}), Trace():
        assert total(4).value == 5


def test_a_candidate_cannot_claim_that_the_world_failed() -> None:
    """A lost connection is tried again and left out of the mean; whoever could claim one would choose its examples."""
    from agentopt.run.blame import blame
    from agentopt.sandbox import Failure, Result
    from agentopt.sandbox.execution import _value

    for kind in ("ConnectionError", "BrokenPipeError", "ConnectionResetError"):
        with pytest.raises(RuntimeError) as raised:
            _value(Result("error", error=Failure(kind, "no", 1, f"{kind}: no\nat line 1")), lambda note: None)
        assert blame(raised.value, Candidate(values={}))[0] == "agent_error" and kind in str(raised.value)
