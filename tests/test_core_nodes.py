"""Nodes: operators, attributes, items, equality, what leaves the graph."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.core import Node, Parameter, Trace, add_op, attr, eq, graph, node
from agentopt.errors import NodeError, UsageError

BINARY = [
    operator.add,
    operator.sub,
    operator.mul,
    operator.truediv,
    operator.floordiv,
    operator.mod,
    divmod,
    operator.and_,
    operator.or_,
    operator.xor,
    operator.lt,
    operator.le,
    operator.gt,
    operator.ge,
]


def roles(made: Node[Any]) -> list[str]:
    return [parent.role for parent in made.meta.parents]


@given(st.sampled_from(BINARY), st.integers(-50, 50), st.integers(-50, 50))
def test_operators_compute_what_python_computes_with_the_node_on_either_side(op: Any, a: int, b: int) -> None:
    try:
        wanted = op(a, b)
    except ZeroDivisionError:
        with pytest.raises(ZeroDivisionError):
            op(Node(a), b)
        with pytest.raises(ZeroDivisionError):
            op(a, Node(b))
        return
    left, right, both = op(Node(a), b), op(a, Node(b)), op(Node(a), Node(b))
    assert left.value == right.value == both.value == wanted
    assert len(left.meta.parents) == len(right.meta.parents) == 1
    assert roles(both) == (["a", "b"])


@given(st.integers(-9, 9), st.integers(0, 5))
def test_powers_and_shifts(a: int, b: int) -> None:
    assert (Node(a) ** b).value == a**b
    assert (a ** Node(b)).value == a**b
    assert pow(Node(a), b, 7).value == pow(a, b, 7)
    assert (Node(a) << b).value == a << b
    assert (a >> Node(b)).value == a >> b


@given(st.floats(-1e6, 1e6))
def test_unary_operators(x: float) -> None:
    n = Node(x)
    for fn in (operator.neg, operator.pos, abs, round, math.trunc, math.floor, math.ceil):
        made = fn(n)
        assert made.value == fn(x)
        assert made.meta.parents[0].node is n
    assert round(n, 2).value == round(x, 2)
    assert (~Node(5)).value == ~5


def test_squaring_an_intermediate_value_and_going_back() -> None:
    x = Parameter(3, name="x", kind="number")
    y = x + 1
    z = y * y
    z.backward("smaller")
    assert z.value == 16
    assert [given.feedback.text for given in x.feedback] == ["smaller"]


def test_matrix_product_and_arrays_on_the_left() -> None:
    a = np.eye(2)
    product = a @ Node(a * 2)
    assert isinstance(product, Node)
    assert (product.value == a * 2).all()
    assert isinstance(a + Node(1), Node)


def test_equality_is_by_value_and_hash_by_identity() -> None:
    a, b = Node([1, 2]), Node([1, 2])
    assert a == b
    assert a == [1, 2]
    assert a != [1, 3]
    assert len({a, b}) == 2
    assert eq(a, b).value is True
    assert roles(eq(a, 5)) == ["a"]


def test_membership_among_nodes_of_arrays() -> None:
    nodes = [Node(np.array([1, 2])), Node(np.array([3, 4]))]
    assert Node(np.array([3, 4])) in nodes
    assert Node(np.array([3, 5])) not in nodes
    assert Node(np.array([1, 2, 3])) not in nodes


def test_items_iteration_and_unpacking_are_linked_to_the_container() -> None:
    pairs = Node({"a": 1, "b": 2})
    assert pairs["a"].value == 1
    assert roles(pairs["a"]) == ["a"]
    assert pairs["a"] is not pairs["a"]
    assert [key.value for key in pairs] == ["a", "b"]
    assert {k.value: v.value for k, v in pairs.items()} == {"a": 1, "b": 2}
    first, *rest = Node([1, 2, 3])
    assert first.value == 1
    assert [r.value for r in rest] == [2, 3]
    assert first.meta.parents[0].role == "of"
    assert [c.value for c in Node("ab")] == ["a", "b"]
    assert sorted(i.value for i in Node({1, 2})) == [1, 2]
    assert Node([1, 2, 3])[Node(1)].value == 2
    assert Node([1, 2, 3])[Node(1) :].value == [2, 3]


def test_tuple_result_is_one_node_that_can_be_indexed() -> None:
    @node
    def two() -> tuple[int, int]:
        return 1, 2

    both = two.traced()
    assert len(both) == 2
    assert both[1].value == 2


def test_attributes_and_methods_are_traced_and_keep_the_chain() -> None:
    text = Node("a,b")
    parts = text.split(",")
    assert parts.value == ["a", "b"]
    method = parts.meta.parents[0].node
    assert method.meta.op == "split"
    assert method.meta.parents[0].node is text
    assert Node(",").join([Node("x"), Node("y")]).value == "x,y"
    assert roles(Node(",").join([Node("x"), "y"])) == ["function", "arg0[0]"]


def test_the_four_names_are_reached_by_attr() -> None:
    holder = Node(SimpleNamespace(value=1, meta=2, feedback=3, backward=4))
    assert [attr(holder, name).value for name in ("value", "meta", "feedback", "backward")] == [1, 2, 3, 4]
    assert attr(SimpleNamespace(value=7), "value") == 7


def test_public_names_of_a_node_are_four() -> None:
    assert {name for name in dir(Node) if not name.startswith("_")} == {"value", "backward", "feedback", "meta"}


def test_a_missing_attribute_is_an_attribute_error_and_leaves_no_node() -> None:
    with Trace() as trace:
        n = Node("text")
        assert not hasattr(n, "nothing")
        with pytest.raises(AttributeError, match="holds 'str', without 'nothing'"):
            n.nothing
    assert trace.nodes == [n]


def test_a_callable_in_a_node_can_be_called() -> None:
    made = Node(max)(Node(3), 5)
    assert made.value == 5
    assert roles(made) == ["function", "arg0"]


@dataclass(frozen=True)
class Point:
    x: Any
    y: Any


def test_nodes_within_containers_become_parents_and_arrive_plain() -> None:
    seen: list[Any] = []

    @node
    def take(value: Any) -> int:
        seen.append(value)
        return 1

    a, b = Node(1), Node(2)
    take({"k": [a, (b, 3)], "p": Point(a, 4)})
    assert seen == [{"k": [1, (2, 3)], "p": Point(1, 4)}]
    made = take.traced({"k": [a, (b, 3)], "p": Point(a, 4)})
    assert roles(made) == ["value['k'][0]", "value['k'][1][0]", "value['p'].x"]
    take([{a}])
    assert seen[-1] == [{1}]


def test_containers_that_hold_themselves_and_long_ones() -> None:
    @node
    def size(value: list[Any]) -> int:
        return len(value)

    loop: list[Any] = [Node(1)]
    loop.append(loop)
    assert size.traced(loop).value == 2
    assert size.traced(list(range(100_000))).value == 100_000


def test_the_original_container_is_not_changed() -> None:
    n = Node(1)
    given_list = [n]

    @node
    def take(value: list[int]) -> None:
        value.append(5)

    take(given_list)
    assert len(given_list) == 1
    assert given_list[0] is n


def test_in_place_changes_of_a_recorded_value_are_refused() -> None:
    items = Node([1])
    with pytest.raises(UsageError, match=r"list_node \+ \[x\]"):
        items.append(2)
    with pytest.raises(UsageError, match="in place"):
        items[0] = 5
    with pytest.raises(UsageError, match="in place"):
        del items[0]
    with pytest.raises(AttributeError):
        items.value = [2]  # type: ignore[misc]
    items += [Node(2)]
    assert items.value == [1, 2]


def test_bool_draws_control_edges_to_what_is_made_later() -> None:
    with Trace() as trace:
        flag, x = Node(True, name="flag"), Node(1, name="x")
        before = x + 1
        if flag:
            after = x + 2
    assert "control" not in [p.kind for p in before.meta.parents]
    edge = after.meta.parents[-1]
    assert (edge.node, edge.kind) == (flag, "control")
    kinds = {(e.source, e.target, e.kind) for e in trace.graph.edges}
    assert ("n0", "n3", "control") in kinds


@pytest.mark.parametrize(("a", "b"), [(0, 5), (3, 5), ("", "x")])
def test_and_or_keep_short_circuit(a: Any, b: Any) -> None:
    n = Node(a)
    assert (n and b) is (b if a else n)
    assert (n or b) is (n if a else b)


def test_chained_branches_stay_few() -> None:
    with Trace() as trace:
        x = Node(0)
        while x < 50:
            x = x + 1
    edges = list(trace.graph.edges)
    assert len(edges) < 5 * len(trace.nodes)
    assert trace.graph.subgraph(x, []).nodes


def test_f_strings_are_refused_in_a_trace_and_work_outside() -> None:
    n = Node("x")
    assert f"{n}!" == "x!"
    with Trace(), pytest.raises(UsageError, match=r"render\("):
        f"{n}!"
    with Trace(), pytest.raises(UsageError, match=r"render\("):
        "{}".format(n)  # noqa: UP032


def test_other_ways_out_are_recorded_with_their_place() -> None:
    with Trace() as trace:
        n = Node(3, name="n")
        assert str(n) == "3"
        assert "%s" % n == "3"  # noqa: UP031
        assert int(n) == 3
        assert float(n) == 3.0
        assert [10, 11, 12, 13][n] == 13
    assert [e.how for e in trace.escapes] == ["str()", "str()", "int()", "float()", "an index"]
    assert all("test_core_nodes.py:" in e.where for e in trace.escapes)
    assert trace.graph.escapes[0][0] == "n0"


def test_print_works(capsys: pytest.CaptureFixture[str]) -> None:
    print(Node("hello"))
    assert capsys.readouterr().out == "hello\n"


def test_copies_are_detached_and_pickles_carry_the_value_alone() -> None:
    x = Node([1])
    for _ in range(5_000):
        x += [1]
    twin = copy.deepcopy(x)
    assert twin == x
    assert twin.meta.parents == ()
    assert copy.copy(x) is x
    back = pickle.loads(pickle.dumps(x))  # noqa: S301
    assert back == x
    assert back.meta.parents == ()


def test_repr_is_short_and_reads_no_parameter() -> None:
    assert repr(Node("a" * 200, name="n")).startswith("<Node n: 'aaa")
    assert len(repr(Node("a" * 200))) < 90


def test_an_operator_that_fails_becomes_an_error_node() -> None:
    with Trace() as trace:
        zero = Node(0, name="zero")
        with pytest.raises(ZeroDivisionError) as caught:
            1 / zero
    assert isinstance(caught.value, NodeError)
    record = trace.graph.nodes[-1]
    assert record.kind == "error"
    assert record.parents == (("n0", "b", "data"),)
    assert "ZeroDivisionError" in (record.error or "")


def test_type_errors_of_operators_are_pythons() -> None:
    with pytest.raises(TypeError):
        Node(1) + "a"


def test_add_op_records_by_hand() -> None:
    with Trace() as trace:
        made = add_op("llm", "hi", {"prompt": Node("p"), "n": 3}, kind="llm", doc="asks a model", finish="stop")
    record = trace.graph[made.meta.id]
    assert (record.kind, record.doc, record.more, record.constants) == (
        "llm",
        "asks a model",
        {"finish": "stop"},
        {"n": 3},
    )
    assert "test_core_nodes.py:" in record.where


def test_where_is_the_line_of_the_user() -> None:
    n = Node(1)
    assert n.meta.where.rpartition(":")[0].endswith("test_core_nodes.py")
    assert int((n + 1).meta.where.rpartition(":")[2]) > int(n.meta.where.rpartition(":")[2])


def test_a_graph_sees_nodes_and_a_node_sees_values() -> None:
    kinds: list[type] = []

    @node
    def leaf(x: int) -> int:
        kinds.append(type(x))
        return x

    @graph
    def both(x: int) -> int:
        kinds.append(type(x))
        return leaf(x)

    with Trace():
        both(1)
    both(1)
    assert kinds == [Node, int, int, int]
