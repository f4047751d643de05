"""What a sandbox is: jobs in, results out."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Literal, Protocol, get_args, runtime_checkable

__all__ = ["STATUSES", "Failure", "Isolation", "Job", "Limits", "Result", "Sandbox", "Status"]

Status = Literal[
    "ok", "error", "refused", "timeout", "cpu", "memory", "processes", "output", "file_size", "disk", "forbidden",
    "killed", "uncarriable", "calls", "items", "garbled", "lost",
]  # fmt: skip
"""How a job ended.

- ``ok``: it returned, and the value is here
- ``error``: it raised an exception (``SystemExit`` is one)
- ``refused``: it could not begin: the source does not compile, or does not define the entry
- ``timeout``, ``cpu``, ``memory``, ``processes``, ``output``, ``file_size``, ``disk``, ``calls``, ``items``: it
  reached that limit
- ``forbidden``: it was stopped by an operation that the sandbox denies and that it did not catch
- ``killed``: it ended without a result: a crash, a signal, ``os._exit``
- ``uncarriable``: it returned what cannot be carried out, or too much of it
- ``garbled``: what it sent over the channel was no message
- ``lost``: the sandbox itself broke down under it; not the job's fault, and worth another try
"""

STATUSES: tuple[Status, ...] = get_args(Status)


@dataclass(frozen=True, slots=True)
class Limits:
    """What one job may use."""

    wall: float = 10.0
    """Seconds by the clock. It stands still while a host function works for the job."""
    cpu: float = 10.0
    """Seconds of processor time, all processes of the job together."""
    memory: int = 512 << 20
    """Bytes beyond what the interpreter with its imports holds."""
    processes: int = 16
    """Processes and threads at a time."""
    cores: int | None = None
    """Processors that it sees and runs on, so that its threads are as many on every machine; None: all there are. Jobs
    at a time are spread over the machine's."""
    output: int = 64 << 10
    """Bytes printed, stdout and stderr together."""
    file_size: int = 16 << 20
    """Bytes of one file."""
    disk: int = 64 << 20
    """Bytes in the private /tmp. One for all jobs of a sandbox."""
    files: int = 128
    """Open file descriptors."""
    result: int = 4 << 20
    """Bytes of the encoded result."""
    message: int = 1 << 20
    """Bytes of the encoded arguments of one call of a host function."""
    calls: int = 1000
    """Calls of host functions."""
    items: int = 10_000
    """Items that a generator may give."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A piece of source, and what to call in it.

    Args:
        source: Python source of a module.
        entry: the function to call, also ``Class.method``; empty to run the module alone.
        args, kwargs: for the entry; JSON types, and what ``agentopt.sandbox`` says it carries beside them.
        allow: host functions that the source may call by these names; arguments and results are carried likewise.
        types: dataclasses, named tuples and enums that may come back; those of ``args`` may in any case.
        limits: default those of the sandbox.
        seed: makes ``random`` and ``numpy.random`` repeatable.
        prelude: source that is run first, in the same module; its lines are not the candidate's.
        values: names that the module has from the beginning.
        annotations: whether annotations are evaluated, as Python does by default.
    """

    source: str
    entry: str = ""
    args: Sequence[Any] = ()
    kwargs: Mapping[str, Any] = field(default_factory=dict)
    allow: Mapping[str, Callable[..., Any]] = field(default_factory=dict)
    types: Sequence[type] = ()
    limits: Limits | None = None
    seed: int | None = None
    prelude: str = ""
    values: Mapping[str, Any] = field(default_factory=dict)
    annotations: bool = True


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a job brought no value.

    ``type`` is the exception's name (empty where there was none), ``line`` the line of the candidate's source (0 where
    there is none), ``text`` the whole story for a reader: message, calls, and the source with that line marked.
    """

    type: str
    message: str
    line: int
    text: str


@dataclass(frozen=True, slots=True)
class Result:
    """How a job ended.

    ``wall`` and ``cpu`` are seconds, ``memory`` is the peak in bytes, ``calls`` counts host functions; ``items`` says
    that the entry was a generator and ``value`` is the list of its items. Everything but the figures and the status of
    a limit was said by the candidate's own process: treat it as the candidate's claim.
    """

    status: Status
    value: Any = None
    error: Failure | None = None
    stdout: str = ""
    stderr: str = ""
    wall: float = 0.0
    cpu: float = 0.0
    memory: int = 0
    calls: int = 0
    items: bool = False

    @property
    def ok(self) -> bool:
        """Whether there is a value."""
        return self.status == "ok"


@dataclass(frozen=True, slots=True)
class Isolation:
    """What stands between a job and this machine, as it was found to work.

    ``layers`` are in force, ``lacking`` could not be had (and why), ``missing`` are imports that jobs will do without.
    """

    backend: str
    layers: Mapping[str, str]
    lacking: Mapping[str, str] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)

    @property
    def weak(self) -> bool:
        """Whether a layer is lacking."""
        return bool(self.lacking)

    def record(self) -> dict[str, Any]:
        """As JSON, for the record of a run."""
        return {**asdict(self), "weak": self.weak}

    def __str__(self) -> str:
        here = "; ".join(f"{name}: {what}" for name, what in self.layers.items()) or "nothing"
        gone = "; ".join(f"{name}: {why}" for name, why in self.lacking.items())
        return f"{self.backend} ({here})" + (f", WEAK, without {gone}" if gone else "")


@runtime_checkable
class Sandbox(Protocol):
    """Runs jobs apart from this process and this machine.

    The contract: whatever the job does, ``run`` returns a ``Result`` in bounded time, and no process, file or
    connection of the job is left by then. What a job did cannot be seen by a later one. The job sees no file but the
    interpreter and its libraries, no environment of this process, and no network. A limit that it reaches is its own
    status. Nothing that comes out of it is executed here or chooses a class. Jobs may be run from any thread and any
    event loop; those beyond the sandbox's capacity wait their turn, which stops a ``Clock``. A host function may run
    further jobs: no job waits for one that waits for it. Host functions are called in the context of the
    caller of ``run``. Cancelling ``run`` kills the job.
    """

    @property
    def isolation(self) -> Isolation:
        """What is in force."""
        ...

    async def run(self, job: Job) -> Result:
        """Do a job.

        Raises:
            UsageError: the job cannot be sent: an argument that cannot be carried, or a closed sandbox.
        """
        ...

    def run_sync(self, job: Job) -> Result:
        """The same from plain code; host functions are called in this thread."""
        ...

    def close(self) -> None:
        """End everything. Jobs that are running end as ``lost``."""
        ...
