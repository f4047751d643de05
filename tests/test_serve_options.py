from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path

import pytest

from agentopt.errors import MissingDependency, UnknownName, UsageError
from agentopt.llm.types import Message, Request
from agentopt.serve import engine, entries, folder, local, options
from agentopt.serve.folder import File, Manifest

FAKE = Path(__file__).parent / "data" / "fake_engine.py"


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """Every model of the catalogue installed, with empty files of the right names, and both engines there."""
    monkeypatch.setenv("AGENTOPT_MODELS", str(tmp_path))
    for name, model in entries.catalogue().items():
        place = tmp_path / name
        place.mkdir()
        (place / model.file).write_bytes(b"")
        copies = {}
        for key in model.reencode:
            (place / "copy.gguf").write_bytes(b"")
            copies[key] = File(file="copy.gguf", bytes=0, sha256="c0" * 32, source="reencoded")
        found = File(file=model.file, bytes=0, sha256=model.sha256, source="hub")
        folder.write_manifest(Manifest(name=name, weights=found, engines=copies))
    monkeypatch.setattr(options.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(options.importlib.metadata, "version", lambda name: "9.9")
    return tmp_path


def test_options_in_a_model_string():
    found = options.parse("local/qwen2.5-coder-1.5b?engine=xllamacpp&max_seqs=8&idle=0.5&exact=0")
    assert (found.name, found.engine, found.max_seqs, found.idle, found.exact) == (
        "qwen2.5-coder-1.5b",
        "xllamacpp",
        8,
        0.5,
        False,
    )
    assert options.parse("a/b.gguf").name == "a/b.gguf"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x?max_seq=8", r"no option of a local model named 'max_seq'; did you mean 'max_seqs'"),
        ("x?name=y", "no option of a local model named 'name'"),
        ("x?max_seqs=many", r"local/x\?max_seqs=many: max_seqs='many'"),
        ("x?engine=vroom", "'openvino' or 'xllamacpp'"),
        ("x?max_seqs=0", "greater than or equal to 1"),
    ],
)
def test_wrong_options_say_what_is_wrong(text, words):
    with pytest.raises(UsageError, match=words):
        options.parse(text)


def test_identity_is_weights_engine_and_version(weights):
    small = options.resolve(options.parse("local/qwen2.5-coder-0.5b"))
    assert small.endpoint == "sha256:c0c0c0c0c0c0c0c0+openvino-genai+9.9"
    assert small.weights.name == "copy.gguf"
    plain = options.resolve(options.parse("qwen2.5-coder-0.5b?engine=xllamacpp&max_seqs=2"))
    assert plain.endpoint == "sha256:1d9614638d18024d+xllamacpp+9.9"
    assert plain.weights.name.endswith("q4_k_m.gguf")
    fast = options.resolve(options.parse("qwen2.5-coder-1.5b?exact=true"))
    assert fast.endpoint.endswith("9.9+exact")
    assert str(weights) not in fast.endpoint


def test_context_is_the_models_at_most(weights):
    assert options.resolve(options.parse("smollm2-135m?context=99999")).context == 8192
    assert options.resolve(options.parse("smollm2-135m?context=100")).context == 100
    assert options.resolve(options.parse("smollm2-135m")).context == 8192
    assert options.resolve(options.parse("qwen2.5-coder-1.5b?engine=xllamacpp")).context == 4096


def test_second_engine_is_taken_when_the_first_is_missing(weights, monkeypatch):
    monkeypatch.setattr(options.importlib.util, "find_spec", lambda name: object() if name == "xllamacpp" else None)
    assert options.resolve(options.parse("smollm2-135m")).engine == "xllamacpp"
    with pytest.raises(MissingDependency, match=r"openvino-genai package is not installed: `pip install 'agentopt"):
        options.resolve(options.parse("smollm2-135m?engine=openvino"))
    monkeypatch.setattr(options.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingDependency, match="no engine for local models"):
        options.resolve(options.parse("smollm2-135m"))


def test_provider_downloads_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("AGENTOPT_MODELS", str(tmp_path))
    monkeypatch.setattr(options.importlib.util, "find_spec", lambda name: object())
    with pytest.raises(MissingDependency, match="`agentopt models pull smollm2-135m`"):
        local.provider("local/smollm2-135m")
    with pytest.raises(UnknownName, match="did you mean 'smollm2-135m'"):
        local.provider("smollm-135m")
    with pytest.raises(MissingDependency, match=r"no file nowhere\.gguf"):
        local.provider("nowhere.gguf")
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_ones_own(weights, tmp_path):
    file = tmp_path / "own.gguf"
    file.write_bytes(b"GGUF" + bytes(20))
    found = options.resolve(options.parse(f"local/{file}"))
    assert found.weights == file.resolve()
    assert found.endpoint == options.resolve(options.parse(str(file))).endpoint
    file.write_bytes(b"something else")
    with pytest.raises(UsageError, match="no GGUF file"):
        options.resolve(options.parse(str(file)))


@pytest.fixture
def table(weights, monkeypatch):
    """A table of engines of its own, whose engines are scripted children."""
    made = engine.Shared()
    monkeypatch.setattr(engine, "_make", lambda found: engine.Engine("local/fake", [sys.executable, str(FAKE), "{}"]))
    monkeypatch.setattr(local, "shared", lambda: made)
    yield made
    made.close()


def pid_of(client: local.LocalClient) -> int:
    request = Request(model="local/x", messages=(Message(role="user", content="state"),))
    return json.loads(asyncio.run(client.complete(request)).text)["pid"]


def test_clients_of_one_model_share_an_engine(table):
    one, two = local.provider("smollm2-135m"), local.provider("local/smollm2-135m")
    other = local.provider("smollm2-135m?max_seqs=2")
    assert one.engine is two.engine is not other.engine
    assert pid_of(one) == pid_of(two) != pid_of(other)


def test_engine_ends_when_its_last_client_has_gone(table):
    one, two = local.provider("smollm2-135m?idle=0"), local.provider("smollm2-135m?idle=0")
    pid_of(one)
    child = one.engine._child
    asyncio.run(one.aclose())
    asyncio.run(one.aclose())
    assert pid_of(two)
    asyncio.run(two.aclose())
    assert child._gone.wait(20)
    assert local.provider("smollm2-135m?idle=0").engine is not one.engine


def test_engine_is_kept_for_who_comes_back_soon(table):
    one = local.provider("smollm2-135m?idle=60")
    pid = pid_of(one)
    asyncio.run(one.aclose())
    assert pid_of(local.provider("smollm2-135m?idle=60")) == pid
