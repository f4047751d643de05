"""The leaderboard: runs of an eval side by side, and apart from them what is not of its protocol."""

from __future__ import annotations

import json
import re
import signal
from collections.abc import Callable
from html.parser import HTMLParser
from pathlib import Path

import pytest

from agentopt import Example, Task, graph
from agentopt._aio import run_sync
from agentopt.errors import UsageError
from agentopt.evaluate import Eval, Measure, Published, always, exact
from agentopt.report.boardpage import board_html, board_markdown
from agentopt.report.leaderboard import Board, leaderboard
from agentopt.run.evaluation import evaluate_async
from agentopt.run.rescore import rescore
from agentopt.store import Event

Cli = Callable[..., tuple[int, str, str]]


@graph
def echo(word: str) -> str:
    return word


@graph
def half(word: str) -> str:
    if word == "bad":
        raise ValueError("no")
    return word if word < "c" else ""


PINNED = Eval(
    task="words", graph="echo", name="words", about="Words | said again.", measures=[Measure("ran", of="answered")],
    guesses=[always("a")], notes=["a <small> set"],
    published=[Published(model="<script>alert(1)</script>", score=0.75, protocol="with a hint", source="A | B 2020")],
)  # fmt: skip
TASK = Task("words", [Example(input=w, target=w) for w in ("a", "b", "c", "d", "bad")], exact())


def run(place: Path, name: str, thing: object = echo, pinned: Eval = PINNED, task: Task = TASK, **more: object) -> None:
    run_sync(
        evaluate_async(
            thing, task=task, split="all", pinned=pinned, progress=False, runs_dir=place, name=name,
            **more,  # type: ignore[arg-type]
        )
    )  # fmt: skip


def board(place: Path, pinned: Eval | None = PINNED) -> Board:
    return leaderboard("words", sorted(p.parent for p in place.glob("*/run.sqlite")), pinned)


def test_rows_are_ranked_and_what_departs_stands_apart(tmp_path: Path) -> None:
    run(tmp_path, "full")
    run(tmp_path, "part", half, PINNED)
    run(tmp_path, "few", limit=3)
    run(tmp_path, "cut", budget="evaluations=2", max_connections=1)
    found = board(tmp_path)
    assert [row.run for row in found.rows] == ["full"]
    assert found.rows[0].summary.mean == 1.0
    apart = {row.run: row for row in found.apart}
    assert set(apart) == {"part", "few", "cut"}
    assert apart["part"].marks == ("not the pinned protocol: graph half (pinned: echo)",)
    assert apart["part"].remarks == ("1 failed",)
    assert apart["few"].marks == ("not the pinned protocol: limit 3 (pinned: none)",)
    assert apart["cut"].marks == ("not complete: 2 of 5 evaluations",)
    assert [row.run for row in found.apart][-1] == "part"
    assert found.guesses[0].summary.mean == 0.2
    assert found.rows[0].measures[0].mean == 1.0


def test_another_version_and_another_scorer_are_marked(tmp_path: Path) -> None:
    run(tmp_path, "one")
    run(tmp_path, "two")
    run(tmp_path, "old", pinned=Eval(task="words", graph="echo", name="words", version=0))
    run(tmp_path, "other", task=Task("words", TASK.examples, lambda e, o: 0.5))
    run(tmp_path, "fewer", task=Task("words", TASK.examples[:4], exact()))
    found = board(tmp_path)
    assert {row.run for row in found.rows} == {"one", "two"}
    marks = {row.run: row.marks for row in found.apart}
    assert marks["old"] == ("made by version 0 of this eval (now version 1)",)
    assert marks["other"] == ("another scorer than the other runs",)
    assert marks["fewer"] == ("other examples than the other runs",)


def test_runs_that_depart_do_not_say_what_the_others_are_compared_with(tmp_path: Path) -> None:
    """Nor do runs of another version, nor those that were cut short, however many they are."""
    run(tmp_path, "full")
    other = Task("words", TASK.examples, lambda e, o: 0.5)
    for n in range(2):
        run(tmp_path, f"few-{n}", task=other, limit=3)
        run(tmp_path, f"cut-{n}", task=other, budget="evaluations=2", max_connections=1)
        run(tmp_path, f"old-{n}", task=other, pinned=Eval(task="words", graph="echo", name="words", version=0))
    found = board(tmp_path)
    assert [row.run for row in found.rows] == ["full"]
    assert all("another scorer than the other runs" in row.marks for row in found.apart)


def test_without_a_run_under_the_protocol_the_others_are_still_compared(tmp_path: Path) -> None:
    for n in range(2):
        run(tmp_path, f"few-{n}", limit=3)
    run(tmp_path, "other", task=Task("words", TASK.examples, lambda e, o: 0.5), limit=3)
    marks = {row.run: row.marks[1:] for row in board(tmp_path).apart}
    assert marks == {"few-0": (), "few-1": (), "other": ("another scorer than the other runs",)}


def test_a_run_scored_again_stands_for_the_one_before(tmp_path: Path) -> None:
    run(tmp_path, "one")
    rescore("one", task=TASK, runs_dir=tmp_path, progress=False)
    found = board(tmp_path)
    assert [row.run for row in (*found.rows, *found.apart)] == ["one-rescored"]
    assert found.rows[0].remarks == ("answers of one, scored again",)


def test_a_scoring_that_was_interrupted_replaces_nothing(tmp_path: Path) -> None:
    run(tmp_path, "one", max_connections=1)

    def interrupt(event: Event) -> None:
        if event.type == "cell":
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        rescore("one", task=TASK, runs_dir=tmp_path, on_event=interrupt, progress=False)
    found = board(tmp_path)
    assert [row.run for row in found.rows] == ["one"]
    (fragment,) = found.apart
    assert fragment.run == "one-rescored"
    assert any(mark.startswith("not complete: ") for mark in fragment.marks)
    rescore("one", task=TASK, runs_dir=tmp_path, progress=False)
    found = board(tmp_path)
    assert [row.run for row in found.rows] == ["one-rescored-2"]


def test_a_scoring_that_lost_examples_replaces_nothing_that_has_them(tmp_path: Path) -> None:
    def broken(example: Example, output: str) -> float:
        raise KeyError("a bug")

    run(tmp_path, "one")
    unguessed = Eval(task="words", graph="echo", name="words", measures=PINNED.measures)
    assert unguessed.hash == PINNED.hash
    run(tmp_path, "none", pinned=unguessed, task=Task("words", TASK.examples, broken))
    rescore("one", task=Task("words", TASK.examples, broken), runs_dir=tmp_path, progress=False)
    rescore("none", task=TASK, runs_dir=tmp_path, progress=False)
    rescore("none-rescored", task=TASK, name="twice", runs_dir=tmp_path, progress=False)
    found = board(tmp_path)
    assert [row.run for row in found.rows] == ["one", "twice"]
    (lost,) = found.apart
    assert lost.run == "one-rescored" and "5 examples lost to the world" in lost.marks


def test_no_run_is_a_mistake_and_a_broken_one_is_told(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no run of eval 'words' is here"):
        board(tmp_path)
    run(tmp_path, "one")
    (tmp_path / "broken").mkdir()
    (tmp_path / "broken" / "run.sqlite").write_bytes(b"nothing")
    found = board(tmp_path, None)
    assert len(found.rows) == 1
    assert found.skipped[0].startswith("broken: ")


class Looked(HTMLParser):
    """What a page has: tags with attributes, and tables as texts."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.rows: list[list[str]] = []
        self._cell = False
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        if tag == "tr":
            self.rows.append([])
        if tag in ("td", "th"):
            self._cell = True
            self.rows[-1].append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._cell = False

    def handle_data(self, data: str) -> None:
        if self._cell:
            self.rows[-1][-1] += data


def test_the_page_needs_nothing_else_and_escapes_what_it_shows(tmp_path: Path) -> None:
    run(tmp_path, "full")
    run(tmp_path, "few", limit=3)
    page = board_html(board(tmp_path))
    looked = Looked(page)
    assert not [tag for tag, _ in looked.tags if tag in ("script", "link", "img", "iframe")]
    assert all(
        not value or value.startswith("#") for _, a in looked.tags for k, value in a.items() if k in ("src", "href")
    )
    assert "<script>alert" not in page
    assert any(row[0] == "<script>alert(1)</script> †" for row in looked.rows if row)
    assert any("not the pinned protocol: limit 3 (pinned: none)" in row[-1] for row in looked.rows if row)
    assert "a &lt;small&gt; set" in page
    assert "under a protocol of its own, not this one" in page
    ids = {a.get("id") for _, a in looked.tags}
    assert {"board", "apart", "guesses", "published", "measures"} <= ids


def test_the_markdown_is_tables(tmp_path: Path) -> None:
    run(tmp_path, "full")
    text = board_markdown(board(tmp_path))
    lines = [line for line in text.splitlines() if line.startswith("|")]
    widths = {
        len(re.findall(r"(?<!\\)\|", line)) for line in lines if "echo" in line or line.startswith("| model | graph")
    }
    assert len(widths) == 1
    assert any("A \\| B 2020" in line and "†" in line for line in lines)
    assert "Words | said again." in text


def test_a_protocol_of_many_published_rows_is_told_once(tmp_path: Path) -> None:
    long, other = "four examples, greedy, an extractor that reads the last number", "by hand"
    rows = [
        Published(model=f"M{i}", score=i / 10, protocol=p, source="A 2020") for i, p in enumerate((long, other, long))
    ]
    pinned = Eval(task="words", graph="echo", name="words", published=rows)
    run(tmp_path, "full", pinned=pinned)
    found = board(tmp_path, pinned)
    text = board_markdown(found)
    assert text.count(long) == text.count(other) == 1
    (first, second) = [re.findall(rf"\| M{i} † .*?(\[\d\])", text)[0] for i in (2, 1)]
    assert first == "[1]" and second == "[2]" and text.count("| [1] |") == 2
    assert f"- \\[1] {long}" in text
    page = board_html(found)
    assert page.count(long) == 1 and f"[1] {long}" in page


def test_the_command_writes_both_forms(cli: Cli, new_workspace: Path) -> None:
    assert cli("eval", "sums_by_carry", "-q", "--name", "one")[0] == 0
    assert cli("eval", "solve", "-q", "--name", "plain")[0] == 0
    code, out, _ = cli("leaderboard", "sums_by_carry", "--out", "b.html", "--out", "pages/b.md")
    assert code == 0
    assert out.split() == ["b.html", "pages/b.md"]
    assert (new_workspace / "pages" / "b.md").read_text() == cli("leaderboard", "sums_by_carry")[1]
    found = json.loads(cli("leaderboard", "sums_by_carry", "--json")[1])
    assert [row["run"] for row in found["rows"]] == ["one"]
    assert found["rows"][0]["summary"]["n"] == 18
    code, _, err = cli("leaderboard", "sums_by_carry", "one", "plain")
    assert code == 0 and "plain is no run of eval sums_by_carry" in err
    assert cli("leaderboard", "sums_by_carry", "--out", "b.txt")[0] == 2
    code, _, err = cli("leaderboard", "nothing")
    assert code == 2 and "no run of eval 'nothing'" in err
