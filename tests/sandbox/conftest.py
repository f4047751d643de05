"""A machine to be attacked: a secret, listeners, a process that must live; and the sandboxes that stand before it."""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from agentopt.errors import UsageError
from agentopt.sandbox import Limits, open_sandbox
from agentopt.sandbox.served import ServedSandbox

LIMITS = Limits(
    wall=1.5, cpu=1.5, memory=96 << 20, processes=12, output=32 << 10, file_size=2 << 20, disk=8 << 20, files=64,
    result=1 << 20, message=1 << 16, calls=50, items=100,
)  # fmt: skip


@dataclass
class Host:
    """What an attack is told, and what must be as it was when it is over."""

    facts: dict[str, Any]
    listeners: list[socket.socket]
    victim: subprocess.Popen[bytes]
    visitors: list[str] = field(default_factory=list)

    def watch(self) -> None:
        """Note whoever connects."""
        for listener in self.listeners:
            threading.Thread(target=self._accept, args=(listener,), daemon=True).start()

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            self.visitors.append(str(listener.getsockname()))
            connection.close()

    def unharmed(self) -> None:
        """Assert that nothing happened here."""
        assert self.victim.poll() is None, "a process of the host was killed"
        assert not self.visitors, "something connected to a listener of the host"
        assert not Path(self.facts["marker"]).exists(), "a file was written on the host"
        assert Path(self.facts["secret"]).read_text() == self.facts["token"]
        assert not Path("/tmp/pwned").exists()


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """Facts and listeners on loopback; the token of the secret is in the environment, too."""
    folder, token = tmp_path_factory.mktemp("host"), secrets.token_hex(16)
    (folder / "secret").write_text(token)
    abstract = f"agentopt-{token[:8]}"
    listeners = [socket.socket(), socket.socket(socket.AF_UNIX), socket.socket(socket.AF_UNIX)]
    listeners[0].bind(("127.0.0.1", 0))
    listeners[1].bind(str(folder / "s"))
    listeners[2].bind("\0" + abstract)
    for listener in listeners:
        listener.listen()
    os.environ["SANDBOX_TEST_SECRET"] = token
    victim = subprocess.Popen(["sleep", "1000"])
    facts = {
        "secret": str(folder / "secret"), "marker": str(folder / "marker"), "socket": str(folder / "s"),
        "port": listeners[0].getsockname()[1], "abstract": abstract, "token": token, "victim": victim.pid,
        "folder": str(folder),
    }  # fmt: skip
    made = Host(facts, listeners, victim)
    made.watch()
    yield made
    victim.kill()
    victim.wait()
    for listener in listeners:
        listener.close()
    del os.environ["SANDBOX_TEST_SECRET"]


def why_not(backend: str) -> str:
    """Why a back end cannot be tested here; empty where it can."""
    if not sys.platform.startswith("linux"):
        return "the sandbox needs Linux"
    if backend == "bubblewrap" and shutil.which("bwrap") is None:
        return "NOT TESTED ON BUBBLEWRAP: bwrap is not installed (apt-get install bubblewrap)"
    try:
        open_sandbox(backend, servers=1).close()
    except UsageError as exc:
        return f"NOT TESTED ON {backend.upper()}: {exc}"
    return ""


@pytest.fixture(scope="session", params=["local", "bubblewrap"])
def box(request: pytest.FixtureRequest, host: Host) -> Iterator[ServedSandbox]:
    """A sandbox of each back end with one server, so that each job comes after the last one's remains."""
    if reason := why_not(request.param):
        pytest.skip(reason)
    with open_sandbox(request.param, servers=1, limits=LIMITS, preload=["numpy"]) as sandbox:
        yield sandbox


def descendants(pid: int) -> set[int]:
    """Process ids of all that came of a process."""
    parents: dict[int, int] = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                fields = Path(f"/proc/{name}/stat").read_text().rpartition(")")[2].split()
            except OSError:
                continue
            parents[int(name)] = int(fields[1])
    found, todo = set(), [pid]
    while todo:
        parent = todo.pop()
        children = {child for child, of in parents.items() if of == parent}
        found |= children
        todo += children
    return found


@pytest.fixture(scope="session")
def nothing_left(box: ServedSandbox) -> Callable[[], None]:
    """Assert that within a moment there are no more processes than before any job."""
    time.sleep(0.5)  # the process of the next job is forked after the last one's result has been told
    before = len(descendants(os.getpid()))

    def check() -> None:
        deadline = time.monotonic() + 10
        while (now := len(descendants(os.getpid()))) > before and time.monotonic() < deadline:
            time.sleep(0.01)
        assert now <= before, f"{now - before} processes are left"

    return check
