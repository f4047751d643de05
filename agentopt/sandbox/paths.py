"""What a job must be able to read: the interpreter's library, the installed packages, and the system's libraries."""

from __future__ import annotations

import os
import sys
import sysconfig
from collections.abc import Iterable
from pathlib import Path

__all__ = ["GUEST", "interpreter", "packages", "readable"]

GUEST = Path(__file__).resolve().parent / "guest"
_SYSTEM = (
    "/lib", "/lib64", "/usr/lib", "/usr/lib64", "/usr/local/lib", "/etc/ld.so.cache", "/etc/alternatives",
    "/usr/share/zoneinfo",
)  # fmt: skip


def interpreter() -> str:
    """The program itself, not the link of a virtual environment to it."""
    return os.path.realpath(sys.executable)


def packages() -> list[str]:
    """The folders that installed packages are imported from; never a project's own folder."""
    known = [sysconfig.get_path("purelib"), sysconfig.get_path("platlib")]
    named = [path for path in sys.path if os.path.basename(path) in ("site-packages", "dist-packages")]
    return [path for path in dict.fromkeys([*known, *named]) if path and os.path.isdir(path)]


def readable(extra: Iterable[str] = ()) -> list[str]:
    """Absolute paths that are there, without those that lie in another."""
    base = [os.path.join(prefix, "lib") for prefix in (sys.base_prefix, sys.base_exec_prefix)]
    standard = [sysconfig.get_path("stdlib"), sysconfig.get_path("platstdlib")]
    found = [os.path.abspath(path) for path in (*_SYSTEM, *base, *standard, *packages(), *extra) if path]
    kept: list[str] = []
    for path in sorted({path for path in found if os.path.exists(path)}):
        if not any(path.startswith(other + "/") for other in kept):
            kept.append(path)
    return kept
