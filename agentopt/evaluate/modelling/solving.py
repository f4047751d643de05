"""Running a program that solves an optimization problem, and reading its answer.

::

    solved = await solve(program, ["profit", "tables"])
    solved.status, solved.values          # ok, {'profit': 1250.0, 'tables': 12.0}
    solved = await solve_reply(reply, ["profit", "tables"])     # finds the program in a model's reply first
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from agentopt._clock import waiting
from agentopt.errors import MissingDependency, UsageError
from agentopt.evaluate.modelling.answers import Reading, read_json
from agentopt.evaluate.modelling.endings import ending, lacks
from agentopt.evaluate.modelling.replies import Form, find_program, imports_of
from agentopt.evaluate.modelling.solved import Solved
from agentopt.evaluate.programs import given_seconds
from agentopt.evaluate.sandboxed import OwnSandbox, lasting
from agentopt.sandbox import Job, Limits, Result, Sandbox

__all__ = ["CUT_OFF", "LIMITS", "PRELOADED", "SECONDS", "Reader", "read_into", "solve", "solve_reply"]

SECONDS = 20.0
"""Processor time of one program, all its threads together; the published protocols allow as much by the clock."""
LIMITS = Limits(memory=2 << 30, output=1 << 20, processes=128, cores=2)
"""What one program may use beside its seconds. Solvers start a thread for each processor that they see, and all threads
share the seconds: with all processors of a large machine the seconds would be gone before the search had begun."""
PRELOADED = ("numpy", "scipy.optimize", "pyscipopt", "pyomo.environ")
"""Imported once, before any program. Not highspy: it and ortools cannot be in one process."""
Reader = Callable[[str, Sequence[str]], Reading]
"""How an answer is read: from what was printed, and the names that were asked for."""
CUT_OFF = "the reply was cut off within its program; write a shorter one"
"""What is said of a program that the cap of output tokens cut off."""
_TAIL = 4000  # characters of an output that are kept
_OWN = OwnSandbox(LIMITS, PRELOADED)


async def solve(
    program: str,
    names: Sequence[str],
    *,
    seconds: float | None = None,
    reader: Reader = read_json,
    sandbox: Sandbox | None = None,
    form: Form = "bare",
) -> Solved:
    """Run a program in the sandbox, and read the figures that it prints.

    Args:
        program: Python source that nobody has read.
        names: what its answer must hold, such as ``["profit", "tables"]``.
        seconds: processor time of all its threads together, its own imports included; by the clock ten times as
            much, so that a busy machine makes no program wrong. Default: those of the task of the run, else 20.
        reader: how the output is read; ``read_json`` wants a JSON object with the names as keys.
        sandbox: where to run; default the one of the run, else one of this process with the solvers imported.
        form: how the program stood in the reply, for the record.

    Returns:
        A ``Solved``; whatever the program does is a status of it, and so is a broken sandbox (``infra``).

    >>> import asyncio
    >>> asyncio.run(solve('print({"profit": 3 * 4})', ["profit"])).values
    {'profit': 12.0}
    """
    try:
        place = sandbox or await _OWN.place()
        job = _job(program, seconds or given_seconds() or SECONDS)
        with waiting():  # it has limits of its own
            result = await place.run(job)
            if result.status == "lost":  # not the program's fault: once more, in another server
                result = await place.run(job)
            false = (package := lacks(result)) and (await place.run(_job(f"import {package}", SECONDS))).ok
    except (UsageError, MissingDependency) as error:
        return Solved(status="infra", text=str(error), program=program, form=form, imports=imports_of(program))
    solved = _judged(program, names, result, reader, form)
    if false:  # it says that a package is not here which is: the world's fault is not a program's to claim
        told = result.error.text if result.error else ""
        return solved.model_copy(update={"status": "crashed", "text": told})
    return solved


async def solve_reply(
    reply: str,
    names: Sequence[str],
    *,
    truncated: bool = False,
    seconds: float | None = None,
    reader: Reader = read_json,
    sandbox: Sandbox | None = None,
) -> Solved:
    """Find the program in a model's reply, run it, and read its answer; see ``find_program`` and ``solve``.

    >>> import asyncio
    >>> asyncio.run(solve_reply("I cannot solve this.", ["profit"])).status
    'no_code'
    """
    found = find_program(reply, truncated=truncated)
    if found.form == "none":
        return Solved(status="no_code", text="the reply holds no Python program", form="none")
    if found.form == "cut_off":
        return Solved(status="cut_off", text=CUT_OFF, program=found.code, form="cut_off", imports=found.imports)
    return await solve(found.code, names, seconds=seconds, reader=reader, sandbox=sandbox, form=found.form)


def _job(program: str, seconds: float) -> Job:
    return Job(source=program, limits=lasting(LIMITS, seconds), values={"__name__": "__main__"}, seed=0)


def _judged(program: str, names: Sequence[str], result: Result, reader: Reader, form: Form) -> Solved:
    base = Solved(
        status="ok",
        program=program,
        form=form,
        imports=imports_of(program),
        stdout=result.stdout[-_TAIL:],
        stderr=result.stderr[-_TAIL:],
        seconds=result.wall,
    )
    status, text = ending(result)
    if status is not None:
        return base.model_copy(update={"status": status, "text": text})
    ran = base.model_copy(update={"ran": True})
    return read_into(ran, names, reader(result.stdout, names))


def read_into(ran: Solved, names: Sequence[str], reading: Reading) -> Solved:
    """The record of a program that ran, with what was read of its output.

    Args:
        ran: the record so far.
        names: what was asked for.
        reading: what was read.

    >>> read_into(Solved(status="no_answer", ran=True), ["a", "b"], Reading({"a": 1.0}, missing=("b",))).status
    'partial'
    """
    missing = dict.fromkeys(reading.missing, "it is not printed")
    told = {**reading.problems, **missing}
    read = {"values": dict(reading.values), "problems": told}
    if reading.claim:
        why = f"the program says that the model is {reading.claim.replace('_', ' ')}"
        if reading.claim == "missing_solver":
            why = "the program says that its solver is not there"
        return ran.model_copy(update={**read, "status": reading.claim, "text": why})
    why = "; ".join(f"{name}: {what}" for name, what in told.items())
    if reading.problems:
        return ran.model_copy(update={**read, "status": "unreadable", "text": why})
    if missing and not reading.values:
        why = f"the program ran, and nothing that it printed is an answer for {', '.join(names)}"
        return ran.model_copy(update={**read, "status": "no_answer", "text": why})
    return ran.model_copy(update={**read, "status": "partial" if missing else "ok", "text": why})
