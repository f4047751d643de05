"""What a job's process gives up before it runs the candidate's code, and cannot get back."""

from __future__ import annotations

import contextlib
import os
import resource
import signal
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from . import landlock, seccomp, syscalls

__all__ = ["ENVIRONMENT", "Confinement", "count_processes", "spread", "usable_processors"]

_BLAS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS", "VECLIB_MAXIMUM_THREADS")
ENVIRONMENT = {"PATH": "", "LANG": "C.UTF-8", "TZ": "UTC", "PYTHONHASHSEED": "0", **dict.fromkeys(_BLAS, "1")}
"""The whole environment of a job."""

_UNKNOWN = 2 << 30
"""Address space that a server with libraries is taken to have where it cannot be read."""


@dataclass
class Confinement:
    """Made once by the server and put on by each job.

    ``ruleset`` is a Landlock ruleset or -1, ``filter`` the seccomp filter. ``capable`` says that there are capabilities
    to drop, ``bounded`` that the container around the server limits the number of processes. ``counted`` is what
    ``count_processes`` found for the server itself, ``processors`` what ``usable_processors`` did.
    """

    ruleset: int = -1
    filter: seccomp.Filter | None = None
    capable: bool = False
    rlimits: bool = True
    counted: int = 0
    bounded: bool = False
    processors: tuple[int, ...] = ()

    @property
    def forks(self) -> bool:
        """Whether jobs may start processes: only where the kernel counts them. To look now and then is too slow."""
        return self.counted > 0 or self.bounded

    def bind(self, pid: int, cores: int | None, seat: int) -> None:
        """Bind the process of a job, which has one thread yet, to some processors; its filter keeps it there.

        Nothing is done where ``cores`` is None or binding is not permitted: how many they are is no boundary.
        """
        if cores is not None and self.processors:
            with contextlib.suppress(OSError):  # it has ended, or a processor is gone
                os.sched_setaffinity(pid, spread(self.processors, cores, seat))

    def shut(self) -> None:
        """Give up capabilities, files and system calls.

        Raises:
            OSError: a layer that the server found to work does not.
        """
        if self.capable:
            syscalls.drop_capabilities()
        if self.ruleset >= 0:
            landlock.restrict(self.ruleset)
            os.close(self.ruleset)
        if self.filter is not None:
            self.filter.put_on()

    def limit(self, limits: dict[str, Any], virtual: int) -> None:
        """Set the limits of this process.

        Args:
            limits: as the host sent them.
            virtual: bytes of address space that it has already; 0 where that cannot be seen.
        """
        if not self.rlimits:
            return
        cpu = int(limits["cpu"]) + 1
        _set(resource.RLIMIT_CORE, 0)
        _set(resource.RLIMIT_CPU, cpu)
        _set(resource.RLIMIT_FSIZE, int(limits["file_size"]))
        _set(resource.RLIMIT_NOFILE, int(limits["files"]))
        _set(resource.RLIMIT_MEMLOCK, 0)
        _set(resource.RLIMIT_AS, (virtual or _UNKNOWN) + int(limits["memory"]))
        if self.counted:
            _set(resource.RLIMIT_NPROC, int(limits["processes"]) + self.counted + 1)  # and that of the next job
        for name in ("RLIMIT_MSGQUEUE", "RLIMIT_NICE", "RLIMIT_RTPRIO"):
            if hasattr(resource, name):
                _set(getattr(resource, name), 0)
        if hasattr(resource, "RLIMIT_SIGPENDING"):
            _set(resource.RLIMIT_SIGPENDING, 256)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)  # a write beyond the limit fails with EFBIG


def usable_processors() -> tuple[int, ...]:
    """The processors of this machine that jobs can be bound to; none where binding is not permitted."""
    try:
        found = os.sched_getaffinity(0)
        os.sched_setaffinity(0, found)
    except (OSError, AttributeError):
        return ()
    return tuple(sorted(found))


def spread(processors: Sequence[int], cores: int, seat: int) -> set[int]:
    """So many of the processors, others for each seat as long as there are.

    >>> [spread(range(8), 3, seat) for seat in (0, 1, 2)]
    [{0, 1, 2}, {3, 4, 5}, {0, 6, 7}]
    """
    number = max(1, min(cores, len(processors)))
    return {processors[(seat * number + k) % len(processors)] for k in range(number)}


def count_processes() -> int:
    """How many processes the kernel counts for this user in this namespace; 0 where it does not hold them to a limit.

    Found by trying: up to which limit a fork fails. Kernels before 5.14 count all processes of the user, wherever they
    are, which is of no use here; root outside is held to no limit.
    """
    child = os.fork()
    if child:
        return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    code = 0
    try:
        for limit in range(1, 9):
            resource.setrlimit(resource.RLIMIT_NPROC, (limit, resource.getrlimit(resource.RLIMIT_NPROC)[1]))
            try:
                other = os.fork()
            except OSError:
                continue
            if other == 0:
                os._exit(0)
            os.waitpid(other, 0)
            code = max(0, limit - 2)  # without that child, and the one it could start
            break
    finally:
        os._exit(code)


def _set(kind: int, value: int) -> None:
    hard = resource.getrlimit(kind)[1]
    if hard != resource.RLIM_INFINITY:
        value = min(value, hard)
    resource.setrlimit(kind, (value, value))
