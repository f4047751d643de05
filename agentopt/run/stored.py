"""What the first event of a run names: its examples, its eval, and which examples are near-duplicates."""

from __future__ import annotations

import json
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

from agentopt.errors import StoreError
from agentopt.evaluate import Example
from agentopt.evaluate.clusters import clusters_of
from agentopt.evaluate.measured import EvalRecord
from agentopt.store import Store

__all__ = ["stored_clusters", "stored_eval", "stored_examples"]


def stored_examples(store: Store, first: Mapping[str, Any], *splits: str) -> dict[str, Example]:
    """The examples of splits (all, where none is named) as a run had them, by id. ``first`` is its first event."""
    parts = [first["splits"][name] for name in splits] if splits else first["splits"].values()
    found = [Example.model_validate(e) for part in parts for e in json.loads(store.blob(part["examples"]))]
    return {example.id: example for example in found}


def stored_eval(store: Store, first: Mapping[str, Any]) -> EvalRecord | None:
    """The eval that a run was made by; None where it was made without one."""
    said = first.get("eval")
    return None if said is None else EvalRecord.model_validate_json(store.blob(said["record"]))


def stored_clusters(store: Store, first: Mapping[str, Any], *, damaged: bool = False) -> dict[str, str]:
    """Example id to cluster, of those that have one: as the run's eval reads them, else as the examples say.

    ``damaged``: of a split that cannot be read, each example is by itself, so that the rest of the file can be shown.
    """
    kept = stored_eval(store, first)
    if kept is not None and kept.clusters is not None:
        return kept.clusters
    found: dict[str, str] = {}
    for split in first["splits"]:
        with suppress(*((StoreError,) if damaged else ())):
            found |= clusters_of(stored_examples(store, first, split).values())
    return found
