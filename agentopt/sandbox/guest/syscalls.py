"""System calls that Python has no function for, through ctypes. Linux only."""

from __future__ import annotations

import contextlib
import ctypes
import errno
import os
import platform
import sys

__all__ = [
    "CLONE_NEWCGROUP",
    "CLONE_NEWIPC",
    "CLONE_NEWNET",
    "CLONE_NEWNS",
    "CLONE_NEWPID",
    "CLONE_NEWUSER",
    "CLONE_NEWUTS",
    "NUMBERS",
    "close_others",
    "die_with_parent",
    "drop_bounds",
    "drop_capabilities",
    "machine",
    "mount",
    "no_new_privileges",
    "pivot_root",
    "prctl",
    "setns",
    "syscall",
    "umount",
    "unshare",
]

CLONE_NEWNS, CLONE_NEWCGROUP, CLONE_NEWUTS, CLONE_NEWIPC = 0x00020000, 0x02000000, 0x04000000, 0x08000000
CLONE_NEWUSER, CLONE_NEWPID, CLONE_NEWNET = 0x10000000, 0x20000000, 0x40000000

MS_RDONLY, MS_NOSUID, MS_NODEV, MS_NOEXEC, MS_REMOUNT = 0x1, 0x2, 0x4, 0x8, 0x20
MS_BIND, MS_REC, MS_PRIVATE = 0x1000, 0x4000, 0x40000
MNT_DETACH = 2

PR_SET_PDEATHSIG, PR_SET_DUMPABLE, PR_CAPBSET_DROP, PR_SET_CHILD_SUBREAPER = 1, 4, 24, 36
PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL = 38, 47, 4
_CAPABILITY_VERSION_3 = 0x20080522

# What the sandbox itself calls by number, per machine.
NUMBERS: dict[str, dict[str, int]] = {
    "x86_64": {"pivot_root": 155, "capset": 126, "seccomp": 317},
    "aarch64": {"pivot_root": 41, "capset": 91, "seccomp": 277},
}
for _numbers in NUMBERS.values():  # newer calls have one number everywhere
    _numbers.update(landlock_create_ruleset=444, landlock_add_rule=445, landlock_restrict_self=446)

_libc = ctypes.CDLL(None, use_errno=True) if sys.platform == "linux" else None


def machine() -> str:
    """The instruction set as the tables know it, or an empty text where they do not."""
    name = platform.machine()
    name = {"amd64": "x86_64", "arm64": "aarch64"}.get(name.lower(), name)
    return name if sys.platform == "linux" and sys.maxsize > 2**32 and name in NUMBERS else ""


def _checked(result: int, what: str) -> int:
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, f"{what}: {os.strerror(number)}")
    return result


def _call(name: str, *args: object) -> int:
    if _libc is None:
        raise OSError(errno.ENOSYS, f"{name}: no Linux")
    return _checked(int(getattr(_libc, name)(*args)), name)


def syscall(name: str, *args: int | ctypes.Array[ctypes.c_char] | ctypes.c_void_p | None) -> int:
    """A system call by name.

    Raises:
        OSError: it failed, or this machine's number for it is not known.
    """
    number = NUMBERS.get(machine(), {}).get(name)
    if number is None or _libc is None:
        raise OSError(errno.ENOSYS, f"{name}: not known for {platform.machine()}")
    wide = [ctypes.c_long(arg) if isinstance(arg, int) else arg for arg in args]
    return _checked(int(_libc.syscall(ctypes.c_long(number), *wide)), name)


def unshare(flags: int) -> None:
    """Leave the namespaces that ``flags`` names for new ones."""
    _call("unshare", flags)


def setns(fd: int, kind: int) -> None:
    """Enter the namespace that ``fd`` refers to."""
    _call("setns", fd, kind)


def mount(source: str, target: str, kind: str | None = None, flags: int = 0, data: str | None = None) -> None:
    """mount(2)."""
    text = None if data is None else data.encode()
    try:
        name = None if kind is None else kind.encode()
        _call("mount", source.encode(), target.encode(), name, ctypes.c_ulong(flags), text)
    except OSError as exc:
        raise OSError(exc.errno, f"{exc.strerror} ({source} on {target})") from None


def umount(target: str) -> None:
    """Take a mount out of the tree; what is open in it stays open."""
    _call("umount2", target.encode(), MNT_DETACH)


def pivot_root(new: str, old: str) -> None:
    """Make ``new`` the root; the old one is found under ``old``."""
    syscall("pivot_root", ctypes.create_string_buffer(new.encode()), ctypes.create_string_buffer(old.encode()))


def prctl(option: int, a: int = 0, b: int = 0, c: int = 0, d: int = 0) -> int:
    """prctl(2)."""
    return _call("prctl", option, *(ctypes.c_ulong(value) for value in (a, b, c, d)))


def die_with_parent() -> None:
    """Be killed when the thread that started this process ends."""
    prctl(PR_SET_PDEATHSIG, 9)


def no_new_privileges() -> None:
    """No program that is executed from here on gains anything by its owner or its file capabilities."""
    prctl(PR_SET_NO_NEW_PRIVS, 1)


def drop_bounds() -> None:
    """Give up what a program executed later could gain; what this process has, it keeps."""
    for number in range(64):
        try:
            prctl(PR_CAPBSET_DROP, number)
        except OSError:  # not a capability of this kernel, or not ours to drop
            break


def drop_capabilities() -> None:
    """Give up every capability."""
    with contextlib.suppress(OSError):
        prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL)
    header = ctypes.create_string_buffer(_CAPABILITY_VERSION_3.to_bytes(4, sys.byteorder) + bytes(4), 8)
    syscall("capset", header, ctypes.create_string_buffer(24))


def close_others(keep: set[int]) -> None:
    """Close every file descriptor that is not in ``keep``."""
    low = 0
    for fd in [*sorted(keep), os.sysconf("SC_OPEN_MAX")]:
        if low < fd:
            os.closerange(low, fd)
        low = fd + 1
