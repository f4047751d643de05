"""What a run's log holds for a replay: the decisions in their order, answers by address, outcomes by cell."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from agentopt.core.values import Outcome
from agentopt.errors import StoreError, UsageError
from agentopt.llm.types import Response
from agentopt.run.calllog import Places
from agentopt.run.cells import LATE_SCORER
from agentopt.run.replay.divergence import Divergence
from agentopt.store import Event, Store

__all__ = ["COMPLETIONS", "SPINE", "Answer", "Part", "Place", "damage", "parts", "place_of", "timed_out"]

SPINE = frozenset({
    "baseline", "baseline.done", "sentinel", "noise.done", "step.started", "step.asked", "proposal.rejected",
    "candidate", "proposal.accepted", "step.admitted", "incumbent", "step.done", "search.ended", "validation.done",
    "claim", "budget.exhausted", "run.finished",
})  # fmt: skip
"""Events of the loop itself: one after the other, the same in every replay."""
COMPLETIONS = ("call.received", "call.failed", "cell")
"""Events that come in the order in which concurrent work was done."""


Place = tuple[str | None, str | None]
"""Candidate and example; None for what belongs to no cell."""


@dataclass(frozen=True, slots=True)
class Answer:
    """How a call ended: an answer, an error, or a refusal by the budget."""

    seq: int
    response: Response | None = None
    error: str = ""
    status: int | None = None
    """The server's, of an error that had one."""
    refused: tuple[str, str] | None = None
    """Axis and message."""


@dataclass(slots=True)
class Part:
    """What one process of the run did: the log from ``begin`` (what it found) to ``end``."""

    begin: int
    end: int
    spine: list[Event] = field(default_factory=list)
    cells: dict[tuple[str, str, int], tuple[int, Outcome]] = field(default_factory=dict)
    answers: dict[tuple[str, str], Answer] = field(default_factory=dict)
    """By address and payload hash, those of earlier processes included."""
    first: dict[tuple[str, str], int] = field(default_factory=dict)
    """By address and payload hash: when the log first heard of the call."""
    refused: dict[tuple[str, str], Answer] = field(default_factory=dict)
    """As ``answers``: what the budget did not bear."""
    moved: dict[tuple[str, str], str] = field(default_factory=dict)
    """Address and payload hash to the address at which the journal has the call."""
    payloads: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Address to the event and the blob of the payload that was asked there last."""
    effects: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    _scopes: dict[str, list[str]] = field(default_factory=dict)

    def effects_of(self, scope: str) -> list[str]:
        """Places of the effects that a cell had, with its scorer's."""
        if not self._scopes:
            for place in self.effects:
                self._scopes.setdefault(place.partition("|")[0].removesuffix("/judge"), []).append(place)
        return self._scopes.get(scope, [])

    def begun(self, scope: str) -> bool:
        """Whether a cell had an answer; it may have been cut off before its outcome was committed."""
        return any(address.startswith((f"{scope}|", f"{scope}/")) for address, _ in (*self.answers, *self.refused))

    def places(self) -> Places:
        """Where the journal has the calls of this part: the answers of earlier processes are found as the run did."""
        then = {(place, hash_) for (_, hash_), place in self.moved.items()}
        known = (
            key for key, a in self.answers.items() if a.response and (key in then or self.first[key] <= self.begin)
        )
        return Places(known, self.moved)

    def completions(self) -> list[tuple[int, Place]]:
        """What a replay of this part comes by, in order: answers of its cells and asks, and its cells."""
        found: list[tuple[int, Place]]
        timed = {(key[0], key[1], str(key[2])) for key, (_, outcome) in self.cells.items() if timed_out(outcome)}
        found = [(seq, (key[0], key[1])) for key, (seq, outcome) in self.cells.items() if not timed_out(outcome)]
        for (address, _), answer in self.answers.items():
            scope = address.partition("|")[0].split("/")
            ended = not answer.error.startswith("CancelledError")
            if answer.seq > self.begin and ended and tuple(scope[1:4]) not in timed:
                found.append((answer.seq, (scope[1], scope[2]) if scope[0] == "cell" else (None, None)))
        return sorted(found, key=lambda pair: pair[0])


def timed_out(outcome: Outcome) -> bool:
    """Whether a clock ended the cell: it is taken as it was recorded."""
    return outcome.status == "timeout" or (outcome.error or "").startswith(LATE_SCORER)


def parts(events: list[Event], from_step: int | None) -> list[Part]:
    """The parts of a run, one for each process that worked on it, from a step on (counted from 1; None is all).

    Raises ``UsageError`` for a step that the run did not begin.
    """
    begins = [next(e.seq for e in events if e.type == "run.started")]
    for i, event in enumerate(events):
        if event.type == "run.resumed":
            begins.append(event.seq)
        elif event.type == "search.reopened" and all(e.type not in SPINE for e in events[begins[-1] : i]):
            begins[-1] = event.seq
    ends = [*(_before(events, begin) for begin in begins[1:]), events[-1].seq]
    if from_step is not None:
        started = [e for e in events if e.type == "step.started"]
        first = next((e.seq - 1 for e in started if e.data["step"] == from_step - 1), None)
        if first is None:
            raise UsageError(f"the run began {len({e.data['step'] for e in started})} steps, so not step {from_step}")
        begins = [max(begin, first) for begin in begins]
    made = [Part(begin, end) for begin, end in zip(begins, ends, strict=True) if begin < end]
    for part in made:
        _fill(part, events)
    return made


def _before(events: list[Event], seq: int) -> int:
    """The last event before a process began: what opened it (``run.resumed``) does not count."""
    return max(e.seq for e in events if e.seq < seq and e.type != "run.resumed")


def _fill(part: Part, events: list[Event]) -> None:
    for event in events:
        if event.seq > part.end:
            break
        data: Any = event.data
        key = (str(data.get("address", "")), str(data.get("hash", "")))
        if event.type in ("call.sent", "call.received"):
            part.first.setdefault(key, event.seq)
        match event.type:
            case "call.sent":
                part.payloads[key[0]] = event.seq, data["payload"]
            case "call.received":
                part.answers[key] = Answer(event.seq, Response.model_validate(data["response"]))
                if "payload" in data:
                    part.payloads[key[0]] = event.seq, data["payload"]
            case "call.failed":
                part.answers[key] = Answer(event.seq, error=data["error"] or "LLMError: ", status=data.get("status"))
            case "call.refused":
                part.refused[key] = Answer(event.seq, refused=(data["axis"], data["message"]))
            case "call.moved":
                part.moved[key] = str(data["place"])
            case "effect":
                part.effects[data["place"]] = data["record"]
            case "cell" if event.seq > part.begin:
                outcome = Outcome.model_validate(data["outcome"])
                part.cells[outcome.candidate, outcome.example, outcome.repeat] = event.seq, outcome
            case _ if event.type in SPINE and event.seq > part.begin:
                part.spine.append(event)


def damage(store: Store, events: list[Event]) -> Divergence | None:
    """The first event whose blobs are missing or altered, or that is not at the place where it was committed."""
    turn, seq = -1, events[0].seq - 1
    sound: set[str] = set()
    for event in events:
        data: Any = event.data
        if event.seq != seq + 1:
            what = f"event {seq + 1} is missing: the one after event {seq} is {event.seq}"
            return Divergence(kind="order", what=what, seq=seq + 1, recorded=None, now=event.seq, **_place(event, ""))
        seq = event.seq
        if event.type in ("run.started", "run.resumed"):
            turn = -1
        for name, id_ in _blobs(event):
            if id_ in sound:
                continue
            try:
                store.blob(id_)
            except StoreError as problem:
                return Divergence(
                    kind="blob", what=f"{name}: {problem}", seq=event.seq, recorded=id_, **_place(event, name)
                )
            sound.add(id_)
        if event.type in COMPLETIONS and "turn" in data:
            if data["turn"] <= turn:
                what = f"completion {data['turn']} of this process stands after completion {turn} in the log"
                return Divergence(
                    kind="order", what=what, seq=event.seq, recorded=data["turn"], now=turn + 1, **_place(event, "")
                )
            turn = data["turn"]
    return None


def _blobs(event: Event) -> Iterator[tuple[str, str]]:
    data: Any = event.data
    if event.type == "run.started":
        yield from ((f"file {name}", id_) for name, id_ in data.get("sources", {}).items())
        yield from ((f"examples of the {name} split", part["examples"]) for name, part in data["splits"].items())
    elif event.type == "cell" and data["outcome"].get("trace"):
        yield "the traced graph", data["outcome"]["trace"]
    elif event.type in ("call.sent", "call.received") and data.get("payload"):
        yield "the payload of a call", data["payload"]


def _place(event: Event, name: str) -> dict[str, Any]:
    data: Any = event.data
    if event.type == "cell":
        return {"candidate": data["outcome"]["candidate"], "example": data["outcome"]["example"]}
    return place_of(str(data["address"])) if "address" in data else {}


def place_of(address: str) -> dict[str, Any]:
    """Candidate, example and node path of a call's address."""
    scope, _, rest = address.partition("|")
    first, *names = scope.split("/")
    found: dict[str, Any] = {"address": address, "path": rest.rpartition("|")[0] or None}
    return found | ({"candidate": names[0], "example": names[1]} if first == "cell" and len(names) > 1 else {})
