"""What every test gets: no network, and a loud skip where a real model's weights are missing."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

from agentopt.testing.network import forbid_network

settings.register_profile("untimed", deadline=None)  # a busy machine is no defect
settings.load_profile("untimed")

KEYS = ("_API_KEY", "_API_BASE", "_BASE_URL")
MODEL = "qwen2.5-coder-0.5b"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    wanted = config.getoption("--slow") or "slow" in (config.getoption("-m") or "")
    for item in items:
        if item.get_closest_marker("slow") and not wanted:
            item.add_marker(pytest.mark.skip(reason="slow: --slow runs it"))


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    """Only loopback may be reached from a test."""
    with forbid_network():
        yield


@pytest.fixture(autouse=True)
def _weights(request: pytest.FixtureRequest) -> None:
    """A test marked ``model`` needs the weights; AGENTOPT_REQUIRE_MODEL=1 makes their absence a failure."""
    marker = request.node.get_closest_marker("model")
    if marker is None:
        return
    from agentopt import serve

    name = str(marker.args[0]) if marker.args else MODEL
    if serve.installed(name):
        return
    message = f"the weights of {name} are not here: `agentopt models pull {name}` brings them"
    if os.environ.get("AGENTOPT_REQUIRE_MODEL"):
        pytest.fail(message)
    pytest.skip(f"NOT TESTED ON A REAL MODEL: {message}")


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the keys, models and settings of the person who runs it."""
    kept = {"AGENTOPT_REQUIRE_MODEL", "AGENTOPT_MODELS", "AGENTOPT_DATA"}
    for name in list(os.environ):
        if (name.startswith("AGENTOPT_") and name not in kept) or name.endswith(KEYS):
            monkeypatch.delenv(name)


@pytest.fixture
def new_workspace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A workspace as ``agentopt init`` makes it, as the working directory."""
    from agentopt import workspace

    workspace.init(tmp_path / "ws")
    monkeypatch.chdir(tmp_path / "ws")
    return tmp_path / "ws"
