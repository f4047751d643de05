"""How the fork server is started: directly, in bubblewrap, or in a docker container."""

from __future__ import annotations

import json
import os
import shutil
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentopt.errors import MissingDependency, UnknownName, UsageError
from agentopt.sandbox import paths
from agentopt.sandbox.base import Limits
from agentopt.sandbox.guest.confine import ENVIRONMENT
from agentopt.sandbox.guest.namespaces import STAGE

__all__ = ["BACKENDS", "LAYERS", "Launch", "bubblewrap", "docker", "local"]

LAYERS = ("namespaces", "landlock", "seccomp", "limits")
IMAGE = "python:3.11-slim"
_ENVIRONMENT = {**ENVIRONMENT, "HOME": "/tmp"}
_PYTHON = ("-s", "-P", "-B")
_INSIDE = "/opt/agentopt-guest"


@dataclass(frozen=True)
class Launch:
    """A program that serves jobs: its command, its environment, and what it must turn out to give.

    ``given`` are layers that the program around the server provides by itself.
    """

    backend: str
    command: Sequence[str]
    environment: Mapping[str, str]
    needed: Sequence[str]
    given: Mapping[str, str] = field(default_factory=dict)


def _config(
    layers: Iterable[str], root: Sequence[str] | None, readable: Sequence[str], limits: Limits, preload: Sequence[str],
    bounded: bool = False,
) -> str:  # fmt: skip
    tmp = f"size={max(limits.disk, 4096)},nr_inodes=4096"
    config = {"layers": list(layers), "paths": root, "readable": readable, "tmp": tmp, "preload": list(preload)}
    return json.dumps({**config, "bounded": bounded, "shown": _shown(readable)})


def _shown(readable: Iterable[str]) -> list[str]:
    """What lies under /tmp, where each job has a private one."""
    return [path for path in readable if path.startswith("/tmp/")]


def _linux(backend: str) -> None:
    if sys.platform != "linux":
        raise UsageError(
            f"the {backend} sandbox needs Linux, and this is {sys.platform}; backend='docker' needs an engine only"
        )


def local(limits: Limits, preload: Sequence[str], extra: Sequence[str], layers: Sequence[str]) -> Launch:
    """The server as a plain child process that shuts itself in."""
    _linux("local")
    readable = paths.readable(extra)
    config = _config(layers, readable, readable, limits, preload)
    command = [paths.interpreter(), "-S", *_PYTHON, str(paths.GUEST / "boot.py"), config]
    environment = {**_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(paths.packages())}
    return Launch("local", command, environment, layers)


def bubblewrap(limits: Limits, preload: Sequence[str], extra: Sequence[str], layers: Sequence[str]) -> Launch:
    """The server in bubblewrap, where it enters namespaces of its own once more, so that each job gets one."""
    _linux("bubblewrap")
    program = shutil.which("bwrap")
    if program is None:
        raise MissingDependency("the bubblewrap sandbox needs bwrap; `apt-get install bubblewrap` brings it")
    readable = paths.readable(extra)
    binds = [*readable, paths.interpreter(), str(paths.GUEST)]
    command = [program, "--unshare-user", "--unshare-pid", "--unshare-net", "--unshare-ipc", "--unshare-uts"]
    command += ["--unshare-cgroup-try", "--uid", "1000", "--gid", "1000", "--hostname", "sandbox", "--cap-drop", "ALL"]
    command += ["--die-with-parent", "--new-session", "--proc", "/proc", "--tmpfs", "/tmp", "--dir", "/dev"]
    for device in ("null", "zero", "full", "urandom", "random"):
        command += ["--dev-bind-try", f"/dev/{device}", f"/dev/{device}"]
    command += ["--symlink", "../tmp", "/dev/shm"]
    for path in binds:
        command += ["--ro-bind", path, path]
    for number, path in enumerate(_shown(readable)):
        command += ["--ro-bind", path, f"{STAGE}/{number}"]
    command += ["--remount-ro", "/", "--chdir", "/", "--", paths.interpreter(), "-S", *_PYTHON]
    command += [str(paths.GUEST / "boot.py"), _config(layers, None, readable, limits, preload)]
    environment = {**_ENVIRONMENT, "PYTHONPATH": os.pathsep.join(paths.packages())}
    given = {"bubblewrap": "user, pid, net, mount, ipc, uts; read-only root"}
    return Launch("bubblewrap", command, environment, layers, given)


def docker(limits: Limits, preload: Sequence[str], extra: Sequence[str], layers: Sequence[str]) -> Launch:
    """The server in a container without network. Its jobs share the container's namespaces, one after the other."""
    program = shutil.which("docker")
    if program is None:
        raise MissingDependency(
            "the docker sandbox needs the docker program; see https://docs.docker.com/engine/install"
        )
    if any("," in path for path in extra):
        raise UsageError("docker mounts no path with a comma in its name")
    memory = str(limits.memory + (1 << 30))
    inside = [name for name in layers if name != "namespaces"]
    command = [program, "run", "--rm", "--interactive", "--network", "none", "--read-only", "--cap-drop", "ALL"]
    command += ["--security-opt", "no-new-privileges", "--user", "65534:65534", "--log-driver", "none"]
    command += ["--pids-limit", str(limits.processes + 8), "--memory", memory, "--memory-swap", memory]
    command += ["--tmpfs", f"/tmp:rw,noexec,nosuid,nodev,size={limits.disk},mode=1777"]
    for source, target in [(str(paths.GUEST), _INSIDE), *((path, path) for path in extra)]:
        command += ["--mount", f"type=bind,source={source},target={target},readonly"]
    for name, value in _ENVIRONMENT.items():
        command += ["--env", f"{name}={value}"]
    readable = ["/usr", "/lib", "/lib64", "/opt", "/etc/ld.so.cache", *extra]
    command += [IMAGE, "python3", *_PYTHON, f"{_INSIDE}/boot.py"]
    command.append(_config(inside, None, readable, limits, preload, bounded=True))
    given = {"docker": f"container of {IMAGE}, no network, read-only, no capabilities"}
    kept = {name: os.environ[name] for name in ("PATH", "HOME", "DOCKER_HOST", "DOCKER_CONTEXT") if name in os.environ}
    return Launch("docker", command, kept, [name for name in inside if name != "landlock"], given)


BACKENDS = {"local": local, "bubblewrap": bubblewrap, "docker": docker}


def backend(name: str) -> Any:
    """A back end by name.

    Raises:
        UnknownName: there is none of that name.
    """
    if name not in BACKENDS:
        raise UnknownName("sandbox back end", name, BACKENDS, f"there are {', '.join(BACKENDS)}, and 'auto'")
    return BACKENDS[name]
