"""Download of one file of a data set: the original at its commit, whole or not at all.

What an interrupted download brought is kept and used by the next one where the size of the whole is known. The file
takes its name only after it was checked.
"""

from __future__ import annotations

import contextlib
import os
import threading
import time
import urllib.error
import urllib.parse
from collections.abc import Callable, Mapping
from pathlib import Path

from agentopt.evaluate.data_catalogue import DataFile, DataSet
from agentopt.evaluate.data_open import open_url

__all__ = ["CannotFetch", "address", "fetch"]

CHUNK = 1 << 16
MOST = 64 << 20
"""Bytes after which a file whose size is not known is given up."""


class CannotFetch(Exception):
    """Why a file did not come; ``status`` is that of the answer, where there was one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def address(found: DataSet, file: str) -> str:
    """Where the original of a file is. ``AGENTOPT_DATA_URL`` names a mirror of raw.githubusercontent.com.

    >>> from agentopt.evaluate.data_catalogue import data_sets
    >>> address(data_sets()["svamp"], "SVAMP.json")[:49]
    'https://raw.githubusercontent.com/arkilpatel/SVAM'
    """
    base = os.environ.get("AGENTOPT_DATA_URL", "https://raw.githubusercontent.com").rstrip("/")
    return "/".join([base, found.repo, found.commit, *filter(None, [urllib.parse.quote(found.folder), file])])


def fetch(
    url: str,
    target: Path,
    expected: DataFile,
    check: Callable[[Path], None],
    *,
    private: Mapping[str, str] | None = None,
    timeout: float = 20.0,
    tries: int = 3,
) -> None:
    """Bring ``url`` to ``target``.

    Args:
        url: address of the file.
        target: where it shall lie; its folder is made.
        expected: what is known of it.
        check: raises when a downloaded file is not the one that is wanted; the file is then deleted.
        private: headers that only the host of ``url`` may see, and none that it redirects to.
        timeout: seconds without a byte until a connection counts as dead.
        tries: connections, all together.

    Raises:
        CannotFetch: it did not come whole.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    part = target.with_name(f".{target.name}.{os.getpid()}-{threading.get_ident()}.part")
    left = target.with_name(f".{target.name}.part")
    with contextlib.suppress(FileNotFoundError):
        os.replace(left, part)
    try:
        for attempt in range(tries):
            try:
                _append(url, part, expected.bytes, private, timeout)
                break
            except urllib.error.HTTPError as error:
                error.close()
                if (error.code < 500 and error.code != 429) or attempt + 1 == tries:
                    raise CannotFetch(f"{url} answered {error.code}", error.code) from None
            except (OSError, urllib.error.URLError) as error:
                if attempt + 1 == tries or not part.exists():
                    raise CannotFetch(f"{url} cannot be reached: {getattr(error, 'reason', error)}") from None
            time.sleep(0.5 * 2**attempt)
        try:
            check(part)
        except Exception:
            part.unlink(missing_ok=True)
            raise
        os.replace(part, target)
    finally:
        if expected.bytes is None:
            part.unlink(missing_ok=True)
        elif part.exists():
            os.replace(part, left)


def _append(url: str, part: Path, size: int | None, private: Mapping[str, str] | None, timeout: float) -> None:
    have = part.stat().st_size if part.exists() and size is not None else 0
    if have and size is not None and have >= size:
        return
    headers = {"Accept-Encoding": "identity"}
    if have:
        headers["Range"] = f"bytes={have}-"
    with open_url(url, timeout=timeout, headers=headers, private=private) as answer:
        resumed = answer.status == 206
        announced = answer.headers.get("Content-Length")
        have = have if resumed else 0
        start, most = have, size if size is not None else MOST
        with open(part, "ab" if resumed else "wb") as out:
            while chunk := answer.read(CHUNK):
                have += len(chunk)
                out.write(chunk)
                if have > most:
                    return  # longer than it may be: the check says so
            out.flush()
            os.fsync(out.fileno())
    wanted = size if size is not None else start + int(announced) if announced else have
    if have < wanted:
        raise ConnectionError(f"ended after {have} of {wanted} bytes")
