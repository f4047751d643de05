"""Intervals and tests against SciPy and statsmodels, and their promises by enumeration and simulation."""

from __future__ import annotations

import itertools
import math
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats as ss
from statsmodels.stats.contingency_tables import mcnemar as sm_mcnemar
from statsmodels.stats.multitest import multipletests
from statsmodels.stats.power import TTestPower
from statsmodels.stats.proportion import proportion_confint

from agentopt.errors import UsageError
from agentopt.evaluate import Race, holm, interval, minimum_detectable
from agentopt.evaluate.power import mcnemar_power
from agentopt.evaluate.stats import (
    _bca,
    clopper_pearson,
    difference_interval,
    mcnemar,
    newcombe,
    paired_permutation,
    t_quantile,
    wilson,
)


@given(st.integers(1, 300), st.data())
@settings(max_examples=50, deadline=None)
def test_proportions_agree_with_statsmodels(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    assert wilson(k, n) == pytest.approx(proportion_confint(k, n, method="wilson"), abs=1e-12)
    assert clopper_pearson(k, n) == pytest.approx(proportion_confint(k, n, method="beta"), abs=1e-12)


@given(st.integers(0, 60), st.integers(0, 60))
@settings(max_examples=50, deadline=None)
def test_mcnemar_agrees_with_statsmodels(gained: int, lost: int) -> None:
    if gained + lost:
        assert mcnemar(gained, lost) == pytest.approx(sm_mcnemar([[0, gained], [lost, 0]], exact=True).pvalue)
    assert mcnemar(0, 0) == 1.0


@given(st.lists(st.sampled_from([-12, -6, -3, 0, 3, 4, 6, 8, 12]), min_size=2, max_size=11))
@settings(max_examples=40, deadline=None)
def test_permutation_agrees_with_enumeration_by_scipy(twelfths: list[int]) -> None:
    """The oracle gets whole numbers: in binary thirds, sums that tie do not tie for it."""
    oracle = ss.permutation_test(
        (twelfths,), np.sum, permutation_type="samples", n_resamples=np.inf, vectorized=False
    ).pvalue  # fmt: skip
    assert paired_permutation([t / 12 for t in twelfths]) == pytest.approx(min(1.0, oracle), abs=1e-9)


@given(st.lists(st.floats(-1, 1).filter(lambda x: abs(x) > 1e-3), min_size=1, max_size=10))
@settings(max_examples=40, deadline=None)
def test_permutation_of_any_numbers_is_near_enumeration(differences: list[float]) -> None:
    observed = abs(sum(differences))
    sums = [abs(sum(s * abs(d) for s, d in zip(signs, differences, strict=True)))
            for signs in itertools.product((-1, 1), repeat=len(differences))]  # fmt: skip
    tight = sum(s >= observed + 1e-3 for s in sums) / len(sums)
    loose = sum(s >= observed - 1e-3 for s in sums) / len(sums)
    assert tight - 1e-9 <= paired_permutation(differences) <= loose + 1e-9


def test_permutation_is_mcnemar_for_equal_sizes_and_symmetric() -> None:
    for gained, lost in ((6, 0), (12, 3), (40, 22), (300, 260)):
        differences = [1.0] * gained + [-1.0] * lost + [0.0] * 50
        assert paired_permutation(differences) == pytest.approx(mcnemar(gained, lost))
        assert paired_permutation([-d for d in differences]) == pytest.approx(mcnemar(gained, lost))


def test_permutation_at_large_n_is_near_the_t_test() -> None:
    differences = list(np.random.default_rng(0).normal(0.03, 0.3, 400).clip(-1, 1))
    assert paired_permutation(differences) == pytest.approx(ss.ttest_1samp(differences, 0).pvalue, rel=0.05)


def test_newcombe_published_example() -> None:
    # Newcombe (1998) and Altman et al. (2000): 14 both, 5 and 0 discordant, 22 neither
    assert newcombe(14, 5, 0, 22) == pytest.approx((0.0115, 0.2265), abs=1e-4)
    low, high = newcombe(14, 0, 5, 22)
    assert (low, high) == pytest.approx((-0.2265, -0.0115), abs=1e-4)


def trinomial(n: int, gained: float, lost: float) -> list[tuple[int, int, float]]:
    """All (gained, lost) counts with their chances."""
    cells = [(g, k) for g in range(n + 1) for k in range(n + 1 - g)]
    chances = ss.multinomial.pmf([(g, k, n - g - k) for g, k in cells], n, [gained, lost, 1 - gained - lost])
    return [(g, k, float(p)) for (g, k), p in zip(cells, chances, strict=True)]


@pytest.mark.parametrize(("gained", "lost"), [(0.3, 0.1), (0.1, 0.1), (0.25, 0.02), (0.15, 0.3)])
def test_newcombe_covers_by_enumeration(gained: float, lost: float) -> None:
    n, covered = 30, 0.0
    for g, k, chance in trinomial(n, gained, lost):
        both = (n - g - k) // 2
        low, high = newcombe(both, g, k, n - g - k - both)
        covered += chance * (low <= gained - lost <= high)
    assert covered > 0.93


def test_mcnemar_power_by_enumeration() -> None:
    n, gained, lost = 40, 0.3, 0.08
    shown = sum(c for g, k, c in trinomial(n, gained, lost) if g > k and mcnemar(g, k) <= 0.05)
    assert mcnemar_power(n, gained, lost) == pytest.approx(shown, abs=1e-9)


def test_a_significant_mcnemar_never_has_an_interval_over_zero() -> None:
    for n in (10, 30, 80):
        for g, k in itertools.product(range(n + 1), range(6)):
            if g + k <= n and g > k and mcnemar(g, k) <= 0.05:
                for both in (0, (n - g - k) // 2, n - g - k):
                    assert newcombe(both, g, k, n - g - k - both)[0] > 0


def test_intervals_stay_in_range_and_never_are_points() -> None:
    for scores in ([1.0] * 5, [0.0] * 5, [0.5] * 5, [0.3], [0.0, 1.0], [0.2, 0.4, 0.9]):
        low, high = interval(scores)
        assert 0 <= low <= sum(scores) / len(scores) <= high <= 1
        assert high - low > 0.05
    low, high = interval([3.0, 7.0, 10.0], (0.0, 10.0))
    assert 0 <= low < high <= 10
    for differences in ([0.0] * 8, [0.25] * 8, [0.5]):
        low, high = difference_interval(differences)
        assert low < differences[0] < high


def test_interval_covers_in_simulation() -> None:
    rng = np.random.default_rng(3)
    covered = 0
    for _ in range(400):
        low, high = interval(list(rng.binomial(4, 0.7, 25) / 4))
        covered += low <= 0.7 <= high
    assert covered >= 368  # 92 %, 2.7 standard errors below 95 %


@pytest.mark.parametrize("n", [10, 40])
def test_difference_interval_covers_in_simulation(n: int) -> None:
    rng = np.random.default_rng(4)
    covered = 0
    for _ in range(200):
        d = (rng.binomial(3, 0.7, n) - rng.binomial(3, 0.5, n)) / 3
        low, high = difference_interval(list(d), resamples=999)
        covered += low <= 0.2 <= high
    assert covered >= 182


@pytest.mark.parametrize("n", [2, 3, 8, 40, 500])
def test_the_bootstrap_is_that_of_scipy(n: int) -> None:
    """With the same draws, and in parts where there are many."""
    values = np.sort(np.random.default_rng(n).normal(0.1, 0.4, n).round(2))
    oracle = ss.bootstrap((values,), np.mean, n_resamples=5000, method="BCa", rng=np.random.default_rng(0), batch=4000)
    found = _bca(values, 0.95, np.random.default_rng(0), 5000)
    assert found == pytest.approx(tuple(oracle.confidence_interval), abs=1e-12)


@pytest.mark.parametrize("freedom", [1, 2, 7.5, 30, 1e5])
def test_quantiles_of_t_are_those_of_scipy(freedom: float) -> None:
    for chance in (0.8, 0.95, 0.975, 0.995):
        assert t_quantile(chance, freedom) == pytest.approx(ss.t.ppf(chance, freedom), rel=1e-10)


def test_scores_of_0_and_1_are_judged_without_numpy() -> None:
    code = (
        "import sys; from agentopt.evaluate import claim, interval; interval([1.0, 0.0]); "
        "claim({str(i): 0.0 for i in range(9)}, {str(i): 1.0 for i in range(9)})\n"
        "assert not {'scipy', 'numpy'} & set(sys.modules)\n"
        "claim({str(i): 0.3 for i in range(9)}, {str(i): i / 9 for i in range(9)})\n"
        "assert 'scipy.special' in sys.modules and 'scipy.stats' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_difference_interval_is_a_function_of_its_data() -> None:
    data = [0.1, 0.4, -0.2, 0.3, 0.9, 0.0]
    assert difference_interval(data) == difference_interval(data[::-1]) == difference_interval(data)


@pytest.mark.parametrize(
    "p", [[0.3], [0.01, 0.04, 0.03], [0.5, 0.0, 1.0, 0.02], [0.04] * 5, [0.001, 0.9, 0.013, 0.012]]
)
def test_holm_agrees_with_statsmodels(p: list[float]) -> None:
    assert holm(p) == pytest.approx(list(multipletests(p, method="holm")[1]), abs=1e-12)


@pytest.mark.parametrize("n", [10, 60, 300])
def test_detectable_by_sd_agrees_with_statsmodels(n: int) -> None:
    found = minimum_detectable(n, sd=0.4)
    oracle = TTestPower().solve_power(nobs=n, alpha=0.05, power=0.8) * 0.4
    assert found == pytest.approx(oracle, rel=2e-3)


def test_detectable_shrinks_with_n_and_is_none_when_nothing_can_be_shown() -> None:
    found = [minimum_detectable(n) for n in (20, 50, 100, 400)]
    assert None not in found
    assert found == sorted(found, reverse=True)  # type: ignore[type-var]
    assert minimum_detectable(5) is None
    assert minimum_detectable(5, lost=0.0) is None
    assert minimum_detectable(1, sd=0.1) is None
    assert minimum_detectable(50, sd=0.0) == 0.0
    effect = minimum_detectable(100)
    assert effect is not None
    assert mcnemar_power(100, 0.1 + effect, 0.1) == pytest.approx(0.8, abs=1e-3)
    with pytest.raises(UsageError):
        minimum_detectable(0)


def test_a_race_that_looks_after_every_example_rarely_drops_an_equal() -> None:
    rng = np.random.default_rng(5)
    dropped = 0
    for _ in range(300):
        race = Race(alpha=0.1)
        for d in rng.choice([-1.0, 0.0, 1.0], 60, p=[0.25, 0.5, 0.25]):
            race.update(float(d))
            if race.behind:
                dropped += 1
                break
    assert dropped <= 30


def test_a_race_drops_losers_before_the_end() -> None:
    rng = np.random.default_rng(6)
    spent = []
    for _ in range(60):
        race = Race()
        for d in rng.choice([-1.0, 0.0, 1.0], 200, p=[0.4, 0.55, 0.05]):
            race.update(float(d))
            if race.behind:
                break
        assert race.behind
        assert not race.ahead
        spent.append(race.n)
    assert np.mean(spent) < 60


@given(st.lists(st.floats(-1, 1), max_size=30), st.randoms())
@settings(max_examples=50, deadline=None)
def test_race_bounds_hold_the_mean_and_ignore_order(values: list[float], rnd: object) -> None:
    a, b = Race(), Race()
    for v in values:
        a.update(v)
    rnd.shuffle(values)  # type: ignore[attr-defined]
    for v in values:
        b.update(v)
    low, high = a.bounds()
    assert -1 <= low <= a.mean + 1e-9
    assert a.mean - 1e-9 <= high <= 1
    assert b.bounds() == (pytest.approx(low, abs=1e-9), pytest.approx(high, abs=1e-9))
    assert a.behind == b.behind


def test_race_bounds_cover_at_all_times_in_simulation() -> None:
    rng = np.random.default_rng(7)
    missed = 0
    for _ in range(40):
        race = Race(alpha=0.1)
        for i, d in enumerate(rng.choice([-1.0, 0.0, 1.0], 50, p=[0.1, 0.6, 0.3])):
            race.update(float(d))
            if i % 10 == 9:
                low, high = race.bounds()
                if not low <= 0.2 <= high:
                    missed += 1
                    break
    assert missed <= 6


def test_race_scales_with_the_range_and_refuses_the_impossible() -> None:
    a, b = Race((0.0, 1.0)), Race((0.0, 100.0))
    for d in (-0.5, -1.0, -0.8, 0.1) * 5:
        a.update(d)
        b.update(100 * d)
    assert a.behind == b.behind
    assert b.bounds() == pytest.approx(tuple(100 * v for v in a.bounds()))
    for bad in (1.5, -2.0, math.nan):
        with pytest.raises(UsageError):
            a.update(bad)
