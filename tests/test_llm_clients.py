"""The client contract, held against every client that answers in a test."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from agentopt.llm.limits import Limited
from agentopt.llm.providers import ByModel, resolve
from agentopt.llm.retry import Retrying
from agentopt.llm.types import Client
from agentopt.testing import ClientContract, ScriptedLLM, StubServer

COUNTING = "one two three four five six seven eight nine ten"


class TestScripted(ClientContract):
    def make_client(self) -> Client:
        return ScriptedLLM(lambda request: COUNTING, cap=True)


class TestWrapped(ClientContract):
    """Wrappers keep what the client that they wrap keeps."""

    def make_client(self) -> Client:
        scripted = ScriptedLLM(lambda request: COUNTING, cap=True)
        return ByModel(lambda model: Retrying(Limited(scripted, 2)))


class OnStub(ClientContract):
    @pytest.fixture(autouse=True)
    def _served(self) -> Iterator[None]:
        with StubServer(lambda body: COUNTING) as server:
            self.server = server
            yield


class TestOpenAI(OnStub):
    def make_client(self) -> Client:
        return resolve(self.server.model)


class TestOpenAIUnnamed(OnStub):
    def make_client(self) -> Client:
        return resolve(self.server.url)


@pytest.mark.slow
class TestLiteLLM(OnStub):
    @pytest.fixture(autouse=True)
    def _address(self, _served: None, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv("HOSTED_VLLM_API_BASE", self.server.url)
        monkeypatch.setenv("HOSTED_VLLM_API_KEY", "none")

    def make_client(self) -> Client:
        return resolve("hosted_vllm/stub")


def test_a_contract_that_is_broken_is_found() -> None:
    class Forgets(ClientContract):
        def make_client(self) -> Client:
            return ScriptedLLM(lambda request: COUNTING)  # never cuts

    class Tells(ClientContract):
        def make_client(self) -> Client:
            return ScriptedLLM(lambda request: COUNTING, endpoint="http://127.0.0.1:8000/v1")

    with pytest.raises(AssertionError):
        Forgets().test_a_cut_answer_says_so()
    with pytest.raises(AssertionError):
        Tells().test_the_identity_has_no_port_address_or_path()
