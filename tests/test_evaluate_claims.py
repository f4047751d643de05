"""What is said at the end: the right verdict, the evidence beside it, and no claim from noise."""

from __future__ import annotations

import math
import random
import sqlite3
import threading
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as ss

from agentopt.core.values import Feedback, Outcome
from agentopt.errors import StoreError, UsageError
from agentopt.evaluate import (
    Claim,
    SplitLedger,
    Task,
    aa_summary,
    claim,
    compare,
    exact,
    not_worse,
    summarize,
)
from agentopt.evaluate.noninferiority import margin_test


def outcome(candidate: str, example: int | str, score: float | None, status: str = "ok", repeat: int = 0) -> Outcome:
    return Outcome(
        candidate=candidate,
        example=str(example),
        repeat=repeat,
        status=status,  # type: ignore[arg-type]
        feedback=None if score is None else Feedback(score=score),
        output=score,
    )


def scores(values: list[float]) -> dict[str, float]:
    return {f"e{i:03}": float(v) for i, v in enumerate(values)}


def test_a_clear_improvement_is_told_with_everything() -> None:
    base = scores([1] * 52 + [0] * 48)
    cand = scores([1] * 46 + [0] * 6 + [1] * 25 + [0] * 23)
    made = claim(base, cand)
    assert made.sentence == (
        "better: 0.71 against 0.52 on 100 examples, difference +0.19 [+0.08, +0.29], McNemar p = 0.0009"
    )
    assert made.p == pytest.approx(ss.binomtest(25, 31).pvalue)
    assert (made.gained, made.lost, made.discordant, made.improvable) == (25, 6, 31, 48)
    assert made.shown


def test_the_verdicts() -> None:
    half = [0.0, 1.0] * 20
    assert claim(scores(half), scores([1.0] * 40)).verdict == "better"
    assert claim(scores([1.0] * 40), scores(half)).verdict == "worse"
    assert claim(scores(half), scores(half)).verdict == "no improvement shown"
    assert claim(scores(half), scores(half[::-1])).verdict == "no improvement shown"
    assert claim(scores([0.0] * 5), scores([1.0] * 5)).verdict == "cannot be shown at this n"
    assert claim(scores([0.0] * 6), scores([1.0] * 6)).verdict == "better"
    ceiling = claim(scores([1.0] * 97 + [0.0] * 3), scores([1.0] * 100))
    assert ceiling.verdict == "cannot be shown at this n"
    assert "only 3 of 100 could be improved on, and at least 6 are needed" in ceiling.sentence
    none = claim({"a": 1.0}, {"b": 1.0})
    assert (none.n, none.n_excluded, none.verdict) == (0, 2, "cannot be shown at this n")
    assert none.sentence == (
        "cannot be shown at this n: no example was scored for both; 2 examples left out (infrastructure errors)"
    )


def test_graded_scores_use_the_permutation_test() -> None:
    rng = random.Random(1)
    base = [rng.choice([0, 0.25, 0.5]) for _ in range(40)]
    made = claim(scores(base), scores([min(1.0, b + rng.choice([0, 0.25, 0.5])) for b in base]))
    assert made.verdict == "better"
    assert (made.test, made.interval) == ("paired permutation", "bootstrap")
    assert made.low is not None and made.low > 0


def test_a_used_split_and_left_out_examples_are_told() -> None:
    made = claim(scores([0.0] * 10), scores([1.0] * 10), n_excluded=1, touches=2)
    assert made.sentence.endswith(
        "; 1 example left out (infrastructure errors); not a fresh test: these examples had been used 2 times before"
    )


def test_a_claim_survives_its_json() -> None:
    made = claim(scores([0.0, 0.5] * 10), scores([1.0] * 20))
    assert Claim.model_validate_json(made.model_dump_json()) == made


def test_other_ranges_scale() -> None:
    a, b = [0.0, 1.0] * 15, [1.0] * 28 + [0.0] * 2
    one = claim(scores(a), scores(b))
    ten = claim(scores([10 * v for v in a]), scores([10 * v for v in b]), score_range=(0.0, 10.0))
    assert (ten.verdict, ten.p, ten.test) == (one.verdict, one.p, "McNemar")
    assert one.low is not None
    assert ten.low == pytest.approx(10 * one.low)
    with pytest.raises(UsageError, match="outside the range"):
        claim(scores([5.0]), scores([0.0]))
    with pytest.raises(UsageError, match="alpha"):
        claim(scores([0.0]), scores([0.0]), alpha=1.5)


@given(st.lists(st.tuples(st.sampled_from([0, 0.5, 1]), st.sampled_from([0, 0.5, 1])), min_size=1, max_size=25))
@settings(max_examples=60, deadline=None)
def test_swapping_the_sides_mirrors_the_claim(pairs: list[tuple[float, float]]) -> None:
    a, b = scores([p[0] for p in pairs]), scores([p[1] for p in pairs])
    there, back = claim(a, b), claim(b, a)
    assert there.p == pytest.approx(back.p)
    assert there.difference == pytest.approx(-(back.difference or 0.0))
    assert (there.verdict == "better") == (back.verdict == "worse")
    if there.verdict == "better":
        assert there.low is not None and there.low > 0
        assert there.p is not None and there.p <= 0.05
        assert there.gained >= 6


def test_null_candidates_are_rarely_called_better() -> None:
    rng = np.random.default_rng(11)
    false = {"binary": 0, "graded": 0}
    runs = 400
    for _ in range(runs):
        ease = rng.random(40)
        binary = [(rng.random(40) < ease).astype(float) for _ in range(2)]
        false["binary"] += claim(scores(list(binary[0])), scores(list(binary[1]))).verdict == "better"
    for _ in range(150):
        ease = rng.random(25)
        graded = [rng.binomial(3, ease) / 3 for _ in range(2)]
        false["graded"] += claim(scores(list(graded[0])), scores(list(graded[1]))).verdict == "better"
    assert false["binary"] <= ss.binom.isf(0.01, runs, 0.025)
    assert false["graded"] <= ss.binom.isf(0.01, 150, 0.025)


def test_real_improvements_are_found() -> None:
    rng = np.random.default_rng(12)
    found = sum(
        claim(scores(list((rng.random(100) < 0.5) * 1.0)), scores(list((rng.random(100) < 0.8) * 1.0))).shown
        for _ in range(50)
    )
    assert found >= 45


def test_comparing_recorded_outcomes() -> None:
    cells = []
    for i in range(30):
        cells += [outcome("a", i, 0.0), outcome("b", i, 1.0)]
    cells += [outcome("a", "x", None, "infra_error"), outcome("b", "x", 1.0)]
    cells += [outcome("a", "y", None, "infra_error"), outcome("b", "y", None, "infra_error")]
    cells += [outcome("c", "z", 1.0)]
    made = compare(cells, "a", "b")
    assert (made.verdict, made.n, made.n_excluded, made.mean_b) == ("better", 30, 2, 1.0)


def test_summaries_average_repeats_and_count_failures_as_lowest() -> None:
    cells = [
        outcome("c", 1, 1.0),
        outcome("c", 1, 0.0, repeat=1),
        outcome("c", 2, None, "agent_error"),
        outcome("c", 3, None, "timeout"),
        outcome("c", 4, None, "infra_error"),
        outcome("c", 5, None, "infra_error"),
        outcome("c", 5, 1.0),  # the retry
        outcome("c", 6, None),
    ]
    made = summarize(cells)
    assert made.mean == pytest.approx((0.5 + 0 + 0 + 1) / 4)
    assert (made.n, made.n_agent_error, made.n_timeout, made.n_infra, made.n_unscored) == (4, 1, 1, 1, 1)
    assert made.n_excluded == 2
    assert made.low is not None and made.high is not None and made.low < made.mean < made.high
    assert summarize([outcome("c", 1, None, "timeout")], (-5.0, 5.0)).mean == -5.0
    empty = summarize([outcome("c", 1, None, "infra_error")])
    assert (empty.mean, empty.low, empty.n) == (None, None, 0)
    assert "no score" in empty.sentence
    assert "1 failed, 1 timed out, 1 lost to infrastructure errors, 1 unscored" in made.sentence
    with pytest.raises(UsageError, match="2 candidates"):
        summarize([outcome("a", 1, 1.0), outcome("b", 1, 1.0)])


def test_a_failed_agent_with_a_score_still_counts_as_lowest() -> None:
    assert summarize([outcome("c", 1, 1.0, "agent_error")]).mean == 0.0


def test_a_a() -> None:
    same = [(outcome("c", i, 1.0), outcome("c", i, 1.0)) for i in range(10)]
    made = aa_summary(same)
    assert made.degenerate
    assert "greedy" in made.sentence
    noisy = [(outcome("c", i, float(i % 2)), outcome("c", i, float(i % 3 == 0))) for i in range(20)]
    made = aa_summary([*noisy, (outcome("c", 99, None, "infra_error"), outcome("c", 99, 1.0))])
    assert not made.degenerate
    assert (made.n, made.n_excluded) == (20, 1)
    differences = [b.score - a.score for a, b in noisy if a.score is not None and b.score is not None]
    assert made.sd == pytest.approx(np.std(differences, ddof=1))
    assert made.changed_scores == sum(d != 0 for d in differences)
    assert "scores changed" in made.sentence
    assert "not known" in aa_summary([]).sentence


def test_the_ledger_tells_earlier_uses(tmp_path: Path) -> None:
    ledger = SplitLedger(tmp_path / "deep" / "splits.sqlite")
    task = Task("t", [(i, i) for i in range(40)], exact())
    a, b = task.splits(seed=0), task.splits(seed=1)
    assert ledger.touch(a.hash("test"), "run1", "claim", examples=[e.content for e in a.test]) == []
    assert ledger.touch(a.hash("test"), "run1", "claim") == []  # resumed
    (again,) = ledger.touch(a.hash("test"), "run2", "claim")
    assert (again.run, again.what, again.shared) == ("run1", "claim", None)
    other = SplitLedger(ledger.path).touch(b.hash("search"), "run3", "search", examples=[e.content for e in b.search])
    shared = len({e.content for e in a.test} & {e.content for e in b.search})
    assert shared > 0
    assert {t.run for t in other} == {"run1", "run2"}
    assert {t.shared for t in other} == {shared}
    assert [t.run for t in ledger.touches(a.hash("test"))] == ["run1", "run2", "run3"]
    assert ledger.touch("unrelated", "run4", "claim", examples=["other"]) == []


def test_the_ledger_serves_many_runs_at_once(tmp_path: Path) -> None:
    seen: list[int] = []

    def use(i: int) -> None:
        seen.append(len(SplitLedger(tmp_path / "s.sqlite").touch("split", f"run{i}", "claim")))

    threads = [threading.Thread(target=use, args=(i,)) for i in range(12)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert sorted(seen) == list(range(12))


def test_a_damaged_ledger_is_told(tmp_path: Path) -> None:
    file = tmp_path / "s.sqlite"
    file.write_bytes(b"not a database" * 100)
    with pytest.raises(StoreError, match=r"s\.sqlite cannot be used"):
        SplitLedger(file).touch("x", "r", "claim")
    (tmp_path / "plain").write_text("")
    with pytest.raises(StoreError):
        SplitLedger(tmp_path / "plain" / "s.sqlite").touches("x")
    db = sqlite3.connect(tmp_path / "ok.sqlite")
    db.close()
    assert SplitLedger(tmp_path / "ok.sqlite").touches("x") == []


def test_cheaper_and_not_worse() -> None:
    base, same = scores([1.0] * 160 + [0.0] * 40), scores([1.0] * 160 + [0.0] * 40)
    dear = {k: 900.0 + i for i, k in enumerate(base)}
    cheap = {k: 400.0 + i for i, k in enumerate(base)}
    made = not_worse(base, same, dear, cheap, margin=0.05)
    assert made.verdict == "cheaper and not worse"
    assert "tokens against" in made.sentence
    assert "margin -0.05" in made.sentence
    assert not_worse(base, same, cheap, dear, margin=0.05).verdict == "not shown"
    lossy = scores([1.0] * 140 + [0.0] * 60)
    assert not_worse(base, lossy, dear, cheap, margin=0.05).not_worse is False
    few = {k: base[k] for k in list(base)[:20]}
    assert not_worse(few, few, dear, cheap, margin=0.02).verdict == "cannot be shown at this n"
    with pytest.raises(UsageError, match="no tokens"):
        not_worse(base, same, dear, {}, margin=0.05)
    with pytest.raises(UsageError, match="margin"):
        not_worse(base, same, dear, cheap, margin=0.0)


@pytest.mark.parametrize(("n", "margin"), [(20, 0.1), (20, 0.3)])
def test_a_candidate_at_the_margin_passes_within_the_level(n: int, margin: float) -> None:
    cells = [(g, k) for g in range(n + 1) for k in range(n + 1 - g)]
    passing = [(g, k) for g, k in cells if margin_test(g, k, n, margin) <= 0.1]
    assert passing
    for gain in (0.0, 0.04, 0.1, 0.3):
        shares = (gain, gain + margin, 1 - 2 * gain - margin)
        passed = sum(ss.multinomial.pmf((g, k, n - g - k), n, shares) for g, k in passing)
        assert passed <= 0.1 + 1e-3


def test_the_margin_test_by_hand_and_in_the_limit() -> None:
    assert margin_test(0, 0, 200, 0.011) == pytest.approx(0.989**200, rel=1e-6)  # no loss at all, no gain possible
    assert margin_test(16, 20, 600, 0.02) == pytest.approx(
        ss.norm.sf((-4 + 12) / math.sqrt(600 * (0.06 - 0.0004))), abs=0.02
    )
    assert margin_test(0, 50, 100, 1.0) == 0.0
    assert not_worse(scores([1.0] * 200), scores([1.0] * 200), scores([2.0] * 200), scores([1.0] * 200),
                     margin=0.011).verdict == "cannot be shown at this n"  # fmt: skip
