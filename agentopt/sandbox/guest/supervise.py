"""Jobs seen from the server: forked ahead of time, handed their work, and killed with all that came of them."""

from __future__ import annotations

import contextlib
import fcntl
import os
import resource
import signal
import socket
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NoReturn

from . import program
from .attend import Attendance
from .confine import ENVIRONMENT, Confinement
from .frames import pack, send
from .namespaces import World
from .syscalls import CLONE_NEWPID, close_others, setns, unshare
from .watch import Watch

__all__ = ["Supervisor"]


@dataclass
class Child:
    """A process that is confined already and waits for its job."""

    pid: int
    channel: socket.socket
    out: int
    err: int


class Supervisor:
    """Runs jobs one after the other; the process of the next one is always there already.

    Args:
        world: the namespaces the server is in.
        confinement: what each job puts on.
        folder: the private folder of jobs.
        control: the descriptor on which the host speaks; it is listened to while a job runs.
        hear: reads from it; gives the messages that are complete, raises ``EOFError`` at its end.
        say: sends a message to the host.
    """

    def __init__(
        self, world: World, confinement: Confinement, folder: str, control: int,
        hear: Callable[[], list[dict[str, Any]]], say: Callable[[dict[str, Any]], None],
    ) -> None:  # fmt: skip
        self.world, self.confinement, self.folder = world, confinement, folder
        self.control, self.hear, self.say = control, hear, say
        self.watch = Watch(world.proc, world.own)
        self.watch.start()
        self.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        self.spare: Child | None = None
        self.ahead = world.own and world.pid_namespace >= 0
        """Whether the next process is forked while a job runs, which it can neither see nor be taken for."""
        self.overhead = 0.0
        """CPU seconds that a process takes without any job."""
        self.prepare()
        time.sleep(0.02)
        self.overhead = self.drop()

    def prepare(self) -> None:
        """Fork the process of the next job, if there is none."""
        if self.spare is None:
            self.spare = self._fork()

    def look_ahead(self) -> None:
        """Fork the process of the next job while one runs: to be called when nothing of that one is held any more."""
        if self.ahead:
            self.prepare()

    def drop(self) -> float:
        """End the process that waits for a job; the CPU seconds it took."""
        child, self.spare = self.spare, None
        if child is None:
            return 0.0
        _, cpu, _ = self._end(child.pid)
        self._close(child)
        return cpu

    def run(self, job: dict[str, Any]) -> None:
        """Do one job and say how it ended.

        ``job`` is emptied before a process is forked that could find it among its objects.

        Raises:
            EOFError: the host went away meanwhile; the job is dead by then.
        """
        if self.spare is not None and os.waitpid(self.spare.pid, os.WNOHANG)[0]:
            self._close(self.spare)
            self.spare = None
        self.prepare()
        child, self.spare = self.spare, None
        assert child is not None
        self.confinement.bind(child.pid, job["limits"]["cores"], job["seat"])
        attendance = Attendance(self, job, child)
        job.clear()
        try:
            attendance.begin()
            attendance.wait()
        finally:
            status, cpu, peak = self._end(child.pid)
            attendance.drain()
            self._close(child)
        self.say(attendance.report(status, max(0.0, cpu - self.overhead), peak))

    def _close(self, child: Child) -> None:
        child.channel.close()
        os.close(child.out)
        os.close(child.err)

    def _fork(self) -> Child:
        ours, theirs = socket.socketpair()
        out, out_in = os.pipe()
        err, err_in = os.pipe()
        virtual = self.watch.virtual()
        pid = self._fork_first()
        if pid == 0:
            self._inside(theirs.fileno(), out_in, err_in, virtual)
        theirs.close()
        os.close(out_in)
        os.close(err_in)
        return Child(pid, ours, out, err)

    def _fork_first(self) -> int:
        """Fork; the child is the first process of a PID namespace, where there is one."""
        if self.world.pid_namespace < 0:
            return os.fork()
        unshare(CLONE_NEWPID)
        pid = -1
        try:
            pid = os.fork()
        finally:
            if pid:
                setns(self.world.pid_namespace, CLONE_NEWPID)
        return pid

    def _inside(self, channel: int, out: int, err: int, virtual: int) -> NoReturn:
        """In the job's process."""
        try:
            ruleset = self.confinement.ruleset
            if ruleset >= 0:
                self.confinement.ruleset = ruleset = _away(ruleset)
            null = os.open("/dev/null", os.O_RDONLY)
            places = ((null, 0), (out, 1), (err, 2), (channel, program.CHANNEL))
            for fd, place in [(_away(fd), place) for fd, place in places]:
                os.dup2(fd, place)
            close_others({0, 1, 2, program.CHANNEL, ruleset} - {-1})
            os.setsid()
            os.chdir(self.folder)
            os.environ.clear()
            os.environ.update({**ENVIRONMENT, "HOME": self.folder, "TMPDIR": self.folder})
            tempfile.tempdir = None
            sys.argv = [program.MODULE]
            self.confinement.shut()
            send(program.CHANNEL, pack({"op": "ready"}))
            job = program.receive()
            self.confinement.limit(job["limits"], virtual)
            program.run(job)
        finally:
            os._exit(70)  # without having said that it is ready, where it could not be confined

    def _end(self, pid: int) -> tuple[int, float, int]:
        """Kill a job with all its processes: exit status, CPU seconds, peak bytes of its first process."""
        if self.world.pid_namespace < 0:
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(pid, signal.SIGKILL)
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
        _, status, used = os.wait4(pid, 0)
        if self.world.pid_namespace < 0:
            self._sweep()
        return status, used.ru_utime + used.ru_stime, max(0, used.ru_maxrss - self.peak) * 1024

    def _sweep(self) -> None:
        """Without a PID namespace: kill what the job left behind, which has become ours."""
        if os.getpid() == 1:
            with contextlib.suppress(ProcessLookupError):
                os.kill(-1, signal.SIGKILL)
        for _ in range(1000):
            for child in map(int, self.watch.pids()) if self.watch else ():
                with contextlib.suppress(ProcessLookupError):
                    os.kill(child, signal.SIGKILL)
            try:
                if os.waitpid(-1, os.WNOHANG)[0] == 0:
                    time.sleep(0.002)
            except ChildProcessError:
                return


def _away(fd: int) -> int:
    """A copy of a descriptor beyond those that are about to be replaced."""
    return int(fcntl.fcntl(fd, fcntl.F_DUPFD, 10))
