"""The fork server: shuts itself in, imports what jobs will need, then forks a process for each job.

It speaks with the host over the descriptors that were its stdin and stdout. To the server::

    {"op": "job", "id": 1, "source": "...", "entry": "f", "args": [...], "kwargs": {...}, "names": {...},
     "limits": {...}, "seat": 0, "seed": 0}
    {"op": "reply", "id": 1, "value": ...}      or "error": {"type": ..., "message": ...}
    {"op": "kill", "id": 1, "reason": "..."}

From it::

    {"op": "ready", "layers": {...}, "lacking": {...}, "missing": {...}}        once
    {"op": "call", "id": 1, "call": 1, "name": "...", "args": [...], "kwargs": {...}}
    {"op": "done", "id": 1, "status": "...", ...}

The end of its stdin ends it.
"""

from __future__ import annotations

import _sitebuiltins
import builtins
import contextlib
import gc
import importlib
import os
import shutil
import signal
import sys
import tempfile
from typing import Any

from . import confine, landlock, namespaces, seccomp, syscalls
from .frames import Reader, pack, send
from .namespaces import World
from .supervise import Supervisor

__all__ = ["main"]

_LONGEST = 1 << 30


class Server:
    """One fork server.

    Args:
        config: ``layers`` to put on, ``paths`` of the root (None: keep it), ``tmp`` as mount options, ``preload``.
    """

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config
        self.layers: dict[str, str] = {}
        self.lacking: dict[str, str] = {}
        self.reader = Reader(_LONGEST)
        self.queue: list[dict[str, Any]] = []
        self.control, self.answers = os.dup(0), os.dup(1)
        null = os.open("/dev/null", os.O_RDWR)
        os.dup2(null, 0)
        os.dup2(2, 1)  # what a library prints on import is for the log
        os.close(null)

    def hear(self) -> list[dict[str, Any]]:
        """Messages of the host.

        Raises:
            EOFError: it has closed the pipe.
        """
        data = os.read(self.control, 1 << 20)
        if not data:
            raise EOFError
        return list(self.reader.feed(data))

    def say(self, message: dict[str, Any]) -> None:
        """Send a message to the host."""
        try:
            send(self.answers, pack(message))
        except OSError:
            raise EOFError from None

    def enter(self) -> World:
        """The namespaces, as far as they are asked for and to be had."""
        wanted = set(self.config["layers"])
        world = World()
        if "namespaces" in wanted:
            try:
                world = namespaces.enter(self.config["paths"], self.config["tmp"], self.config["shown"])
                self.layers["namespaces"] = "user, pid, net, mount, ipc, uts"
                own = self.config["paths"] is not None
                self.layers["root"] = "read-only, interpreter and libraries only" if own else "kept"
            except OSError as exc:
                self.lacking["namespaces"] = str(exc)
        if world.pid_namespace < 0:
            world.proc, world.own = namespaces.any_proc(), False
            with contextlib.suppress(OSError):
                syscalls.prctl(syscalls.PR_SET_CHILD_SUBREAPER, 1)
            if "namespaces" in self.layers:
                self.lacking["namespaces"] = "there is no /proc, so jobs get no PID namespace of their own"
        else:
            syscalls.drop_bounds()
        os.chdir("/")
        return world

    def confinement(self, world: World) -> confine.Confinement:
        """What jobs put on, each layer tried in a process that ends again."""
        wanted = set(self.config["layers"])
        capable = "namespaces" in self.layers
        counted = confine.count_processes() if world.pid_namespace >= 0 else 0
        made = confine.Confinement(
            capable=capable, rlimits="limits" in wanted, counted=counted, bounded=self.config["bounded"]
        )
        if "limits" in wanted:
            made.processors = confine.usable_processors()
            watched = ", usage of all processes watched" if world.proc >= 0 else ""
            alone = "" if made.forks else ", threads only, no processes"
            unbound = "" if made.processors else ", not bound to processors"
            self.layers["limits"] = f"rlimits{watched}{alone}{unbound}"
        if "landlock" in wanted:
            try:
                made.ruleset = self._ruleset()
                self._tried("landlock", lambda: landlock.restrict(made.ruleset))
                self.layers["landlock"] = f"ABI {landlock.abi()}"
            except OSError as exc:
                made.ruleset = -1
                self.lacking["landlock"] = f"{exc}"
        if "seccomp" in wanted:
            try:
                made.filter = seccomp.Filter(made.forks)
                self._tried("seccomp", made.filter.put_on)
                self.layers["seccomp"] = "allow list of system calls"
            except OSError as exc:
                made.filter = None
                self.lacking["seccomp"] = f"{exc}"
        return made

    def _tried(self, layer: str, put_on: Any) -> None:
        child = os.fork()
        if child == 0:
            code = 1
            try:
                put_on()
                code = 0
            finally:
                os._exit(code)
        if os.waitpid(child, 0)[1]:
            raise OSError(1, f"{layer} is here, but cannot be put on")

    def _ruleset(self) -> int:
        if self.layers.get("root", "kept") != "kept":
            return landlock.ruleset(["/"], ["/tmp", "/dev/null"])
        return landlock.ruleset([*self.config["readable"], "/dev/urandom", "/dev/zero"], [self.folder, "/dev/null"])

    def preload(self) -> dict[str, str]:
        """Import what jobs will need; why each of the rest could not be."""
        missing = {}
        for name in self.config["preload"]:
            try:
                importlib.import_module(name)
                if name == "numpy":
                    importlib.import_module("numpy.random")
            except BaseException as exc:  # a package may do anything while it is imported
                missing[name] = f"{type(exc).__name__}: {exc}"
        return missing

    def serve(self) -> None:
        """Until the host is gone."""
        os.umask(0o077)
        for name in ("exit", "quit"):  # site makes them, and is left out for its .pth files
            setattr(builtins, name, _sitebuiltins.Quitter(name, ""))
        world = self.enter()
        self.folder = "/tmp" if "root" in self.layers else tempfile.mkdtemp(prefix="agentopt-sandbox-")
        self.begin_anew()
        made = self.confinement(world)
        missing = self.preload()
        if self.layers.get("namespaces"):
            with contextlib.suppress(OSError):
                syscalls.prctl(syscalls.PR_SET_DUMPABLE, 0)
        gc.collect()
        gc.freeze()
        supervisor = Supervisor(world, made, self.folder, self.control, self.hear, self.say)
        try:
            supervisor.prepare()
            self.say({"op": "ready", "layers": self.layers, "lacking": self.lacking, "missing": missing})
            while True:
                self.queue += self.hear()
                while self.queue:
                    message = self.queue.pop(0)
                    if message.get("op") == "job":
                        supervisor.run(message)  # empties it
                        if self.dirty():
                            supervisor.drop()  # it knows the old folder
                            self.clean(made)
                        supervisor.prepare()
        except EOFError:
            pass
        finally:
            supervisor.drop()
            if "root" not in self.layers:
                shutil.rmtree(self.folder, ignore_errors=True)

    def dirty(self) -> bool:
        """Whether the last job left something in its folder, or traces on it, which the next job could read."""
        try:
            return self.seen() != self.state or bool(self.config["shown"] or os.listdir(self.folder))
        except OSError:
            return True

    def seen(self) -> tuple[int, int, int]:
        """What stands on the folder and is another when a job has used it; the last nobody can set back."""
        found = os.stat(self.folder)
        return found.st_mode, found.st_mtime_ns, found.st_ctime_ns

    def begin_anew(self) -> None:
        """Take the folder as it is for one that no job has used."""
        os.utime(self.folder, ns=(0, 0))  # a job that uses it in the same tick of the clock is seen, too
        self.state = self.seen()

    def clean(self, made: confine.Confinement) -> None:
        """A new private folder, and a Landlock ruleset that knows it."""
        if "root" in self.layers:
            syscalls.umount("/tmp")
            namespaces.private_tmp("/tmp", self.config["tmp"], self.config["shown"])
        else:
            shutil.rmtree(self.folder, ignore_errors=True)
            os.makedirs(self.folder, mode=0o700, exist_ok=True)
        self.begin_anew()
        if made.ruleset >= 0:
            os.close(made.ruleset)
            made.ruleset = self._ruleset()


def main(config: dict[str, Any]) -> None:
    """Be a fork server until the host closes the pipe."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)  # a host that ignores it hands that on
    if sys.platform == "linux":
        with contextlib.suppress(OSError):
            syscalls.die_with_parent()
    Server(config).serve()
