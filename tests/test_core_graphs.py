"""Graphs: records, the minimal subgraph against networkx, JSON, size and speed of growth."""

from __future__ import annotations

import gc
import json
import subprocess
import sys
import tracemalloc
from typing import Any

import networkx as nx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentopt.core import Graph, Node, Parameter, Record, Trace, add_op, graph, node, render
from agentopt.errors import SchemaTooNew, UnknownName, UsageError


@st.composite
def dags(draw: st.DrawFn) -> tuple[list[list[int]], set[int], int]:
    n = draw(st.integers(1, 25))
    parents = [sorted(draw(st.sets(st.integers(0, i - 1), max_size=4))) if i else [] for i in range(n)]
    params = {i for i in range(n) if not parents[i] and draw(st.booleans())}
    return parents, params, draw(st.integers(0, n - 1))


@settings(max_examples=150, deadline=None)
@given(dags(), st.data())
def test_minimal_subgraph_is_what_networkx_says(dag: tuple[list[list[int]], set[int], int], data: Any) -> None:
    parents, params, output = dag
    nodes: list[Any] = []
    with Trace() as trace:
        for i, above in enumerate(parents):
            if i in params:
                nodes.append(Parameter(0, name=f"p{i}", kind="number"))
            else:
                nodes.append(add_op(f"op{i}", i, {f"a{k}": nodes[k] for k in above}))
    wanted = {i for i in params if data.draw(st.booleans())}
    oracle = nx.DiGraph()
    oracle.add_nodes_from(range(len(parents)))
    oracle.add_edges_from((k, i) for i, above in enumerate(parents) for k in above)
    from_params = set(wanted).union(*(nx.descendants(oracle, i) for i in wanted))
    path = (from_params & (nx.ancestors(oracle, output) | {output})) | {output}
    blanket = {k for i in path for k in parents[i]} - path
    full = Graph.of(nodes[output]) if output in params else trace.graph
    sub = full.subgraph(nodes[output], [nodes[i] for i in wanted])
    names = {r.name for r in sub.nodes}
    assert names == {(f"p{i}" if i in params else f"op{i}") for i in path | blanket}
    by_name = {r.name: r for r in sub.nodes}
    assert all(by_name[f"op{i}"].parents == () for i in blanket - params)
    reached = {r.name for r in Graph.of(nodes[output]).parameters}
    nodes[output].backward("x")
    assert {f"p{i}" for i in params if nodes[i].feedback} == reached


def sample() -> tuple[Trace, Any]:
    prompt, other = Parameter("Say {{x}}", name="prompt"), Parameter(2, name="other", kind="number")

    @node
    def ask(text: str, times: int) -> str:
        return text * times

    @graph
    def solve(q: str) -> Any:
        unused = other + 1
        answer = ask(render(prompt, x=q), 2)
        if answer:
            return answer + "!"
        return unused

    with Trace() as trace:
        y = solve("hi")
    return trace, y


def test_records_and_edges() -> None:
    trace, y = sample()
    records = {r.name: r for r in trace.graph.nodes}
    assert set(records) == {"q", "other", "add", "prompt", "render", "ask"}
    ask = records["ask"]
    assert (ask.kind, ask.value, ask.type, ask.constants) == ("call", "Say hiSay hi", "str", {"times": 2})
    assert records["prompt"].kind == "param"
    assert records["prompt"].more["kind"] == "text"
    sub = trace.subgraph(y)
    assert {r.name for r in trace.subgraph(y, ["prompt"]).nodes} == {"prompt", "q", "render", "ask", "add"}
    assert "other" not in {r.name for r in sub.nodes}
    assert ("prompt", "render") in {(sub[e.source].name, sub[e.target].name) for e in sub.edges}
    order = [r.id for r in sub.topological()]
    assert all(order.index(e.source) < order.index(e.target) for e in sub.edges)


def test_json_goes_round_and_ids_are_the_same_each_time() -> None:
    first, second = sample()[0].graph, sample()[0].graph
    text = json.dumps(first.to_json(), allow_nan=False)
    assert Graph.from_json(json.loads(text)) == first
    assert [(r.id, r.path) for r in first.nodes] == [(r.id, r.path) for r in second.nodes]


def test_networkx_view() -> None:
    view = sample()[0].graph.to_networkx()
    assert isinstance(view, nx.MultiDiGraph)
    assert nx.is_directed_acyclic_graph(view)
    assert {d["kind"] for _, _, d in view.edges(data=True)} == {"data", "param", "control"}
    json.dumps(dict(view.nodes(data=True)))
    two = Graph.of((n := Node(2)) + n).to_networkx()
    assert two.number_of_edges() == 2


def test_bad_json_is_refused() -> None:
    data = sample()[0].graph.to_json()
    with pytest.raises(SchemaTooNew, match="update agentopt"):
        Graph.from_json({**data, "schema": 99})
    for bad in ({}, {"schema": 1}, {**data, "nodes": [{"id": "n0"}]}, {**data, "nodes": [{"x": 1}]}):
        with pytest.raises(UsageError):
            Graph.from_json(bad)
    with pytest.raises(UsageError):
        Graph.from_json([])  # type: ignore[arg-type]


def test_lookup() -> None:
    trace, y = sample()
    full = trace.graph
    assert full[full.id_of(y)].op == "add"
    assert full[full.id_of("prompt")].value == "Say {{x}}"
    assert full.output in full
    assert len(full) == len(full.nodes)
    with pytest.raises(UnknownName):
        full["n99"]
    with pytest.raises(UnknownName):
        full.id_of(Node(1))
    with pytest.raises(UsageError, match="takes a node"):
        Graph.of(3)
    with pytest.raises(UsageError, match="no output"):
        Graph([]).subgraph()


def test_values_that_json_cannot_hold_become_text() -> None:
    class Odd:
        def __repr__(self) -> str:
            raise RuntimeError("no")

    values = [float("nan"), {1: 2}, {1, 2}, (1, 2), Odd(), b"x", [float("inf")], "x" * 100_000, {"a": [1, None]}]
    with Trace() as trace:
        for value in values:
            Node(value)
    records = trace.graph.nodes
    json.dumps(trace.graph.to_json(), allow_nan=False)
    assert [r.exact for r in records] == [False, False, False, False, False, False, False, True, True]
    assert records[4].value == "<Odd, whose repr raises RuntimeError>"
    assert records[8].value == {"a": [1, None]}


def test_a_record_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        Record("n0", "a", "a", "value").name = "b"  # type: ignore[misc]


def chain(n: int) -> Any:
    x: Any = Parameter(0, name="p", kind="number")
    for _ in range(n):
        x = x + 1
    return x


def test_backward_work_is_linear_at_any_shape() -> None:
    """Counts the steps of the walk instead of seconds: every node is met once, every edge twice at most."""
    from agentopt.core.cell import ancestors

    x: Any = Parameter(1, name="p", kind="number")
    for _ in range(1_000):
        x = (x + 1) + (x + 1)
    assert len(ancestors(x)) == 3_001
    assert len(Graph.of(x).subgraph().nodes) == 3_001


def test_many_branches_on_early_nodes_stay_linear_in_the_walk() -> None:
    p = Parameter(1, name="p", kind="number")
    with Trace():
        early = [p + i for i in range(2_000)]
        late = Node(0)
        for n in early:
            if n:
                late = late + 1
    late.backward("x")
    assert len(p.feedback) == 1


def test_a_million_nodes() -> None:
    code = """
import gc, resource
from agentopt.core import Graph, Parameter, Trace
p = Parameter(0, name="p", kind="number")
with Trace() as trace:
    x = p
    for _ in range(1_000_000):
        x = x + 1
x.backward("larger")
assert len(p.feedback) == 1 and x.value == 1_000_000
p._n_feedback = None
del trace, x
gc.collect()
assert not any(type(o).__name__ == "Node" for o in gc.get_objects())
print("done")
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=110, check=False)
    assert done.stdout == "done\n", done.stderr[-2000:]


def test_a_deep_chain_without_a_trace_is_freed_without_recursion() -> None:
    x = chain(200_000)
    del x
    links: Any = None
    with Trace():
        for i in range(50_000):
            n = Node(i + 1)
            assert n
            links = n
    del links, n
    gc.collect()


def test_bytes_a_node() -> None:
    n = 5_000
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        with Trace() as trace:
            x = chain(n)
        used = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert len(trace.nodes) == n
    assert x.value == n
    assert used / n < 400


def test_training_steps_leak_nothing() -> None:
    p = Parameter(1, name="p", kind="number")

    def steps(n: int) -> None:
        for _ in range(n):
            x: Any = p
            for _ in range(10):
                x = x + 1
            x.backward("larger")
            p._n_feedback = None

    steps(20)
    gc.collect()
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        steps(200)
        gc.collect()
        kept = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert kept / 200 < 20


def test_importing_the_kernel_is_light() -> None:
    code = (
        "import sys, agentopt.core; "
        "print(sorted({'networkx', 'openai', 'litellm', 'pydantic', 'numpy', 'jsonschema'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
