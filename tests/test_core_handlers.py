"""Handlers: tracing, overriding, replaying, blocking, seeding, and the run marker; in threads and tasks."""

from __future__ import annotations

import asyncio
import gc
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from agentopt.core import (
    Block,
    Call,
    Candidate,
    Exec,
    Graph,
    Handler,
    Node,
    Override,
    Parameter,
    Replay,
    Seed,
    Trace,
    copy_context,
    graph,
    live_agent,
    next_place,
    node,
    open_run,
    parameters,
    rng,
    trainable,
    zero_feedback,
)
from agentopt.errors import ConstraintError, UnknownName, UsageError

W = Parameter(1, name="w", kind="number", high=1_000_000)


@node
def double(x: int) -> int:
    return 2 * x


@graph
def solve(x: int) -> Any:
    return double(x) * W


def test_traces_nest_and_the_outer_sees_all() -> None:
    with Trace() as outer:
        a = double(1)
        with Trace() as inner:
            b = double(a)
        c = double(3)
    assert outer.nodes == [a, b, c]
    assert inner.nodes == [b]
    assert [n.meta.id for n in outer.nodes] == ["n0", "n1", "n2"]
    assert [r.id for r in inner.graph.nodes] == ["x0", "n1"]


def test_output_is_the_outermost_graphs_result_unless_set() -> None:
    with Trace() as trace:
        y = solve(1)
        z = double(5)
    assert trace.graph.output == y.meta.id
    trace.output = z  # type: ignore[assignment]
    assert trace.graph.output == z.meta.id  # type: ignore[attr-defined]


def test_override_sets_by_name_for_this_context_only() -> None:
    with Override({"w": 5}) as override:
        assert solve(1).value == 10
        with Override({"w": "7"}):
            assert solve(1).value == 14
        assert solve(1).value == 10
    assert solve(1).value == 2
    assert override.used == {"w"}
    with Override(Candidate(values={"w": 3})):
        assert W.value == 3


def test_override_refuses() -> None:
    with Override({"w": 10**9}), pytest.raises(ConstraintError, match="above"):
        solve(1)
    with pytest.raises(ConstraintError):
        Override({"w": 10**9}, parameters(solve))
    with pytest.raises(UnknownName, match="did you mean 'w'"):
        Override({"ww": 1}, parameters(solve))
    with pytest.raises(UsageError, match="mapping"):
        Override(3)
    with pytest.raises(UsageError, match="without having been entered"):
        Override({}).__exit__()


def test_the_trace_remembers_what_a_parameter_was() -> None:
    with Override({"w": 5}), Trace() as trace:
        solve(1)
    assert [r.value for r in trace.graph.parameters] == [5]


def test_block_hides() -> None:
    with Trace() as trace:
        with Block():
            assert type(double(1)) is int
            hidden = double(Node(1))
            assert hidden.meta.parents == ()  # type: ignore[attr-defined]
            with Block():
                double(1)
            double(1)
        shown = double(2)
        with Block("double"):
            constant = double(shown)
    assert trace.nodes == [shown]
    assert constant.value == 8  # type: ignore[attr-defined]
    assert constant.meta.parents == ()  # type: ignore[attr-defined]


def test_replay_gives_recorded_results_again() -> None:
    runs: list[int] = []

    @node
    def draw(x: int) -> int:
        runs.append(x)
        return len(runs)

    @graph
    def twice(x: int) -> Any:
        return draw(x) + draw(x)

    with Trace() as first:
        a = twice(1)
    stored = Graph.from_json(first.graph.to_json())
    with Replay(stored), Trace() as second:
        b = twice(1)
    assert (a.value, b.value, runs) == (3, 3, [1, 1])
    assert [r.parents for r in second.graph.nodes] == [r.parents for r in first.graph.nodes]
    with Replay(stored, names=["other"]), Trace():
        assert twice(1).value == 7
    with Replay(Graph([]), strict=True), Trace(), pytest.raises(UsageError, match="not recorded"):
        twice(1)


def test_handlers_of_ones_own_see_calls_from_the_inside_out() -> None:
    log: list[str] = []

    class Log(Handler):
        def __init__(self, tag: str) -> None:
            self.tag = tag

        def before(self, call: Call) -> None:
            log.append(f"{self.tag} before {call.path} {call.args}")

        def after(self, call: Call) -> None:
            log.append(f"{self.tag} after {call.value} {call.error!r}")

    @node
    def fail() -> None:
        raise ValueError("x")

    with Trace(), Log("a"), Log("b"):
        double(2)
        with pytest.raises(ValueError):
            fail()
    assert [line.replace("[2]", "(2,)") for line in log[:4]] == [
        "b before double:0 (2,)",
        "a before double:0 (2,)",
        "a after 4 None",
        "b after 4 None",
    ]
    assert log[-1] == "b after None ValueError('x')"


def test_seed_depends_on_the_path_alone() -> None:
    @node
    def draw() -> float:
        return rng().random()

    def numbers() -> list[float]:
        with Seed(3), Trace():
            return [draw().value for _ in range(3)]  # type: ignore[attr-defined]

    assert numbers() == numbers()
    assert len(set(numbers())) == 3


@trainable
def shout(text: str) -> str:
    return text.upper()


def test_code_goes_to_the_exec_handler_or_is_refused() -> None:
    changed = "def shout(text):\n    return text.lower()"
    with Override({"shout.code": changed}), pytest.raises(ConstraintError, match="needs the sandbox"):
        shout("a")
    with pytest.raises(ConstraintError, match="needs the sandbox"):
        Override({"shout.code": changed}, parameters(shout))

    class Fake(Exec):
        def run(self, parameter: Any, source: str, args: Any, kwargs: Any) -> Any:
            return (source == changed, args, kwargs)

    with Fake(), Override({"shout.code": changed}), Trace():
        assert shout("a").value == (True, ("a",), {})  # type: ignore[attr-defined]
    with Exec(), Override({"shout.code": changed}), pytest.raises(UsageError, match="runs no code"):
        shout("a")
    assert shout("a").value == "A"  # type: ignore[attr-defined]


def test_a_context_without_the_run_may_not_read_parameters() -> None:
    found: list[Any] = []

    def read() -> None:
        try:
            found.append(W.value)
        except UsageError as exc:
            found.append(str(exc))

    def in_thread(fn: Any) -> Any:
        thread = threading.Thread(target=fn)
        thread.start()
        thread.join()
        return found.pop()

    with open_run(), Override({"w": 5}):
        assert "copy_context" in in_thread(read)
        assert in_thread(copy_context(read)) == 5
        with live_agent():
            assert in_thread(read) == 1
        assert W.default == 1
        assert "w" in repr(W)
    assert in_thread(read) == 1


def test_runs_start_paths_anew() -> None:
    with open_run():
        assert [next_place("a")[1], next_place("a")[1]] == [0, 1]
        with open_run():
            assert next_place("a")[1] == 0
        assert isinstance(double(1), Node)
    assert [next_place("a")[1], next_place("a")[1]] == [0, 0]


def test_feedback_several_times_with_weights() -> None:
    a, b = Parameter(1, name="a", kind="number"), Parameter(2, name="b", kind="number")
    x, y = a + 1, (a + 1) * b
    x.backward("first", weight=0.5)
    y.backward(0.25)
    assert [(g.output, g.weight) for g in a.feedback] == [(x, 0.5), (y, 1.0)]
    assert [g.feedback.score for g in b.feedback] == [0.25]
    assert [g.output for g in y.feedback] == [y]
    zero_feedback([a, b])
    assert a.feedback == b.feedback == []
    with pytest.raises(UsageError, match="words, a score"):
        y.backward(None)  # type: ignore[arg-type]


def test_branches_carry_feedback() -> None:
    flag = Parameter(True, name="flag", kind="choice", choices=(True, False))
    other = Parameter(3, name="other", kind="number")

    @graph
    def choose(x: int) -> Any:
        if flag:
            return double(x)
        return x

    choose(1).backward("wrong way")
    assert len(flag.feedback) == 1
    assert other.feedback == []


def test_everything_is_freed_when_nobody_holds_it() -> None:
    gc.collect()
    gc.disable()
    try:
        with Trace() as trace:
            y = solve(1)
        y.backward("x")
        gone = [weakref.ref(n) for n in trace.nodes]
        zero_feedback([W])
        del y, trace
        assert [ref() for ref in gone] == [None] * len(gone)
    finally:
        gc.enable()


def test_errors_do_not_keep_nodes_alive() -> None:
    @node
    def bad(x: int) -> int:
        raise ValueError("x")

    def run() -> Any:
        n = Node(1)
        try:
            bad(n)
        except ValueError:
            return weakref.ref(n)

    gone = run()
    gc.collect()
    assert gone() is None


def test_threads_keep_apart() -> None:
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)

    def work(k: int) -> None:
        with Override({"w": k}), Trace() as trace:
            for i in range(30):
                y = solve(i)
                assert y.value == 2 * i * k
        records = trace.graph.nodes
        assert len({r.id for r in records}) == len(records)
        assert [r.path for r in records if r.name == "double"] == [f"solve:{i}/double:0" for i in range(30)]
        assert {r.value for r in trace.graph.parameters} == {k}

    try:
        with ThreadPoolExecutor(8) as pool:
            list(pool.map(work, range(1, 33)))
    finally:
        sys.setswitchinterval(interval)


def test_threads_within_one_trace_lose_nothing() -> None:
    with Trace() as trace, ThreadPoolExecutor(8) as pool:
        carried = copy_context(lambda i: [double(i) for _ in range(50)])
        list(pool.map(carried, range(16)))
    assert len(trace.nodes) == 800
    assert len({n.meta.id for n in trace.nodes}) == 800
    assert len({n.meta.path for n in trace.nodes}) == 800
    for n in trace.graph.nodes:
        assert n.value == 2 * n.constants["x"]


async def test_tasks_keep_apart() -> None:
    @node
    async def slow(x: int) -> int:
        await asyncio.sleep(0)
        return x * W.value

    @graph
    async def agent(x: int) -> Any:
        a, b = await asyncio.gather(slow(x), slow(x))
        return a + b

    async def cell(k: int) -> None:
        with open_run(), Override({"w": k}), Trace() as trace:
            for i in range(5):
                assert (await agent(i)).value == 2 * i * k
        assert len(trace.nodes) == 20
        assert {n.meta.path.split("/")[0] for n in trace.nodes} == {f"agent:{i}" for i in range(5)}

    await asyncio.gather(*(cell(k) for k in range(1, 101)))
