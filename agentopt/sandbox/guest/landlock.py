"""Landlock: which files may be reached, also by a process that finds a way around the mounts."""

from __future__ import annotations

import contextlib
import os
import struct
from collections.abc import Iterable

from .syscalls import no_new_privileges, syscall

__all__ = ["abi", "restrict", "ruleset"]

_READ_FILE, _READ_DIR = 1 << 2, 1 << 3
_READ = _READ_FILE | _READ_DIR
_MAKE_CHAR, _MAKE_BLOCK, _EXECUTE, _IOCTL_DEV = 1 << 6, 1 << 11, 1 << 0, 1 << 15
_FILE_ONLY = _EXECUTE | 1 << 1 | _READ_FILE | 1 << 14
_FILE_RIGHTS = {1: 13, 2: 14, 3: 15, 4: 15, 5: 16}
_NET, _SCOPE = 0b11, 0b11
_RULE_PATH_BENEATH, _VERSION = 1, 1


def abi() -> int:
    """The version of Landlock that the kernel has; 0 for none."""
    try:
        return syscall("landlock_create_ruleset", None, 0, _VERSION)
    except OSError:
        return 0


def ruleset(readable: Iterable[str], writable: Iterable[str]) -> int:
    """A ruleset as a file descriptor: files under ``readable`` may be read, under ``writable`` made and changed.

    Nothing may be executed and no device made, wherever it is. TCP is denied from version 4 on, signals and abstract
    sockets to outside from version 6 on.

    Raises:
        OSError: the kernel has no Landlock.
    """
    import ctypes

    version = abi()
    rights = (1 << _FILE_RIGHTS.get(version, 16)) - 1
    fields = [rights]
    if version >= 4:
        fields.append(_NET)
    if version >= 6:
        fields.append(_SCOPE)
    attributes = struct.pack(f"={len(fields)}Q", *fields)
    fd = syscall(
        "landlock_create_ruleset", ctypes.create_string_buffer(attributes, len(attributes)), len(attributes), 0
    )
    given = [(path, _READ) for path in readable]
    given += [(path, rights & ~(_MAKE_CHAR | _MAKE_BLOCK | _EXECUTE | _IOCTL_DEV)) for path in writable]
    for path, allowed in given:
        with contextlib.suppress(FileNotFoundError):
            beneath = os.open(path, os.O_PATH | os.O_CLOEXEC)
            try:
                wanted = allowed if os.path.isdir(path) else allowed & _FILE_ONLY
                rule = struct.pack("=Qi", wanted & rights, beneath)
                syscall("landlock_add_rule", fd, _RULE_PATH_BENEATH, ctypes.create_string_buffer(rule, len(rule)), 0)
            finally:
                os.close(beneath)
    return fd


def restrict(fd: int) -> None:
    """Put a ruleset on this process and all that come of it, for good."""
    no_new_privileges()
    syscall("landlock_restrict_self", fd, 0)
