"""Opening a sandbox: which back end, how much of it is to be had here, and what is refused."""

from __future__ import annotations

import dataclasses
import functools
import os
import sys
from collections.abc import Sequence

from agentopt.errors import MissingDependency, UsageError
from agentopt.sandbox.backends import LAYERS
from agentopt.sandbox.backends import backend as by_name
from agentopt.sandbox.base import Isolation, Limits
from agentopt.sandbox.pool import Pool
from agentopt.sandbox.served import ServedSandbox

__all__ = ["open_sandbox", "probe"]


def open_sandbox(
    backend: str = "auto",
    *,
    preload: Sequence[str] = (),
    require: Sequence[str] = (),
    paths: Sequence[str] = (),
    limits: Limits | None = None,
    servers: int | None = None,
    weak: bool = False,
    without: Sequence[str] = (),
) -> ServedSandbox:
    """Open a sandbox. Close it, or use it as a context manager.

    Args:
        backend: local, bubblewrap, docker, or auto: the first of local and bubblewrap that gives full isolation.
        preload: modules that are imported once, before any job; what is missing is told in ``isolation.missing``.
        require: modules to preload that must be there.
        paths: files and folders that jobs may read beside the interpreter's library and the installed packages.
        limits: of each job, unless the job has its own.
        servers: how many jobs may run at a time; default the number of processors, at most 4. Jobs that a running one
            may be waiting for (started by a host function, or by plain code on an event loop's thread) come on top.
        weak: take what isolation there is. Without it, what is lacking is an error.
        without: layers to leave off (namespaces, landlock, seccomp, limits), with ``weak`` only.

    Raises:
        UsageError: the isolation is not to be had here, and ``weak`` is not given.
        MissingDependency: a module of ``require``, or the program of a back end, is not here.

    >>> from agentopt.sandbox import Job, open_sandbox
    >>> with open_sandbox(servers=1) as sandbox:
    ...     sandbox.run_sync(Job(source="def double(x): return 2 * x", entry="double", args=[21])).value
    42
    """
    limits = limits or Limits()
    if without and not weak:
        raise UsageError(f"layers are left off ({', '.join(without)}) only where weak isolation is allowed: weak=True")
    if unknown := set(without) - set(LAYERS):
        raise UsageError(f"no layer {', '.join(sorted(unknown))}; there are {', '.join(LAYERS)}")
    if backend != "auto":
        return _open(backend, preload, require, paths, limits, servers, weak, without)
    problems = []
    for name in ("local", "bubblewrap"):
        try:
            return _open(name, preload, require, paths, limits, servers, False, without)
        except MissingDependency as exc:
            if name == "local":
                raise
            problems.append(str(exc))
        except UsageError as exc:
            problems.append(str(exc))
    if weak:
        return _open("local", preload, require, paths, limits, servers, True, without)
    raise UsageError("no sandbox with full isolation is to be had here. " + " | ".join(problems))


def _open(
    name: str, preload: Sequence[str], require: Sequence[str], paths: Sequence[str], limits: Limits,
    servers: int | None, weak: bool, without: Sequence[str],
) -> ServedSandbox:  # fmt: skip
    wanted = list(dict.fromkeys([*require, *preload]))
    launch = by_name(name)(limits, wanted, paths, [layer for layer in LAYERS if layer not in without])
    if without:
        launch = dataclasses.replace(launch, needed=[*launch.needed, *without])

    def accept(isolation: Isolation) -> None:
        if isolation.weak and not weak:
            gone = "; ".join(f"{layer} ({why})" for layer, why in isolation.lacking.items())
            raise UsageError(
                f"the {name} sandbox lacks {gone}; another back end may give it (`agentopt doctor` says which), or "
                "allow weak isolation with --allow-weak-sandbox (weak=True), which the run records"
            )
        for module in require:
            if module in isolation.missing:
                why = isolation.missing[module]
                raise MissingDependency(f"the sandbox cannot import {module} ({why}); install it into {sys.prefix}")

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    return ServedSandbox(Pool(launch, servers or min(4, cores), accept), limits)


@functools.cache
def probe(name: str) -> Isolation | str:
    """What a back end gives on this machine: found by starting it once. A text says why it gives nothing.

    >>> probe("bwrap")
    Traceback (most recent call last):
    agentopt.errors.UnknownName: no sandbox back end named 'bwrap' (there are local, bubblewrap, docker, and 'auto')
    """
    by_name(name)
    try:
        with _open(name, (), (), (), Limits(), 1, True, ()) as sandbox:
            return sandbox.isolation
    except UsageError as exc:
        return str(exc)
