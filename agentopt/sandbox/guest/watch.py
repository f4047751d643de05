"""What the processes of a job use, all of them together, as the server sees it in /proc."""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = ["Usage", "Watch"]

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SHARED = re.compile(r"^RssShmem:\s+(\d+) kB$", re.MULTILINE)
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass
class Usage:
    """``cpu`` in seconds, ``memory`` in bytes above what the server itself holds, ``tasks`` counts threads."""

    cpu: float = 0.0
    memory: int = 0
    tasks: int = 0

    def most(self, other: Usage) -> Usage:
        """The larger of each."""
        pairs = ((self.cpu, other.cpu), (self.memory, other.memory), (self.tasks, other.tasks))
        return Usage(*(max(pair) for pair in pairs))  # type: ignore[arg-type]


class Watch:
    """Reads an open /proc.

    Args:
        proc: its descriptor; -1 where there is none, and then nothing is seen.
        own: whether it lists nothing but this process and its jobs; otherwise children are followed from here.
    """

    def __init__(self, proc: int, own: bool) -> None:
        self.proc, self.own = proc, own
        self.base = 0

    def __bool__(self) -> bool:
        return self.proc >= 0

    def _read(self, path: str) -> str:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC, dir_fd=self.proc)
        try:
            return os.read(fd, 1 << 16).decode("ascii", "replace")
        finally:
            os.close(fd)

    def start(self) -> None:
        """Take what this process holds now for what each fork of it shares."""
        if self:
            self.base = self._memory("self")

    def _memory(self, pid: str) -> int:
        """Bytes that a process holds beside files, its own and those it shares, which count for each that has them."""
        _, resident, shared, *_ = map(int, self._read(f"{pid}/statm").split())
        anonymous = _SHARED.search(self._read(f"{pid}/status"))
        return (resident - shared) * _PAGE + (int(anonymous[1]) << 10 if anonymous else 0)

    def virtual(self) -> int:
        """Bytes of this process's address space; 0 where that cannot be seen."""
        return int(self._read("self/statm").split()[0]) * _PAGE if self else 0

    def pids(self) -> Iterator[str]:
        """Process ids, as this /proc numbers them, of all that came of this process."""
        if self.own:
            server = str(os.getpid())
            yield from (name for name in os.listdir(self.proc) if name.isdigit() and name != server)
            return
        found = [os.readlink("self", dir_fd=self.proc)]
        while found:
            parent = found.pop()
            for thread in self._threads(parent):
                with contextlib.suppress(OSError):
                    children = self._read(f"{parent}/task/{thread}/children").split()
                    found += children
                    yield from children

    def _threads(self, pid: str) -> list[str]:
        """Those of a process, each of which has children of its own; none where it has ended."""
        try:
            fd = os.open(f"{pid}/task", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=self.proc)
        except OSError:
            return []
        try:
            return os.listdir(fd)
        finally:
            os.close(fd)

    def usage(self, spare: int = 0) -> Usage:
        """What the processes of the job use; ``spare`` is that of the next one."""
        total, other = Usage(), str(spare)
        for pid in self.pids():
            if pid == other:
                continue
            with contextlib.suppress(OSError, ValueError, IndexError):  # it ended meanwhile
                fields = self._read(f"{pid}/stat").rpartition(")")[2].split()
                total.cpu += sum(map(int, fields[11:15])) / _TICK
                total.tasks += int(fields[17])
                total.memory += max(0, self._memory(pid) - self.base)
        return total
