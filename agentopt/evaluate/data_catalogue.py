"""The catalogue of data sets: where an original lies, at which commit, and what must come."""

from __future__ import annotations

import functools
import tomllib
from importlib import resources
from typing import Literal

from pydantic import Field

from agentopt.core.values import Frozen
from agentopt.errors import UnknownName

__all__ = ["DataFile", "DataSet", "data_sets", "find_set"]


class DataFile(Frozen):
    """What is known of one file of a data set."""

    rows: int = Field(gt=0)
    """How many rows it has."""
    bytes: int | None = None
    """Its size; None where it is not known."""
    sha256: str | None = None
    """Its sha256 (hex); None where it is not known, so that only rows can be checked."""
    form: Literal["lines", "list", "examples"] | None = None
    """As of the set; None is the set's own."""
    repo: str | None = None
    """Where this file comes from, when not from the set's repository."""
    commit: str | None = None
    """The commit there."""
    folder: str | None = None
    """The folder there."""
    named: str | None = None
    """Its name there, where that is another one."""
    remade: str | None = None
    """What was done to the original, where the file is not the one that lies there: it cannot be fetched then."""
    packed: str | None = None
    """Its name there, when it is packed with gzip there and not here: the checksum is of what was unpacked."""


class DataSet(Frozen):
    """A published data set, as it was at one commit."""

    title: str
    """The name that its makers gave it."""
    repo: str
    """GitHub repository of the original, as ``owner/name``."""
    commit: str
    """The commit that is read, 40 hex digits."""
    folder: str
    """Folder of the files in the repository."""
    form: Literal["lines", "list", "examples"]
    """JSON lines, one JSON list, or one JSON object whose ``examples`` are the rows."""
    licence: str
    """The licence of the data."""
    files: dict[str, DataFile]
    """File name to what is known of it."""


@functools.cache
def data_sets() -> dict[str, DataSet]:
    """All data sets by name, read from ``data.toml``.

    >>> data_sets()["gsm8k"].files["test.jsonl"].rows
    1319
    """
    content = tomllib.loads(resources.files("agentopt.evaluate").joinpath("data.toml").read_text("utf-8"))
    return {name: DataSet.model_validate(entry) for name, entry in content.items()}


def find_set(name: str, file: str) -> tuple[DataSet, DataFile]:
    """A data set, as it is for one of its files, and this file.

    Raises:
        UnknownName: no such set, or no such file in it.
    """
    known = data_sets()
    if name not in known:
        raise UnknownName("data set", name, known, hint=f"there are {', '.join(known)}")
    found = known[name]
    if file not in found.files:
        raise UnknownName(f"file of the data set {name}", file, found.files, hint=f"it has {', '.join(found.files)}")
    own = found.files[file]
    differs = {key: value for key in ("form", "repo", "commit", "folder") if (value := getattr(own, key)) is not None}
    return found.model_copy(update=differs), own
