"""The pieces of the check: exact arithmetic, digits and parts, proofs of inequalities."""

from __future__ import annotations

import itertools
from fractions import Fraction

from hypothesis import given, settings
from hypothesis import strategies as st

from agentopt.evaluate.equivalence.affine import Affine, plain, rational
from agentopt.evaluate.equivalence.exact import implied, solve_rows
from agentopt.evaluate.equivalence.maps import Part, Parts
from agentopt.evaluate.equivalence.merge import merged
from agentopt.evaluate.equivalence.notation import read_affine, read_text
from agentopt.evaluate.equivalence.reduce import core_of
from agentopt.evaluate.equivalence.region import best, proved_empty, region_of

fractions = st.fractions(min_value=-50, max_value=50, max_denominator=30)


@given(fractions)
def test_numbers_survive_json(value: Fraction) -> None:
    assert rational(plain(value)) == value


@given(st.dictionaries(st.sampled_from("xyz"), fractions, max_size=3), fractions)
def test_an_expression_can_be_read_back(terms: dict[str, Fraction], constant: Fraction) -> None:
    e = Affine.of(terms, constant)
    text = " + ".join([*(f"({c.numerator}/{c.denominator}) * {n}" for n, c in e.terms.items()), f"({constant})"])
    assert read_affine(text) == e


whole_parts = st.lists(
    st.tuples(st.sampled_from([-10, -2, -1, 1, 2, 3, 5, 10]), st.integers(-2, 2), st.integers(0, 4)),
    min_size=1,
    max_size=3,
)


@settings(max_examples=300)
@given(whole_parts)
def test_what_parts_cover_is_what_they_can_make(drawn: list[tuple[int, int, int]]) -> None:
    """Against an oracle that makes every sum."""
    parts = tuple(
        Part(name=f"p{i}", ratio=Fraction(r), lower=Fraction(low), upper=Fraction(low + size), integer=True)
        for i, (r, low, size) in enumerate(drawn)
    )
    made = Parts(of=Affine.variable("x"), parts=parts)
    covers = made.covers()
    if covers is None:
        return
    unit, low, high = covers
    assert unit is not None and low is not None and high is not None
    choices = itertools.product(*(range(low_, low_ + size + 1) for _, low_, size in drawn))
    sums = {sum(r * x for (r, _, _), x in zip(drawn, xs, strict=True)) for xs in choices}
    wanted = {k * unit for k in range(int(low / unit), int(high / unit) + 1)}
    assert sums == wanted
    for value in sums:
        divided = made.divide(Fraction(value))
        assert sum(p.ratio * divided[p.name] for p in parts) == value
        assert all(p.lower <= divided[p.name] <= p.upper for p in parts)  # type: ignore[operator]


def test_parts_without_bounds_and_of_both_signs() -> None:
    free = Parts(of=Affine.variable("x"), parts=(
        Part(name="plus", ratio=Fraction(1), lower=Fraction(0)),
        Part(name="minus", ratio=Fraction(-1), lower=Fraction(0)),
    ))  # fmt: skip
    assert free.covers() == (None, None, None)
    assert free.divide(Fraction(-7, 2)) == {"plus": 0, "minus": Fraction(7, 2)}


def test_digits_become_a_number_and_other_columns_do_not() -> None:
    f = read_text(
        "max 2 a0 + 20 a1 + 3 b\na0 + 10 a1 + b <= 40\n0 <= a0 <= 9\n0 <= a1 <= 9\n0 <= b <= 5\nint a0, a1, b"
    )
    assert set(merged(core_of(f)).names) == {"a0+a1", "b"}
    gap = read_text("max a0 + 20 a1\na0 + 20 a1 <= 99\n0 <= a0 <= 9\n0 <= a1 <= 9\nint a0, a1")  # 10..19 cannot be made
    core = core_of(gap)
    assert merged(core) is core


@settings(max_examples=60, deadline=None)
@given(st.integers(-3, 3), st.integers(-3, 3), st.integers(-6, 14))
def test_a_proof_says_what_the_optimum_says(a: int, b: int, bound: int) -> None:
    region = region_of(read_text("max 0 * x\nx + 2 y <= 7\n3 x - y <= 5\nx >= 0\ny >= 0"))
    gap = Affine.of({"x": Fraction(a), "y": Fraction(b)}, Fraction(-bound))
    found = best(region, gap)
    assert found.value is not None
    assert implied(region, gap) is (found.value <= 0)


def test_a_proof_of_emptiness_is_one_of_the_relaxation() -> None:
    assert proved_empty(region_of(read_text("min x\nx + y >= 3\nx <= 1\ny <= 1")))
    gap = region_of(read_text("min x\n0.2 <= x <= 0.8\nint x"))
    assert best(gap, Affine()).status == "empty" and not proved_empty(gap)


def test_points_of_the_solver_are_made_exact() -> None:
    found = best(region_of(read_text("max x\n3 x + 7 y <= 1\n7 x + 3 y <= 1\nx >= 0\ny >= 1/13")), Affine.variable("x"))
    assert found.point == {"x": Fraction(10, 91), "y": Fraction(1, 13)}


def test_rows_are_solved_exactly() -> None:
    rows = [read_affine("3 x + y - 1"), read_affine("x - y - 1/3"), read_affine("6 x + 2 y - 9")]
    assert {n: str(e) for n, e in solve_rows(rows, ["x", "y"]).items()} == {"x": "1/3", "y": "0"}
