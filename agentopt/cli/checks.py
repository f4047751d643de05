"""What ``agentopt doctor`` looks at. Each check says what is there, and which command brings what is not."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import re
import shutil
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import agentopt
from agentopt.errors import AgentOptError

__all__ = ["Finding", "examine"]

ENGINES = ("openvino-genai", "xllamacpp")
KEYS = (
    "OPENAI_API_KEY", "ANTHROPIC_API_KEY", "GEMINI_API_KEY", "MISTRAL_API_KEY", "GROQ_API_KEY", "OPENROUTER_API_KEY",
    "AGENTOPT_API_KEY",
)  # fmt: skip
PORT = 8000


@dataclass(frozen=True)
class Finding:
    """One line of the report. ``missing`` needs the command in ``fix``; ``optional`` is only worth knowing."""

    area: str
    name: str
    state: Literal["ok", "missing", "optional"]
    detail: str = ""
    fix: str = ""


def examine() -> list[Finding]:
    """Look at everything; a check that itself fails is a finding, not an error."""
    found: list[Finding] = []
    checks = (_python, _packages, _engines, _vllm, _gpu, _models, _keys, _workspace, _data, _ports, _sandbox)
    for check in checks:
        found += _guarded(check)
    return found


def _guarded(check: Callable[[], Iterator[Finding]]) -> Iterator[Finding]:
    try:
        yield from check()
    except (AgentOptError, OSError, ImportError, ValueError) as problem:
        yield Finding(check.__name__.strip("_"), "check", "missing", f"{type(problem).__name__}: {problem}")


def _python() -> Iterator[Finding]:
    recent = sys.version_info >= (3, 11)
    fix = "" if recent else "install Python 3.11 or newer"
    yield Finding("python", platform.python_version(), "ok" if recent else "missing", sys.executable, fix)
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    yield Finding("python", "agentopt", "ok", f"{agentopt.__version__}, {cores} cores, {platform.machine()}")


def _version(package: str) -> str | None:
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _packages() -> Iterator[Finding]:
    needed = [line for line in importlib.metadata.requires("agentopt") or () if "extra ==" not in line]
    versions = {name: _version(name) for line in needed for name in re.findall(r"^[\w.-]+", line)}
    for package, version in versions.items():
        if version is None:
            yield Finding("packages", package, "missing", "not installed", f"pip install {package}")
    there = ", ".join(f"{p} {v}" for p, v in versions.items() if v)
    yield Finding("packages", "base", "ok", there)


def _engines() -> Iterator[Finding]:
    for package in ENGINES:
        version = _version(package)
        state: Literal["ok", "optional"] = "ok" if version else "optional"
        fix = "" if version else "pip install 'agentopt[local]'"
        yield Finding("engines", package, state, version or "not installed", fix)


def _vllm() -> Iterator[Finding]:
    version, program = _version("vllm"), shutil.which("vllm")
    if version or program:
        yield Finding("engines", "vllm", "ok", version or str(program))
    else:
        yield Finding("engines", "vllm", "optional", "not installed", "pip install 'agentopt[vllm]' (Linux)")


def _gpu() -> Iterator[Finding]:
    for tool, arguments in (("nvidia-smi", ["-L"]), ("rocm-smi", ["--showproductname"])):
        program = shutil.which(tool)
        if program:
            seen = subprocess.run([program, *arguments], capture_output=True, text=True, timeout=20, check=False)
            lines = [line for line in seen.stdout.splitlines() if line.strip()]
            if seen.returncode == 0 and lines:
                yield Finding("gpu", tool, "ok", "; ".join(line.split(" (UUID")[0] for line in lines))
                return
            yield Finding("gpu", tool, "optional", (seen.stderr or seen.stdout).strip() or "sees no device")
            return
    yield Finding("gpu", "none", "optional", "no GPU seen; small models run on the CPU")


def _models() -> Iterator[Finding]:
    from agentopt import serve

    for name in serve.catalogue():
        if serve.installed(name):
            yield Finding("models", name, "ok", f"local/{name}, {serve.path(name)}")
        else:
            yield Finding("models", name, "optional", "not pulled", f"agentopt models pull {name}")


def _keys() -> Iterator[Finding]:
    for key in KEYS:
        there = bool(os.environ.get(key))
        yield Finding("keys", key, "ok" if there else "optional", "set" if there else "not set")


def _workspace() -> Iterator[Finding]:
    from agentopt import workspace

    root = workspace.find_root()
    if root is None:
        yield Finding("workspace", "none", "optional", f"none at or above {Path.cwd()}", "agentopt init")
    else:
        writable = os.access(root, os.W_OK)
        fix = "" if writable else f"chmod u+w {root}"
        yield Finding("workspace", root.name, "ok" if writable else "missing", str(root), fix)
    free = shutil.disk_usage(root or Path.cwd()).free / 1e9
    fix = "" if free > 1 else "free some space: runs and models need it"
    yield Finding("workspace", "disk", "ok" if free > 1 else "missing", f"{free:.1f} GB free", fix)


def _data() -> Iterator[Finding]:
    given = os.environ.get("AGENTOPT_DATA")
    if not given:
        yield Finding("data", "AGENTOPT_DATA", "optional", "not set; tasks that need data sets say so")
    elif Path(given).is_dir():
        yield Finding("data", "AGENTOPT_DATA", "ok", f"{given}: {', '.join(sorted(os.listdir(given)))}")
    else:
        yield Finding("data", "AGENTOPT_DATA", "missing", f"{given} is not a folder", "unset AGENTOPT_DATA")


def _ports() -> Iterator[Finding]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
    with socket.socket() as probe:
        taken = probe.connect_ex(("127.0.0.1", PORT)) == 0
    detail = f"port {PORT} is in use; a free one is chosen when none is named" if taken else f"port {PORT} is free"
    yield Finding("ports", "loopback", "optional" if taken else "ok", detail)


def _sandbox() -> Iterator[Finding]:
    from agentopt.sandbox import Isolation, probe

    for name, fix in (("local", "see docs/sandbox.md"), ("bubblewrap", "apt-get install bubblewrap")):
        found = probe(name)
        if isinstance(found, Isolation):
            yield Finding("sandbox", name, "optional" if found.weak else "ok", str(found), fix if found.weak else "")
        else:
            yield Finding("sandbox", name, "optional", found, fix)
    program = shutil.which("docker")
    yield Finding("sandbox", "docker", "optional", f"{program}, not tried here" if program else "not installed")
