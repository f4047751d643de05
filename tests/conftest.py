"""What holds for all tests: no network but loopback, slow and model tests only when asked for."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from agentopt.testing.network import forbid_network


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", default=False, help="run tests that take more than a few seconds")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    if config.getoption("--slow"):
        return
    skip = pytest.mark.skip(reason="slow: runs with --slow")
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(skip)


@pytest.fixture(autouse=True)
def _no_network() -> Iterator[None]:
    """Only loopback may be reached from a test."""
    with forbid_network():
        yield


@pytest.fixture(autouse=True)
def _own_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test depends on the keys and models of the person who runs it."""
    for name in list(os.environ):
        if name.endswith(("_API_KEY", "_API_BASE", "_BASE_URL")) or name == "AGENTOPT_MODEL":
            monkeypatch.delenv(name)
