"""What a sandbox does with ordinary jobs: values, errors, host functions, limits, concurrency, its own death."""

from __future__ import annotations

import asyncio
import dataclasses
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextvars import ContextVar
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from agentopt.core import Trace, node
from agentopt.errors import BudgetExhausted, MissingDependency, UnknownName, UsageError
from agentopt.sandbox import STATUSES, Isolation, Job, Limits, Record, Sandbox, open_sandbox, paths, probe
from agentopt.sandbox.served import ServedSandbox


@dataclasses.dataclass
class Point:
    x: int
    y: int


class Pair(NamedTuple):
    left: int
    right: int


@pytest.fixture(scope="module")
def two(host: Any) -> Iterator[ServedSandbox]:
    """A local sandbox with two servers, so that jobs can overlap."""
    with open_sandbox("local", servers=2, limits=Limits(wall=20.0, cpu=20.0)) as sandbox:
        yield sandbox


def call(box: ServedSandbox, source: str, *args: Any, **job: Any) -> Any:
    """Run ``f`` of a source and give its value."""
    result = box.run_sync(Job(source=source, entry="f", args=args, **job))
    assert result.ok, result
    return result.value


def test_it_is_a_sandbox(box: ServedSandbox) -> None:
    assert isinstance(box, Sandbox)
    assert isinstance(box.isolation, Isolation)
    assert not box.isolation.weak
    assert {"namespaces", "landlock", "seccomp", "limits"} <= set(box.isolation.layers)
    assert box.isolation.record()["weak"] is False


def test_arguments_and_results(box: ServedSandbox) -> None:
    values = [
        1,
        "é",
        None,
        2.5,
        (1, (2,)),
        {3},
        b"\0\xff",
        {(1, 2): [3]},
        float("inf"),
        10**40,
        Point(1, 2),
        Pair(1, 2),
    ]
    for value in values:
        assert call(box, "def f(x): return x", value) == value


def test_arrays(box: ServedSandbox) -> None:
    import numpy as np

    value = call(box, "import numpy as np\ndef f(x): return x @ x, np.float32(2), x > 1", np.eye(2) * 2)
    assert value[0].tolist() == [[4, 0], [0, 4]]
    assert type(value[1]) is np.float32
    assert value[2].dtype == bool


def test_own_types_are_records_unless_the_host_has_passed_them(box: ServedSandbox) -> None:
    source = "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n    y: int\n"
    source += "def f(): return Point(1, 2)"
    assert call(box, source) == Record("Point", {"x": 1, "y": 2})
    assert call(box, source, types=[Point]) == Point(1, 2)


def test_an_argument_comes_as_the_candidates_own_type(box: ServedSandbox) -> None:
    source = (
        "from dataclasses import dataclass\n@dataclass\nclass Point:\n    x: int\n    y: int\n"
        "    def turned(self): return Point(self.y, self.x)\ndef f(p): return p.turned()"
    )
    assert call(box, source, Point(1, 2)) == Point(2, 1)


def test_errors_mark_the_failing_line(box: ServedSandbox) -> None:
    source = "def helper(x):\n    return 1 / x\n\ndef f(x):\n    y = helper(x)\n    return y\n"
    result = box.run_sync(Job(source=source, entry="f", args=[0]))
    assert result.status == "error" and result.error
    assert (result.error.type, result.error.line) == ("ZeroDivisionError", 2)
    assert "called from line 5 in f" in result.error.text
    assert ">>>    2 |     return 1 / x" in result.error.text


def test_a_crash_in_a_library_is_told_with_its_line(box: ServedSandbox) -> None:
    source = "import ctypes\ndef g():\n    ctypes.string_at(0)\ndef f():\n    return g()"
    result = box.run_sync(Job(source=source, entry="f"))
    assert result.status == "killed" and result.error is not None
    assert result.error.text.startswith("it ended without a result (SIGSEGV: Segmentation fault)\ncalled from line 5")
    assert ">>>    3 |     ctypes.string_at(0)" in result.error.text
    told = "import os\ndef f():\n    os.write(2, b'Fatal Python error: x\\n  File \"<candidate>\", line 999 in f\\n')\n"
    lied = box.run_sync(Job(source=told + "    os._exit(3)", entry="f"))
    assert lied.error is not None and lied.error.text == "it ended without a result (exit code 3)"


@pytest.mark.parametrize(
    ("source", "words"),
    [
        ("def f(:", "SyntaxError"),
        ("def g(): pass", "defines no 'f'"),
        ("f = 3", "defines no 'f'"),
        ("", "defines no 'f'"),
    ],
)
def test_refused(box: ServedSandbox, source: str, words: str) -> None:
    result = box.run_sync(Job(source=source, entry="f"))
    assert result.status == "refused" and result.error
    assert words in result.error.text


def test_exception_without_arguments_and_with_a_strange_text(box: ServedSandbox) -> None:
    for body, kind in (("assert False", "AssertionError"), ("raise KeyError", "KeyError"), ("exit()", "SystemExit")):
        result = box.run_sync(Job(source=f"def f():\n    {body}", entry="f"))
        assert result.status == "error" and result.error and result.error.type == kind
    result = box.run_sync(Job(source="def f(): raise ValueError('x' * 10**6)", entry="f"))
    assert result.error and len(result.error.message) < 5000


def test_prints_are_kept(box: ServedSandbox) -> None:
    result = box.run_sync(
        Job(source="import sys\ndef f():\n print('é')\n print('b', file=sys.stderr)\n 1/0", entry="f")
    )
    assert (result.stdout, result.stderr) == ("é\n", "b\n")


def test_imports_recursion_helpers_classes(box: ServedSandbox) -> None:
    source = """
import math
from collections import Counter

class Tree:
    def __init__(self, left=None, right=None):
        self.left, self.right = left, right
    def depth(self):
        return 1 + max((t.depth() for t in (self.left, self.right) if t), default=0)

def f(n):
    return fib(n), math.isqrt(n), Counter('abca'), Tree(Tree()).depth()

def fib(n):
    return n if n < 2 else fib(n - 1) + fib(n - 2)
"""
    assert call(box, source, 10) == (55, 3, {"a": 2, "b": 1, "c": 1}, 2)


def test_coroutines_and_generators(box: ServedSandbox) -> None:
    assert call(box, "import asyncio\nasync def f():\n    await asyncio.sleep(0.01)\n    return 1") == 1
    result = box.run_sync(Job(source="def f():\n    yield 1\n    yield 2", entry="f"))
    assert result.items and result.value == [1, 2]
    result = box.run_sync(Job(source="async def f():\n    yield 1", entry="f"))
    assert result.items and result.value == [1]


def test_a_module_alone_and_a_method(box: ServedSandbox) -> None:
    assert box.run_sync(Job(source="print(__name__)")).stdout == "candidate\n"
    assert (
        box.run_sync(Job(source="class A:\n    @staticmethod\n    def f(x): return -x", entry="A.f", args=[2])).value
        == -2
    )


def test_seed(box: ServedSandbox) -> None:
    source = (
        "import random, numpy\ndef f(): return random.random(), numpy.random.rand(), hash('a'), list({'a', 'b', 'c'})"
    )
    assert call(box, source, seed=7) == call(box, source, seed=7)
    assert call(box, source, seed=7)[:2] != call(box, source, seed=8)[:2]
    assert call(box, source)[:2] != call(box, source)[:2]


def test_arguments_that_cannot_be_carried_are_the_callers_mistake(box: ServedSandbox) -> None:
    with pytest.raises(UsageError, match=r"args\[1\] is of type .*Thread.* cannot be carried; pass its data"):
        box.run_sync(Job(source="def f(*a): pass", entry="f", args=[1, threading.current_thread()]))


def test_a_jobs_own_limits(box: ServedSandbox) -> None:
    result = box.run_sync(
        Job(source="import time\ndef f(): time.sleep(9)", entry="f", limits=Limits(wall=0.1, disk=8 << 20))
    )
    assert result.status == "timeout" and result.error and result.wall < 2
    assert result.error.text == "it ran longer than 0.1 s"
    with pytest.raises(UsageError, match="disk limit is its sandbox's"):
        box.run_sync(Job(source="", limits=Limits()))


PROCESSORS = """
import os, threading

def f():
    given, found = os.sched_getaffinity(0), []
    os.sched_setaffinity(0, range(4096))
    thread = threading.Thread(target=lambda: found.append(os.sched_getaffinity(0)))
    thread.start()
    thread.join()
    return sorted(given), found == [given], os.cpu_count()
"""
several = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="this machine has one processor")


@several
def test_a_job_sees_so_many_processors_and_stays_there(box: ServedSandbox) -> None:
    here = sorted(os.sched_getaffinity(0))
    for cores, expected in ((1, 1), (2, 2), (None, len(here)), (10_000, len(here))):
        limits = dataclasses.replace(box.limits, cores=cores)
        given, stayed, seen = call(box, PROCESSORS, limits=limits)
        assert len(given) == seen == expected and set(given) <= set(here)
        assert stayed, "it has taken others, or its thread has"


@several
async def test_jobs_at_a_time_are_spread_over_the_processors() -> None:
    both = asyncio.Barrier(2)

    async def meet() -> None:
        await both.wait()

    source = "import os\ndef f():\n    meet()\n    return sorted(os.sched_getaffinity(0))"
    job = Job(source=source, entry="f", allow={"meet": meet})
    with open_sandbox(servers=2, limits=Limits(cores=1)) as sandbox:
        one, other = await asyncio.gather(sandbox.run(job), sandbox.run(job))
    assert one.ok and other.ok
    assert len(one.value) == len(other.value) == 1 and one.value != other.value


@several
def test_where_processes_cannot_be_bound_jobs_have_all_processors(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A machine that refuses it, stood in for by a function that does; the server tells it in its record."""
    (tmp_path / "guest").mkdir()
    for file in paths.GUEST.glob("*.py"):
        (tmp_path / "guest" / file.name).write_text(file.read_text())
    refused = "def _no(*args): raise PermissionError(1, 'not permitted')\nos.sched_setaffinity = _no\n"
    confine = tmp_path / "guest" / "confine.py"
    confine.write_text(confine.read_text() + refused)
    monkeypatch.setattr(paths, "GUEST", tmp_path / "guest")
    with open_sandbox("local", servers=1, limits=Limits(cores=1)) as sandbox:
        assert "not bound to processors" in sandbox.isolation.layers["limits"] and not sandbox.isolation.weak
        result = sandbox.run_sync(Job(source="import os\ndef f(): return len(os.sched_getaffinity(0))", entry="f"))
        assert result.value == len(os.sched_getaffinity(0))


# --- host functions -----------------------------------------------------------------------------------------------


def test_host_functions(box: ServedSandbox) -> None:
    def lookup(name: str, *, times: int = 1) -> tuple[str, int]:
        return name * times, len(name)

    async def later(x: int) -> int:
        await asyncio.sleep(0.01)
        return x + 1

    source = "def f(): return lookup('ab', times=2), later(1)"
    assert call(box, source, allow={"lookup": lookup, "later": later}) == (("abab", 2), 2)
    source = "async def f(): return await later(1)"
    assert call(box, source, allow={"later": later}) == 2


async def test_host_functions_of_an_async_caller(box: ServedSandbox) -> None:
    async def later(x: int) -> int:
        await asyncio.sleep(0.01)
        return x + 1

    source = "def f(): return later(1) + now(2)"
    result = await box.run(Job(source=source, entry="f", allow={"later": later, "now": lambda x: x * 10}))
    assert result.value == 22 and result.calls == 2


def test_errors_of_host_functions(box: ServedSandbox) -> None:
    class Own(Exception):
        pass

    def bad(kind: str) -> None:
        raise {"value": ValueError("no"), "own": Own("mine"), "key": KeyError("k")}[kind]

    source = """
def f():
    seen = []
    for kind in ("value", "own", "key"):
        try:
            bad(kind)
        except Exception as exc:
            seen.append((type(exc).__name__, str(exc)))
    return seen
"""
    expected = [("ValueError", "no"), ("HostError", "Own: mine"), ("KeyError", "\"'k'\"")]
    assert [tuple(item) for item in call(box, source, allow={"bad": bad})] == expected


def test_the_end_of_a_budget_ends_the_job_and_reaches_the_caller(box: ServedSandbox) -> None:
    def ask() -> None:
        raise BudgetExhausted("calls", "400 calls are spent")

    source = "def f():\n    while True:\n        try:\n            ask()\n        except Exception:\n            pass"
    with pytest.raises(BudgetExhausted):
        box.run_sync(Job(source=source, entry="f", allow={"ask": ask}))
    assert call(box, "def f(): return 1") == 1


def test_calls_are_bounded(box: ServedSandbox) -> None:
    seen: list[int] = []
    source = "def f():\n    while True:\n        note(1)"
    result = box.run_sync(Job(source=source, entry="f", allow={"note": seen.append}))
    assert result.status == "calls" and len(seen) == box.limits.calls
    source = "def f(): note('x' * 10**6)"
    result = box.run_sync(Job(source=source, entry="f", allow={"note": seen.append}))
    assert result.status == "error" and result.error and "are carried" in result.error.message


def test_the_clock_stands_still_while_the_host_works(box: ServedSandbox) -> None:
    def slow() -> int:
        time.sleep(1.5)
        return 1

    result = box.run_sync(Job(source="def f(): return slow()", entry="f", allow={"slow": slow}))
    assert result.value == 1 and result.wall < 1.0


def test_host_functions_see_the_callers_context_and_are_traced(box: ServedSandbox) -> None:
    variable: ContextVar[str] = ContextVar("variable", default="default")

    @node
    def double(x: int) -> int:
        return 2 * x

    def read() -> str:
        return variable.get()

    variable.set("here")
    with Trace() as trace:
        got = call(box, "def f(): return double(21), read()", allow={"double": double, "read": read})
    assert got == (42, "here")
    assert [record.name for record in trace.graph.nodes] == ["double"]


# --- several at a time --------------------------------------------------------------------------------------------


async def test_jobs_run_side_by_side(two: ServedSandbox) -> None:
    source = "import time\ndef f(x):\n    meet(x)\n    return x"
    barrier = asyncio.Barrier(2)

    async def meet(x: int) -> None:
        await asyncio.wait_for(barrier.wait(), 20)

    jobs = [two.run(Job(source=source, entry="f", args=[i], allow={"meet": meet})) for i in range(2)]
    assert [result.value for result in await asyncio.gather(*jobs)] == [0, 1]


async def test_more_jobs_than_servers(two: ServedSandbox) -> None:
    jobs = [two.run(Job(source="def f(x): return x", entry="f", args=[i])) for i in range(20)]
    assert [result.value for result in await asyncio.gather(*jobs)] == list(range(20))


def test_several_threads(two: ServedSandbox) -> None:
    found: dict[int, Any] = {}
    threads = [
        threading.Thread(target=lambda i=i: found.update({i: call(two, "def f(x): return -x", i)})) for i in range(6)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == {i: -i for i in range(6)}


async def test_cancelling_kills_the_job(two: ServedSandbox) -> None:
    started = asyncio.Event()

    async def tell() -> None:
        started.set()

    source = "import time\ndef f():\n    tell()\n    time.sleep(60)"
    task = asyncio.create_task(two.run(Job(source=source, entry="f", allow={"tell": tell})))
    await asyncio.wait_for(started.wait(), 20)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    jobs = [two.run(Job(source="def f(): return 1", entry="f")) for _ in range(4)]
    assert [r.value for r in await asyncio.wait_for(asyncio.gather(*jobs), 15)] == [1] * 4


def children(pid: int) -> list[int]:
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def test_a_server_that_dies_is_replaced(host: Any) -> None:
    with open_sandbox("local", servers=1) as sandbox:
        (server,) = sandbox._pool._servers
        threading.Timer(0.3, lambda: os.kill(children(server._process.pid)[0], signal.SIGKILL)).start()
        result = sandbox.run_sync(Job(source="import time\ndef f(): time.sleep(9)", entry="f"))
        assert result.status == "lost" and result.error and "the sandbox broke down" in result.error.text
        assert call(sandbox, "def f(): return 1") == 1


def test_a_spare_process_that_dies_is_replaced(host: Any) -> None:
    with open_sandbox("local", servers=1) as sandbox:
        assert call(sandbox, "def f(): return 1") == 1
        (server,) = sandbox._pool._servers
        deadline = time.monotonic() + 10
        while not (spare := children(children(server._process.pid)[0])) and time.monotonic() < deadline:
            time.sleep(0.01)
        os.kill(spare[0], signal.SIGKILL)
        time.sleep(0.1)
        assert call(sandbox, "def f(): return 2") == 2


def test_closing(host: Any, nothing_left: Any) -> None:
    sandbox = open_sandbox("local", servers=1)
    sandbox.close()
    sandbox.close()
    with pytest.raises(UsageError, match="closed"):
        sandbox.run_sync(Job(source=""))
    nothing_left()


def test_closing_under_a_job(host: Any, nothing_left: Any) -> None:
    sandbox = open_sandbox("local", servers=1)
    threading.Timer(0.3, sandbox.close).start()
    assert sandbox.run_sync(Job(source="import time\ndef f(): time.sleep(9)", entry="f")).status == "lost"
    nothing_left()


def test_the_server_ends_with_its_host(host: Any) -> None:
    """A host that is killed leaves nothing."""
    import subprocess
    import sys

    program = (
        "import os, time\nfrom agentopt.sandbox import *\n"
        "s = open_sandbox('local', servers=1)\n(p,) = s._pool._servers\nprint(p._process.pid, flush=True)\n"
        "s.run_sync(Job(source='import time\\ndef f(): time.sleep(60)', entry='f', limits=Limits(wall=60)))\n"
    )
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True)
    assert process.stdout
    server = int(process.stdout.readline())
    below = children(server)
    time.sleep(0.2)
    process.kill()
    process.wait()
    deadline = time.monotonic() + 10
    while any(Path(f"/proc/{pid}").exists() for pid in (server, *below)) and time.monotonic() < deadline:
        time.sleep(0.02)
    assert not any(Path(f"/proc/{pid}").exists() for pid in (server, *below))


# --- opening ------------------------------------------------------------------------------------------------------


def test_preload_and_require(host: Any) -> None:
    with open_sandbox("local", servers=1, preload=["json.tool", "no_such_module"]) as sandbox:
        assert "no_such_module" in sandbox.isolation.missing
        assert "ModuleNotFoundError" in sandbox.isolation.missing["no_such_module"]
        assert call(sandbox, "import sys\ndef f(): return 'json.tool' in sys.modules") is True
    with pytest.raises(MissingDependency, match="cannot import no_such_module"):
        open_sandbox("local", servers=1, require=["no_such_module"])


def test_paths(host: Any, tmp_path: Path) -> None:
    (tmp_path / "data.txt").write_text("data")
    os.chmod(tmp_path, 0o755)
    with open_sandbox("local", servers=1, paths=[str(tmp_path)]) as sandbox:
        source = "def f(path): return open(path + '/data.txt').read()"
        assert call(sandbox, source, str(tmp_path)) == "data"
        source = "def f(path): open(path + '/new', 'w')"
        assert sandbox.run_sync(Job(source=source, entry="f", args=[str(tmp_path)])).status == "forbidden"


def test_it_fails_closed(host: Any) -> None:
    with pytest.raises(UsageError, match="only where weak isolation is allowed"):
        open_sandbox("local", without=["seccomp"])
    with pytest.raises(UsageError, match="no layer namespace;"):
        open_sandbox("local", weak=True, without=["namespace"])
    with pytest.raises(UnknownName, match="did you mean 'local'"):
        open_sandbox("lokal")


def test_a_layer_that_is_lacking_is_refused_and_otherwise_told(host: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    from agentopt.sandbox import backends

    real = backends.local
    monkeypatch.setitem(backends.BACKENDS, "local", lambda *args: dataclasses.replace(real(*args), needed=["moat"]))
    with pytest.raises(UsageError, match=r"lacks moat \(left off\); .* --allow-weak-sandbox"):
        open_sandbox("local", servers=1)
    with open_sandbox("local", servers=1, weak=True) as sandbox:
        assert sandbox.isolation.weak
        assert "WEAK, without moat" in str(sandbox.isolation)


def test_probe(host: Any) -> None:
    found = probe("local")
    assert isinstance(found, Isolation) and "seccomp" in found.layers


def test_docker_command(monkeypatch: pytest.MonkeyPatch) -> None:
    from agentopt.sandbox import backends

    monkeypatch.setattr(backends.shutil, "which", lambda name: f"/usr/bin/{name}")
    launch = backends.docker(Limits(processes=4), ["numpy"], ["/data"], backends.LAYERS)
    command = " ".join(launch.command)
    for part in (
        "docker run --rm --interactive", "--network none", "--read-only", "--cap-drop ALL", "no-new-privileges",
        "--user 65534:65534", "--pids-limit 12", "target=/data,readonly", "python:3.11-slim python3 -s -P -B",
    ):  # fmt: skip
        assert part in command
    assert '"namespaces"' not in command and '"seccomp"' in command and '"bounded": true' in command
    assert list(launch.needed) == ["seccomp", "limits"]
    assert not {"OPENAI_API_KEY"} & set(launch.environment)
    monkeypatch.setattr(backends.shutil, "which", lambda name: None)
    with pytest.raises(MissingDependency, match="docker"):
        backends.docker(Limits(), [], [], backends.LAYERS)
    with pytest.raises(MissingDependency, match="apt-get install bubblewrap"):
        backends.bubblewrap(Limits(), [], [], backends.LAYERS)


def test_statuses_are_told_apart() -> None:
    assert len(set(STATUSES)) == 17


# --- layers left off: what each of them is for --------------------------------------------------------------------


@pytest.mark.parametrize(
    ("without", "source"),
    [
        (["seccomp", "landlock", "namespaces"], "def f(h): return open(h['secret']).read() == h['token']"),
        (["seccomp"], "import socket\ndef f(h): return bool(socket.socket())"),
        (["seccomp"], "import os\ndef f(h): return os.memfd_create('x') > 0"),
        (["seccomp", "landlock", "namespaces"], "import os\ndef f(h): os.kill(h['victim'], 0); return True"),
        (["seccomp", "landlock"], "import os\ndef f(h): return os.fork() >= 0"),
        (["limits"], "def f(h): return len(open('/tmp/big', 'wb').write(bytes(3 << 20)) * 'x') > 0"),
    ],
)  # fmt: skip
def test_without_a_layer_the_attack_succeeds(without: list[str], source: str, host: Any) -> None:
    limits = Limits(file_size=1 << 20, wall=20.0, cpu=20.0)
    with open_sandbox("local", servers=1, limits=limits) as whole:
        result = whole.run_sync(Job(source=source, entry="f", args=[host.facts]))
        assert not result.value or "fork" in source
    with open_sandbox("local", servers=1, weak=True, without=without, limits=limits) as sandbox:
        assert sandbox.isolation.weak and set(without) <= set(sandbox.isolation.lacking)
        result = sandbox.run_sync(Job(source=source, entry="f", args=[host.facts]))
        assert result.value is True, result


def test_weak_without_namespaces_still_kills_what_a_job_leaves(host: Any, nothing_left: Any) -> None:
    source = """
import os, time
def f():
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            time.sleep(1000)
        os._exit(0)
    return os.path.basename(os.getcwd())
"""
    with open_sandbox("local", servers=1, weak=True, without=["namespaces", "seccomp"]) as sandbox:
        result = sandbox.run_sync(Job(source=source, entry="f"))
        assert result.ok and result.value.startswith("agentopt-sandbox-")
        assert call(sandbox, "def f(): return 1") == 1
    nothing_left()
    assert not list(Path("/tmp").glob(result.value))


def test_a_job_that_closes_the_folder_closes_it_for_nobody_else(box: ServedSandbox) -> None:
    source = "import os, tempfile\ndef f(): os.chmod('/tmp', 0)\ndef g():\n    with tempfile.TemporaryFile(): return 1"
    box.run_sync(Job(source=source, entry="f"))
    assert box.run_sync(Job(source=source, entry="g")).value == 1


def test_a_message_that_nests_too_deep_is_garbled_and_costs_no_server(box: ServedSandbox) -> None:
    source = """
import os, struct, time
def f():
    head = '{"op": "call", "name": "h", "kwargs": {}, "args": '
    data = (head + "[" * 900 + "]" * 900 + "}").encode()
    os.write(3, struct.pack(">I", len(data)) + data)
    time.sleep(5)
"""
    assert box.run_sync(Job(source=source, entry="f")).status == "garbled"
    assert box.run_sync(Job(source="def g(): return 1", entry="g")).value == 1


def test_a_usage_error_of_a_host_function_is_told_to_the_code_that_called_it(box: ServedSandbox) -> None:
    def ask(model: str) -> str:
        raise UsageError(f"no model named {model!r}")

    result = box.run_sync(Job(source="def f(): return ask('none')", entry="f", allow={"ask": ask}))
    assert result.status == "error" and result.error is not None and "no model named" in result.error.message
