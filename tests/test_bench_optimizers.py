"""The comparison of optimizers counts, pairs and stops as it says: with a scripted model, and peers where they are."""

from __future__ import annotations

import argparse
import asyncio
import contextvars
import hashlib
import json
import re
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agentopt.core import open_run
from agentopt.llm.types import Request
from agentopt.testing import ScriptedLLM

sys.path.insert(0, str(Path(__file__).parent / "benchmarks"))
import optimizers as bench  # type: ignore[import-not-found]
import optimizers_ours as ours  # type: ignore[import-not-found]
import optimizers_peers as peers  # type: ignore[import-not-found]
import optimizers_protocol as protocol  # type: ignore[import-not-found]
import optimizers_table as table  # type: ignore[import-not-found]
from optimizers_counting import Clients, Counts  # type: ignore[import-not-found]
from optimizers_referee import Numbers, OutOfEvaluations, Referee, judge_texts  # type: ignore[import-not-found]

SIZES = protocol.Sizes(0, 8, 6, 60, 20, 512, 60.0, 2, 3, seeds=(0,))
MODELS = (protocol.SMALL, protocol.LARGE)
WORKING = {e.input: e.meta["working"] for e in protocol.TEXT_TASKS["bills"].load().examples}


class Script:
    """Right on every third bill, and on all where the request says "step"; as optimizer it says so in any form."""

    def __init__(self) -> None:
        self.asked: list[Request] = []
        self.llm = ScriptedLLM(self.says)
        self.clients = Clients({protocol.SMALL: self.llm, protocol.LARGE: self.llm})

    def says(self, request: Request) -> Any:
        self.asked.append(request)
        last = str(request.messages[-1].content)
        problem = last.rpartition("\n\n")[2]
        if request.role == "agent":
            lucky = int(hashlib.sha256(problem.encode()).hexdigest(), 16) % 3 == 0
            return WORKING[problem] if lucky or "step" in last else "0 - 1"
        number = len(self.asked)
        if request.json_schema and request.json_schema != {"type": "object"}:
            return self.filled(request.json_schema, number)
        if "#Variables" in last:
            names = re.findall(r"^\((?:int|str)\) (\w+)=", last.partition("#Variables")[2], re.M)
            told = {n: f"Go step by step {number}." if n.startswith("instr") else number % 20 for n in names}
            return json.dumps({"reasoning": "none", "suggestion": told})
        if "proposed_instruction" in str(request.messages):
            return f"[[ ## proposed_instruction ## ]]\nWork step by step {number}.\n\n[[ ## completed ## ]]"
        return f"```\nWrite it step by step {number}\n```"

    def filled(self, schema: Any, number: int) -> Any:
        if "properties" in schema:
            return {k: self.filled(v, number) for k, v in schema["properties"].items()}
        if schema.get("type") in ("number", "integer"):
            return number % 20
        return f"Think step by step, variant {'abcdefghijklmnop'[number % 16]}, and write one expression."


@pytest.fixture
def script() -> Script:
    return Script()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


STANDIN = Path(__file__).parent / "data" / "standin"


@pytest.fixture
def trace_standin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Trace's script with a stand-in for its package: gateway, referee, process and loop are the real ones."""
    monkeypatch.setenv("PYTHONPATH", str(STANDIN))
    monkeypatch.setattr(peers, "environment", lambda peer: Path(sys.executable))
    monkeypatch.setattr(peers, "python_of", lambda peer: Path(sys.executable))


def told_optimizer(script: Script) -> list[str]:
    return [str(r.messages) for r in script.asked if r.role == "optimizer"]


def needs(peer: str) -> pytest.MarkDecorator:
    return pytest.mark.skipif(
        not peers.is_ready(peer), reason=f"the environment of {peer} is not made: python tests/benchmarks/optimizers.py"
    )


# -- cells ---------------------------------------------------------------------------------------------------------


def test_the_splits_are_apart_and_the_test_is_the_same_for_all_seeds() -> None:
    tests = set()
    for seed in range(3):
        cut = protocol.data("bills", seed, protocol.Sizes())
        parts = [{e.id for e in part} for part in (cut.search, cut.validation, cut.test)]
        assert [len(p) for p in parts] == [20, 12, 150]
        assert not parts[0] & parts[1] and not (parts[0] | parts[1]) & parts[2]
        assert {e.id for e in cut.task.splits().search} == parts[0]
        assert {e.id for e in cut.whole.splits().test} == parts[2]
        tests.add(frozenset(parts[2]))
    assert len(tests) == 1


async def test_the_start_is_tested_on_every_test_example_and_costs_no_search(script: Script) -> None:
    line = await bench.run(protocol.Cell("bills", "start", 0), SIZES, script.clients, [])
    cut = protocol.data("bills", 0, SIZES)
    lucky = [int(hashlib.sha256(e.input.encode()).hexdigest(), 16) % 3 == 0 for e in cut.test]
    assert line["outcomes"] == {e.id: float(ok) for e, ok in zip(cut.test, lucky, strict=True)}
    assert line["spend"]["agent"]["calls"] == 0 and line["test_spend"]["calls"] == 150 == script.llm.calls


@pytest.mark.parametrize("name", ["random", "paraphrase", "optoprime", "opro"])
async def test_ours_keeps_to_its_calls_and_is_tested_outside_of_them(name: str, script: Script) -> None:
    if not protocol.method(name).there:
        pytest.skip(f"{name} is not there yet")
    line = await bench.run(protocol.Cell("bills", name, 0), SIZES, script.clients, [])
    assert "step" in line["values"]["instruction"] and set(line["outcomes"].values()) == {1.0}
    agent, optimizer = line["spend"]["agent"], line["spend"]["optimizer"]
    assert 0 < agent["calls"] <= 60 and 0 < optimizer["calls"] <= 20 and line["test_spend"]["calls"] == 150
    asked = [str(r.messages) for r in script.asked if r.role == "agent"]
    assert agent["calls"] + 150 > len(asked) == len(set(asked))  # a repeated one is counted, and answered from before
    assert optimizer["calls"] == sum(r.role == "optimizer" for r in script.asked)
    tests = {e.input for e in protocol.data("bills", 0, SIZES).test}
    assert not any(problem in str(r.messages) for r in script.asked if r.role == "optimizer" for problem in tests)


async def test_a_search_that_changed_nothing_has_the_outcomes_of_the_start(script: Script) -> None:
    start = await bench.run(protocol.Cell("bills", "start", 0), SIZES, script.clients, [])
    stubborn = protocol.Sizes(0, 8, 6, 60, 0, 512, 60.0, 2, 3, seeds=(0,))  # an optimizer without a call to make
    line = await bench.run(protocol.Cell("bills", "random", 0), stubborn, script.clients, [start])
    assert line["values"] == start["values"] and line["as"] == ["start", 0]
    assert line["outcomes"] == start["outcomes"] and line["test_spend"]["calls"] == 0
    again = await bench.run(protocol.Cell("bills", "start again", 0), SIZES, script.clients, [start])
    assert "as" not in again and again["test_spend"]["calls"] == 150


async def test_no_search_begins_that_would_not_end_in_time(
    script: Script, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = argparse.Namespace(only="task=bills,method=start", out=str(tmp_path), minutes=2.0, full=True)
    options.strict, options.verbose, options.jobs = True, False, 2
    await bench.fill(options, SIZES, script.clients)  # nothing is known yet: 300 seconds are the guess
    assert script.llm.calls == 0 and "waits: 120 s are left" in capsys.readouterr().out
    known = [line("gepa", 0, set(), seconds=50.0), line("start", 0, set(), seconds=3.0)]
    told = [bench.expected(protocol.Cell("bills", name, 1), known) for name in ("gepa", "trace", "start")]
    assert told == [110, 110, 63] and bench.expected(protocol.Cell("mail", "gepa", 0), known) == 300


async def test_what_is_there_is_not_run_again(script: Script, tmp_path: Path) -> None:
    options = argparse.Namespace(
        only="task=bills,method=start,method=random", out=str(tmp_path), minutes=None, full=True
    )
    options.strict, options.verbose, options.jobs = True, False, 2
    await bench.fill(options, SIZES, script.clients)
    calls = script.llm.calls
    assert calls > 150
    (tmp_path / "optimizers.jsonl").open("a").write('{"task": "bills", "meth')  # a kill while a line was written
    await bench.fill(options, SIZES, script.clients)
    assert script.llm.calls == calls
    page = bench.write_table(tmp_path, SIZES)
    assert "0 of " in page and "- mail / gepa / seed 0" in page and "| random | ours | instruction | 1.000" in page


# -- peers ---------------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "who"),
    [("gepa", "gepa"), ("miprov2", "dspy"), ("miprov2 with demos", "dspy"), ("trace", "trace-opt")],
)
@pytest.mark.parametrize("calls", [60, 33])
async def test_a_peer_searches_through_the_gateway_and_ends_with_its_budget(
    name: str, who: str, calls: int, script: Script
) -> None:
    if not peers.is_ready(who):
        pytest.skip(f"the environment of {who} is not made: python tests/benchmarks/optimizers.py makes it")
    sizes = protocol.Sizes(0, 8, 6, calls, 60, 512, 100.0, 2, 3, seeds=(0,))
    line = await bench.run(protocol.Cell("bills", name, 0), sizes, script.clients, [])
    if calls == 60 or name == "gepa":
        assert "step" in line["values"]["instruction"] and set(line["outcomes"].values()) == {1.0}
    if calls == 33 and who == "dspy":
        assert line["ended"].startswith("budget") and line["spend"]["agent"]["calls"] == 33
    agent = line["spend"]["agent"]
    assert 0 < agent["calls"] <= calls and 0 < line["spend"]["optimizer"]["calls"] <= 60
    searched = [r for r in script.asked if r.role == "agent"]
    assert {r.temperature for r in searched} == {0.0} and {r.max_tokens for r in searched} == {48}
    tests = {e.input for e in protocol.data("bills", 0, sizes).test}
    before = searched[:-150]
    assert agent["calls"] >= len(before)  # a repeated call is counted, and answered from before
    assert not any(problem in str(r.messages) for r in before for problem in tests)


@needs("trace-opt")
@pytest.mark.slow
async def test_trace_on_numbers_has_as_many_candidates_as_anybody(script: Script) -> None:
    line = await bench.run(protocol.Cell("numerical", "trace", 0), SIZES, script.clients, [])
    assert sorted(line["outcomes"]) == ["0", "1"] and line["more"]["used"] == [3, 3]
    assert line["spend"]["optimizer"]["calls"] == sum(r.role == "optimizer" for r in script.asked) >= 6


async def test_random_on_numbers_asks_nobody_and_runs_beside_another_search(script: Script) -> None:
    async def beside() -> Any:
        return await bench.run(protocol.Cell("numerical", "random", 0), SIZES, script.clients, [])

    with open_run():  # the run of another cell: the calculations are no part of it
        line = await asyncio.get_running_loop().create_task(beside(), context=contextvars.Context())
    assert line["more"]["used"] == [3, 3] and script.llm.calls == 0 and min(line["outcomes"].values()) > 0


def test_what_a_peer_wrote_down_last_is_its_result(tmp_path: Path) -> None:
    path = tmp_path / "progress.jsonl"
    told = [{"values": {"instruction": "a"}, "score": 0.2}, {"values": {"instruction": "b"}, "score": 0.4}]
    path.write_text("".join(json.dumps(line) + "\n" for line in told))
    cut = peers.read_progress(path, None, "")
    assert (cut.values, cut.score, cut.ended) == ({"instruction": "b"}, 0.4, "ended by the clock")
    with pytest.raises(RuntimeError, match="no word\nTraceback"):
        peers.read_progress(path, 1, "Traceback")
    path.open("a").write(json.dumps({"ended": "failed: KeyError", "failed": True}) + "\n")
    with pytest.raises(RuntimeError, match="failed: KeyError"):
        peers.read_progress(path, 1, "")


@pytest.mark.parametrize("name", ["optoprime", "opro", "trace"])
async def test_on_numbers_everybody_is_ended_by_as_many_answers(name: str, trace_standin: None) -> None:
    script = Script()
    script.filled = lambda schema, number: "no number"  # type: ignore[method-assign]
    says = script.says
    script.llm = ScriptedLLM(lambda r: (says(r), json.dumps({"suggestion": {}}))[1])
    clients = Clients({protocol.SMALL: script.llm, protocol.LARGE: script.llm})
    sizes = protocol.Sizes(0, 8, 6, 60, 27, 512, 60.0, 2, 8, seeds=(0,))
    line = await bench.run(protocol.Cell("numerical", name, 0), sizes, clients, [])
    assert line["spend"]["optimizer"]["calls"] == 2 * 27 == len(script.asked)  # 27 for each problem, whoever searches
    assert line["more"]["used"] == ([5, 5] if name == "opro" else [0, 0])  # OPRO begins with five random ones
    assert line["ended"] == "answers used; answers used"
    assert all(" score 0." in told.replace("\\n", " ") for told in told_optimizer(script)) or name == "opro"


async def test_trace_tries_as_many_candidates_as_anybody(script: Script, trace_standin: None) -> None:
    line = await bench.run(protocol.Cell("numerical", "trace", 0), SIZES, script.clients, [])
    assert line["more"]["used"] == [3, 3] and line["ended"] == "candidates used; candidates used"
    assert line["more"]["packages"]["openai"]


async def test_a_step_on_which_traces_package_raises_costs_an_answer_and_no_more(trace_standin: None) -> None:
    script = Script()
    turns = iter(range(1000))

    def says(request: Request) -> str:
        script.asked.append(request)
        turn = next(turns)
        return json.dumps({"suggestion": {"x": "a" if turn % 2 else turn % 20}})

    clients = Clients({protocol.SMALL: ScriptedLLM(says)})
    sizes = protocol.Sizes(0, 8, 6, 60, 20, 512, 60.0, 1, 3, seeds=(0,))
    line = await bench.run(protocol.Cell("numerical", "trace", 0), sizes, clients, [])
    assert line["more"]["used"] == [3] and line["ended"] == "candidates used" and len(script.asked) > 3


async def test_trace_validates_every_text_and_asks_for_none_that_could_not_be(
    script: Script, trace_standin: None
) -> None:
    line = await bench.run(protocol.Cell("bills", "trace", 0), SIZES, script.clients, [])
    assert "step" in line["values"]["instruction"] and line["validation"] == 1.0
    script = Script()
    says = script.says
    llm = ScriptedLLM(lambda r: "0 - 1" if says(r) and r.role == "agent" else says(r))  # nothing is ever right
    line = await bench.run(protocol.Cell("bills", "trace", 0), SIZES, Clients(dict.fromkeys(MODELS, llm)), [])
    agent, optimizer = line["spend"]["agent"]["calls"], line["spend"]["optimizer"]["calls"]
    assert agent == 6 + optimizer * (1 + 6) <= 60 and optimizer == 7  # the start, then each text on all 6
    assert line["more"]["improvements"] == 8 and line["ended"].startswith("5 calls of the agent are left")
    assert "score 0" in told_optimizer(script)[0]


@pytest.mark.parametrize("name", ["optoprime", "opro", "random", "paraphrase", "trace"])
async def test_nobody_is_told_what_a_text_should_say(name: str, script: Script, trace_standin: None) -> None:
    await bench.run(protocol.Cell("bills", name, 0), SIZES, script.clients, [])
    told = told_optimizer(script)
    assert told and not any("form that can be read" in t or "It must obey" in t or "120 words" in t for t in told)
    assert all("what the model is told before each problem" in t for t in told)


# -- the referee ---------------------------------------------------------------------------------------------------


@pytest.fixture
def referee() -> Iterator[Referee]:
    with Referee(judge_texts(protocol.data("bills", 0, SIZES))) as served:
        yield served


def post(referee: Referee, body: Any, key: str = "") -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {key or referee.key}"}
    request = urllib.request.Request(referee.url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        found: dict[str, Any] = json.loads(answer.read())
        return found


def test_the_referee_scores_like_the_agent_and_knows_no_test_example(referee: Referee) -> None:
    cut = protocol.data("bills", 0, SIZES)
    example = cut.search[0]
    assert post(referee, {"example": example.id, "reply": f"Answer: {example.meta['working']}"})["score"] == 1.0
    wrong = post(referee, {"example": example.id, "reply": "1 + 1"})
    assert wrong["score"] == 0.0 and example.meta["working"] in wrong["feedback"]
    assert wrong["feedback"].startswith("score 0; ")
    assert post(referee, {"example": example.id, "reply": "no idea"})["score"] == 0.0
    for body, key, status in (
        ({"example": cut.test[0].id, "reply": "1"}, "", 400),
        ({"example": example.id, "reply": "1"}, "wrong", 401),
    ):
        with pytest.raises(urllib.error.HTTPError) as problem:
            post(referee, body, key)
        assert problem.value.code == status
        problem.value.close()


def test_numbers_are_counted_and_unsound_ones_refused_without_a_candidate() -> None:
    judge = Numbers(SIZES)
    solution = judge.tasks[0].examples[0].meta["solution"]
    assert isinstance(solution, dict)
    start = judge.problems()[0]["start"]
    before = judge.best[0]
    first = judge({"problem": 0, "values": start})
    assert first["left"] == 3 and first["feedback"].startswith(f"score {before:.6g}; The output should be ")
    outside = judge({"problem": 0, "values": dict.fromkeys(solution, 1000)})
    assert outside["left"] == 3 and judge.best[0] == before and judge.used == [0, 0]
    assert "x: 1000 is no whole number from -20 to 20" in outside["feedback"] and "score" not in outside["feedback"]
    assert judge({"problem": 0, "values": solution})["score"] == 1.0 == judge.best[0]
    judge({"problem": 0, "values": dict.fromkeys(solution, 0)})
    judge({"problem": 0, "values": dict.fromkeys(solution, 1)})
    with pytest.raises(OutOfEvaluations):
        judge({"problem": 0, "values": dict.fromkeys(solution, 2)})
    assert judge.best[0] == 1.0 and judge.used == [3, 0]


def test_a_role_has_so_many_calls_and_no_more() -> None:
    counts = Counts({"agent": 2})
    counts.take("agent")
    counts.take("agent")
    with pytest.raises(Exception, match="had its 2 calls"):
        counts.take("agent")
    counts.take("optimizer")
    assert counts.by_role["agent"]["calls"] == 2 and counts.by_role["agent"]["refused"] == 1


# -- the table -----------------------------------------------------------------------------------------------------


def line(method: str, seed: int, right: set[int], n: int = 20, **more: Any) -> dict[str, Any]:
    spent = {"calls": 1, "input_tokens": 1, "output_tokens": 1}
    return {
        "task": "bills", "method": method, "seed": seed, "outcomes": {str(i): float(i in right) for i in range(n)},
        "spend": {"agent": spent, "optimizer": spent}, "seconds": 1.0, "more": {}, "machine": "one",
        "values": {"instruction": method}, "protocol": table.protocol_hash(protocol.Sizes(), "bills", method),
        "code": "one", **more,
    }  # fmt: skip


def test_pairs_average_over_seeds_first_and_holm_is_within_a_family() -> None:
    lines = [line("start", 0, set(range(4)))]
    for seed in range(3):
        lines.append(line("optoprime", seed, set(range(14))))
        lines.append(line("gepa", seed, {0, 1, 2, 3, 4} if seed else {0}))
    found = {(r["a"], r["b"]): r for r in table.comparisons("bills", lines, (0, 1, 2))}
    best = found["optoprime", "start"]
    assert best["n"] == 20 and best["difference"] == pytest.approx(0.5)
    assert best["p"] == pytest.approx(2 / 2**10)  # ten examples differ, all one way
    assert best["p_holm"] == pytest.approx(7 * best["p"]) and best["verdict"] == "ahead"
    peer = found["gepa", "start"]
    assert peer["by_seed"] == pytest.approx([-0.15, 0.05, 0.05]) and peer["verdict"] == "not shown"
    assert peer["difference"] == pytest.approx(-1 / 60)
    across = found["optoprime", "gepa"]
    assert across["family"] == table.FAMILIES[1] and across["verdict"] == "ahead"
    assert across["p_holm"] == pytest.approx(12 * across["p"])  # of all pairs of the family, those to come included


def test_nothing_is_shown_before_all_seeds_are_there() -> None:
    lines = [line("start", 0, set()), line("optoprime", 0, set(range(20))), line("gepa", 1, set())]
    found = {(r["a"], r["b"]): r for r in table.comparisons("bills", lines, (0, 1, 2))}
    assert found["optoprime", "start"]["p"] < 1e-5 and found["optoprime", "start"]["verdict"] == "not shown"
    assert ("optoprime", "gepa") not in found  # no seed that both have


def test_on_numbers_nobody_is_compared_with_the_start() -> None:
    pairs = table.pairs_of("numerical")
    assert ("ours against peers", "optoprime", "trace") in pairs
    assert not any("start" in pair for pair in pairs)
    assert not any(name in pair for pair in pairs for name in ("gepa", "miprov2", "demos"))


def test_lines_of_another_protocol_are_left_out(tmp_path: Path) -> None:
    path = tmp_path / "optimizers.jsonl"
    rows = [line("start", 0, {1}), line("start", 0, {2}), line("gepa", 0, {1}, protocol="other")]
    path.write_text("".join(json.dumps(row) + "\n" for row in rows) + '{"cut')
    kept = table.read_lines(path, protocol.Sizes())
    assert [(k["method"], k["outcomes"]["1"]) for k in kept] == [("start", 1.0)]


def test_a_mend_of_a_method_leaves_its_old_lines_out_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "optimizers.jsonl"
    path.write_text("".join(json.dumps(line(name, 0, {1})) + "\n" for name in ("gepa", "trace")))
    assert len(table.read_lines(path, protocol.Sizes())) == 2
    mended = tuple(replace(m, version=m.version + 1) if m.name == "trace" else m for m in protocol.METHODS)
    monkeypatch.setattr(protocol, "METHODS", mended)
    assert [k["method"] for k in table.read_lines(path, protocol.Sizes())] == ["gepa"]


def test_the_page_names_cells_of_other_code() -> None:
    lines = [line("gepa", 0, {1}), line("gepa", 1, {1}, code="two")]
    page = table.markdown(table.summarise(lines, protocol.Sizes(), "two"))
    assert "- `one`: bills / gepa / seed 0\n" in page and "gepa / seed 1\n" not in page.partition("## Missing")[0]
    assert "other code" not in table.markdown(table.summarise(lines[1:], protocol.Sizes(), "two"))


def test_the_page_says_how_searches_ended() -> None:
    ends = ("finished", "budget: 24 calls", "finished")
    lines = [line("gepa", seed, {1}, ended=ended) for seed, ended in enumerate(ends)]
    page = table.markdown(table.summarise(lines, protocol.Sizes(), "one"))
    assert "How searches ended:\n\n- gepa: finished (2), budget: 24 calls (1)\n" in page


def test_demonstrations_are_of_the_full_table_and_as_many_for_everybody() -> None:
    core, full = protocol.cells(protocol.Sizes()), protocol.cells(protocol.Sizes(), True)
    assert len(core) == 61 and set(core) < set(full)
    names = {m.name for m in protocol.METHODS if m.slot == protocol.BOTH}
    assert not names & {c.method for c in core} and names <= {c.method for c in full}
    ours_may, peer_may = (protocol.method(name).options for name in ("demos", "miprov2 with demos"))
    assert ours_may == {"max_labelled": peer_may["demos"], "max_bootstrapped": peer_may["demos"]}
    found = {(a, b): family for family, a, b in table.pairs_of("mail")}
    assert found["demos", "start"] == found["demos", "miprov2 with demos"] == table.FAMILIES[2]


def test_more_seeds_go_on_with_the_same_protocol() -> None:
    def told(sizes: Any, task: str = "bills", name: str = "gepa") -> str:
        return str(protocol.protocol_hash(sizes, task, name))

    core = protocol.Sizes()
    assert told(core) == told(protocol.Sizes(seeds=tuple(range(9))))
    assert len({told(core), told(protocol.Sizes(agent_calls=400)), told(core, "mail"), told(core, name="opro")}) == 4


def test_the_agent_and_the_peers_make_the_same_turns() -> None:
    from optimizers_peer import turns  # type: ignore[import-not-found]

    demos = [{"input": "p1", "output": "r1"}]
    told = turns("Do {{this}}.", "p2", demos)
    template = str(ours_request("Do {{this}}."))
    assert [t["content"] for t in told] == [template.replace("{{problem}}", "p1"), "r1", "Do { {this} }.\n\np2"]


def ours_request(instruction: str) -> Any:
    from optimizers_agents import request  # type: ignore[import-not-found]

    return request(instruction)


def test_the_start_is_the_agents_own_text() -> None:
    cut = protocol.data("bills", 0, SIZES)
    assert ours.start_values(cut) == {"instruction": protocol.start_text("bills"), "demos": []}
