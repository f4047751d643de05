"""Handlers: context managers that change what happens inside them, in this context only.

::

    with Override({"tone": "warm"}), Trace() as trace:
        answer = solve("What is 2 + 3?")
    trace.graph.subgraph(answer)          # what the answer came from

``Trace`` records, ``Override`` sets parameters, ``Replay`` gives recorded results again, ``Block`` hides calls,
``Seed`` makes ``rng()`` repeatable, ``Exec`` is the seam through which a sandbox runs changed code. They nest in
any order. A handler of your own subclasses ``Handler`` and says what happens before and after every traced call.
"""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterable, Mapping
from contextvars import Token
from typing import TYPE_CHECKING, Any, NamedTuple, Self

from agentopt.core.scope import ROOT, SCOPE, Env, Frame, next_place
from agentopt.errors import UsageError

if TYPE_CHECKING:
    from agentopt.core.graphs import Graph
    from agentopt.core.node import Node
    from agentopt.core.parameter import Parameter

__all__ = ["Assigned", "Block", "Call", "Escape", "Exec", "Handler", "Override", "Replay", "Seed", "Trace", "rng"]


class Call:
    """A traced call on its way through the handlers.

    ``before`` may set ``value`` and ``done`` to answer it; ``after`` sees ``value`` or ``error``.
    """

    __slots__ = ("args", "done", "error", "kwargs", "name", "path", "value")

    def __init__(self, name: str, path: str, args: Any, kwargs: Any) -> None:
        self.name, self.path, self.args, self.kwargs = name, path, args, kwargs
        self.value: Any = None
        self.done = False
        self.error: BaseException | None = None


class Handler:
    """Base of handlers: a context manager, used once at a time; enter a new one for each context."""

    _tokens: list[Token[Any]] | None = None

    def _env(self, env: Env) -> Env:
        """The environment inside this handler."""
        hooked = type(self).before is not Handler.before or type(self).after is not Handler.after
        return env._replace(hooks=(*env.hooks, self)) if hooked else env

    def _frame(self, frame: Frame | None) -> Frame | None:
        """The frame inside this handler."""
        return frame

    def before(self, call: Call) -> None:
        """Called before a traced call runs, innermost handler first."""

    def after(self, call: Call) -> None:
        """Called after it, outermost handler first."""

    def __enter__(self) -> Self:
        env, frame = SCOPE.get()
        inner = self._env(env._replace(handlers=(*env.handlers, self)))
        if self._tokens is None:
            self._tokens = []
        self._tokens.append(SCOPE.set((inner, self._frame(frame))))
        return self

    def __exit__(self, *exc: object) -> None:
        if not self._tokens:
            raise UsageError(f"{type(self).__name__} is left without having been entered")
        SCOPE.reset(self._tokens.pop())
        env, frame = SCOPE.get()
        if frame is not None:
            frame.own(env)  # the task's part of the call, should it have entered it inside


class Escape(NamedTuple):
    """A node that left the graph as plain text or a number, where its provenance ends: ``how`` and ``file:line``."""

    node: Any
    how: str
    where: str


class Trace(Handler):
    """Record every node made inside.

    ``nodes`` are the nodes in the order of their making, ``escapes`` the places where one left the graph, ``output``
    the node that the feedback will be about (the result of the last outermost graph call, unless set), ``values`` what
    every parameter read was at that time. Nests: the outer trace sees what the inner one sees.

    >>> from agentopt.core import Node, Trace
    >>> with Trace() as trace:
    ...     y = Node(2, name="x") + 1
    >>> [(record.name, record.value) for record in trace.graph.nodes]
    [('x', 2), ('add', 3)]
    """

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.escapes: list[Escape] = []
        self.values: dict[Parameter[Any], Any] = {}
        self.output: Node[Any] | None = None
        self._result: Node[Any] | None = None

    def _env(self, env: Env) -> Env:
        next_id = env.next_id if env.traces else itertools.count(len(self.nodes)).__next__
        sinks = (*env.sinks, self.nodes.append)
        return env._replace(traces=(*env.traces, self), sinks=sinks, next_id=next_id, blocked=False)

    def _frame(self, frame: Frame | None) -> Frame | None:
        return Frame("", ROOT) if frame is None or frame.kind is ROOT else frame

    def _escaped(self, node: Any, how: str, where: str) -> None:
        self.escapes.append(Escape(node, how, where))

    @property
    def graph(self) -> Graph:
        """What was recorded so far, with everything that it was made from, as immutable records."""
        from agentopt.core.graphs import build

        last = self.nodes[-1] if self.nodes else None
        chosen = [node for node in (self.output, self._result, last) if node is not None]
        return build(self.nodes, chosen[0] if chosen else None, self.values, self.escapes)

    def subgraph(self, output: Any = None, params: Iterable[Any] | None = None) -> Graph:
        """``graph.subgraph(output, params)``: how ``params`` (default: all) led to ``output`` (default: the output)."""
        return self.graph.subgraph(output, params)


class Assigned:
    """A parameter's value in an ``Override``, checked when it is first read."""

    __slots__ = ("checked", "owner", "raw")

    def __init__(self, raw: Any, owner: Override) -> None:
        self.raw, self.owner = raw, owner
        self.checked: dict[int, Any] = {}

    def value_for(self, parameter: Parameter[Any]) -> Any:
        """The value as ``parameter`` converts it."""
        key = id(parameter)
        if key not in self.checked:
            self.checked[key] = parameter.check(self.raw)
        self.owner.used.add(parameter.name)
        return self.checked[key]


class Override(Handler):
    """Set parameters by name, for this context only; the agent itself stays as it is.

    Args:
        values: name to value, or anything with such ``values`` (a ``Candidate``).
        parameters: those of the agent, when at hand: every value is then checked at once, and unknown names refused.
            Otherwise a value is checked when its parameter is first read.

    ``used`` holds the names that were read. Nests: the inner value wins.

    Raises:
        ConstraintError: a parameter does not admit its value.
        UnknownName: a name that is none of ``parameters``.

    >>> from agentopt.core import Override, Parameter
    >>> tone = Parameter("plain", name="tone")
    >>> with Override({"tone": "warm"}):
    ...     tone.value
    'warm'
    >>> tone.value
    'plain'
    """

    def __init__(self, values: Any, parameters: Mapping[str, Parameter[Any]] | None = None) -> None:
        mapping = values if isinstance(values, Mapping) else getattr(values, "values", None)
        if not isinstance(mapping, Mapping):
            raise UsageError(f"Override takes a mapping of names to values or a Candidate, not {values!r}")
        self.used: set[str] = set()
        self.assigned = {name: Assigned(value, self) for name, value in mapping.items()}
        for name, value in mapping.items() if parameters is not None else ():
            if parameters is None or name not in parameters:
                from agentopt.errors import UnknownName

                raise UnknownName("parameter", name, parameters or (), "see agentopt.parameters(agent)")
            self.assigned[name].checked[id(parameters[name])] = parameters[name].check(value)

    def _env(self, env: Env) -> Env:
        return env._replace(values={**env.values, **self.assigned})


class Replay(Handler):
    """Give the recorded results of calls again instead of running them.

    Args:
        source: a ``Graph`` or a ``Trace``. Calls are found by their path; those whose recorded value was no JSON
            are run.
        names: only calls of these names; default all nodes (never graphs, which are run and replay what they call).
        strict: a call that was not recorded raises instead of being run.

    >>> from agentopt.core import Replay, Trace, node
    >>> @node
    ... def draw() -> float:
    ...     import random
    ...     return random.random()
    >>> with Trace() as first:
    ...     a = draw()
    >>> with Replay(first), Trace():
    ...     draw() == a
    True
    """

    def __init__(self, source: Any, names: Iterable[str] | None = None, strict: bool = False) -> None:
        graph = source.graph if isinstance(source, Trace) else source
        self.names = None if names is None else frozenset(names)
        self.strict = strict
        self.recorded = {r.path: r for r in graph.nodes if r.kind == "call" and r.exact and "item" not in r.more}

    def _frame(self, frame: Frame | None) -> Frame | None:
        return Frame("", ROOT) if frame is None or frame.kind is ROOT else frame

    def before(self, call: Call) -> None:
        """Answer the call from the record."""
        if call.done or (self.names is not None and call.name not in self.names):
            return
        record = self.recorded.get(call.path)
        if record is not None:
            call.value, call.done = record.value, True
        elif self.strict:
            raise UsageError(f"{call.path or call.name} was not recorded, and the replay is strict")


class Block(Handler):
    """Hide calls from the handlers outside: nothing is recorded, and no other handler sees them.

    Without names everything is hidden: functions give plain values, and results of nodes are nodes without a history.
    With names only calls of these leave no record; what they return counts as a constant. A ``Trace`` opened inside
    records again.

    >>> from agentopt.core import Block, Trace, node
    >>> @node
    ... def double(x: int) -> int:
    ...     return 2 * x
    >>> with Trace() as trace:
    ...     with Block():
    ...         print(type(double(2)).__name__)
    int
    >>> trace.nodes
    []
    """

    def __init__(self, *names: str) -> None:
        self.names = frozenset(names)

    def _env(self, env: Env) -> Env:
        if self.names:
            return env._replace(hidden=env.hidden | self.names)
        return env._replace(blocked=True, traces=(), sinks=(), hooks=())


class Seed(Handler):
    """Make ``rng()`` repeatable: the numbers depend on the seed, the call path and the ordinal of the ``rng()`` there.

    >>> from agentopt.core import Seed, rng
    >>> with Seed(1):
    ...     a = rng().random()
    >>> with Seed(1):
    ...     a == rng().random()
    True
    """

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def _env(self, env: Env) -> Env:
        return env._replace(seed=self.seed)


def rng() -> random.Random:
    """Random numbers for agents: repeatable under ``Seed``, fresh without."""
    env, _ = SCOPE.get()
    if env.seed is None:
        return random.Random()
    path, ordinal = next_place("rng")
    return random.Random(f"{env.seed}|{path}|{ordinal}")


class Exec(Handler):
    """The seam through which a sandbox runs code. While one is open, code parameters admit changed sources."""

    def _env(self, env: Env) -> Env:
        return env._replace(exec=self)

    def takes(self, parameter: Parameter[Any], changed: bool) -> bool:
        """Whether calls of a parameter's function come here; a changed one's always do.

        A run that trains code takes the shipped source, too, so that baseline and candidates run in the same place.
        """
        return changed

    def check(self, parameter: Parameter[Any], source: str) -> None:
        """Look at a changed source before it is admitted.

        Raises:
            ConstraintError: with the reason alone.
        """

    def run(self, parameter: Parameter[Any], source: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
        """Run ``source``, which defines the function, with plain arguments, and give its plain result.

        What comes back is of the kind that the shipped function gives: a value, an awaitable, a generator or an
        asynchronous generator. The base refuses.
        """
        raise UsageError(f"parameter {parameter.name!r}: this Exec handler runs no code; open a sandbox")
