"""A world of its own for the fork server: namespaces, and a root that has nothing but the interpreter and libraries.

The order matters. A process may leave its user namespace only while it has one thread, so all of this comes before the
first scientific import. The server is the first process of a PID namespace: when it ends, everything in it ends.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from . import syscalls as sys_
from .syscalls import NUMBERS, mount, syscall, umount

__all__ = ["INSIDE", "STAGE", "World", "any_proc", "enter", "private_tmp"]

INSIDE = 1000
"""User and group id inside."""

STAGE = "/.shown"
"""Where in the root the paths lie that are shown in the private /tmp."""

_HIGH = 1_879_048_192
_NOBODY = 65_534
_RDONLY, _NOSUID, _NODEV = 1, 2, 4
_AT_RECURSIVE, _AT_FDCWD = 0x8000, -100
_DEVICES = ("null", "zero", "full", "urandom", "random")
_EVERYTHING = (
    sys_.CLONE_NEWUSER | sys_.CLONE_NEWNS | sys_.CLONE_NEWPID | sys_.CLONE_NEWNET | sys_.CLONE_NEWIPC
    | sys_.CLONE_NEWUTS | sys_.CLONE_NEWCGROUP
)  # fmt: skip

for _numbers in NUMBERS.values():
    _numbers["mount_setattr"] = 442


@dataclass
class World:
    """What the server got."""

    proc: int = -1
    """An open /proc that is nowhere in the tree; -1 where there is none."""
    own: bool = False
    """Whether that /proc shows the processes of the namespace alone."""
    pid_namespace: int = -1


def enter(paths: Sequence[str] | None, tmp: str, shown: Sequence[str]) -> World:
    """Enter the namespaces; this returns in a child, the parent waits for it and ends with it.

    Args:
        paths: what the new root shows, read-only, at the same place; None keeps the root there is.
        tmp: mount options of the private /tmp.
        shown: those of ``paths`` that lie under /tmp; they are shown in the private one, too.

    Raises:
        OSError: the kernel, or who runs it, does not allow it.
    """
    outer = _other_user(paths) if paths is not None and os.geteuid() == 0 else None
    _unshare(outer)
    _fork_first()
    mount("none", "/", None, sys_.MS_REC | sys_.MS_PRIVATE)
    world = World(*(_new_root(paths, tmp, shown, outer is not None) if paths is not None else _same_root(tmp, shown)))
    if world.proc >= 0:
        with contextlib.suppress(OSError):
            world.pid_namespace = os.open("self/ns/pid", os.O_RDONLY | os.O_CLOEXEC, dir_fd=world.proc)
    with contextlib.suppress(OSError):
        import socket

        socket.sethostname("sandbox")
    return world


def _other_user(paths: Iterable[str]) -> int | None:
    """A user of the host without any rights there, when root may give one away and that one can read ``paths``."""
    with open("/proc/self/uid_map", encoding="ascii") as table:
        ranges = [tuple(map(int, line.split())) for line in table]
    mapped = [uid for uid in (_HIGH, _NOBODY) if any(at <= uid < at + count for at, _, count in ranges)]
    readable = all(os.stat(p).st_mode & (0o005 if os.path.isdir(p) else 0o004) for p in paths if os.path.exists(p))
    return mapped[0] if mapped and readable else None


def _unshare(outer: int | None) -> None:
    uid, gid, pid = os.geteuid(), os.getegid(), os.getpid()
    if outer is None:
        sys_.unshare(_EVERYTHING)
        _write("/proc/self/setgroups", "deny")
        _write("/proc/self/uid_map", f"{INSIDE} {uid} 1")
        _write("/proc/self/gid_map", f"{INSIDE} {gid} 1")
        return
    ready, go = os.pipe()
    helper = os.fork()
    if helper == 0:  # still root outside: only it may map another user than itself
        code = 1
        try:
            os.close(go)
            if os.read(ready, 1):
                _write(f"/proc/{pid}/uid_map", f"{INSIDE} {outer} 1")
                _write(f"/proc/{pid}/gid_map", f"{INSIDE} {outer} 1")
                code = 0
        finally:
            os._exit(code)
    try:
        sys_.unshare(_EVERYTHING & ~sys_.CLONE_NEWPID)
        os.write(go, b"1")
    finally:
        os.close(ready)
        os.close(go)
        _, status = os.waitpid(helper, 0)
    if status:
        raise PermissionError(1, "the user map of the namespace cannot be written")
    sys_.unshare(sys_.CLONE_NEWPID)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _fork_first() -> None:
    """Go on as the first process of the new PID namespace."""
    child = os.fork()
    if child == 0:
        sys_.die_with_parent()
        return
    os.closerange(0, 3)
    _, status = os.waitpid(child, 0)
    os._exit(os.waitstatus_to_exitcode(status) & 0xFF)


def _seal(path: str, flags: int, recursive: bool = True) -> None:
    fields = ctypes.create_string_buffer(struct.pack("=4Q", flags, 0, 0, 0), 32)
    name = ctypes.create_string_buffer(path.encode())
    syscall("mount_setattr", _AT_FDCWD, name, _AT_RECURSIVE if recursive else 0, fields, 32)


def _proc(at: str) -> tuple[int, bool]:
    """An open /proc of the new PID namespace, which is nowhere in the tree."""
    mount("proc", at, "proc", sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC)
    try:
        return os.open(at, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC), True
    finally:
        umount(at)


def any_proc() -> int:
    """The /proc that is here, for machines that refuse a new one (a container that hides parts of its own)."""
    try:
        return os.open("/proc", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    except OSError:
        return -1


def private_tmp(at: str, options: str, shown: Iterable[str]) -> None:
    """A new file system in memory for the user inside, empty but for what is to be ``shown`` there."""
    flags = sys_.MS_NOSUID | sys_.MS_NODEV | sys_.MS_NOEXEC
    mount("tmpfs", at, "tmpfs", flags, f"mode=0700,uid={INSIDE},gid={INSIDE},{options}")
    for number, path in enumerate(shown):
        _place(path, os.path.isdir(f"{STAGE}/{number}"))
        mount(f"{STAGE}/{number}", path, None, sys_.MS_BIND | sys_.MS_REC)


def _place(path: str, is_folder: bool) -> None:
    """Something to mount on."""
    if is_folder:
        os.makedirs(path, exist_ok=True)
    else:
        os.makedirs(os.path.dirname(path), exist_ok=True)
        os.close(os.open(path, os.O_CREAT | os.O_WRONLY, 0o644))


def _same_root(tmp: str, shown: Iterable[str]) -> tuple[int, bool]:
    old = any_proc()
    try:
        proc = _proc("/proc")
    except OSError:
        proc = old, False
    with contextlib.suppress(OSError):
        mount("tmpfs", "/proc", "tmpfs", sys_.MS_RDONLY | sys_.MS_NOSUID | sys_.MS_NODEV, "size=4k,mode=0555")
    private_tmp("/tmp", tmp, shown)
    return proc


def _become_inside() -> None:
    """Be the user inside; what only root may open has been opened by now."""
    os.setgroups([])
    os.setresgid(INSIDE, INSIDE, INSIDE)
    os.setresuid(INSIDE, INSIDE, INSIDE)
    sys_.die_with_parent()  # changing the user has reset it


def _new_root(paths: Iterable[str], tmp: str, shown: Sequence[str], change_user: bool) -> tuple[int, bool]:
    old = any_proc()
    devices = [f"/dev/{name}" for name in _DEVICES if os.path.exists(f"/dev/{name}")]
    opened = [(path, os.open(path, os.O_PATH | os.O_CLOEXEC)) for path in [*devices, *paths] if os.path.exists(path)]
    if change_user:
        _become_inside()
    base = "/tmp" if os.path.isdir("/tmp") else "/mnt"
    mount("tmpfs", base, "tmpfs", sys_.MS_NOSUID | sys_.MS_NODEV, "size=1m,mode=0755")
    for path, fd in opened:
        inside = f"{STAGE}/{shown.index(path)}" if path in shown else path
        _place(base + inside, os.path.isdir(f"/proc/self/fd/{fd}"))
        mount(f"/proc/self/fd/{fd}", base + inside, None, sys_.MS_BIND | sys_.MS_REC)
        _seal(base + inside, _RDONLY | _NOSUID | (0 if path in devices else _NODEV))
        os.close(fd)
    for folder in ("tmp", "etc", "proc"):
        os.makedirs(f"{base}/{folder}", exist_ok=True)
    if not os.path.lexists(f"{base}/dev/shm"):
        os.makedirs(f"{base}/dev", exist_ok=True)
        os.symlink("../tmp", f"{base}/dev/shm")
    with contextlib.suppress(FileExistsError):
        fd = os.open(f"{base}/etc/passwd", os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644)
        os.write(fd, f"sandbox:x:{INSIDE}:{INSIDE}::/tmp:/bin/false\n".encode())
        os.close(fd)
    os.chdir(base)
    sys_.pivot_root(".", ".")
    umount(".")
    os.chdir("/")
    try:
        proc = _proc("/proc")
    except OSError:
        proc = old, False
    private_tmp("/tmp", tmp, shown)
    _seal("/", _RDONLY | _NOSUID | _NODEV, recursive=False)
    return proc
