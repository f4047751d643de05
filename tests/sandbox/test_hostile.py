"""Programs that attack the machine, on every back end: how each ends, and that nothing happened here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentopt.sandbox import Job
from agentopt.sandbox.served import ServedSandbox

HERE = Path(__file__).resolve().parent
PROGRAMS: list[dict[str, Any]] = tomllib.loads((HERE / "hostile.toml").read_text(encoding="utf-8"))["program"]
CONTROLS = [program for program in PROGRAMS if program.get("control")]

# System calls by number on x86_64, with arguments that would do something where they are allowed.
CALLS = {
    "io_uring_setup": (425, 8, 0), "mount": (165, 0, 0, 0, 0, 0), "umount2": (166, 0, 0), "unshare_user": (272,
    0x10000000), "unshare_mount": (272, 0x20000), "setns": (308, 0, 0), "pivot_root": (155, 0, 0), "keyctl": (250,
    0, -3, 0), "add_key": (248, 0, 0, 0, 0, 0), "bpf": (321, 0, 0, 0), "perf_event_open": (298, 0, 0, -1, -1, 0),
    "memfd_create": (319, 0, 0), "memfd_secret": (447, 0), "shmget": (29, 0, 4096, 0o1600), "msgget": (68, 0,
    0o1600), "semget": (64, 0, 1, 0o1600), "userfaultfd": (323, 0), "init_module": (175, 0, 0, 0), "reboot": (169,
    0, 0, 0, 0), "clock_settime": (227, 0, 0), "swapon": (167, 0, 0), "open_by_handle_at": (304, 0, 0, 0),
    "execveat": (322, 0, 0, 0, 0), "pidfd_open": (434, 1, 0), "pidfd_getfd": (438, 0, 0, 0), "process_vm_writev":
    (311, 1, 0, 0, 0, 0, 0), "kexec_load": (246, 0, 0, 0, 0), "quotactl": (179, 0, 0, 0, 0), "name_to_handle_at":
    (303, 0, 0, 0, 0, 0), "fanotify_init": (300, 0, 0), "inotify_init1": (294, 0), "seccomp": (317, 0, 0, 0),
    "personality": (135, 0x40000), "vmsplice": (278, 0, 0, 0, 0), "mlockall": (151, 1), "sethostname": (170, 0, 0),
    "acct": (163, 0), "syslog": (103, 3, 0, 0), "iopl": (172, 3), "ptrace": (101, 0, 0, 0, 0), "clone_namespace":
    (56, 0x10000000 | 17, 0, 0, 0, 0), "clone3": (435, 0, 88), "setuid": (105, 0), "setgroups": (116, 0, 0),
    "capset": (126, 0, 0), "chroot": (161, 0), "fsopen": (430, 0, 0), "move_mount": (429, 0, 0, 0, 0, 0),
    "landlock_create_ruleset": (444, 0, 0, 1), "x32_getpid": (0x40000000 | 39,), "socket_vsock": (41, 40, 1, 0),
    "prctl_dumpable": (157, 4, 1, 0, 0, 0),
}  # fmt: skip
REFUSED = (1, 11, 13, 38)  # EPERM, EAGAIN, EACCES, ENOSYS


def source(program: dict[str, Any]) -> str:
    """The text of a program; some are too strange to be written down."""
    strange = {
        "nested": "x = " + "(" * 5000 + ")" * 5000,
        "nul": "x = 1\0",
        "chain": "def attack(host):\n    return x" + ".y" * 60_000,
    }
    return str(program.get("source") or strange[program["source_of"]])


@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program["name"])
def test_contained(program: dict[str, Any], box: ServedSandbox, host: Any, nothing_left: Callable[[], None]) -> None:
    result = box.run_sync(Job(source=source(program), entry="attack", args=[host.facts]))
    allowed = list(program["status"])
    if "no processes" in box.isolation.layers["limits"]:
        allowed.append("processes")  # where the kernel does not count them, there is none but the first
    assert result.status in allowed, result
    if kind := program.get("value_of"):
        assert type(result.value).__name__ == kind
    else:
        assert not result.value, f"the attack succeeded: {result.value!r}"
    assert host.facts["token"] not in result.stdout + result.stderr
    nothing_left()
    host.unharmed()
    again = box.run_sync(Job(source="import os\ndef f(): return sorted(os.listdir('/tmp')), 6 * 7", entry="f"))
    assert again.ok and again.value == ([], 42), again
    host.unharmed()


@pytest.mark.parametrize("program", CONTROLS, ids=lambda program: program["name"])
def test_the_attack_succeeds_outside(program: dict[str, Any], host: Any) -> None:
    """The same programs in a plain process: what the sandbox is tested with would be seen if it happened."""
    run = (
        "import json, sys, asyncio\n"
        "space = {}\n"
        "exec(compile(sys.argv[1], 'attack', 'exec'), space)\n"
        "print('GOT', bool(space['attack'](json.loads(sys.argv[2]))))\n"
    )
    command = [sys.executable, "-c", run, source(program), json.dumps(host.facts)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    time.sleep(0.05)
    Path(host.facts["marker"]).unlink(missing_ok=True)
    host.visitors.clear()
    assert "GOT True" in done.stdout, done.stdout + done.stderr


@pytest.mark.skipif(os.uname().machine != "x86_64", reason="the numbers are those of x86_64")
@pytest.mark.parametrize("name", CALLS)
def test_system_call_is_refused(name: str, box: ServedSandbox) -> None:
    number, *args = CALLS[name]
    program = (
        "import ctypes\n"
        "def attack(number, args):\n"
        "    libc = ctypes.CDLL(None, use_errno=True)\n"
        "    got = libc.syscall(ctypes.c_long(number), *map(ctypes.c_long, args))\n"
        "    return got, ctypes.get_errno()\n"
    )
    result = box.run_sync(Job(source=program, entry="attack", args=[number, args]))
    assert result.ok, result
    got, errno = result.value
    assert got == -1 and errno in REFUSED, f"{name} gave {got}, errno {errno}"
