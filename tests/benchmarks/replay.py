"""Replays of runs with concurrency: clean as they are and after being moved; after one alteration it is named.

    python tests/benchmarks/replay.py            # 50 runs, then 10 of each alteration

The model is a script whose answers are a function of the request; every answer takes a random time, so completions
come in another order in every run. Writes ``docs/results/replay.json`` and ``replay.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import itertools
import json
import os
import platform
import random
import re
import shutil
import sqlite3
import sys
import tempfile
import time
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import agentopt
from agentopt.errors import UsageError
from agentopt.llm.types import Request, Response, Usage
from agentopt.run.replay import ReplayResult, replay
from agentopt.run.replay.code import fresh
from agentopt.store import Event, Store, blob_id

RESULTS = Path(__file__).parents[2] / "docs" / "results"

WORKSPACE = {
    "agentopt.toml": 'name = "replays"\n',
    "prompts/style.md": "---\nname: style\n---\nAnswer plainly: {{question}}\n",
    "tasks/questions.json": json.dumps([{"input": {"question": f"q{i}"}, "target": f"right q{i}"} for i in range(24)]),
    "tasks/questions.py": """
import json
from pathlib import Path
from agentopt import llm, task

def judged(example, output):
    told = llm(f"first judge {output}") + llm(f"second judge {output}")
    return (output == example.target, told)

@task
def questions():
    "Answer."
    return json.loads(Path(__file__).with_name("questions.json").read_text()), judged
""",
    "graphs/helpers.py": "def tidy(text):\n    return text.strip()\n",
    "graphs/both.py": """
import asyncio
import time
from agentopt import allm, graph, node, prompt
from agentopt.core import rng
from agentopt.core.effects import effect
from .helpers import tidy

STYLE = prompt("style")
now = effect(time.time)

@node
def parse(text: str) -> str:
    return tidy(text)

@graph
async def both(question: str) -> str:
    check = f"check {question.value} at {now():.6f}, {rng().random()}"
    answer, _ = await asyncio.gather(allm(STYLE, question=question), allm(check))
    return parse(answer)
""",
    "graphs/waiting.py": """
from agentopt import graph, llm, node, prompt
from agentopt.llm.toolrun import run_tools

STYLE = prompt("style")
asked = []

def look(word: str) -> str:
    asked.append(word)
    return f"{word} was asked {len(asked)} times"

@node
def last(text: str) -> str:
    return text.strip()

@graph
def waiting(question: str) -> str:
    run_tools(f"tool {question.value}", tools=[look])
    return last(llm(STYLE, question=question))
""",
    "graphs/shared.py": """
import itertools
from agentopt import allm, graph, prompt

STYLE = prompt("style")
order = itertools.count()

@graph
async def shared(question: str) -> str:
    answer = await allm(STYLE, question=question)
    return f"{answer.value.strip()} number {next(order)}"
""",
    "words.py": """
import asyncio
from agentopt import Candidate, Proposal
from agentopt.llm.types import Message, Request

class Words:
    name, at = "words", 0

    async def ask(self, view, n):
        turns = [Message(role="user", content=f"word {self.at + i} {view.rng.random()}") for i in range(n)]
        answers = await asyncio.gather(*(view.llm.complete(Request(model="", messages=(turn,))) for turn in turns))
        self.at += n
        return [Proposal(candidate=Candidate(values={"style": f"Answer {a.text} {{{{question}}}}"})) for a in answers]

    def tell(self, outcomes): pass

    def state(self): return {"at": self.at}

    def load(self, state): self.at = state["at"]
""",
}
GRAPHS = ("both", "waiting", "shared")
WORDS = ("briefly", "quickly", "slowly", "carefully", "loudly", "softly")


class Model:
    """A model by script: what it says depends on the request alone, when it says it on chance."""

    endpoint = "scripted/replays"
    model = "scripted/replays"
    price = (0.0, 0.0)

    def __init__(self, seed: int, longest: float = 0.01) -> None:
        self._rng, self._longest, self.calls = random.Random(seed), longest, 0

    async def complete(self, request: Request) -> Response:
        """Answer after a while."""
        self.calls += 1
        await asyncio.sleep(self._rng.random() * self._longest)
        text = str(request.messages[-1].content)
        used = Usage(input_tokens=len(text), output_tokens=5)
        if text.startswith("tool ") and request.messages[-1].role == "user":
            asked = {"id": "1", "name": "look", "arguments": json.dumps({"word": text[5:]})}
            return Response(tool_calls=(asked,), finish="tool_calls", usage=used, usd=0.0)  # type: ignore[arg-type]
        found = re.search(r"q(\d+)", text)
        if text.startswith("word "):
            said = WORDS[int(text.split()[1]) % len(WORDS)]
        elif found and text.startswith("Answer"):
            said = f" right q{found[1]}" if "carefully" in text or int(found[1]) % 3 == 0 else "wrong"
        else:
            said = "noted"
        return Response(text=said, usage=used, usd=0.0)


def workspace(folder: Path) -> Path:
    """Write the workspace of the benchmark."""
    for name, text in WORKSPACE.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
    return folder


def run(graph: str, seed: int, name: str, **options: Any) -> Path:
    """One optimization in the workspace at hand."""
    given = {"budget": "calls=5000", "steps": 2, "proposals": 3, "max_connections": 8, "cache": False} | options
    with fresh():  # as in a process of its own
        result = agentopt.optimize(
            graph, task="questions", model=options.pop("model", Model(seed)), optimizer="./words.py@Words", seed=seed,
            name=name, **{k: v for k, v in given.items() if k != "model"},
        )  # fmt: skip
    return result.dir


def rewrite(source: Path, target: Path, change: Callable[[list[Event], dict[str, bytes]], None]) -> Path:
    """A copy of a run with altered events or blobs, written event by event, so that the file itself is sound."""
    with Store(source, readonly=True) as store:
        events = list(store.events())
        db = sqlite3.connect(f"{store.path.absolute().as_uri()}?mode=ro", uri=True)
        blobs = {id_: zlib.decompress(data) for id_, data in db.execute("SELECT id, data FROM blobs")}
        db.close()
    change(events, blobs)
    with Store(target) as store:
        store.append_now(events[0].type, events[0].data, list(blobs.values()))
        for event in events[1:]:
            store.post(event.type, event.data)
    return target


def completions(events: list[Event]) -> list[int]:
    """Places of the completed calls and cells."""
    return [i for i, e in enumerate(events) if e.type in ("call.received", "cell")]


def swap(rng: random.Random, *, renumber: bool) -> Callable[[list[Event], dict[str, bytes]], None]:
    """Exchange two neighbouring completions; ``renumber`` also gives each the other's number."""

    def change(events: list[Event], blobs: dict[str, bytes]) -> None:
        places = completions(events)
        pairs = [(a, b) for a, b in itertools.pairwise(places) if _independent(events[a], events[b])]
        a, b = rng.choice(pairs)
        one, two = events[a], events[b]
        left, right = dict(two.data), dict(one.data)
        if renumber:
            left["turn"], right["turn"] = one.data["turn"], two.data["turn"]
        events[a] = one.model_copy(update={"type": two.type, "data": left})
        events[b] = two.model_copy(update={"type": one.type, "data": right})

    return change


def _independent(one: Event, two: Event) -> bool:
    """Whether both are answers of agents in different cells: only their order changes when they are exchanged."""
    scopes = [str(e.data.get("address", "")).partition("|")[0] for e in (one, two)]
    return scopes[0] != scopes[1] and all(s.startswith("cell/") and not s.endswith("/judge") for s in scopes)


@contextlib.contextmanager
def edited(name: str, old: str, new: str) -> Iterator[None]:
    """A file of the workspace with one line altered, for as long as the block lasts."""
    path = Path(name)
    text = path.read_text(encoding="utf-8")
    assert text.count(old) >= 1, (name, old)
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    try:
        yield
    finally:
        path.write_text(text, encoding="utf-8")


LINES = {  # graph to altered lines: what stands there, what is written instead, and what is to be named
    "both": [
        ('check {question.value} at', 'Check {question.value} at', ("call", "both:0")),
        ("return tidy(text)", "return tidy(text)[:5]", ("node", "both:0/parse:0")),
        ("return parse(answer)", "return parse(answer + '.')", ("node", "both:0")),
        ("allm(STYLE, question=question), allm(check)", "allm(check), allm(STYLE, question=question)",
         ("call", "both:0")),
    ],
    "waiting": [
        ("return text.strip()", "return text.strip() + ' '", ("node", "waiting:0/last:0")),
        ('f"tool {question.value}"', 'f"tool  {question.value}"', ("call", "waiting:0")),
        ("last(llm(STYLE, question=question))", "llm(STYLE, question=question)", ("node", "waiting:0/last:0")),
    ],
    "shared": [
        ("await allm(STYLE, question=question)", "await allm(STYLE, question=question, temperature=0.5)",
         ("call", "shared:0")),
        ("number {next(order)}", "Number {next(order)}", ("node", "shared:0")),
    ],
}  # fmt: skip


def altered_line(rng: random.Random, graph: str, folder: Path) -> tuple[bool, str]:
    """One line of the graph in the workspace is altered; the replay executes the workspace's code."""
    old, new, (kind, path) = rng.choice(LINES[graph])
    with edited(f"graphs/{graph}.py", old, new):
        found = replay(folder, code="current").divergence
    return found is not None and found.kind == kind and (found.path or "").startswith(path), _told(found)


def altered_stored_line(rng: random.Random, graph: str, folder: Path) -> tuple[bool, str]:
    """The same in the code that the run has stored."""
    old, new, (kind, path) = rng.choice(LINES[graph])

    def change(events: list[Event], blobs: dict[str, bytes]) -> None:
        place = f"graphs/{graph}.py"
        data: dict[str, Any] = json.loads(json.dumps(events[0].data))
        content = blobs[data["sources"][place]].replace(old.encode(), new.encode(), 1)
        data["sources"][place] = blob_id(content)
        blobs[blob_id(content)] = content
        events[0] = events[0].model_copy(update={"data": data})

    found = _rewritten(folder, change, trust=True).divergence
    return found is not None and found.kind == kind and (found.path or "").startswith(path), _told(found)


def deleted_blob(rng: random.Random, graph: str, folder: Path) -> tuple[bool, str]:
    """One blob is deleted: a payload, a traced graph, examples, or a file of the run's code."""
    copy = _copy(folder)
    db = sqlite3.connect(copy / "run.sqlite")
    lost = rng.choice([row[0] for row in db.execute("SELECT id FROM blobs ORDER BY id")])
    with db:
        db.execute("DELETE FROM blobs WHERE id=?", (lost,))
    db.close()
    with Store(copy, readonly=True) as store:
        begun: Any = next(store.events("run.started")).data
        user = next((e for e in store.events() if lost in json.dumps(e.data)), None)
    try:
        found = replay(copy, trust=True).divergence
    except UsageError as error:
        file = next((name for name, id_ in begun["sources"].items() if id_ == lost), "?")
        return file in str(error), str(error)
    right = found is not None and user is not None and found.kind == "blob" and found.seq == user.seq
    return right and found is not None and found.recorded == lost, _told(found)


def changed_example(rng: random.Random, graph: str, folder: Path) -> tuple[bool, str]:
    """The target of one example is changed, in the task's data of the workspace."""
    path = Path("tasks/questions.json")
    text = path.read_text(encoding="utf-8")
    examples = json.loads(text)
    chosen = rng.choice(examples)
    then = agentopt.Example.model_validate(chosen).id
    chosen["target"] += "!"
    path.write_text(json.dumps(examples), encoding="utf-8")
    try:
        found = replay(folder, code="current").divergence
    finally:
        path.write_text(text, encoding="utf-8")
    right = found is not None and found.kind == "example" and found.example == then
    return right and found is not None and found.now == _dumped(chosen), _told(found)


def changed_stored_example(rng: random.Random, graph: str, folder: Path) -> tuple[bool, str]:
    """The target of one example is changed in the examples that the run has stored."""
    named: list[str] = []

    def change(events: list[Event], blobs: dict[str, bytes]) -> None:
        data: dict[str, Any] = json.loads(json.dumps(events[0].data))
        split = data["splits"][rng.choice(["search", "validation", "test"])]
        examples = json.loads(blobs[split["examples"]])
        chosen = rng.choice(examples)
        chosen["target"] += "!"
        named.append(chosen["id"])
        content = json.dumps(examples).encode()
        split["examples"] = blob_id(content)
        blobs[blob_id(content)] = content
        events[0] = events[0].model_copy(update={"data": data})

    found = _rewritten(folder, change, trust=True).divergence
    return found is not None and found.kind == "example" and found.example == named[0], _told(found)


def reordered(rng: random.Random, graph: str, folder: Path) -> tuple[bool, str]:
    """Two neighbouring completions are exchanged in the log."""
    named: list[int] = []

    def change(events: list[Event], blobs: dict[str, bytes]) -> None:
        before = [e.data for e in events]
        swap(rng, renumber=False)(events, blobs)
        named.extend(e.seq for e, old in zip(events, before, strict=True) if e.data != old)

    found = _rewritten(folder, change, trust=True).divergence
    return found is not None and found.kind == "order" and found.seq == named[1], _told(found)


def reordered_unseen(rng: random.Random, graph: str, folder: Path) -> tuple[bool, str]:
    """The same with their numbers exchanged too, in a program whose outputs depend on the order of completion."""
    named: set[str] = set()

    def change(events: list[Event], blobs: dict[str, bytes]) -> None:
        before = [e.data for e in events]
        swap(rng, renumber=True)(events, blobs)
        changed = [e for e, old in zip(events, before, strict=True) if e.data != old]
        named.update(str(e.data["address"]).split("/")[2] for e in changed)

    found = _rewritten(folder, change, trust=True).divergence
    right = found is not None and found.kind in ("node", "outcome") and found.example in named
    return right, _told(found)


KINDS: dict[str, tuple[Callable[[random.Random, str, Path], tuple[bool, str]], tuple[str, ...]]] = {
    "one line of the graph altered, in the workspace": (altered_line, GRAPHS),
    "one line of the graph altered, in the run file": (altered_stored_line, GRAPHS),
    "one blob deleted": (deleted_blob, GRAPHS),
    "one example changed, in the workspace": (changed_example, GRAPHS),
    "one example changed, in the run file": (changed_stored_example, GRAPHS),
    "two completions exchanged": (reordered, GRAPHS),
    "two completions exchanged and renumbered, where outputs depend on their order": (reordered_unseen, ("shared",)),
}


def _copy(folder: Path) -> Path:
    place = Path(tempfile.mkdtemp()) / folder.name
    shutil.copytree(folder, place)
    return place


def _rewritten(folder: Path, change: Callable[[list[Event], dict[str, bytes]], None], **options: Any) -> ReplayResult:
    return replay(rewrite(folder, Path(tempfile.mkdtemp()) / "run", change), **options)


def _told(found: Any) -> str:
    return "no difference" if found is None else f"{found.kind}: {found.what} ({found.where})"


def _dumped(example: dict[str, Any]) -> dict[str, Any]:
    return agentopt.Example.model_validate(example).model_dump(mode="json")


def measure(runs: int, each: int, seed: int = 0) -> dict[str, Any]:
    """Make the runs in the workspace at hand, replay them, and replay them altered."""
    made: list[tuple[str, Path]] = []
    rows = []
    for i in range(runs):
        graph = GRAPHS[i % len(GRAPHS)]
        made.append((graph, run(graph, seed + i, f"run{i}")))
        row: dict[str, Any] = {"graph": graph, "seed": seed + i}
        begun = time.perf_counter()
        ways = {"as it was": {}, "sequential": {"sequential": True}, "from step 2": {"from_step": 2}}
        for way, options in ways.items():
            if graph == "shared" and options:
                continue  # its outputs depend on the order of completion, from the first one on
            result = replay(made[-1][1], **options)
            row[way] = result.clean if result.clean else _told(result.divergence)
            row["compared"] = result.compared if way == "as it was" else row["compared"]
        row["seconds"] = round((time.perf_counter() - begun) / len(ways), 3)
        there = _copy(made[-1][1])
        here = Path.cwd()
        os.chdir(there.parent)
        result = replay(there, trust=True)
        row["moved"] = result.clean if result.clean else _told(result.divergence)
        os.chdir(here)
        rows.append(row)
        print(f"run {i}: {row}", file=sys.stderr)
    rng = random.Random(seed)
    alterations: dict[str, list[dict[str, Any]]] = {}
    for kind, (alter, graphs) in KINDS.items():
        able = [pair for pair in made if pair[0] in graphs]
        for i in range(each):
            graph, folder = able[i % len(able)]
            right, told = alter(rng, graph, folder)
            told = re.sub(re.escape(tempfile.gettempdir()) + r"\S*/", "", told)
            alterations.setdefault(kind, []).append({"graph": graph, "named": right, "told": told})
            print(f"{kind}: {right}: {told}", file=sys.stderr)
    return {
        "machine": f"{platform.machine()}, {os.cpu_count()} cores", "python": platform.python_version(),
        "runs": rows, "alterations": alterations,
    }  # fmt: skip


def table(data: dict[str, Any]) -> str:
    """The results as Markdown."""
    rows = data["runs"]
    lines = [
        "# Replay",
        "",
        f"{len(rows)} runs of three graphs with 8 cells at once, a scripted model with random latencies, two steps of",
        f"three proposals each; {data['machine']}, Python {data['python']}. Raw: [replay.json](replay.json), made by",
        "`tests/benchmarks/replay.py`. The graph `shared` numbers its outputs in the order of completion, from the",
        "first one on; it is not replayed one cell after the other, nor from a later step.",
        "",
        "| replay | runs | clean |",
        "| --- | --- | --- |",
    ]
    for way in ("as it was", "moved", "sequential", "from step 2"):
        tried = [r[way] for r in rows if way in r]
        lines.append(f"| {way} | {len(tried)} | {sum(r is True for r in tried)} |")
    total = {k: sum(r["compared"][k] for r in rows) for k in ("calls", "cells", "decisions", "effects")}
    lines += ["", "Compared in the first line: " + ", ".join(f"{n:,} {what}" for what, n in total.items()) + ".", ""]
    lines += ["| alteration | replays | named |", "| --- | --- | --- |"]
    for kind, tried in data["alterations"].items():
        lines.append(f"| {kind} | {len(tried)} | {sum(t['named'] for t in tried)} |")
    lines += [
        "",
        '"Named" means: the kind of the difference and its place (event, example, node path) are those of the',
    ]
    lines += ["alteration.", ""]
    return "\n".join(lines)


def main() -> None:
    """Measure and write the results."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--runs", type=int, default=51)
    parser.add_argument("--each", type=int, default=12, help="replays of each alteration")
    parser.add_argument("--out", default=str(RESULTS), help="folder of replay.json and replay.md")
    args = parser.parse_args()
    out = Path(args.out).absolute()
    with tempfile.TemporaryDirectory() as folder:
        tempfile.tempdir = folder
        os.chdir(workspace(Path(folder) / "ws"))
        data = measure(args.runs, args.each)
        os.chdir(out)
    (out / "replay.json").write_text(json.dumps(data, indent=1, ensure_ascii=False) + "\n")
    text = table(data)
    (out / "replay.md").write_text(text)
    print(text)


if __name__ == "__main__":
    main()
