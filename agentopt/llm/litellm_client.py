"""Every provider that litellm knows, through litellm. It is imported by the first call: that takes seconds."""

from __future__ import annotations

import asyncio
import functools
import importlib.util
import os
import time
from collections.abc import Mapping
from typing import Any

from agentopt.core.values import digest
from agentopt.errors import AgentOptError, MissingDependency
from agentopt.llm.cache import shared_as
from agentopt.llm.failures import failure
from agentopt.llm.prices import Price, price_of
from agentopt.llm.types import Request, Response
from agentopt.llm.wire import Pieces, chat_fields, read_completion

__all__ = ["LiteLLMClient"]

_HERE = ("ollama", "ollama_chat", "llamafile", "lm_studio", "hosted_vllm", "vllm", "xinference", "docker_model_runner")
"""Providers that are programs on a machine of one's own."""


class LiteLLMClient:
    """A client of one litellm model.

    Args:
        model: a litellm model string, such as ``anthropic/NAME``, ``hosted_vllm/NAME`` or ``bedrock/...``. Keys and
            addresses come from the environment, as litellm documents them.
        prices: prices by model string, before litellm's table.
        timeout: seconds for one attempt, where a request does not say.
    """

    def __init__(self, model: str, *, prices: Mapping[str, Price] | None = None, timeout: float = 600.0) -> None:
        self._model, self._prices, self._timeout = model, prices, timeout
        self._checked = False

    def __repr__(self) -> str:
        return f"LiteLLMClient({self._model})"

    @property
    def endpoint(self) -> str:
        """The litellm model string: provider and model."""
        return self._model

    def shared(self) -> str | None:
        """What answers may be shared under with other runs: None for a server of one's own (see ``shared_as``)."""
        provider, _, name = self._model.partition("/")
        if provider in _HERE:
            return None
        url = os.environ.get(f"{provider.upper()}_API_BASE") or os.environ.get(f"{provider.upper()}_BASE_URL")
        return shared_as(url, name) if url else self.endpoint

    async def complete(self, request: Request) -> Response:
        """Answer one request with one attempt."""
        litellm = await asyncio.to_thread(_litellm)
        if not self._checked:
            self.check()
            self._checked = True
        start = time.perf_counter()
        try:
            response = await self._send(litellm, request)
        except Exception as error:
            failed = self._failure(error)
        else:
            seconds = time.perf_counter() - start
            return response.model_copy(
                update={"endpoint": self.endpoint, "seconds": seconds, "usd": self._usd(response)}
            )
        raise failed  # outside of the handler: the library's own exception holds the request's headers

    async def aclose(self) -> None:
        """litellm keeps its own connections; there is nothing of ours to close."""

    def check(self) -> None:
        """Import litellm and look whether it has the keys that the model needs.

        Raises:
            MissingDependency: it names the environment variables.
        """
        told = _litellm().validate_environment(self._model)
        missing = [str(name) for name in told.get("missing_keys") or ()]
        if not told.get("keys_in_environment", True) and missing:
            raise MissingDependency(f"{self._model} needs a key: export {' '.join(f'{name}=...' for name in missing)}")

    async def _send(self, litellm: Any, request: Request) -> Response:
        fields = chat_fields(request, self._model)
        fields["max_tokens"] = request.max_tokens
        if request.tools and importlib.util.find_spec("mcp") is None:
            fields["_skip_mcp_handler"] = (
                True  # else litellm imports its gateway for MCP tools, which needs that package
            )
        if request.extra:
            fields["extra_body"] = dict(request.extra)
        key = request.idempotency_key
        if key is None and request.address is not None:
            key = digest([str(request.address), request.hash])
        if key:
            fields["extra_headers"] = {"Idempotency-Key": key}
        fields |= {"timeout": request.timeout or self._timeout, "num_retries": 0, "max_retries": 0}
        if request.on_text is None:
            return read_completion(await litellm.acompletion(**fields))
        stream = await litellm.acompletion(**fields, stream=True, stream_options={"include_usage": True})
        return await Pieces(request.on_text).read(stream)

    def _usd(self, response: Response) -> float | None:
        price = price_of(self._model, self._prices)
        return price.usd(response.usage) if price is not None and response.usage.reported else None

    def _failure(self, error: Exception) -> AgentOptError:
        return failure(error, self._model, hint="check the provider's key in the environment")


@functools.cache
def _litellm() -> Any:
    os.environ.setdefault("LITELLM_LOCAL_MODEL_COST_MAP", "True")  # else importing it asks the network
    import litellm

    litellm.suppress_debug_info = True
    return litellm
