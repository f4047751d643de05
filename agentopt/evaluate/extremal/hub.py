"""A data set from the Hugging Face hub by plain HTTP: which files it has at its commit, and one of them.

``HF_ENDPOINT`` names a mirror. ``HF_TOKEN`` is sent to it where it is set, and to no host that it redirects to.
"""

from __future__ import annotations

import json
import os
import re
import urllib.error
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from agentopt.evaluate.data_catalogue import DataFile
from agentopt.evaluate.data_fetch import CannotFetch, fetch
from agentopt.evaluate.data_open import open_url
from agentopt.evaluate.extremal.problems import ENDINGS

__all__ = ["HubFile", "choose", "download", "list_files"]

_LISTED = 4 << 20  # bytes of a listing
_META = re.compile(r"(?:^|/)(?:dataset_infos?|dataset_dict|state|metadata|config|croissant)[^/]*\.json$|(?:^|/)\.")


@dataclass(frozen=True, slots=True)
class HubFile:
    """A file of a data set at one commit."""

    repo: str
    commit: str
    path: str
    bytes: int | None = None
    sha256: str | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"{_endpoint()}/datasets/{self.repo}/resolve/{self.commit}/{urllib.parse.quote(self.path)}"


def list_files(repo: str, *, timeout: float = 20.0) -> list[HubFile]:
    """The files of a data set as it is now.

    Raises:
        CannotFetch: the hub cannot be reached, knows no such data set, or wants a token that has access to it.
    """
    with _refused(repo):
        told = _json(f"{_endpoint()}/api/datasets/{repo}?blobs=true", timeout)
    commit, siblings = told.get("sha"), told.get("siblings")
    if not isinstance(commit, str) or not isinstance(siblings, list):
        raise CannotFetch(f"the hub's answer on {repo} has no commit or no list of files")
    found = []
    for one in siblings:
        if isinstance(one, dict) and isinstance(path := one.get("rfilename"), str):
            lfs = one.get("lfs")
            digest = lfs.get("sha256") if isinstance(lfs, dict) else None
            found.append(HubFile(repo, commit, path, one.get("size"), digest))
    return found


def choose(files: Sequence[HubFile]) -> HubFile | None:
    """The file of rows among them: by its ending, one that is called test before others.

    >>> paths = ["README.md", "dataset_infos.json", "data/train.parquet", "data/test.jsonl"]
    >>> choose([HubFile("a/b", "c", path) for path in paths]).path
    'data/test.jsonl'
    """
    tables = [f for f in files if PurePosixPath(f.path).suffix in ENDINGS and not _META.search(f.path)]
    return min(
        tables, key=lambda f: (ENDINGS.index(PurePosixPath(f.path).suffix), "test" not in f.path, f.path), default=None
    )


def download(file: HubFile, target: Path, check: Callable[[Path], None]) -> None:
    """Bring a file, whole or not at all.

    Raises:
        CannotFetch: it did not come; where the hub refused, the message says what to do about the token.
    """
    expected = DataFile(rows=1, bytes=file.bytes, sha256=file.sha256)
    with _refused(file.repo):
        fetch(file.url, target, expected, check, private=_token())


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _token() -> dict[str, str]:
    """The header with the user's token, where there is one."""
    token = os.environ.get("HF_TOKEN", "").strip()
    if not (token.isascii() and token.isprintable()):  # http.client would tell it in its error
        raise CannotFetch("HF_TOKEN is no token: it has a character that a header cannot have")
    return {"Authorization": f"Bearer {token}"} if token else {}


@contextmanager
def _refused(repo: str) -> Iterator[None]:
    """Say what to do where the hub refuses."""
    try:
        yield
    except CannotFetch as error:
        if error.status not in (401, 403):
            raise
        help_ = (
            "HF_TOKEN was sent: see that it is valid and has access to the data set"
            if _token()
            else "set HF_TOKEN to a token that has access to the data set"
        )
        raise CannotFetch(f"{error}; {help_} {repo}", error.status) from None


def _json(url: str, timeout: float) -> dict[str, Any]:
    try:
        with open_url(url, timeout=timeout, private=_token()) as answer:
            told = json.loads(answer.read(_LISTED))
    except urllib.error.HTTPError as error:
        error.close()
        raise CannotFetch(f"{url} answered {error.code}", error.code) from None
    except (OSError, ValueError) as error:
        raise CannotFetch(f"{url} cannot be read: {getattr(error, 'reason', error)}") from None
    if not isinstance(told, dict):
        raise CannotFetch(f"{url} answered with no object")
    return told
