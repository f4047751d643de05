from __future__ import annotations

import re

import pytest

from agentopt import serve
from agentopt.errors import UnknownName
from agentopt.serve import fetch
from agentopt.serve.entries import Hub


def test_every_entry_is_complete_and_its_parts_add_up():
    models = serve.catalogue()
    assert {"qwen2.5-coder-0.5b", "qwen2.5-coder-1.5b", "smollm2-135m"} <= set(models)
    for name, model in models.items():
        assert model.name == name
        assert re.fullmatch(r"[0-9a-f]{64}", model.sha256)
        assert model.file.endswith(".gguf")
        assert model.license == "Apache-2.0"
        assert model.hub is not None
        assert sum(part.bytes for part in model.parts) == model.bytes
        assert all(re.fullmatch(r"[0-9a-f]{64}", part.sha256) for part in model.parts)
        assert len({part.sha256 for part in model.parts}) == len(model.parts)
        assert set(model.reencode) <= {"openvino", "xllamacpp"}
    assert models["qwen2.5-coder-0.5b"].sha256.startswith("1d9614638d18024d")
    assert models["qwen2.5-coder-1.5b"].sha256.startswith("cc324af070c2ecbf")
    assert models["smollm2-135m"].sha256.startswith("b179c9523d0e6a0f")


def test_unknown_name_says_which_was_meant():
    with pytest.raises(UnknownName, match=r"did you mean 'qwen2.5-coder-1.5b'.*agentopt models list"):
        serve.find("qwen2.5-coder-1b")


def test_hub_address_honours_a_mirror(monkeypatch):
    hub = Hub(repo="a/b", file="c d.gguf", revision="abc")
    monkeypatch.delenv("HF_ENDPOINT", raising=False)
    assert fetch.hub_url(hub) == "https://huggingface.co/a/b/resolve/abc/c%20d.gguf"
    monkeypatch.setenv("HF_ENDPOINT", "http://mirror.test/")
    assert fetch.hub_url(hub) == "http://mirror.test/a/b/resolve/abc/c%20d.gguf"


def test_package_front_page_names_resolve():
    for name in serve.__all__:
        assert getattr(serve, name) is not None
    with pytest.raises(AttributeError, match="nothing_like_it"):
        serve.nothing_like_it
    assert callable(serve.catalogue)
