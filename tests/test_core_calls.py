"""Decorated callables of every sort: results, parents, signatures, paths, errors."""

from __future__ import annotations

import asyncio
import functools
import inspect
import random
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from agentopt.core import (
    Node,
    Parameter,
    Trace,
    add_op,
    current_path,
    graph,
    next_place,
    node,
    parameters,
    rng,
    tracing,
    trainable,
    wants_node,
)
from agentopt.errors import BudgetExhausted, ConstraintError, NodeError, UsageError

OFFSET = Parameter(10, name="offset", kind="number")


def roles(made: Any) -> list[str]:
    return [parent.role for parent in made.meta.parents]


@node
def add(a: int, b: int = 2) -> int:
    """the sum of two numbers"""
    return a + b


@node
def reads(a: int) -> int:
    return a + OFFSET.value


def test_plain_outside_and_a_node_inside_or_with_nodes_or_with_parameters() -> None:
    assert add(1, 2) == 3
    assert type(add(1, 2)) is int
    assert isinstance(add(Node(1)), Node)
    assert isinstance(reads(1), Node)
    assert isinstance(add.traced(1), Node)
    with Trace():
        assert isinstance(add(1), Node)


def test_parents_are_exactly_the_nodes_given_and_the_parameters_read() -> None:
    x = Node(1)
    assert [(p.node, p.role, p.kind) for p in add(x, 5).meta.parents] == [(x, "a", "data")]
    assert [(p.node, p.kind) for p in reads(x).meta.parents] == [(x, "data"), (OFFSET, "param")]


def test_each_record_keeps_its_own_arguments() -> None:
    with Trace() as trace:
        add(1, b=5)
        add(2)
    assert [r.constants for r in trace.graph.nodes] == [{"a": 1, "b": 5}, {"a": 2, "b": 2}]


def test_signature_names_and_docs_are_kept() -> None:
    assert add.__name__ == "add"
    assert add.__doc__ == "the sum of two numbers"
    assert str(inspect.signature(add)) == "(a: 'int', b: 'int' = 2) -> 'int'"
    assert add.__wrapped__(1, 1) == 2
    with Trace() as trace:
        add(1)
    assert trace.graph.nodes[0].doc == "the sum of two numbers"


def test_wrong_arguments_are_a_type_error_and_no_node() -> None:
    with Trace() as trace:
        with pytest.raises(TypeError):
            add()  # type: ignore[call-arg]
        with pytest.raises(TypeError):
            add(1, c=3)  # type: ignore[call-arg]
    assert trace.nodes == []


def test_variadic_arguments_keep_their_names() -> None:
    @node
    def many(first: int, *args: int, key: int = 0, **kwargs: int) -> int:
        return first + sum(args) + key + sum(kwargs.values())

    n = Node(1)
    made = many(n, n, 3, key=n, other=n)
    assert made.value == 7
    assert roles(made) == ["first", "args[0]", "key", "other"]


def test_default_that_is_a_parameter_arrives_plain_and_is_a_parent() -> None:
    tone = Parameter("warm", name="tone")

    @node
    def say(text: str, tone: str = tone) -> str:  # type: ignore[assignment]
        assert type(tone) is str
        return f"{tone} {text}"

    made = say("hi")
    assert made.value == "warm hi"  # type: ignore[attr-defined]
    assert roles(made) == ["tone"]

    @node
    def positional(text: str, tone: str = tone, /) -> str:  # type: ignore[assignment]
        return f"{tone} {text}"

    assert positional("hi").value == "warm hi"  # type: ignore[attr-defined]


class Agent:
    def __init__(self, bonus: int) -> None:
        self.bonus = Parameter(bonus, name="bonus", kind="number")

    @node
    def score(self, x: int) -> int:
        return x + self.bonus.value

    @graph
    def solve(self, x: int) -> Any:
        return self.score(x) + self.bonus

    @node
    @staticmethod
    def double(x: int) -> int:
        return 2 * x

    @classmethod
    @node
    def name(cls, x: int) -> str:
        return cls.__name__ * x


def test_methods_static_and_class_methods() -> None:
    one, two = Agent(1), Agent(2)
    y = one.solve(5)
    assert y.value == 7
    assert two.solve(5).value == 9
    y.backward("low")
    assert len(one.bonus.feedback) == 1
    assert two.bonus.feedback == []
    assert Agent.double(3) == 6
    assert Agent.name(2) == "AgentAgent"
    with Trace() as trace:
        assert one.double(4).value == 8  # type: ignore[attr-defined]
        assert one.name(1).value == "Agent"  # type: ignore[attr-defined]
    assert [r.constants for r in trace.graph.nodes] == [{"x": 4}, {"x": 1}]
    assert Agent.score.traced(one, 1).value == 2
    assert list(parameters(one)) == ["bonus"]


def test_a_class_is_decorated_method_by_method() -> None:
    @graph
    class Bot:
        __slots__ = ("rule",)

        def __init__(self) -> None:
            self.rule = Parameter("be brief", name="rule")

        def __call__(self, q: str) -> Any:
            return self.think(q)

        @node
        def think(self, q: str) -> str:
            return self.rule.value + q

        @property
        def costly(self) -> str:
            raise AssertionError("a property must not be evaluated by a walk")

        def _private(self) -> int:
            return 1

    bot = Bot()
    assert bot("?").value == "be brief?"
    assert bot._private() == 1
    assert list(parameters(bot)) == ["rule"]
    assert isinstance(bot, Bot)


@node
@dataclass(frozen=True)
class Frozen:
    a: int

    def twice(self) -> int:
        return 2 * self.a


def test_frozen_dataclasses_and_slots() -> None:
    assert Frozen(2).twice() == 4
    with Trace():
        assert Frozen(2).twice().value == 4  # type: ignore[attr-defined]


def test_lambdas_builtins_partials_and_callable_objects() -> None:
    class Adder:
        def __call__(self, x: int) -> int:
            return x + 1

    assert node(lambda x: x + 1)(Node(1)).value == 2
    assert node(max)(Node(1), 5).value == 5
    assert node(len)(Node("abc")).value == 3
    assert node(int)(Node("3")).value == 3
    assert node(functools.partial(add, b=5))(Node(1)).value == 6
    assert node(Adder())(Node(1)).value == 2
    assert node("x".join)(Node(["a", "b"])).value == "axb"
    assert node(lambda x: x).__name__ == "<lambda>"
    with pytest.raises(UsageError, match="callables"):
        node(3)  # type: ignore[call-overload]


def test_options_and_other_decorators_above_and_below() -> None:
    def shout(fn: Any) -> Any:
        @functools.wraps(fn)
        def inner(*args: Any) -> Any:
            return fn(*args) + "!"

        return inner

    @shout
    @node(name="say", doc="says it")
    @shout
    def speak(text: str) -> str:
        return text

    assert speak("a") == "a!!"
    with Trace() as trace:
        speak("a")
    assert (trace.graph.nodes[0].name, trace.graph.nodes[0].doc) == ("say", "says it")


def test_random_state_is_left_alone() -> None:
    @node
    def draw() -> float:
        return random.random()

    random.seed(1)
    wanted = [random.random() for _ in range(3)]
    random.seed(1)
    with Trace():
        assert [draw().value for _ in range(3)] == wanted  # type: ignore[attr-defined]


def test_nodes_within_a_body_are_plain_and_become_parents() -> None:
    @node
    def outer(x: int) -> int:
        inner = reads(add(x))
        assert type(inner) is int
        assert not tracing()
        assert not wants_node(3, OFFSET)
        assert type(OFFSET * 2) is int
        assert f"{OFFSET}" == "10"
        return inner

    with Trace() as trace:
        made = outer(1)
    assert made.value == 13  # type: ignore[attr-defined]
    assert [n.meta.path for n in trace.nodes] == ["outer:0/add:0", "outer:0/reads:0", "outer:0"]
    assert {p.node.meta.op for p in made.meta.parents} == {"add", "reads", "offset"}  # type: ignore[attr-defined]


def test_recursion_and_functions_that_change_what_is_around_them() -> None:
    log: list[int] = []
    total = 0

    @node
    def fact(n: int) -> int:
        nonlocal total
        total += 1
        log.append(n)
        return 1 if n < 2 else n * fact(n - 1)

    with Trace() as trace:
        assert fact(5).value == 120  # type: ignore[attr-defined]
    assert (total, log) == (5, [5, 4, 3, 2, 1])
    assert trace.nodes[0].meta.path == "fact:0/fact:0/fact:0/fact:0/fact:0"


def test_paths_and_ordinals_follow_the_program() -> None:
    seen: list[str] = []

    @node
    def leaf() -> None:
        seen.append(f"{current_path()}#{next_place('llm')[1]}{next_place('llm')[1]}")

    @graph
    def tree() -> None:
        leaf()
        leaf()

    assert current_path() == ""
    for _ in range(2):
        seen.clear()
        with Trace():
            tree()
            tree()
        assert seen == [f"tree:{i}/leaf:{k}#01" for i in (0, 1) for k in (0, 1)]


def test_graph_results_of_every_form() -> None:
    @graph
    def both(x: int) -> Any:
        return {"sum": add(x), "raw": 1}

    @graph
    def plain(x: int) -> Any:
        return 5

    with Trace() as trace:
        y = both(1)
        z = plain(2)
    assert y.value == {"sum": 3, "raw": 1}
    assert "add" in {p.node.meta.op for p in y.meta.parents}
    assert z.value == 5
    assert roles(z) == ["x"]
    assert trace.graph.output == z.meta.id


async def test_coroutines() -> None:
    @node
    async def slow(x: int) -> int:
        await asyncio.sleep(0.01 if x == 0 else 0)
        return x + OFFSET.value

    @graph
    async def fan(x: int) -> Any:
        a, b = await asyncio.gather(slow(0), slow(x))
        return a + b

    assert inspect.iscoroutinefunction(slow)
    assert asyncio.iscoroutinefunction(fan)
    y = await fan(1)
    assert y.value == 21
    y.backward("x")
    with Trace() as trace:
        late, early = slow(0), slow(1)
        assert (await early).meta.path == "slow:1"
        assert (await late).meta.path == "slow:0"
        await fan(3)
    assert [n.meta.path for n in trace.nodes if n.meta.op == "slow"][2:] == ["fan:0/slow:1", "fan:0/slow:0"]


async def test_coroutines_that_fail() -> None:
    @node
    async def bad(x: int) -> int:
        raise KeyError(x)

    with Trace():
        x = Node(3)
        with pytest.raises(KeyError) as caught:
            await asyncio.gather(bad(x), bad(x))
    assert isinstance(caught.value, NodeError)
    assert [p.node for p in caught.value.node.meta.parents] == [x]


def test_generators() -> None:
    @node
    def count(n: int) -> Iterator[int]:
        got = 0
        for i in range(n):
            got = (yield i + OFFSET.value + (got or 0)) or 0
            assert current_path() == "count:0"

    assert inspect.isgeneratorfunction(count)
    with Trace() as trace:
        items = count(3)
        first = next(items)
        assert current_path() == ""
        assert items.send(Node(100)).value == 111  # type: ignore[attr-defined]
        assert len(list(items)) == 1
    assert first.value == 10  # type: ignore[attr-defined]
    assert OFFSET in [p.node for p in first.meta.parents]  # type: ignore[attr-defined]
    assert [r.more for r in trace.graph.nodes if r.kind == "call"] == [{"item": 0}, {"item": 1}, {"item": 2}]

    @node
    def late() -> Iterator[int]:
        yield 1
        raise ValueError("late")

    with Trace() as trace, pytest.raises(ValueError, match="late"):
        list(late())
    assert trace.graph.nodes[-1].kind == "error"


async def test_async_generators() -> None:
    @node
    async def ticks(n: int) -> AsyncIterator[int]:
        for i in range(n):
            await asyncio.sleep(0)
            yield i

    assert inspect.isasyncgenfunction(ticks)
    assert [x async for x in ticks(3)] == [0, 1, 2]
    with Trace():
        assert [x.value async for x in ticks(3)] == [0, 1, 2]  # type: ignore[attr-defined]


def test_an_exception_becomes_an_error_node_with_the_line_marked() -> None:
    @node
    def parse(text: str) -> int:
        cleaned = text.strip()
        return int(cleaned)

    with Trace() as trace:
        text = Node(" x ", name="text")
        with pytest.raises(ValueError, match="invalid literal") as caught:
            parse(text)
    assert isinstance(caught.value, NodeError)
    assert isinstance(caught.value.__cause__, ValueError)
    record = trace.graph.nodes[-1]
    marked = [line for line in (record.error or "").splitlines() if line.startswith(">>>")]
    assert len(marked) == 1
    assert "return int(cleaned)" in marked[0]
    assert record.parents == (("n0", "text", "data"),)
    assert (record.error or "").startswith("ValueError: invalid literal")


@pytest.mark.parametrize(
    "failure", [ValueError(), AssertionError(), KeyError("k"), OSError(2, "no file"), StopIteration(1)]
)
def test_exceptions_of_every_form(failure: Exception) -> None:
    @node
    def fail() -> None:
        raise failure

    with Trace(), pytest.raises(type(failure)) as caught:
        fail()
    assert isinstance(caught.value, NodeError)
    assert caught.value.args == failure.args
    assert getattr(caught.value, "errno", None) == getattr(failure, "errno", None)


def test_exceptions_whose_class_cannot_be_joined_and_unicode_errors() -> None:
    class Picky(Exception):
        def __init__(self, a: int, *, b: int) -> None:
            super().__init__(f"{a}{b}")
            self.b = b

    @node
    def picky() -> None:
        raise Picky(1, b=2)

    @node
    def decode() -> str:
        return b"\xff".decode()

    with Trace():
        with pytest.raises(Picky) as caught:
            picky()
        assert caught.value.b == 2
        with pytest.raises(UnicodeDecodeError) as other:
            decode()
        assert other.value.start == 0


def test_an_inner_failure_is_caught_by_user_code_and_recorded_once_a_call() -> None:
    @node
    def bad() -> None:
        raise ValueError("inner")

    @graph
    def careful() -> Any:
        try:
            bad()
        except ValueError:
            return add(1)

    @graph
    def careless() -> Any:
        return bad()

    with Trace() as trace:
        assert careful().value == 3
        with pytest.raises(NodeError) as caught:
            careless()
    assert [r.kind for r in trace.graph.nodes] == ["error", "call", "error"]
    assert trace.graph.output == caught.value.node.meta.id
    caught.value.node.backward("do not fail")
    assert caught.value.node.feedback[0].feedback.text == "do not fail"


def test_errors_in_a_graph_body_and_our_own_errors() -> None:
    @graph
    def broken(x: int) -> Any:
        raise LookupError("gone" if add(x) else "here")

    @node
    def spent() -> None:
        raise BudgetExhausted("calls", "no calls left")

    with Trace() as trace:
        with pytest.raises(LookupError):
            broken(1)
        with pytest.raises(BudgetExhausted) as caught:
            spent()
    assert type(caught.value) is BudgetExhausted
    assert [r.kind for r in trace.graph.nodes] == ["value", "call", "error", "error"]


def test_plain_calls_raise_plain_exceptions() -> None:
    @node
    def bad() -> None:
        raise ValueError("plain")

    with pytest.raises(ValueError) as caught:
        bad()
    assert type(caught.value) is ValueError


@trainable
def polish(text: str) -> str:
    """Make it nice."""
    # bundle, def, and other words in a comment
    return text.strip()


def test_trainable_source_is_a_code_parameter() -> None:
    code = parameters(polish)["polish.code"]
    assert code.kind == "code"
    assert code.value.startswith("def polish(text: str) -> str:")
    assert code.value.endswith("return text.strip()")
    y = polish(" a ")
    assert y.value == "a"  # type: ignore[attr-defined]
    assert code in [p.node for p in y.meta.parents]  # type: ignore[attr-defined]
    assert code.check(code.value + "\n") == code.value
    with pytest.raises(ConstraintError, match="needs the sandbox"):
        code.value = "def polish(text):\n    return text"
    with pytest.raises(ConstraintError, match="needs the sandbox"):  # where it would be parsed, too
        code.check("deff polish(text) return")


def test_trainable_without_source_is_refused() -> None:
    for fn in (len, lambda x: x):
        with pytest.raises(UsageError, match=r"cannot be trainable|only a function"):
            trainable(fn)


def test_a_generator_is_closed_when_dropped() -> None:
    closed = []

    @node
    def items() -> Iterator[int]:
        try:
            yield 1
            yield 2
        finally:
            closed.append(True)

    with Trace():
        for _ in items():
            break
    assert closed == [True]


def test_objects_and_functions_reach_a_graph_as_they_are() -> None:
    @graph
    def apply(agent: Agent, fn: Any, data: list[int]) -> Any:
        assert isinstance(agent, Agent)
        assert fn is add
        assert isinstance(data, Node)
        return agent.score(fn(data[0]))

    with Trace():
        assert apply(Agent(1), add, [1]).value == 4


def test_llm_like_calls_inside_bodies_become_parents() -> None:
    @node
    def ask(q: str) -> str:
        return add_op("llm", q + "!", {"prompt": q}, kind="llm").value  # type: ignore[no-any-return]

    with Trace():
        made = ask("hi")
    assert [p.node.meta.kind for p in made.meta.parents] == ["llm"]  # type: ignore[attr-defined]


def test_rng_without_a_seed_is_fresh() -> None:
    assert rng().random() != rng().random()


def test_a_coroutine_dropped_half_way_is_closed_quietly() -> None:
    import contextvars

    closed = []

    @node
    async def wait() -> None:
        try:
            await asyncio.Future(loop=loop)
        finally:
            closed.append(current_path())

    loop = asyncio.new_event_loop()
    with Trace():
        pending = wait()
        contextvars.copy_context().run(pending.send, None)
    pending.close()
    loop.close()
    assert len(closed) == 1
    assert current_path() == ""


async def test_paths_do_not_depend_on_which_branch_of_a_gather_is_ahead() -> None:
    """A branch that makes several calls counts them for itself: an address is never the order of arrival."""

    @node
    async def ask(text: str) -> str:
        paths[text] = current_path()
        return text

    async def branch(side: str, wait: float) -> None:
        for turn in range(3):
            await ask(f"{side}{turn}")
            await asyncio.sleep(wait)
            places[f"{side}{turn}"] = next_place("~llm")

    @graph
    async def both(slow: str) -> None:
        await asyncio.gather(*(branch(side, 0.02 if side == slow else 0.0) for side in ("left", "right")))

    seen = []
    for slow in ("left", "right"):
        paths: dict[str, str] = {}
        places: dict[str, tuple[str, int]] = {}
        with Trace():
            await both(slow)
        seen.append((paths, places))
    assert seen[0] == seen[1]
    assert len(set(seen[0][0].values())) == 6
    assert len(set(seen[0][1].values())) == 6


async def test_a_branch_taken_in_one_task_is_no_parent_in_another() -> None:
    @node
    async def ask(n: int) -> int:
        return n

    async def branch(n: int) -> Any:
        found = await ask(n)
        await asyncio.sleep(0.01 * n)
        return await ask(found + 1) if found > 0 else found

    @graph
    async def both() -> list[Any]:
        return [*await asyncio.gather(branch(1), branch(2))]

    with Trace() as trace:
        await both()
    tested = {r.id: r for r in trace.graph.nodes if r.op == "gt"}
    last = [r for r in trace.graph.nodes if r.op == "ask" and any(kind == "control" for *_, kind in r.parents)]
    assert len(last) == 2
    control = [[id for id, _, kind in r.parents if kind == "control"] for r in last]
    assert all(len(ids) == 1 and ids[0] in tested for ids in control)
    assert control[0] != control[1]


@pytest.mark.parametrize("n", [10, 200])
def test_branches_on_values_made_earlier_cost_one_edge_each(n: int) -> None:
    @graph
    def total(values: list[int]) -> Any:
        nodes = [Node(v) for v in values]
        found: Any = Node(0)
        for one in nodes:
            if one:
                found = found + one
        return found

    with Trace() as trace:
        assert total(list(range(1, n + 1))).value == n * (n + 1) // 2
    assert sum(len(record.parents) for record in trace.graph.nodes) < 8 * n
