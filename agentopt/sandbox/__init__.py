"""Run code that nobody has read: apart from this process, from its files, and from the network.

::

    from agentopt.sandbox import Job, Limits, open_sandbox

    with open_sandbox(preload=["numpy"], limits=Limits(wall=2.0)) as sandbox:
        result = sandbox.run_sync(Job(source="def f(x):\\n    return x + 1", entry="f", args=[41]))
        result.status, result.value     # ok, 42

``open_sandbox`` gives a ``Sandbox``; a ``Job`` is source, the name of what to call, and arguments; a ``Result`` says
how it ended. Values are JSON and what ``guest.codec`` adds to it: tuples, sets, bytes, complex numbers, dictionaries
with any keys, NaN, long integers, dates, decimals, numpy arrays, and dataclasses, which come back as the types that the
host passed in or else as a ``Record``. ``docs/sandbox.md`` has the guarantees, and what is none.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentopt._lazy import lazy

if TYPE_CHECKING:
    from agentopt.sandbox.base import STATUSES, Failure, Isolation, Job, Limits, Result, Sandbox, Status
    from agentopt.sandbox.guest.codec import Record, Uncarriable
    from agentopt.sandbox.opening import open_sandbox, probe

__all__ = [
    "STATUSES",
    "Failure",
    "Isolation",
    "Job",
    "Limits",
    "Record",
    "Result",
    "Sandbox",
    "Status",
    "Uncarriable",
    "open_sandbox",
    "probe",
]

_HOMES = {
    "base": "STATUSES Failure Isolation Job Limits Result Sandbox Status",
    "guest.codec": "Record Uncarriable",
    "opening": "open_sandbox probe",
}

__getattr__ = lazy(__name__, _HOMES)
