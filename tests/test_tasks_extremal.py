"""The tasks of extremal problems: files in whatever form, the hub, and what is refused as another file."""

from __future__ import annotations

import csv
import json
import threading
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from agentopt import Task, load_task
from agentopt.errors import MissingData, MissingDependency, UsageError
from agentopt.evaluate.data import data_cache, without_download
from agentopt.evaluate.data_fetch import CannotFetch
from agentopt.evaluate.extremal.hub import HubFile, download
from agentopt.evaluate.extremal.problems import commonest_answer, read_problems
from agentopt.evaluate.protect import evaluator_hash
from agentopt.testing import StubServer
from agentopt.workspace.resolve import find


def rows(n: int = 93, minima: int = 62, statement: str = "problem", answer: str = "answer") -> list[dict[str, Any]]:
    asked = ["minimum"] * minima + ["maximum"] * (n - minima)
    return [{statement: f"Find the {goal} of $x + {i}$.", answer: str(i % 40)} for i, goal in enumerate(asked)]


def lines(content: list[dict[str, Any]]) -> str:
    return "".join(json.dumps(row) + "\n" for row in content)


@pytest.fixture(autouse=True)
def nowhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a data folder, nor a cache, nor a hub."""
    monkeypatch.setenv("AGENTOPT_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.delenv("HF_TOKEN", raising=False)
    (tmp_path / "data" / "extrembench").mkdir(parents=True)


def put(tmp_path: Path, name: str, text: str) -> Path:
    path = tmp_path / "data" / "extrembench" / name
    path.write_text(text, "utf-8")
    return path


@pytest.mark.parametrize(
    ("statement", "answer"), [("problem", "answer"), ("question", "solution"), ("Problem", "Answer")]
)
def test_names_of_fields_may_be_either(tmp_path: Path, statement: str, answer: str) -> None:
    put(tmp_path, "test.jsonl", lines(rows(statement=statement, answer=answer)))
    task = load_task("extrembench")
    assert len(task.examples) == 93 and task.examples[3].target == "3"
    assert [e.group for e in task.examples].count("min") == 62
    assert not any("differs" in note for note in task.notes)
    assert any("compared with nothing" in note for note in task.notes)
    assert any(note.startswith("answering") for note in task.notes)


def test_a_file_may_be_json_or_csv_and_a_number_may_be_one(tmp_path: Path) -> None:
    content = [{**row, "answer": int(row["answer"])} for row in rows()]
    as_list, within, table = (tmp_path / name for name in ("a.json", "b.json", "c.csv"))
    as_list.write_text(json.dumps(content))
    within.write_text(json.dumps({"version": 1, "data": content}))
    with open(table, "w", newline="") as file:
        writer = csv.DictWriter(file, ["problem", "answer"])
        writer.writeheader()
        writer.writerows(content)
    found = [read_problems(path) for path in (as_list, within, table)]
    assert [[(p.statement, p.answer) for p in problems] for problems in found[1:]] == [
        [(p.statement, p.answer) for p in found[0]]
    ] * 2
    assert len(load_task("extrembench", file=str(table)).examples) == 93


def test_parquet_is_read_where_pyarrow_is(tmp_path: Path) -> None:
    path = tmp_path / "x.parquet"
    try:
        import pyarrow  # type: ignore[import-not-found, unused-ignore]
        import pyarrow.parquet as parquet  # type: ignore[import-not-found, unused-ignore]
    except ImportError:
        path.write_bytes(b"PAR1")
        with pytest.raises(MissingDependency, match="pip install pyarrow"):
            read_problems(path)
        return
    parquet.write_table(pyarrow.Table.from_pylist(rows()), path)
    assert len(read_problems(path)) == 93


def test_a_difference_from_the_paper_is_told(tmp_path: Path) -> None:
    put(tmp_path, "test.jsonl", lines(rows(92, 60)))
    assert any("it has 92 rows, 60 of minima and 32 of maxima" in note for note in load_task("extrembench").notes)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        (lines(rows(40, 20)), "is not ExtremBench: it has 40 rows"),
        (lines([{**row, "problem": "Compute x."} for row in rows()]), "0 of minima"),
        (lines([{**row, "id": f"standin-{i}"} for i, row in enumerate(rows())]), "is not ExtremBench: use the task"),
        (lines([{"text": "x", "label": 1}]), "row 0 has no problem or question; its fields are label, text"),
        (lines(rows()[:1]) + '{"problem": "Find the mini', "line 2: not JSON"),
        (lines([{"problem": "Find the minimum", "answer": None}]), "row 0 has no answer"),
        ('{"problem": "Find the minimum", "answer": NaN}\n', "row 0: answer is nan"),
        ("[1]\n", "row 0 is list"),
        ("", "has no rows"),
    ],
)
def test_a_file_that_is_clearly_another_is_refused(tmp_path: Path, content: str, why: str) -> None:
    put(tmp_path, "test.jsonl", content)
    with pytest.raises(UsageError, match=why):
        load_task("extrembench")


def test_several_files_that_could_be_meant_are_named(tmp_path: Path) -> None:
    put(tmp_path, "a.jsonl", lines(rows()))
    put(tmp_path, "b.jsonl", lines(rows()))
    with pytest.raises(UsageError, match=r"which file is it: .*a\.jsonl, .*b\.jsonl"):
        load_task("extrembench")
    assert len(load_task("extrembench", file=str(tmp_path / "data/extrembench/b.jsonl")).examples) == 93


def test_the_stand_in_is_never_taken_for_extrembench(tmp_path: Path) -> None:
    put(tmp_path, "extremal_standin.jsonl", lines(rows()))
    put(tmp_path, "extrembench_recovered.jsonl", lines(rows()))
    with pytest.raises(MissingData, match="ExtremBench is not on this machine"):
        load_task("extrembench")
    task = load_task("extremal-standin")
    assert isinstance(task, Task) and task.name == "extremal_standin"
    assert any("not ExtremBench" in note for note in task.notes)


def test_without_files_it_is_said_where_they_belong() -> None:
    with pytest.raises(MissingData, match="name that folder with AGENTOPT_DATA"):
        load_task("extremal_standin")
    with pytest.raises(MissingData, match="using the task fetches it"), without_download():
        load_task("extrembench")


def test_a_name_with_a_dash_is_the_one_with_an_underscore() -> None:
    assert find("task", "extremal-standin") == find("task", "extremal_standin")
    assert find("eval", "extremal-standin-tools").name == "extremal_standin_tools"


def test_forms_of_one_number_are_one_answer_of_the_guess() -> None:
    assert commonest_answer(["2", r"\frac{1}{2}", "0.5", "2", r"\frac{2}{4}", "x"]) == (r"\frac{1}{2}", 3)


def test_the_tolerance_is_part_of_the_scorer(tmp_path: Path) -> None:
    put(tmp_path, "test.jsonl", lines(rows()))
    strict, loose = load_task("extrembench"), load_task("extrembench", tolerance="0.01")
    assert evaluator_hash(strict.scorer) != evaluator_hash(loose.scorer)


class Hub:
    """A hub on loopback with one data set, which may want a token, and may send those who want a file elsewhere."""

    def __init__(
        self, files: dict[str, bytes], sizes: dict[str, int] | None = None, token: str = "", elsewhere: str = ""
    ) -> None:
        self.asked: list[str] = []
        self.authorized: list[str | None] = []
        listed = [{"rfilename": n, "size": (sizes or {}).get(n, len(c))} for n, c in files.items()]
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.asked.append(self.path)
                hub.authorized.append(self.headers.get("Authorization"))
                if token and self.headers.get("Authorization") != f"Bearer {token}":
                    self.send_error(403 if self.headers.get("Authorization") else 401)
                    return
                if elsewhere and "/resolve/" in self.path and not self.path.startswith("/cache"):
                    self.send_response(302)
                    self.send_header("Location", elsewhere + self.path)
                    self.send_header("Content-Length", "0")
                    self.end_headers()
                    return
                if self.path.startswith("/api/datasets/binxingao/extrem-bench"):
                    content = json.dumps({"sha": "c0ffee", "siblings": listed}).encode()
                else:
                    content = files.get(self.path.partition("/resolve/c0ffee/")[2], b"")
                self.send_response(200 if content else 404)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content)

            def log_message(self, format: str, *args: Any) -> None: ...

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    made: list[Hub] = []

    def serve(*args: Any) -> Hub:
        made.append(Hub(*args))
        monkeypatch.setenv("HF_ENDPOINT", made[-1].url)
        return made[-1]

    yield serve
    for one in made:
        one.close()


def test_it_is_fetched_from_the_hub_once(hub: Any, tmp_path: Path) -> None:
    served = hub({"README.md": b"x", "dataset_infos.json": b"{}", "data/test.jsonl": lines(rows()).encode()})
    assert len(load_task("extrembench").examples) == 93
    assert (tmp_path / "cache" / "agentopt" / "data" / "extrembench" / "test.jsonl").is_file()
    asked = len(served.asked)
    assert len(load_task("extrembench").examples) == 93 and len(served.asked) == asked


@pytest.mark.parametrize(
    ("files", "sizes", "why"),
    [
        ({"README.md": b"x"}, {}, "has no file that ends with"),
        ({"test.jsonl": lines(rows(5, 3)).encode()}, {}, "is not ExtremBench"),
        ({"test.jsonl": lines(rows()).encode()}, {"test.jsonl": 10}, "the hub says 10"),
        ({"test.jsonl": b""}, {}, "404"),
    ],
)
def test_what_the_hub_has_may_be_of_no_use(hub: Any, tmp_path: Path, files: Any, sizes: Any, why: str) -> None:
    hub(files, sizes)
    with pytest.raises(UsageError, match=why):
        load_task("extrembench")
    assert not list((tmp_path / "cache").rglob("*.jsonl"))


GATED = {"data/test.jsonl": lines(rows()).encode()}


def test_the_token_is_sent_for_the_listing_and_for_the_file(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret\n")  # as a file has it
    served = hub(GATED, None, "hf_secret")
    assert len(load_task("extrembench").examples) == 93
    assert served.authorized == ["Bearer hf_secret"] * 2


def test_the_token_goes_on_within_its_host_and_to_no_other(hub: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    within = hub(GATED, None, "hf_secret", "/cache")
    assert len(load_task("extrembench").examples) == 93
    assert len(within.asked) == 3 and set(within.authorized) == {"Bearer hf_secret"}


@pytest.mark.parametrize("name", ["127.0.0.1", "localhost"])
def test_another_host_does_not_see_the_token(hub: Any, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret")
    store = hub(GATED)  # another port
    served = hub(GATED, None, "hf_secret", store.url.replace("127.0.0.1", name))
    assert len(load_task("extrembench").examples) == 93
    assert set(served.authorized) == {"Bearer hf_secret"} and store.authorized == [None]


@pytest.mark.parametrize(
    ("token", "why"),
    [
        ("", r"answered 401; set HF_TOKEN to a token that has access to the data set binxingao/extrem-bench"),
        ("hf_of_another", r"answered 403; HF_TOKEN was sent: see that it is valid and has access to the data set binx"),
        ("hf_broken\nin_two", "HF_TOKEN is no token: it has a character that a header cannot have"),
    ],
)
def test_a_hub_that_refuses_is_told_with_what_to_do_and_without_the_token(
    hub: Any, monkeypatch: pytest.MonkeyPatch, token: str, why: str
) -> None:
    monkeypatch.setenv("HF_TOKEN", token)
    hub(GATED, None, "hf_secret")
    with pytest.raises(MissingData, match=why) as told:
        load_task("extrembench")
    listed = HubFile("binxingao/extrem-bench", "c0ffee", "data/test.jsonl")
    with pytest.raises(CannotFetch, match=why) as file:
        download(listed, data_cache() / "x.jsonl", lambda path: None)
    for error in (told.value, file.value):
        text = "".join(traceback.format_exception(error))
        assert not [secret for secret in token.split("\n") if secret and secret in text]


@pytest.mark.timeout(300)
def test_the_eval_measures_with_guess_and_published_rows_beside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cli: Any
) -> None:
    pytest.importorskip("math_verify")
    asked = [
        ("Let $x > 0$. Find the minimum value of $x + 1/x$.", "2"),
        ("Find the maximum value of $1 - x^2$.", "1"),
        ("Find the maximum value of $2 - x^2$.", "2"),
        (r"Find the minimum value of $x^2 + \sqrt{2}$.", r"\sqrt{2}"),
    ]
    put(tmp_path, "extremal_standin.jsonl", lines([{"problem": p, "answer": a} for p, a in asked]))
    with StubServer(
        lambda request: r"It is \boxed{2}." if "1/x" in str(request) else r"So \boxed{\frac{4}{4}}."
    ) as server:
        code, out, err = cli(
            "eval", "extremal-standin", "--model", server.model, "--runs-dir", str(tmp_path / "runs"), "--quiet"
        )  # fmt: skip
    assert code == 0, err
    assert "mean 0.5" in out or "0.500" in out
    told = " ".join(out.split())
    assert "always the commonest target" in told and "not ExtremBench" in told and "ended" in told
    assert "minima" in told and "maxima" in told
