"""Files of data sets: found, fetched, proven; what differs from the original is refused with the reason."""

from __future__ import annotations

import hashlib
import json
import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentopt.errors import MissingData, UnknownName, UsageError
from agentopt.evaluate import data_catalogue
from agentopt.evaluate.data import data_cache, read_rows, without_download
from agentopt.evaluate.data_catalogue import DataFile, DataSet, data_sets, find_set
from agentopt.evaluate.data_fetch import address

COMMIT = "0123456789abcdef0123456789abcdef01234567"


class Row(BaseModel):
    question: str
    answer: int


def lines(n: int) -> bytes:
    return "".join(json.dumps({"question": f"What is {i} + {i}?", "answer": 2 * i}) + "\n" for i in range(n)).encode()


RIGHT = lines(200)


def known(content: bytes, rows: int) -> DataFile:
    return DataFile(rows=rows, bytes=len(content), sha256=hashlib.sha256(content).hexdigest())


class Source:
    """A server of raw files that can misbehave."""

    def __init__(self) -> None:
        self.files: dict[str, bytes] = {}
        self.ranges: list[str | None] = []
        self.cut: list[int] = []
        """Bytes after which an answer breaks off, one for each request to come."""
        self.status = 200
        source = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                source.ranges.append(self.headers.get("Range"))
                name = self.path.rsplit("/", 1)[-1]
                if source.status != 200 or name not in source.files:
                    self.send_error(source.status if source.status != 200 else 404)
                    return
                whole = source.files[name]
                start = int(re.findall(r"\d+", self.headers["Range"])[0]) if self.headers.get("Range") else 0
                rest = whole[start:]
                self.send_response(206 if start else 200)
                self.send_header("Content-Length", str(len(rest)))
                self.end_headers()
                self.wfile.write(rest[: source.cut.pop(0)] if source.cut else rest)

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def source(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Source]:
    """A catalogue of its own, an empty cache, no data folder, and a server as the place of the originals."""
    made = Source()
    sets = {
        "sums": DataSet(
            title="Sums",
            repo="somebody/sums",
            commit=COMMIT,
            folder="data",
            form="lines",
            licence="MIT",
            files={"sums.jsonl": known(RIGHT, 200), "unproven.jsonl": DataFile(rows=3)},
        ),
        "listed": DataSet(
            title="Listed",
            repo="somebody/listed",
            commit=COMMIT,
            folder="",
            form="list",
            licence="MIT",
            files={"list.json": DataFile(rows=2)},
        ),
        "nested": DataSet(
            title="Nested",
            repo="somebody/nested",
            commit=COMMIT,
            folder="a folder",
            form="examples",
            licence="MIT",
            files={"nested.json": DataFile(rows=2)},
        ),
    }
    monkeypatch.setattr(data_catalogue, "data_sets", lambda: sets)
    monkeypatch.setattr("agentopt.evaluate.data_fetch.time.sleep", lambda seconds: None)
    monkeypatch.delenv("AGENTOPT_DATA", raising=False)
    monkeypatch.setenv("AGENTOPT_DATA_URL", made.url)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield made
    made.close()


def left_over() -> list[str]:
    return sorted(p.name for p in data_cache().rglob("*") if p.is_file())


def test_a_file_is_fetched_once_and_kept(source: Source) -> None:
    source.files["sums.jsonl"] = RIGHT
    first, again = (read_rows("sums", "sums.jsonl", Row) for _ in range(2))
    assert len(source.ranges) == 1
    assert first.rows == again.rows and len(first.rows) == 200 and first.rows[3].answer == 6
    assert first.path == data_cache() / "sums" / "sums.jsonl" and not first.notes
    assert left_over() == ["sums.jsonl"]


def test_the_data_folder_comes_before_cache_and_network(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine" / "sums").mkdir(parents=True)
    (tmp_path / "mine" / "sums" / "sums.jsonl").write_bytes(RIGHT)
    monkeypatch.setenv("AGENTOPT_DATA", str(tmp_path / "mine"))
    assert read_rows("sums", "sums.jsonl", Row).path == tmp_path / "mine" / "sums" / "sums.jsonl"
    source.files["unproven.jsonl"] = lines(3)
    assert read_rows("sums", "unproven.jsonl", Row).path == data_cache() / "sums" / "unproven.jsonl"
    assert len(source.ranges) == 1


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (RIGHT[:-5], f"it has {len(RIGHT) - 5} of {len(RIGHT)} bytes: it is cut or another version"),
        (RIGHT.replace(b"What", b"Whom", 1), "its sha256 is"),
        (RIGHT[:-3] + b"\xff\xff\n", "is not UTF-8"),
        (RIGHT.replace(b'"answer": 2}', b'"anXwer": 2}'), "row 1, field answer: field required"),
        (RIGHT.replace(b'"answer": 4}', b'"answer":"4"}'), "row 2, field answer: input should be a valid integer"),
        (RIGHT.replace(b'"answer": 4}', b'"answer": 4 ', 1), "line 3 is not JSON"),
        (RIGHT + b'{"question": "more", "answer": 1}\n', "it has 201 rows and not 200"),
    ],
)
def test_a_file_that_is_not_the_original_is_refused(
    source: Source, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, content: bytes, reason: str
) -> None:
    """In the data folder it is the user's: it is neither used nor replaced. From the network it is not kept."""
    path = tmp_path / "mine" / "sums" / "sums.jsonl"
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    monkeypatch.setenv("AGENTOPT_DATA", str(tmp_path / "mine"))
    with pytest.raises(UsageError, match=re.escape(reason)) as refused:
        read_rows("sums", "sums.jsonl", Row)
    assert str(path) in str(refused.value) and "\n" not in str(refused.value)
    assert "somebody/sums at 0123456789ab" in str(refused.value)
    assert source.ranges == []
    monkeypatch.delenv("AGENTOPT_DATA")
    source.files["sums.jsonl"] = content
    with pytest.raises(UsageError):
        read_rows("sums", "sums.jsonl", Row)
    assert [name for name in left_over() if not name.endswith(".part")] == []
    source.files["sums.jsonl"] = RIGHT
    assert len(read_rows("sums", "sums.jsonl", Row).rows) == 200


def test_an_interrupted_download_goes_on_where_it_stopped(source: Source) -> None:
    source.files["sums.jsonl"] = RIGHT
    source.cut = [1000]
    assert len(read_rows("sums", "sums.jsonl", Row).rows) == 200
    assert source.ranges == [None, "bytes=1000-"]
    assert left_over() == ["sums.jsonl"]


def test_a_download_that_keeps_breaking_off_is_told_and_kept_for_the_next(source: Source) -> None:
    source.files["sums.jsonl"] = RIGHT
    source.cut = [1000, 500, 100]
    with pytest.raises(MissingData, match=r"cannot be reached: ended after 1600 of \d+ bytes.*AGENTOPT_DATA"):
        read_rows("sums", "sums.jsonl", Row)
    assert left_over() == [".sums.jsonl.part"]
    assert len(read_rows("sums", "sums.jsonl", Row).rows) == 200
    assert source.ranges == [None, "bytes=1000-", "bytes=1500-", "bytes=1600-"]


def test_what_an_unfinished_download_left_is_not_trusted(source: Source) -> None:
    source.files["sums.jsonl"] = RIGHT
    part = data_cache() / "sums" / ".sums.jsonl.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(b"x" * 1000)
    with pytest.raises(UsageError, match="is not Sums as published"):
        read_rows("sums", "sums.jsonl", Row)
    assert left_over() == []
    assert len(read_rows("sums", "sums.jsonl", Row).rows) == 200


@pytest.mark.parametrize("status", [404, 403, 500, 429])
def test_a_source_that_refuses_is_told_with_address_and_way_out(source: Source, status: int) -> None:
    source.status = status
    with pytest.raises(MissingData) as missing:
        read_rows("sums", "sums.jsonl", Row)
    text = str(missing.value)
    assert f"{source.url}/somebody/sums/{COMMIT}/data/sums.jsonl answered {status}" in text
    assert "sums/sums.jsonl is not on this machine" in text and "name that folder with AGENTOPT_DATA" in text
    assert len(source.ranges) == (1 if status < 429 else 3)


def test_no_network(source: Source) -> None:
    source.close()
    with pytest.raises(MissingData, match="cannot be reached.*AGENTOPT_DATA"):
        read_rows("sums", "sums.jsonl", Row)


def test_nothing_is_fetched_where_that_is_forbidden(source: Source) -> None:
    source.files["sums.jsonl"] = RIGHT
    with without_download(), pytest.raises(MissingData, match="using the task fetches it"):
        read_rows("sums", "sums.jsonl", Row)
    assert source.ranges == []


def test_a_damaged_cache_is_fetched_again(source: Source) -> None:
    source.files["sums.jsonl"] = RIGHT
    read_rows("sums", "sums.jsonl", Row)
    cached = data_cache() / "sums" / "sums.jsonl"
    cached.write_bytes(RIGHT[:100])
    with without_download(), pytest.raises(MissingData, match=r"100 of \d+ bytes"):
        read_rows("sums", "sums.jsonl", Row)
    assert len(read_rows("sums", "sums.jsonl", Row).rows) == 200
    assert cached.read_bytes() == RIGHT


def test_a_cache_that_cannot_be_written_is_told(source: Source) -> None:
    source.files["sums.jsonl"] = RIGHT
    data_cache().parent.mkdir(parents=True)
    data_cache().write_text("a file where the folder should be")
    with pytest.raises(MissingData, match="cannot be written"):
        read_rows("sums", "sums.jsonl", Row)


def test_several_at_once(source: Source) -> None:
    source.files["sums.jsonl"] = RIGHT
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: len(read_rows("sums", "sums.jsonl", Row).rows), range(8)))
    assert found == [200] * 8
    assert left_over() == ["sums.jsonl"]


def test_without_a_known_sha256_rows_are_checked_and_the_task_is_told(source: Source) -> None:
    source.files["unproven.jsonl"] = lines(3)
    found = read_rows("sums", "unproven.jsonl", Row)
    assert hashlib.sha256(lines(3)).hexdigest() in found.notes[0] and "no sha256" in found.notes[0]
    (data_cache() / "sums" / "unproven.jsonl").unlink()
    source.files["unproven.jsonl"] = lines(2)
    with pytest.raises(UsageError, match="it has 2 rows and not 3"):
        read_rows("sums", "unproven.jsonl", Row)
    source.files["unproven.jsonl"], source.cut = lines(3), [40]
    assert len(read_rows("sums", "unproven.jsonl", Row).rows) == 3
    assert source.ranges[-2:] == [None, None]


@pytest.mark.parametrize(
    ("name", "file", "content", "reason"),
    [
        (
            "listed",
            "list.json",
            [{"question": "q", "answer": 1}, {"question": 2, "answer": 1}],
            "row 1, field question",
        ),
        ("listed", "list.json", {"examples": []}, "it is dict, not a list of rows"),
        ("listed", "list.json", ["q", "r"], "row 0, field the whole row"),
        ("nested", "nested.json", [{"question": "q", "answer": 1}], "it has no field 'examples'"),
        ("nested", "nested.json", {"examples": "none"}, "'examples' is str, not a list of rows"),
        (
            "nested",
            "nested.json",
            {"examples": [{"question": "q", "answer": 1}, {"question": "r"}]},
            "row 1, field answer",
        ),
    ],
)
def test_other_schemas_are_named_by_row_and_field(
    source: Source, name: str, file: str, content: Any, reason: str
) -> None:
    source.files[file] = json.dumps(content).encode()
    with pytest.raises(UsageError, match=re.escape(reason)):
        read_rows(name, file, Row)


def test_names_that_are_not_in_the_catalogue(source: Source) -> None:
    with pytest.raises(UnknownName, match="did you mean 'sums'"):
        read_rows("sum", "sums.jsonl", Row)
    with pytest.raises(UnknownName, match=re.escape("did you mean 'sums.jsonl'")):
        read_rows("sums", "sums.json", Row)


def test_the_catalogue_is_whole() -> None:
    sets = data_sets()
    assert {name: len(found.files) for name, found in sets.items()} == {
        "gsm8k": 2, "svamp": 1, "multiarith": 1, "aqua": 1, "bbh": 27, "humaneval": 2, "mbpp": 3,
        "optibench": 3, "nl4opt": 3, "mamo": 6, "industryor": 4, "nlp4lp": 2, "complexor": 1,
    }  # fmt: skip
    assert sum(f.rows for f in sets["bbh"].files.values()) == 6511
    seeds = find_set("optibench", "resocratic_seed_linear.json")
    assert address(seeds[0], seeds[1].named or "").endswith("/prompt/synthesis/pool/linear.json")
    for found in sets.values():
        assert re.fullmatch(r"[0-9a-f]{40}", found.commit)
        for file in found.files.values():
            assert (file.sha256 is None) is (file.bytes is None)
            assert file.sha256 is None or re.fullmatch(r"[0-9a-f]{64}", file.sha256)
