"""For tests of programs that use agentopt, and of agentopt itself: no network, no waiting, no surprise.

``ScriptedLLM`` answers as a test wants; ``StubServer`` is an OpenAI-compatible server on loopback that can misbehave;
``forbid_network`` is a tripwire; ``ClientContract`` and ``OptimizerContract`` hold an implementation to its protocol.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentopt.testing.clients import ClientContract
    from agentopt.testing.network import NetworkForbidden, forbid_network
    from agentopt.testing.optimizers import FakeView, OptimizerContract
    from agentopt.testing.scripted import Reply, ScriptedLLM
    from agentopt.testing.stub import StubReply, StubServer

__all__ = [
    "ClientContract",
    "FakeView",
    "NetworkForbidden",
    "OptimizerContract",
    "Reply",
    "ScriptedLLM",
    "StubReply",
    "StubServer",
    "forbid_network",
]

_HOMES = {
    "clients": "ClientContract",
    "network": "NetworkForbidden forbid_network",
    "optimizers": "FakeView OptimizerContract",
    "scripted": "Reply ScriptedLLM",
    "stub": "StubReply StubServer",
}


def __getattr__(name: str) -> Any:
    for home, names in _HOMES.items():
        if name in names.split():
            return getattr(importlib.import_module(f"agentopt.testing.{home}"), name)
    raise AttributeError(f"module 'agentopt.testing' has no attribute {name!r}")
