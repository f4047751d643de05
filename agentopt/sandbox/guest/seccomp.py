"""A seccomp filter written by hand: an allow list of system calls, as classic BPF.

What is not on the list fails with EPERM, ``clone3`` with ENOSYS (so that the C library takes ``clone``, whose flags a
filter can read). ``sched_setaffinity`` succeeds and does nothing: a library that binds its threads goes on, and the job
keeps the processors that it was given. A call made in another machine's convention ends the process.
"""

from __future__ import annotations

import ctypes
import errno
import struct

from . import calls
from .syscalls import NUMBERS, machine, no_new_privileges, syscall

__all__ = ["Filter", "program"]

_LOAD, _JUMP, _JEQ, _JGE, _JSET, _AND, _RET = 0x20, 0x05, 0x15, 0x35, 0x45, 0x54, 0x06
_ALLOW, _KILL, _ERRNO = 0x7FFF0000, 0x80000000, 0x00050000
_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
_NR, _ARCH_AT, _ARGS = 0, 4, 16
_X32 = 0x40000000

_NEW_NAMESPACES, _CLONE_THREAD = 0x7E020000, 0x00010000
_AF_UNIX, _STREAM, _KIND = 1, 1, 0xF
_SIGCHLD = 17
# PR_SET_PDEATHSIG, PR_GET_DUMPABLE, PR_SET_NAME, PR_GET_NAME
_PRCTL = (1, 3, 15, 16)
# TCGETS, TIOCGWINSZ, FIONREAD, FIONBIO, FIONCLEX, FIOCLEX
_IOCTL = (0x5401, 0x5413, 0x541B, 0x5421, 0x5450, 0x5451)


def _op(code: int, k: int, yes: int = 0, no: int = 0) -> bytes:
    return struct.pack("=HBBI", code, yes, no, k)


def _argument(index: int) -> bytes:
    """Load the low half of an argument; both machines store it first."""
    return _op(_LOAD, _ARGS + 8 * index)


def _refuse(number: int) -> bytes:
    return _op(_RET, _ERRNO | number)


def _one_of(index: int, values: tuple[int, ...]) -> bytes:
    """Allow where an argument is one of ``values``, else EPERM."""
    body = _argument(index)
    for value in values:
        body += _op(_JEQ, value, 0, 1) + _op(_RET, _ALLOW)
    return body + _refuse(errno.EPERM)


def _clone(processes: bool) -> bytes:
    body = _argument(0) + _op(_JSET, _NEW_NAMESPACES, 0, 1) + _refuse(errno.EPERM)
    if not processes:
        body += _op(_JSET, _CLONE_THREAD, 1, 0) + _refuse(errno.EAGAIN)
    return body + _op(_RET, _ALLOW)


def _stream_pair() -> bytes:
    """Both ends of a stream; one of datagrams could be sent to any socket that has a path or a name."""
    body = _argument(0) + _op(_JEQ, _AF_UNIX, 1, 0) + _refuse(errno.EPERM)
    body += _argument(1) + _op(_AND, _KIND) + _op(_JEQ, _STREAM, 1, 0) + _refuse(errno.EPERM)
    return body + _op(_RET, _ALLOW)


def _keep_children() -> bytes:
    """What SIGCHLD does may be asked, not changed: children that nobody waits for would vanish with their time."""
    body = _argument(0) + _op(_JEQ, _SIGCHLD, 1, 0) + _op(_RET, _ALLOW)
    for half in (0, 4):
        body += _op(_LOAD, _ARGS + 8 + half) + _op(_JEQ, 0, 1, 0) + _refuse(errno.EPERM)
    return body + _op(_RET, _ALLOW)


def program(name: str, processes: bool = True) -> bytes:
    """The filter for a machine.

    Args:
        name: x86_64 or aarch64.
        processes: whether the job may start processes; threads it may start in any case.

    >>> len(program("x86_64")) % 8
    0
    """
    known = calls.numbers(name)
    judged: dict[str, bytes] = {
        "clone": _clone(processes),
        "clone3": _refuse(errno.ENOSYS),
        "socketpair": _stream_pair(),
        "rt_sigaction": _keep_children(),
        "prctl": _one_of(0, _PRCTL),
        "ioctl": _one_of(1, _IOCTL),
        "sched_setaffinity": _refuse(0),
    }
    if not processes:
        judged |= {"fork": _refuse(errno.EAGAIN), "vfork": _refuse(errno.EAGAIN)}
    head = _op(_LOAD, _ARCH_AT) + _op(_JEQ, _ARCH[name], 1, 0) + _op(_RET, _KILL) + _op(_LOAD, _NR)
    if name == "x86_64":
        head += _op(_JGE, _X32, 0, 1) + _refuse(errno.EPERM)
    answers = {number: judged.get(call, _op(_RET, _ALLOW)) for call, number in known.items()}
    return head + _tree(_ranges(answers))


def _ranges(answers: dict[int, bytes]) -> list[tuple[int, bytes]]:
    """The first number of each run of calls that get one answer, with that answer."""
    found, refused = [(0, _refuse(errno.EPERM))], _refuse(errno.EPERM)
    for number in range(max(answers) + 2):
        answer = answers.get(number, refused)
        if answer != found[-1][1]:
            found.append((number, answer))
    return found if answers.get(0, refused) == refused else found[1:]


def _tree(ranges: list[tuple[int, bytes]]) -> bytes:
    """Binary search: the kernel walks a filter once for every call when it is put on, and a list would take 1 ms."""
    if len(ranges) == 1:
        return ranges[0][1]
    half = len(ranges) // 2
    low, high = _tree(ranges[:half]), _tree(ranges[half:])
    # A conditional jump reaches 255 instructions, an unconditional one all of them.
    return _op(_JGE, ranges[half][0], 0, 1) + _op(_JUMP, len(low) // 8) + low + high


class Filter:
    """A filter made ready in memory, so that a forked job puts it on with one call.

    Raises:
        OSError: this machine is none of those that the table knows.
    """

    def __init__(self, processes: bool = True) -> None:
        name = machine()
        if name not in NUMBERS:
            raise OSError(errno.ENOSYS, "no table of system calls for this machine")
        code = program(name, processes)
        self._code = ctypes.create_string_buffer(code, len(code))
        address = ctypes.addressof(self._code)
        self._head = ctypes.create_string_buffer(struct.pack("@HP", len(code) // 8, address))

    def put_on(self) -> None:
        """Filter this process and all that come of it, for good."""
        no_new_privileges()
        syscall("seccomp", 1, 0, self._head)
