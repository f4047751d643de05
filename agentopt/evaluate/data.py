"""Rows of the published data sets that tasks read, proven to be those of the original.

A file is looked for in the folder ``AGENTOPT_DATA`` (as ``<set>/<file>``), then in the cache, and is else downloaded
from its makers' repository at one commit. Size, sha256, number of rows and every field are checked each time it is
read; a file that differs is refused with the reason.
"""

from __future__ import annotations

import gzip
import hashlib
import json
import os
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ValidationError

from agentopt.errors import MissingData, UsageError
from agentopt.evaluate.data_catalogue import DataFile, DataSet, data_sets, find_set
from agentopt.evaluate.data_fetch import CannotFetch, address, fetch

__all__ = ["Rows", "data_cache", "may_download", "missing_files", "places", "read_rows", "without_download"]

Row = TypeVar("Row", bound=BaseModel)
_GZIP = b"\x1f\x8b"

_download: ContextVar[bool] = ContextVar("agentopt_data_download", default=True)


@contextmanager
def without_download() -> Iterator[None]:
    """Within the block, a file that is not on this machine raises ``MissingData`` at once."""
    token = _download.set(False)
    try:
        yield
    finally:
        _download.reset(token)


def may_download() -> bool:
    """Whether files may be fetched here: not within ``without_download``."""
    return _download.get()


@dataclass(frozen=True)
class Rows(Generic[Row]):
    """The rows of a file, in its order."""

    rows: tuple[Row, ...]
    path: Path
    """The file that was read."""
    notes: tuple[str, ...] = ()
    """What a task that uses them should say."""


def data_cache() -> Path:
    """Where downloaded data sets lie: ``$XDG_CACHE_HOME/agentopt/data`` or ``~/.cache/agentopt/data``."""
    cache = os.environ.get("XDG_CACHE_HOME")
    return (Path(cache) if cache else Path.home() / ".cache") / "agentopt" / "data"


def places() -> list[tuple[str, Path]]:
    """The folders in which a data set's folder is looked for, in this order, and what each is called."""
    named = os.environ.get("AGENTOPT_DATA")
    own = [("AGENTOPT_DATA", Path(named).expanduser())] if named else []
    return [*own, ("the cache", data_cache())]


def missing_files(name: str) -> list[str]:
    """The files of a data set that are in none of the places; nothing is read or fetched."""
    return [file for file in data_sets()[name].files if not any((p / name / file).is_file() for _, p in places())]


def read_rows(name: str, file: str, row: type[Row]) -> Rows[Row]:
    """The rows of one file of a data set.

    Args:
        name: the data set, such as ``gsm8k``.
        file: the file, such as ``train.jsonl``.
        row: the model of a row; its fields and their types are what the file must have.

    Raises:
        UnknownName: no such data set or file in the catalogue.
        MissingData: it is not here and cannot be fetched.
        UsageError: it is cut, has another checksum, or rows that do not fit.
    """
    found, expected = find_set(name, file)
    cached = data_cache() / name / file
    for _, folder in places()[:-1]:
        if (path := folder / name / file).is_file():
            return _read(path, found, expected, row)
    if cached.is_file():
        try:
            return _read(cached, found, expected, row)
        except UsageError as error:
            _bring(name, file, cached, row, because=str(error))
            return _read(cached, found, expected, row)
    _bring(name, file, cached, row)
    return _read(cached, found, expected, row)


def _bring(name: str, file: str, target: Path, row: type[BaseModel], because: str = "") -> None:
    found, expected = find_set(name, file)
    url = address(found, expected.packed or expected.named or file)
    looked = " and ".join(f"{place / name} ({said})" for said, place in places())
    here = f"{because}; " if because else f"{name}/{file} is not on this machine (looked in {looked}); "
    if expected.remade:
        raise MissingData(
            f"{here}it cannot be fetched, since it is not as its makers published it ({found.repo} at"
            f" {found.commit[:12]}; {expected.remade}): put it into a folder as {name}/{file} and name that folder with"
            " AGENTOPT_DATA"
        )
    help_ = f"put it into a folder as {name}/{file} and name that folder with AGENTOPT_DATA"
    if not _download.get():
        raise MissingData(f"{here}it is at {url}: using the task fetches it, or {help_}")
    try:
        sized = expected.model_copy(update={"bytes": None}) if expected.packed else expected
        fetch(url, target, sized, lambda path: _checked(path, url, found, expected, row))
    except CannotFetch as error:
        raise MissingData(f"{here}{error}: {help_}") from None
    except OSError as error:
        raise MissingData(f"{here}it cannot be written to {target.parent}: {error}: {help_}") from None


def _checked(path: Path, url: str, found: DataSet, expected: DataFile, row: type[BaseModel]) -> None:
    if expected.packed:
        try:
            path.write_bytes(gzip.decompress(path.read_bytes()))
        except (OSError, EOFError, zlib.error) as error:
            raise UsageError(f"what came from {url} cannot be unpacked: {error}") from None
    _parsed(path.read_bytes(), f"what came from {url}", found, expected, row)


def _read(path: Path, found: DataSet, expected: DataFile, row: type[Row]) -> Rows[Row]:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None
    rows = _parsed(content, str(path), found, expected, row)
    notes: tuple[str, ...] = ()
    if expected.sha256 is None:
        notes = (
            f"{path.name}: no sha256 of the original is known here; its {expected.rows} rows were checked one by one"
            f" (sha256 {hashlib.sha256(content).hexdigest()})",
        )
    return Rows(rows, path, notes)


def _parsed(content: bytes, where: str, found: DataSet, expected: DataFile, row: type[Row]) -> tuple[Row, ...]:
    """The rows of a file, when it is the one that is wanted; else a ``UsageError`` that says how it differs."""
    digest = hashlib.sha256(content).hexdigest()
    same = expected.sha256 is None or digest == expected.sha256
    original = f"the original is {found.repo} at {found.commit[:12]}"
    if expected.bytes is not None and len(content) < expected.bytes:
        problem = f"it has {len(content)} of {expected.bytes} bytes: it is cut or another version"
        raise UsageError(f"{where} is not {found.title} as published: {problem} ({original})")
    try:
        rows = _rows(content, found, expected, row)
    except _OtherForm as problem:
        raise UsageError(f"{where} is not {found.title} as published: {problem} ({original})") from None
    if not same:
        raise UsageError(
            f"{where} is not {found.title} as published: its sha256 is {digest[:16]}... and not"
            f" {str(expected.sha256)[:16]}... ({original}); its rows read well, so it may be another version"
        )
    return rows


class _OtherForm(Exception):
    """How a file differs from the form that it should have."""


def _rows(content: bytes, found: DataSet, expected: DataFile, row: type[Row]) -> tuple[Row, ...]:
    try:
        text = (gzip.decompress(content) if content.startswith(_GZIP) else content).decode("utf-8")
    except (OSError, EOFError, zlib.error) as error:
        raise _OtherForm(f"it cannot be unpacked ({error})") from None
    except UnicodeDecodeError as error:
        raise _OtherForm(f"byte {error.start} is not UTF-8") from None
    raw = _lines(text) if found.form == "lines" else _list(text, "examples" if found.form == "examples" else "")
    rows: list[Row] = []
    for index, item in enumerate(raw):
        try:
            rows.append(row.model_validate(item, strict=True))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(map(str, first["loc"])) or "the whole row"
            raise _OtherForm(f"row {index}, field {field}: {first['msg'].lower()}") from None
    if len(rows) != expected.rows:
        raise _OtherForm(f"it has {len(rows)} rows and not {expected.rows}")
    return tuple(rows)


def _lines(text: str) -> list[Any]:
    rows: list[Any] = []
    for number, line in enumerate(text.split("\n"), 1):
        if line.strip():
            try:
                rows.append(json.loads(line))
            except ValueError as error:
                raise _OtherForm(f"line {number} is not JSON ({error}): it is cut or damaged") from None
    return rows


def _list(text: str, key: str) -> list[Any]:
    try:
        content = json.loads(text)
    except ValueError as error:
        raise _OtherForm(f"it is not JSON ({error}): it is cut or damaged") from None
    if key:
        if not isinstance(content, dict) or key not in content:
            raise _OtherForm(f"it has no field {key!r}")
        content = content[key]
    if not isinstance(content, list):
        raise _OtherForm(f"{repr(key) if key else 'it'} is {type(content).__name__}, not a list of rows")
    return content
