"""The report of a run: what stands in it, what must never stand in it, and that it stays one page without network."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import hashlib
import json
import random
import re
import sqlite3
from collections.abc import Sequence
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

import agentopt
from agentopt.cli.app import application
from agentopt.core.values import Candidate, Feedback, Outcome, Proposal
from agentopt.errors import LLMError, StoreError, UsageError
from agentopt.evaluate import Example, Task, example_scores
from agentopt.llm.types import Message, Request, Response, Usage
from agentopt.report import render, write_report
from agentopt.run.api import evaluate_async, optimize_async
from agentopt.run.files import RunFile
from agentopt.store import Event, Store, blob_id
from agentopt.testing import ScriptedLLM

STYLE = agentopt.Parameter("Answer {{question}}", name="style")
HOSTILE = "</script></pre><img src=x onerror=alert(1)><script>alert(2)</script>\u2028 ${7*7} {{7*7}} &lt;b&gt;"
PLANTED, PEM = "planted-key-0123456789", 'first line of a key\nsecond "line" of it'
TEXTS = [
    "Say {{question}}", "no hole", "Say {{question}}", "Answer carefully: {{question}}",
    f"Tell {HOSTILE} {{{{question}}}}",
]  # fmt: skip


@agentopt.graph
async def answer(question: str) -> Any:
    if question == "q7":
        raise ValueError(f"no {HOSTILE}")
    return await agentopt.allm(STYLE, question=question)


class Listed:
    """An optimizer that suggests texts from a list."""

    name = "listed"

    def __init__(self, texts: Sequence[str]) -> None:
        self.texts, self.at = list(texts), 0

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        texts, self.at = self.texts[self.at : self.at + n], self.at + n
        parents = (view.best.candidate.id,)
        return [
            Proposal(candidate=Candidate(values={"style": t}, parents=parents), operator="listed", why=f"why {HOSTILE}")
            for t in texts
        ]

    def tell(self, outcomes: Sequence[Any]) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"at": self.at}

    def load(self, state: Any) -> None:
        self.at = state["at"]


def task(n: int = 40) -> Task:
    def same(example: Example, output: Any) -> Feedback:
        right = str(output).startswith(str(example.target))
        return Feedback(score=float(right), text="" if right else f"expected {example.target!r}, got {output!r}")

    examples = [Example(input={"question": f"q{i}"}, target=f"right q{i}.") for i in range(n)]
    return Task("questions", examples, same, objective=f"answer {HOSTILE}")


def says(request: Request) -> str:
    """Right for every question when asked carefully, for every third one otherwise; hostile always; q5 fails."""
    text = str(request.messages[-1].content)
    question = re.findall(r"\bq\d+", text)[-1]
    if question == "q5":
        raise LLMError(f"refused: key {PLANTED} at https://user:hunter2@example.org/v1, Bearer abcdef123456, {PEM}")
    right = "carefully" in text or int(question[1:]) % 3 == 0
    return f"right {question}.{HOSTILE}" if right else f"wrong {HOSTILE}"


@pytest.fixture(autouse=True)
def _place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("PROVIDER_API_KEY", PLANTED)
    monkeypatch.setenv("DEPLOY_SECRET", PEM)


async def run_it(folder: Path, *, texts: Sequence[str] = TEXTS, **options: Any) -> Path:
    """A finished run, unless its options end it earlier."""
    fields = {"task": task(), "proposals": 3, "steps": 2, "cache": False, "name": "run", "prices": {"m": (1.0, 2.0)}}
    model = ScriptedLLM(says, usd=options.pop("usd", 0.001))
    result = await optimize_async(
        answer, optimizer=Listed(texts), model=model, runs_dir=str(folder / "runs"), **(fields | options)
    )
    return Path(result.dir)


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished run, for the tests that only look at it."""
    place = tmp_path_factory.mktemp("finished")
    with contextlib.chdir(place):
        return asyncio.run(run_it(place))


class Page(HTMLParser):
    """A page as a browser reads it: its tags, its text, and what its scripts hold."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.source, self.tags, self.words = text, [], []  # type: ignore[var-annotated]
        self.scripts: list[tuple[dict[str, str | None], str]] = []
        self._open: dict[str, str | None] | None = None
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self._open = dict(attrs) if tag in ("script", "style") else None

    def handle_data(self, data: str) -> None:
        if self._open is None:
            self.words.append(data)
        else:
            self.scripts.append((self._open, data))
            self._open = None

    @property
    def text(self) -> str:
        return " ".join(" ".join(self.words).split())

    @property
    def table(self) -> Any:
        return next(json.loads(text) for attrs, text in self.scripts if attrs.get("id") == "table")

    @property
    def pieces(self) -> dict[str, Any]:
        return {
            str(attrs["id"]).removeprefix("piece-"): json.loads(gzip.decompress(base64.b64decode(text)))
            for attrs, text in self.scripts
            if str(attrs.get("id")).startswith("piece-")
        }


def page_of(folder: Path) -> Page:
    return Page(write_report(folder).read_text(encoding="utf-8"))


# -- the whole of it ---------------------------------------------------------------------------------------------


def test_it_tells_the_claim_its_evidence_and_everything_else(finished: Path) -> None:
    page = page_of(finished)
    with RunFile(finished) as run:
        claim, best, outcomes = run.claim(), run.best(), run.outcomes()
        spent = run.spend()
    assert claim is not None and claim.verdict == "better" and best is not None
    verdict, _, sentence = claim.sentence.partition(": ")
    assert f"<h1>{verdict.capitalize()}</h1>" in page.source
    assert sentence.replace("<", "&lt;") in page.source
    for told in (
        "answer on questions · run",
        f"{claim.gained + claim.lost} {claim.gained} gained, {claim.lost} lost",
        "yes: no earlier use of these examples is on record",
        "16 test examples were likely (80 % chance) to show a difference of 0.",
        f"{spent['agent']['calls']:,.0f} {spent['agent']['tokens']:,.0f} {spent['agent']['usd']:,.4f} {len(outcomes)}",
        "No budget was set.",
        "incumbent after step 2",
        f"{sum(o.status == 'agent_error' for o in outcomes)} of {len(outcomes)} evaluations failed in the program",
        f"{sum(o.status == 'infra_error' for o in outcomes)} evaluations were lost to the world and do not count",
        "before anything was proposed; the program read style",
        "agentopt replay run",
        "agentopt apply run",
    ):
        assert told in page.text, told
    assert "agentopt resume" not in page.text
    rejected = page.source.split('id="rejected"')[1].split('id="spend"')[0].split("<summary>")[1:]
    assert ["style" in rejected[0], "the same as candidate 1.1" in rejected[1], len(rejected)] == [True, True, 2]
    assert re.findall(r"<ins>(.*?)</ins>", page.source)[0].strip() == "carefully:"


def test_every_cell_is_there_with_its_transcript(finished: Path) -> None:
    page = page_of(finished)
    table, pieces = page.table, page.pieces
    with RunFile(finished) as run:
        outcomes = run.outcomes()
        place = [c["id"] for c in table["candidates"]]
        wanted: dict[tuple[str, str], list[Outcome]] = {}
        for outcome in outcomes:
            wanted.setdefault((outcome.candidate, outcome.example), []).append(outcome)
        assert len(table["cells"]) == len(wanted)
        assert place[0] == run.baseline().id[:8] and place[1] == run.best().id[:8]  # type: ignore[union-attr]
        ids = {c[:8]: c for c, _ in wanted}
        for example, candidate, score, _status in table["cells"]:
            key = ids[place[candidate]], table["examples"][example]["id"]
            counted = [o for o in wanted[key] if o.split != "noise"]
            assert score == example_scores(counted).get(key[1])
            piece = pieces[f"x{example}{'b' if candidate > 1 else 'a'}"]
            found = next(repeats for at, repeats in piece["cells"] if at == candidate)
            assert [r["repeat"] for r in found] == [o.repeat for o in wanted[key]]
            for repeat, outcome in zip(found, wanted[key], strict=True):
                assert repeat["output"] == outcome.output
                failed = outcome.example in {e["id"] for e in table["examples"] if e["text"] == "q7"}
                assert len(repeat["calls"]) == (0 if failed else 1)
                for call in repeat["calls"]:
                    assert piece["input"]["question"] in call["messages"][0]["content"]
                    assert (call["answer"] is None) == (outcome.status == "infra_error")


# -- hostile text and secrets --------------------------------------------------------------------------------------


def test_hostile_text_stays_text(finished: Path) -> None:
    page = page_of(finished)
    assert HOSTILE[:40] in json.dumps(list(page.pieces.values()), ensure_ascii=False)  # it is there, as text
    assert "</script></pre><img" in page.text
    tags = [tag for tag, _ in page.tags]
    assert not {"img", "iframe", "object", "embed", "link", "base", "form"} & set(tags)
    assert sum(1 for tag, attrs in page.tags if tag == "script" and "type" not in attrs) == 1
    for tag, attrs in page.tags:
        assert not [name for name in attrs if name.startswith("on") or name == "style"], (tag, attrs)
        for name in ("src", "href", "xlink:href", "action", "srcset"):
            assert str(attrs.get(name, "#")).startswith("#"), (tag, attrs)


def test_the_policy_allows_its_own_script_and_style_and_nothing_else(finished: Path) -> None:
    page = page_of(finished)
    policy = next(a["content"] for _, a in page.tags if a.get("http-equiv") == "Content-Security-Policy")
    assert policy is not None and policy.startswith("default-src 'none';")
    for name, wanted in (("style-src", {}), ("script-src", {})):
        (text,) = [
            text for attrs, text in page.scripts if attrs == wanted and (name == "style-src") == (":root" in text)
        ]
        told = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
        assert f"{name} 'sha256-{told}';" in policy
    assert "unsafe" not in policy and "http" not in policy
    for text in (t for a, t in page.scripts if not a):
        assert not re.search(r"https?:|url\(|@import|fetch\(|XMLHttp|innerHTML|insertAdjacent|eval\(", text)


async def test_no_secret_is_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = await run_it(tmp_path, texts=[f"Be careful with {PLANTED} carefully: {{{{question}}}}"])
    raw = json.dumps([scored.candidate.values for scored in RunFile(folder).candidates()])
    assert PLANTED in raw  # a candidate holds it, so there is something to hide
    page = page_of(folder)
    everything = page.source + json.dumps(list(page.pieces.values()), ensure_ascii=False)
    for secret in (PLANTED, "hunter2", "abcdef123456", "first line of a key", 'second "line', "second &#34;line"):
        assert secret not in everything, secret
    assert "refused: key ***" in everything
    monkeypatch.delenv("PROVIDER_API_KEY")
    from agentopt.report.clean import _redacted

    _redacted.cache_clear()
    assert PLANTED in write_report(folder).read_text()  # the test above can fail


# -- runs of every state -------------------------------------------------------------------------------------------


def log_of(folder: Path) -> tuple[list[Event], list[bytes]]:
    """The events of a run, and the blobs that they name."""
    with RunFile(folder) as run:
        events = list(run.events())
        blobs = []
        for name in {i for e in events for i in re.findall(r'"([0-9a-f]{64})"', e.model_dump_json())}:
            with contextlib.suppress(StoreError):
                blobs.append(run.store.blob(name))
    return events, blobs


def test_a_run_cut_anywhere_has_a_report(tmp_path: Path, finished: Path) -> None:
    """Every beginning of a log is a state in which a run may have been killed."""
    events, blobs = log_of(finished)
    lasts = {event.type: event.seq for event in events}.values()
    firsts = {event.type: event.seq for event in reversed(events)}.values()
    cuts = {*lasts, *firsts, *range(1, len(events), len(events) // 12)}
    titles = []
    with Store(tmp_path / "cut") as store:
        for event in events:
            store.append_now(event.type, event.data, blobs if event.seq == 1 else [])
            if event.seq in cuts:
                with RunFile(tmp_path / "cut") as run:
                    page = Page(render(run))
                    titles.append(re.findall("<h1>(.*?)</h1>", page.source)[0])
                    assert (run.claim() is None) == ("agentopt resume" in page.text)
                    assert (run.status == "interrupted") == ("interrupted, or is still going on" in page.text)
                    cells = {(o.candidate, o.example) for o in run.outcomes()}
                    assert len(page.table["cells"]) == len(cells)
    assert list(dict.fromkeys(titles)) == ["Nothing is claimed yet", "Better"]


async def test_a_run_whose_budget_ended_says_so(tmp_path: Path) -> None:
    events, blobs = log_of(await run_it(tmp_path, budget="calls=400"))
    with Store(tmp_path / "cut") as store:
        for event in events[: next(e.seq for e in events if e.type == "search.ended")]:
            store.append_now(event.type, event.data, blobs if event.seq == 1 else [])
        store.append_now("budget.exhausted", {"axis": "calls", "message": "the budget of 400 calls has 0 left"})
        store.append_now("run.finished", {"status": "budget", "spend": {}})
    page = page_of(tmp_path / "cut")
    assert "<h1>Nothing is claimed</h1>" in page.source
    assert re.search(r"calls \d+ of 400", page.text)
    assert "the budget of 400 calls has 0 left" in page.text
    assert "agentopt resume cut --runs-dir" in page.text
    assert "--add-budget calls=" in page.text


async def test_nothing_better_found(tmp_path: Path) -> None:
    page = page_of(await run_it(tmp_path, texts=["Tell {{question}}"], steps=1))
    assert "<h1>No improvement shown</h1>" in page.source
    assert "the test examples were not used" in page.text
    assert "Nothing: the best candidate is the baseline." in page.text


async def test_an_unknown_price_is_unknown(tmp_path: Path) -> None:
    page = page_of(await run_it(tmp_path, usd=None, prices={}))
    spend = page.text.split("Spend Role")[1]
    assert "unknown" in spend and "0.0000" in spend.split("optimizer")[1].split("Total")[0]


async def test_an_evaluation(tmp_path: Path) -> None:
    result = await evaluate_async(
        answer, task=task(), model=ScriptedLLM(says), runs_dir=str(tmp_path), name="eval", cache=False, split="test"
    )
    page = page_of(result.dir)
    assert f"<h1>{result.summary.mean:.2f}</h1>" in page.source
    assert "no comparison" in page.text
    assert "agentopt apply" not in page.text


async def test_scores_between_the_ends(tmp_path: Path) -> None:
    def near(example: Example, output: Any) -> Feedback:
        right = str(output).startswith(str(example.target))
        return Feedback(score=(0.9 if right else 0.1) + int(str(example.target)[7:-1]) / 1000)

    fine = Task("questions", task().examples, near)
    folder = await run_it(tmp_path, task=fine)
    page = page_of(folder)
    with RunFile(folder) as run:
        claim = run.claim()
    assert claim is not None and claim.test == "paired permutation"
    assert "paired permutation exact, two-sided" in page.text
    assert re.search(r"likely \(80 % chance\) to show a difference of 0\.\d\d or more; .* deviation seen", page.text)


async def test_what_cannot_be_read_is_said(tmp_path: Path) -> None:
    folder = await run_it(tmp_path)
    with RunFile(folder) as run:
        test = run.started["splits"]["test"]["examples"]
        traces = [(o.trace,) for o in run.outcomes(split="test")]
    with sqlite3.connect(folder / "run.sqlite") as db:
        db.execute("UPDATE blobs SET data = x'00' WHERE id = ?", (test,))
        db.executemany("DELETE FROM blobs WHERE id = ?", traces)
    page = page_of(folder)
    assert "inputs and targets of the test examples are not in this page: blob" in page.text
    assert "a traced graph is not in this page: no blob" in page.text
    assert [e["text"] for e in page.table["examples"] if e["split"] == "test"] == ["null"] * 16
    assert len(page.table["cells"]) > 16


# -- size ----------------------------------------------------------------------------------------------------------


def test_a_page_that_is_full_says_what_it_left_out(finished: Path) -> None:
    with RunFile(finished) as run:
        whole, some, none = (Page(render(run, room)) for room in (10_000_000, 12_000, 0))
    assert "To keep this page small" not in whole.text
    cells = len(whole.table["cells"])
    assert whole.table["cells"] == some.table["cells"] == none.table["cells"]
    assert f"inputs and outputs of {cells} cells are not in it" in none.text
    assert not none.pieces
    silent = sum(
        1 for piece in some.pieces.values() for _, repeats in piece["cells"] if any(r["calls"] is None for r in repeats)
    )
    packed = sum(len(piece["cells"]) for piece in some.pieces.values())
    if silent:
        assert f"the transcripts of {silent} cells are not in it" in some.text
    assert f"inputs and outputs of {cells - packed} cells are not in it" in some.text
    assert sum(len(text) for attrs, text in some.scripts if str(attrs.get("id")).startswith("piece-")) <= 12_000
    first = {int(name[1:-1]) for name in some.pieces}
    assert {some.table["examples"][i]["split"] for i in first} == {"test"}  # what speaks for the claim goes first


def large_run(folder: Path, examples: int, candidates: int) -> None:
    """A run in which every candidate ran on every example, with a prompt and an answer of some length."""
    rng = random.Random(0)
    lexicon = ["".join(rng.choices("abcdefghijklmnopqrstuvwxyz", k=rng.randint(2, 9))) for _ in range(4000)]

    def prose(count: int) -> str:
        return " ".join(rng.choices(lexicon, k=count))

    listed = [Example(input=prose(60), target=prose(10)) for _ in range(examples)]
    values = [Candidate(values={"style": prose(150)}) for _ in range(candidates)]
    parts = {"search": listed[: examples // 2], "validation": [], "test": listed[examples // 2 :]}
    blobs = {n: json.dumps([e.model_dump(mode="json") for e in part]).encode() for n, part in parts.items()}
    usage = Usage(input_tokens=400, output_tokens=100)
    with Store(folder) as store:
        started = {
            "kind": "optimize", "config": {"graph": "g", "task": "t"}, "task": {"name": "t", "hash": "0" * 64},
            "objective": "", "evaluator": "", "score_range": [0, 1], "endpoints": {}, "versions": {"agentopt": "0"},
            "splits": {n: {"n": len(part), "examples": blob_id(blobs[n])} for n, part in parts.items()},
        }  # fmt: skip
        store.append_now("run.started", started, blobs.values())
        store.append_now("baseline", {"candidate": values[0].model_dump(mode="json")})
        for one in values[1:]:
            store.append_now("candidate", {"candidate": one.model_dump(mode="json"), "step": 0, "operator": "o"})
        futures = []
        for one in values:
            for split, part in parts.items():
                for example in part:
                    address = f"cell/{one.id}/{example.id}/0|g:0|0"
                    turn = Message(role="user", content=f"{one.values['style']} {example.input}")
                    payload = json.dumps(Request(model="m", messages=(turn,)).payload()).encode()
                    answer = Response(text=prose(100), usage=usage, usd=0.0)
                    outcome = Outcome(
                        candidate=one.id, example=example.id, split=split, output=answer.text,
                        feedback=Feedback(score=float(rng.random() < 0.5), text=prose(20)),
                    )  # fmt: skip
                    received = {
                        "address": address, "hash": "", "role": "agent", "payload": blob_id(payload), "settled": {},
                        "response": answer.model_dump(mode="json"),
                    }  # fmt: skip
                    futures.append(store.append("call.received", received, [payload]))
                    futures.append(store.append("cell", {"outcome": outcome.model_dump(mode="json")}))

        async def append() -> None:
            await asyncio.gather(*futures)

        asyncio.run(append())


@pytest.mark.slow
def test_a_large_run_gives_a_page_of_bounded_size(tmp_path: Path) -> None:
    large_run(tmp_path / "large", 200, 30)
    place = write_report(tmp_path / "large")
    assert place.stat().st_size < 15_000_000
    page = Page(place.read_text(encoding="utf-8"))
    assert len(page.table["cells"]) == 200 * 30
    left = re.search(r"the transcripts of ([\d,]+) cells are not in it", page.text)
    silent = sum(1 for p in page.pieces.values() for _, repeats in p["cells"] if repeats[0]["calls"] is None)
    assert (int(left[1].replace(",", "")) if left else 0) == silent


# -- the command ---------------------------------------------------------------------------------------------------


async def test_the_command_prints_where_it_wrote(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = await run_it(tmp_path)
    shown: list[str] = []
    monkeypatch.setattr("webbrowser.open", shown.append)
    app = application("*")
    said = CliRunner().invoke(app, ["report"])
    assert (said.exit_code, said.output.strip()) == (0, "runs/run/report.html")
    assert (folder / "report.html").exists()
    said = CliRunner().invoke(app, ["report", "run", "--out", "made/page.html", "--open"])
    assert (said.exit_code, said.output.strip()) == (0, "made/page.html")
    assert shown == [(tmp_path / "made" / "page.html").as_uri()]
    assert sorted(p.name for p in (tmp_path / "made").iterdir()) == ["page.html"]


async def test_what_cannot_be_written_or_read(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="there is no run"):
        write_report(tmp_path)
    folder = await run_it(tmp_path, steps=0)
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match="cannot be written .*--out"):
        write_report(folder, tmp_path / "file" / "page.html")
