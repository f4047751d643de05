"""One running job, attended to: listened to, timed, measured, and stopped at its limits."""

from __future__ import annotations

import contextlib
import os
import select
import signal
import time
from typing import TYPE_CHECKING, Any

from .frames import FrameError, Reader, pack
from .watch import Usage

if TYPE_CHECKING:
    from .supervise import Child, Supervisor

__all__ = ["Attendance"]

_TICK = 0.02
_CHUNK = 1 << 16
_CLAIMS = ("ok", "error", "refused", "memory", "processes", "file_size", "disk", "items", "forbidden", "uncarriable")
"""How a job may say that it ended; the rest is what the server sees."""


class Attendance:
    """What is known of a running job."""

    def __init__(self, owner: Supervisor, job: dict[str, Any], child: Child) -> None:
        self.owner, self.id, self.limits, self.child = owner, job["id"], job["limits"], child
        self.channel = child.channel
        self._poll = select.poll()
        self._unsent = memoryview(pack(job))
        """Of the message to the job: one at a time, since it waits for each."""
        self.output: dict[int, bytearray] = {child.out: bytearray(), child.err: bytearray()}
        self.reason = ""
        self.frame: dict[str, Any] | None = None
        self.ready = False
        self.calls = 0
        self.waited = 0.0
        self.asked: float | None = None
        self.used = Usage()
        self._over = False
        self._reader = Reader(max(self.limits["result"], self.limits["message"]) + 64)
        self.began = self.ended = self._looked = time.monotonic()

    def begin(self) -> None:
        """Hand the job over, as much of it as its channel takes; ``wait`` sends the rest."""
        for fd in self.output:
            os.set_blocking(fd, False)
        self.channel.setblocking(False)
        self._send()

    def wait(self) -> None:
        """Until the job is over, one way or the other; no event takes long, and the limits are looked at in between."""
        poll, channel = self._poll, self.channel.fileno()
        for fd in (self.owner.control, *self.output):
            poll.register(fd, select.POLLIN)
        life = _pidfd(self.child.pid)
        if life >= 0:
            poll.register(life, select.POLLIN)
        try:
            while not self._over and self.frame is None:
                if not self._unsent:
                    self.owner.look_ahead()
                for fd, event in poll.poll(1000 * min(_TICK, max(0.001, self._left()))):
                    if fd == life:
                        self._over = True
                    elif fd == self.owner.control:
                        self._control()
                    elif fd == channel:
                        if event & select.POLLOUT:
                            self._send()
                        if event & ~select.POLLOUT:
                            self._hear()
                    elif not self._read(fd):
                        poll.unregister(fd)
                    if self._over or self.frame is not None:
                        break
                else:
                    self._look()
        finally:
            self.ended = time.monotonic()
            if life >= 0:
                os.close(life)
            while self.frame is None and self._hear():  # it may have spoken before it ended
                pass

    def _left(self) -> float:
        """Wall clock that is left; it stands still while the host works for the job."""
        now = time.monotonic()
        resting = self.waited + (now - self.asked if self.asked is not None else 0.0)
        return float(self.limits["wall"]) - (now - self.began - resting)

    def _stop(self, reason: str) -> None:
        self.reason = self.reason or reason
        self._over = True

    def _look(self) -> None:
        now = time.monotonic()
        if self._left() <= 0:
            return self._stop("timeout")
        if now - self._looked < _TICK or not self.owner.watch:
            return None
        self._looked = now
        self.used = self.used.most(self.owner.watch.usage(self.owner.spare.pid if self.owner.spare else 0))
        if self.used.cpu > self.limits["cpu"]:
            self._stop("cpu")
        elif self.used.memory > self.limits["memory"]:
            self._stop("memory")
        elif self.used.tasks > self.limits["processes"] + 1 and not self.owner.confinement.counted:
            self._stop("processes")
        return None

    def _control(self) -> None:
        for message in self.owner.hear():
            if message.get("id") != self.id:
                continue
            if message["op"] == "kill":
                self._stop(str(message.get("reason") or "cancelled"))
            elif message["op"] == "reply" and self.asked is not None:
                self.waited += time.monotonic() - self.asked
                self.asked = None
                self._tell({key: message[key] for key in ("value", "error") if key in message})

    def _tell(self, message: dict[str, Any]) -> None:
        """Send the job what it waits for, now and as it reads."""
        self._unsent = memoryview(pack(message))
        self._send()

    def _send(self) -> None:
        try:
            sent = self.channel.send(self._unsent)
        except BlockingIOError:
            sent = 0
        except OSError:  # nobody reads it
            sent = len(self._unsent)
        self._unsent = self._unsent[sent:] or memoryview(b"")
        self._poll.register(self.channel, select.POLLIN | (select.POLLOUT if self._unsent else 0))

    def _hear(self) -> bool:
        """Take one chunk of what the job says; whether there may be more."""
        try:
            data = self.channel.recv(_CHUNK)
        except BlockingIOError:
            return False
        except OSError:
            data = b""
        if not data:  # it says nothing more, and reads no answers
            self._unsent = memoryview(b"")
            with contextlib.suppress(KeyError):
                self._poll.unregister(self.channel)
            return False
        try:
            for message in self._reader.feed(data):
                self._heard(message)
                if self.reason or self.frame is not None:
                    return False
        except FrameError:
            self._stop("garbled")
        return not self.reason

    def _heard(self, message: dict[str, Any]) -> None:
        if message.get("op") == "ready" and not self.ready:
            self.ready = True
        elif not self.ready:
            self._stop("garbled")
        elif message.get("op") == "done" and message.get("status") in _CLAIMS:
            self.frame = message
        elif message.get("op") == "call" and self.asked is None and not self._unsent and not self._over:
            if self._reader.length > self.limits["message"]:  # the job's own functions have refused it
                return self._stop("garbled")
            self.calls += 1
            if self.calls > self.limits["calls"]:
                return self._stop("calls")
            self.asked = time.monotonic()
            try:
                self.owner.say({**message, "op": "call", "id": self.id, "call": self.calls})
            except (RecursionError, ValueError):
                self._stop("garbled")
        else:
            self._stop("garbled")
        return None

    def _read(self, fd: int) -> bool:
        """Take what a job printed; whether there may be more."""
        try:
            data = os.read(fd, _CHUNK)
        except BlockingIOError:
            return True
        room = self.limits["output"] - sum(map(len, self.output.values()))
        self.output[fd] += data[: max(0, room)]
        if len(data) > room:
            self._stop("output")
        return bool(data)

    def drain(self) -> None:
        """After the end: what is still in the pipes."""
        for fd in self.output:
            with contextlib.suppress(OSError):
                while self._waiting(fd) and self._read(fd) and self.reason != "output":
                    pass

    def _waiting(self, fd: int) -> bool:
        return bool(select.select([fd], [], [], 0)[0])

    def report(self, status: int, cpu: float, peak: int) -> dict[str, Any]:
        """What is told to the host. A limit that the server saw goes before what the job said."""
        frame, code = self.frame or {}, os.waitstatus_to_exitcode(status)
        cpu = max(cpu, self.used.cpu)
        reason = self.reason if self.ready else "broken"
        if not reason and self.frame is None:
            spent = code == -signal.SIGKILL and cpu >= self.limits["cpu"]  # by the kernel, at its own limit
            reason = "cpu" if spent else "killed"
        said = {} if reason else frame
        return {
            "op": "done",
            "id": self.id,
            "status": reason or frame.get("status"),
            "exit": code,
            **{key: said[key] for key in ("value", "kind", "error") if key in said},
            "stdout": self.output[self.child.out].decode("utf-8", "replace"),
            "stderr": self.output[self.child.err].decode("utf-8", "replace"),
            "wall": round(self.ended - self.began - self.waited, 6),
            "waited": round(self.waited, 6),
            "cpu": round(cpu, 6),
            "memory": max(peak, self.used.memory),
            "calls": self.calls,
        }


def _pidfd(pid: int) -> int:
    try:
        return os.pidfd_open(pid)
    except (OSError, AttributeError):
        return -1
