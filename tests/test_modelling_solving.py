"""Programs that solve: run in the sandbox, each ending with its status, and none of them ours when it is not."""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Iterator

import pytest

from agentopt._clock import Clock
from agentopt.evaluate import use_runner
from agentopt.evaluate.modelling import PRELOADED, STATUSES, Solved, solve, solve_reply
from agentopt.evaluate.modelling.endings import ending
from agentopt.evaluate.sandboxed import SandboxRunner
from agentopt.sandbox import Failure, Job, Limits, Result, open_sandbox

pytest.importorskip("pyscipopt", reason="the solvers of agentopt[evals]")
SCIP = """
from pyscipopt import Model
m = Model()
m.hideOutput()
x = m.addVar("x", vtype="I", ub=UPPER)
m.addCons(2 * x <= 7)
m.addCons(x >= LOWER)
m.setObjective(5 * x, "maximize")
m.optimize()
if m.getStatus() == "optimal":
    print({"x": m.getVal(x), "profit": m.getObjVal()})
else:
    print({"status": m.getStatus()})
"""


@pytest.fixture(scope="module", autouse=True)
def place() -> Iterator[None]:
    """One sandbox for all tests, as a run has one."""
    with open_sandbox(preload=PRELOADED, servers=2) as sandbox, use_runner(SandboxRunner(sandbox)):
        yield


async def test_the_sandbox_of_the_block_is_used() -> None:
    assert (await solve(SCIP.replace("UPPER", "10").replace("LOWER", "0"), ["x", "profit"])).ok


@pytest.mark.parametrize(
    ("program", "status", "ran"),
    [
        (SCIP.replace("UPPER", "10").replace("LOWER", "0"), "ok", True),
        (SCIP.replace("UPPER", "10").replace("LOWER", "5"), "infeasible", True),
        ("from pyscipopt import Model\nm = Model()\nx = m.addVar('x', ub=1)\nm.addCons(x >= 2)\nm.optimize()\n"
         "print({'x': m.getVal(x), 'profit': 0})", "infeasible", False),
        ("print({'x': 1})", "partial", True),
        ("print({'x': 1, 'profit': float('nan')})", "unreadable", True),
        ("import json\nprint(json.dumps({'x': 1e-05, 'profit': '1,250.50 dollars'}))", "ok", True),
        ("print('x is', 3)", "no_answer", True),
        ("pass", "no_answer", True),
        ("print('The problem could not be solved to optimality.')", "not_optimal", True),
        ("print({'status': 'unbounded'})", "unbounded", True),
        ("print({'x': 1, 'profit': 2})\nimport sys\nsys.exit(0)", "ok", True),
        ("print({'x': 1, 'profit': 2})\nimport sys\nsys.exit(1)", "crashed", False),
        ("print({'x': 1, 'profit': 2})\nexit()", "ok", True),
        ("if __name__ == '__main__':\n    print({'x': 1, 'profit': 2})", "ok", True),
        ("1 / 0", "crashed", False),
        ("x = = 1", "crashed", False),
        ("import ctypes\nctypes.string_at(0)", "crashed", False),
        ("raise RuntimeError('the model is infeasible')", "infeasible", False),
        ("x = {}\nx['infeasible']", "crashed", False),
        ("while True: pass", "timeout", False),
        ("x = [0] * 10**11", "memory", False),
        ("while True: print('x' * 10000)", "limit", False),
        ("import socket\nsocket.create_connection(('1.1.1.1', 80))", "forbidden", False),
        ("import gurobipy", "missing_solver", False),
        ("from docplex.mp.model import Model", "missing_solver", False),
        ("import scipy.no_such_part", "crashed", False),
        ("import no_such_package_at_all", "crashed", False),
        ("from pyscipopt import NoSuchName", "crashed", False),
    ],
)  # fmt: skip
async def test_every_ending_has_its_status(program: str, status: str, ran: bool) -> None:
    solved = await solve(program, ["x", "profit"], seconds=2.0)
    assert (solved.status, solved.ran) == (status, ran), solved
    assert (solved.status == "ok") == (not solved.text)
    assert solved.status in STATUSES and not solved.ours


async def test_processor_time_decides_and_the_clock_is_an_outer_limit() -> None:
    """A program that waits for a processor has not used its seconds; one that waits for ever ends all the same."""
    waits = await solve("import time\ntime.sleep(1.0)\nprint({'x': 1})", ["x"], seconds=0.5)
    assert waits.ok and waits.seconds >= 1.0
    hangs = await solve("import time\ntime.sleep(60)", ["x"], seconds=0.2)
    assert hangs.status == "timeout" and 2.0 <= hangs.seconds < 20


async def test_the_threads_of_a_program_count_together() -> None:
    busy = """
import hashlib, threading, time
def work():
    while True: hashlib.sha256(bytes(1 << 20))
for _ in range(4): threading.Thread(target=work, daemon=True).start()
time.sleep(60)
"""
    assert (await solve(busy, ["x"], seconds=1.0)).status == "timeout"


async def test_a_program_does_not_use_up_the_time_of_who_runs_it() -> None:
    async with Clock(0.5):
        assert (await solve("import time\ntime.sleep(1.0)\nprint({'x': 1})", ["x"], seconds=5.0)).ok


async def test_a_program_sees_two_processors_however_many_there_are() -> None:
    program = "import os\nprint({'seen': os.cpu_count(), 'given': len(os.sched_getaffinity(0))})"
    expected = min(2, len(os.sched_getaffinity(0)))
    assert (await solve(program, ["seen", "given"])).values == {"seen": expected, "given": expected}


async def test_values_problems_and_outputs_are_kept() -> None:
    solved = await solve("import sys\nprint('hello', file=sys.stderr)\nprint({'x': 3, 'y': None})", ["x", "y", "z"])
    assert solved.values == {"x": 3.0} and set(solved.problems) == {"y", "z"}
    assert "hello" in solved.stderr and "'x': 3" in solved.stdout and solved.objective("y") is None


@pytest.mark.parametrize("reply", ["No idea.", "```python\nprint({'x':"])
async def test_a_reply_without_a_whole_program_is_not_run(reply: str) -> None:
    solved = await solve_reply(reply, ["x"])
    assert solved.status in ("no_code", "cut_off") and not solved.ran and solved.seconds == 0


async def test_two_programs_the_last_counts() -> None:
    def block(value: int) -> str:
        return f"```python\nimport json\nprint(json.dumps({{'x': {value}}}))\n```\n"

    solved = await solve_reply(block(1) + "wait\n" + block(2), ["x"])
    assert (solved.values, solved.form) == ({"x": 2.0}, "several")


@pytest.mark.skipif(importlib.util.find_spec("pyomo") is None, reason="pyomo is not installed")
async def test_a_solver_that_pyomo_does_not_find() -> None:
    program = """
import pyomo.environ as pyo
m = pyo.ConcreteModel()
m.x = pyo.Var(bounds=(0, 4))
m.o = pyo.Objective(expr=m.x, sense=pyo.maximize)
pyo.SolverFactory("SOLVER").solve(m)
print({"x": pyo.value(m.x)})
"""
    assert (await solve(program.replace("SOLVER", "glpk"), ["x"])).status == "missing_solver"
    if importlib.util.find_spec("highspy"):
        assert (await solve(program.replace("SOLVER", "appsi_highs"), ["x"])).values == {"x": 4.0}


class _Broken:
    """A sandbox that breaks down under every job."""

    isolation = None

    async def run(self, job: Job) -> Result:
        return Result("lost", error=Failure("", "gone", 0, "the sandbox broke down: gone"))


async def test_a_broken_sandbox_is_our_fault() -> None:
    solved = await solve("print({'x': 1})", ["x"], sandbox=_Broken())  # type: ignore[arg-type]
    assert (solved.status, solved.ours, solved.ran) == ("infra", True, False)


def test_a_promised_solver_that_is_not_installed_is_our_fault() -> None:
    gone = Result("error", error=Failure("ModuleNotFoundError", "No module named 'pyscipopt'", 1, ""))
    assert ending(gone)[0] == "infra" and "agentopt[evals]" in ending(gone)[1]


@pytest.mark.parametrize("raised", ["ModuleNotFoundError", "ImportError"])
async def test_a_program_cannot_claim_that_a_package_is_not_here(raised: str) -> None:
    solved = await solve(f"raise {raised}(\"No module named 'numpy'\")", ["x"])
    assert (solved.status, solved.ours) == ("crashed", False) and "No module named" in solved.text


class _Without:
    """A sandbox without one of the promised packages."""

    isolation = None

    async def run(self, job: Job) -> Result:
        return Result("error", error=Failure("ModuleNotFoundError", "No module named 'pyomo'", 1, "no pyomo"))


async def test_a_package_that_is_not_here_is_our_fault() -> None:
    solved = await solve("import pyomo", ["x"], sandbox=_Without())  # type: ignore[arg-type]
    assert solved.ours and "agentopt[evals]" in solved.text


def test_a_closed_sandbox_is_our_fault() -> None:
    import asyncio

    sandbox = open_sandbox(servers=1, limits=Limits(wall=1))
    sandbox.close()
    solved: Solved = asyncio.run(solve("print({'x': 1})", ["x"], sandbox=sandbox))
    assert solved.status == "infra"
