"""Language models: requests, clients, and the call that graphs make.

``agentopt.llm("prompt")`` asks (``agentopt.allm`` from a coroutine), within the current ``Session``;
``run_tools`` lets a model call functions. A ``Client`` has one method, ``complete(Request) -> Response``;
providers (``resolve`` finds one by a model string) and their wrappers (``Retrying``, ``Limited``, and in a run
the journal, the cache and the meter) all have this shape.

Names are loaded when they are first used, and ``openai`` and ``litellm`` with the first call that needs them.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentopt.llm.call import allm
    from agentopt.llm.context import Session, current_session, use_session
    from agentopt.llm.limits import Limited
    from agentopt.llm.prices import Price, price_of
    from agentopt.llm.providers import ByModel, Provider, resolve
    from agentopt.llm.retry import Retrying
    from agentopt.llm.structured import parse_json
    from agentopt.llm.toolrun import arun_tools, run_tools
    from agentopt.llm.types import Address, Client, Image, Message, Request, Response, Role, Text, Tool, ToolCall, Usage

__all__ = [
    "Address",
    "ByModel",
    "Client",
    "Image",
    "Limited",
    "Message",
    "Price",
    "Provider",
    "Request",
    "Response",
    "Retrying",
    "Role",
    "Session",
    "Text",
    "Tool",
    "ToolCall",
    "Usage",
    "allm",
    "arun_tools",
    "current_session",
    "parse_json",
    "price_of",
    "resolve",
    "run_tools",
    "use_session",
]

_HOMES = {
    "call": "allm",
    "context": "Session current_session use_session",
    "limits": "Limited",
    "prices": "Price price_of",
    "providers": "ByModel Provider resolve",
    "retry": "Retrying",
    "structured": "parse_json",
    "toolrun": "arun_tools run_tools",
    "types": "Address Client Image Message Request Response Role Text Tool ToolCall Usage",
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names.split():
            return getattr(importlib.import_module(f"agentopt.llm.{home}"), name)
    raise AttributeError(f"module 'agentopt.llm' has no attribute {name!r}")
