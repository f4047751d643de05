"""The store of runs: an append-only log of events in one SQLite file, with content-addressed blobs."""

from __future__ import annotations

from agentopt.store.events import Event
from agentopt.store.store import Store, blob_id, in_use

__all__ = ["Event", "Store", "blob_id", "in_use"]
