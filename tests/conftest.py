"""What every test gets: no network, and a loud skip where a real model's weights are missing."""

from __future__ import annotations

import os
import random
import shutil
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from agentopt.run.files import open_run
from agentopt.testing import StubServer
from agentopt.testing.network import forbid_network

settings.register_profile("quick", deadline=None, max_examples=40)  # without a deadline: a busy machine is no defect
settings.register_profile("thorough", deadline=None, max_examples=300)

MEMORY = "/dev/shm"
"""Runs flush each of their commits to the disk. Here that takes no time, and what a kill leaves is the same."""
KEYS = ("_API_KEY", "_API_BASE", "_BASE_URL")
MODEL = "qwen2.5-coder-0.5b"


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--slow", action="store_true", help="run the slow tests too")


def pytest_configure(config: pytest.Config) -> None:
    settings.load_profile("thorough" if config.getoption("--slow") else "quick")
    if os.access(MEMORY, os.W_OK) and shutil.disk_usage(MEMORY).free > 2 << 30:
        os.environ.setdefault("PYTEST_DEBUG_TEMPROOT", MEMORY)


@pytest.fixture(scope="session")
def thorough(request: pytest.FixtureRequest) -> bool:
    """Whether tests that draw cases take many of them: with --slow."""
    return bool(request.config.getoption("--slow"))


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


KillAgainAndAgain = Callable[..., tuple[Path, Path]]


@pytest.fixture
def cli(capsys: pytest.CaptureFixture[str]) -> Callable[..., tuple[int, str, str]]:
    """Run a command in this process; gives exit code, stdout and stderr."""
    from agentopt.cli.app import execute

    def call(*args: str) -> tuple[int, str, str]:
        capsys.readouterr()
        with pytest.raises(SystemExit) as ended:
            execute(args)
        out, err = capsys.readouterr()
        return int(ended.value.code or 0), out, err

    return call


@pytest.fixture
def kill_again_and_again(tmp_path: Path) -> KillAgainAndAgain:
    """Run a program whole, and once more with a SIGKILL after every few requests, and a resume after each."""

    def kill(reply: Any, start: Callable[[Path, str, str], Any], *, seed: int, part: int) -> tuple[Path, Path]:
        """Folders of the whole and of the killed run, when no committed answer was asked again.

        ``start(folder, "start" or "resume", model)`` starts the program; a kill comes after ``1 / part`` to a half of
        the requests of the whole run.
        """
        rng = random.Random(seed)
        whole, cut = tmp_path / "whole", tmp_path / "cut"
        whole.mkdir()
        cut.mkdir()
        with StubServer(reply) as server:
            process = start(whole, "start", server.model)
            _, errors = process.communicate(timeout=120)
            assert process.returncode == 0, errors
            asked = server.count
            server.requests.clear()
            kills, process = 0, start(cut, "start", server.model)
            while True:
                target = server.count + rng.randint(asked // part, asked // 2)
                while process.poll() is None and server.count < target:
                    time.sleep(0.002)
                if process.poll() is not None:
                    break
                process.send_signal(signal.SIGKILL)
                process.wait()
                kills += 1
                process = start(cut, "resume", server.model)
            _, errors = process.communicate()
            assert process.returncode == 0, errors
            assert kills >= 2
            with open_run(cut / "runs" / "run") as run:
                answered = [e.data["address"] for e in run.events("call.received")]
                assert len(answered) == len(set(answered)), "a committed answer was asked again"
                sent = len(list(run.events("call.sent")))
                assert sent - len(answered) <= 8 * kills, "more in flight than there are connections"
                assert server.count <= sent
        return whole, cut

    return kill
