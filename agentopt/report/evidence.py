"""Cells by example, and the transcript behind each, packed so that a page opens before it has read them.

What a table needs lies open in the page; inputs, answers and transcripts are gzip pieces, one for each example, that
the page unpacks when somebody looks. Pieces are taken in by importance until the page is full: what had to stay out is
counted, and said.
"""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agentopt.core.values import Outcome
from agentopt.errors import StoreError
from agentopt.evaluate.summary import cell_score
from agentopt.report.clean import as_text, clean
from agentopt.run.files import RunFile
from agentopt.run.stored import stored_examples

__all__ = ["Evidence", "gather"]

SPLITS = ("test", "validation", "search")
MOST_CELLS = 20_000
"""Cells in the table; those of the first candidates are kept."""
SNIPPET = 120


@dataclass(slots=True)
class Evidence:
    """What the page's table is made of."""

    table: dict[str, Any]
    """Examples, and cells as [example, candidate, score, status, pieces]."""
    pieces: dict[str, str] = field(default_factory=dict)
    """Name to base64 of gzip of JSON."""
    notes: list[str] = field(default_factory=list)
    """What was left out, and where it is to be had."""


def gather(run: RunFile, rows: Sequence[dict[str, Any]], outcomes: Iterable[Outcome], room: int) -> Evidence:
    """Pack the cells of the candidates in ``rows`` into at most ``room`` bytes of pieces.

    The first two rows (the baseline and the best) go first, those of the test split before the others.
    """
    place = {row["id"]: i for i, row in enumerate(rows)}
    evidence = Evidence({"examples": [], "cells": [], "asks": []})
    examples = _examples(run, evidence.notes)
    known = {e["id"]: i for i, e in enumerate(examples)}
    grouped: dict[tuple[int, int], list[Outcome]] = {}
    for outcome in outcomes:
        if outcome.candidate in place:
            if outcome.example not in known:
                known[outcome.example] = len(examples)
                examples.append({"id": outcome.example, "split": outcome.split, "input": None, "target": None})
            grouped.setdefault((known[outcome.example], place[outcome.candidate]), []).append(outcome)
    name = run.dir.name
    if len(grouped) > MOST_CELLS:
        kept = sorted(grouped, key=lambda key: key[1])[:MOST_CELLS]
        evidence.notes.append(
            f"The table shows {MOST_CELLS:,} of {len(grouped):,} cells, those of the first candidates; "
            f"`agentopt show {name} --candidate ID --example ID` shows any of them."
        )
        grouped = {key: grouped[key] for key in kept}
    lowest = run.started["score_range"][0]
    packer = _Packer(run, evidence, room)
    for step in range(run.state.step + 1):
        packer.ask(step)
    order = sorted(grouped, key=lambda key: (key[1] > 1, SPLITS.index(examples[key[0]]["split"]), key[0], key[1]))
    pieces: dict[tuple[int, bool], list[tuple[int, int]]] = {}
    for key in order:
        pieces.setdefault((key[0], key[1] > 1), []).append(key)
    for (example, others), keys in pieces.items():
        packer.cells(f"x{example}{'b' if others else 'a'}", examples[example], [(k[1], grouped[k]) for k in keys])
    evidence.notes += packer.told(name)
    evidence.table["examples"] = [{"id": e["id"], "split": e["split"], "text": _snippet(e["input"])} for e in examples]
    evidence.table["cells"] = [
        [e, c, _score(group, lowest), _status(group)] for (e, c), group in sorted(grouped.items())
    ]
    return evidence


def _examples(run: RunFile, notes: list[str]) -> list[dict[str, Any]]:
    """The examples of all splits, the test split first; those that cannot be read are told in ``notes``."""
    found: list[dict[str, Any]] = []
    for split in SPLITS:
        try:
            listed = stored_examples(run.store, run.started, split).values()
        except StoreError as error:
            notes.append(
                f"inputs and targets of the {split} examples are not in this page: {error}; intervals take each alone"
            )
            continue
        found += [{"id": e.id, "split": split, "input": e.input, "target": e.target} for e in listed]
    return found


def _snippet(value: Any) -> str:
    """The beginning of an input, on one line; of one with a single field, that field's."""
    if isinstance(value, dict) and len(value) == 1:
        (value,) = value.values()
    text = " ".join(str(clean(as_text(value))).split())
    return text if len(text) <= SNIPPET else text[:SNIPPET] + "…"


def _score(group: Sequence[Outcome], lowest: float) -> float | None:
    """The mean over repeats, the A/A repeat left out."""
    counted = [s for o in group if o.split != "noise" and (s := cell_score(o, lowest)) is not None]
    return round(sum(counted) / len(counted), 4) if counted else None


def _status(group: Sequence[Outcome]) -> str:
    found = {o.status for o in group if o.split != "noise"}
    return next((s for s in ("infra_error", "agent_error", "timeout") if s in found), "ok")


class _Packer:
    """Makes the pieces, and knows when the page is full."""

    def __init__(self, run: RunFile, evidence: Evidence, room: int) -> None:
        self._run, self._evidence, self._room = run, evidence, room
        self._calls = _calls(run)
        self._runs_code = any(True for _ in run.events("sandbox"))
        self._silent = self._absent = 0

    def cells(self, name: str, example: dict[str, Any], cells: list[tuple[int, list[Outcome]]]) -> None:
        """One piece: an example with some candidates' outcomes; without transcripts, or not at all, when it is full."""
        listed: list[tuple[int, list[dict[str, Any]]]] = []
        for candidate, group in cells:
            repeats = []
            for outcome in group:
                scope = f"cell/{outcome.candidate}/{outcome.example}/{outcome.repeat}"
                made = [*self._calls.get(scope, []), *self._calls.get(f"{scope}/judge", [])]
                shown = outcome.model_dump(mode="json", exclude={"candidate", "example", "trace"})
                shown |= {"calls": [self._call(call) for call in made], "printed": self._printed(outcome)}
                repeats.append(shown)
            listed.append((candidate, repeats))
        head = {"input": example["input"], "target": example["target"]}
        if self._take(name, clean(head | {"cells": listed})):
            return
        for _, repeats in listed:
            for repeat in repeats:
                repeat["calls"] = None
        if self._take(name, clean(head | {"cells": listed})):
            self._silent += len(cells)
        else:
            self._absent += len(cells)

    def ask(self, step: int) -> None:
        """One piece: the optimizer's calls of a step."""
        calls = self._calls.get(f"ask/{step}", [])
        if calls and self._take(f"ask{step}", clean({"calls": [self._call(c) for c in calls]})):
            self._evidence.table["asks"].append(step)

    def told(self, name: str) -> list[str]:
        """What did not fit."""
        where = f"`agentopt show {name} --candidate ID --example ID` has them."
        told = []
        if self._silent:
            told.append(f"To keep this page small, the transcripts of {self._silent:,} cells are not in it; {where}")
        if self._absent:
            told.append(f"To keep this page small, inputs and outputs of {self._absent:,} cells are not in it; {where}")
        return told

    def _take(self, name: str, content: dict[str, Any]) -> bool:
        packed = base64.b64encode(
            gzip.compress(json.dumps(content, ensure_ascii=False).encode("utf-8", "replace"), mtime=0)
        )
        if len(packed) > self._room:
            return False
        self._room -= len(packed)
        self._evidence.pieces[name] = packed.decode()
        return True

    def _printed(self, outcome: Outcome) -> str:
        """What trained code printed on an example; empty where the run executes none."""
        try:
            graph = self._run.graph(outcome) if self._runs_code else None
        except StoreError as error:
            return f"(not readable: {error})"
        return "" if graph is None else graph.printed

    def _call(self, call: dict[str, Any]) -> dict[str, Any]:
        """A call as the page shows it, its messages read from the store."""
        try:
            payload = json.loads(self._run.store.blob(call["payload"])) if call["payload"] else {}
        except StoreError as error:
            payload = {"messages": [{"role": "user", "content": f"(not readable: {error})"}]}
        messages = [
            {"role": m["role"], "content": m["content"], "tools": m.get("tool_calls") or []}
            for m in payload.get("messages", [])
        ]
        return {k: call[k] for k in ("path", "role", "answer", "failed", "sent")} | {
            "model": payload.get("model", ""), "messages": messages, "cap": payload.get("max_tokens"),
            "schema": payload.get("json_schema") is not None, "offered": [t["name"] for t in payload.get("tools", [])],
        }  # fmt: skip


def _calls(run: RunFile) -> dict[str, list[dict[str, Any]]]:
    """Every call of the run by its scope, in the order in which they were first sent."""
    calls: dict[str, dict[str, Any]] = {}
    scopes: dict[str, list[dict[str, Any]]] = {}
    for event in run.events("call.sent", "call.received", "call.failed"):
        data: Any = event.data
        address = data["address"]
        call = calls.get(address)
        if call is None:
            scope, path, ordinal = address.rsplit("|", 2)
            call = calls[address] = {
                "path": f"{path} call {int(ordinal) + 1}", "role": data["role"], "payload": None, "answer": None,
                "failed": [], "sent": 0,
            }  # fmt: skip
            scopes.setdefault(scope, []).append(call)
        call["payload"] = data.get("payload") or call["payload"]
        if event.type == "call.sent":
            call["sent"] += 1
        elif event.type == "call.failed":
            call["failed"].append(data["error"])
        else:
            call["answer"] = data["response"]
    return scopes
