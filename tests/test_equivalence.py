"""Equivalence of formulations: what is said is true, and a witness shows what it says."""

from __future__ import annotations

import itertools
import json
import random
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentopt.errors import UsageError
from agentopt.evaluate.data import places
from agentopt.evaluate.equivalence import (
    Formulation,
    Limits,
    Template,
    VariableMap,
    core_of,
    equivalence,
    equivalence_on_draws,
    read_formulation,
    read_map,
    read_mapping,
    read_table,
    read_text,
    recheck,
)
from agentopt.evaluate.equivalence.pairs import make_pair
from agentopt.evaluate.equivalence.pairs.making import NAMES

few = settings(max_examples=12, deadline=None)
SHELF = "max 3 a + 2 b\n2 a + b <= 9\na + 2 b <= 9\n0 <= a <= 4\n0 <= b <= 4\nint a, b"
TANK = "min 3 p + 5 q\np + q >= 10\np <= 2 q\np >= 0\nq >= 0"


def points(f: Formulation, top: int = 5) -> set[tuple[int, ...]]:
    """All whole feasible points of a small box, one by one."""
    names = [v.name for v in f.variables]
    box = itertools.product(range(-1, top + 1), repeat=len(names))
    return {p for p in box if f.admits(dict(zip(names, map(Fraction, p), strict=True)))}


# -- the three levels ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("seed", [0, 1])
@pytest.mark.parametrize("name", NAMES)
def test_generated_pairs_are_judged_by_their_label_and_witnesses_hold(name: str, seed: int) -> None:
    pair = make_pair(name, seed)
    reference, candidate = pair.reference(), pair.candidate()
    said = equivalence(reference, candidate)
    swapped = equivalence(candidate, reference)
    if said.verdict != "undecided":
        assert (said.verdict == "equivalent") == pair.equivalent, said.reason
    assert swapped.verdict == said.verdict, (said.reason, swapped.reason)
    assert (said.verdict == "equivalent") == pair.equivalent or name == "j"
    for result in (said, swapped):
        assert recheck(result) is (None if result.verdict in ("equivalent", "undecided") else True)


@few
@given(st.sampled_from([n for n in NAMES if n in "cdefghi"]), st.integers(2, 500))
def test_a_transformation_that_keeps_the_problem_is_equivalent_under_its_map(name: str, seed: int) -> None:
    pair = make_pair(name, seed)
    for level in (2, 3):
        said = equivalence(pair.reference(), pair.candidate(), level=level, to_reference=pair.gold())  # type: ignore[arg-type]
        assert said.verdict == "equivalent", said.reason


@few
@given(st.sampled_from([n for n in NAMES if n.endswith("-") or n == "l"]), st.integers(2, 500))
def test_a_near_miss_is_refuted_by_a_witness_that_holds(name: str, seed: int) -> None:
    pair = make_pair(name, seed)
    said = equivalence(pair.reference(), pair.candidate(), to_reference=pair.gold())
    assert said.verdict == "not equivalent"
    assert said.witness is not None and recheck(said) is True
    assert said.witness.text


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**6))
def test_against_an_oracle_that_counts_points(seed: int) -> None:
    """Two whole variables in a box: with the identity as map, the verdict is that of comparing all points."""
    draw = random.Random(seed)

    def row() -> str:
        return f"{draw.randint(1, 3)} x + {draw.randint(-2, 3)} y <= {draw.randint(2, 12)}"

    rows = [row() for _ in range(2)]
    others = [r for r in rows if draw.random() < 0.7] + [row() for _ in range(draw.randint(0, 2))]
    costs = [(draw.randint(1, 3), draw.randint(-2, 3)) for _ in range(2)]
    other_costs = costs[0] if draw.random() < 0.6 else costs[1]
    box = "0 <= x <= 4\n0 <= y <= 4\nint x, y"
    a = read_text(f"min {costs[0][0]} x + {costs[0][1]} y\n" + "\n".join([*rows, box]))
    b = read_text(f"min {2 * other_costs[0]} x + {2 * other_costs[1]} y\n" + "\n".join([*others, box]))
    said = equivalence(a, b, to_reference=read_map({"x": "x", "y": "y"}), to_candidate=read_map({"x": "x", "y": "y"}))
    pa, pb = points(a), points(b)
    values = {(costs[0][0] * x + costs[0][1] * y, 2 * (other_costs[0] * x + other_costs[1] * y)) for x, y in pa}
    alike = len({u for u, _ in values}) == len(values) == len({v for _, v in values}) and _on_a_rising_line(values)
    assert (said.verdict == "equivalent") == (pa == pb and alike), (said.reason, pa ^ pb, values)
    if said.verdict == "not equivalent":
        assert recheck(said) is True


def _on_a_rising_line(values: set[tuple[int, int]]) -> bool:
    ordered = sorted(values)
    if len(ordered) < 2:
        return True
    (u0, v0), (u1, v1) = ordered[0], ordered[-1]
    rising = (v1 - v0) * (u1 - u0) > 0
    return rising and all((v - v0) * (u1 - u0) == (v1 - v0) * (u - u0) for u, v in ordered)


def test_level_1_sees_values_only() -> None:
    a, unrelated = read_text(TANK), read_text("max z\nz <= 110/3\nz >= 0")
    assert equivalence(a, unrelated, level=1).verdict == "equivalent"
    said = equivalence(a, read_text(TANK.replace("3 p + 5 q", "6 p + 10 q")), level=1)
    assert said.verdict == "not equivalent" and said.witness is not None and said.witness.kind == "value"
    assert recheck(said) is True


def test_level_2_takes_what_keeps_the_optimum_and_level_3_does_not() -> None:
    a = read_text(SHELF)
    b = read_text(SHELF.replace("0 <= b <= 4", "0 <= b <= 3"))
    same = read_map({"a": "a", "b": "b"})
    assert equivalence(a, b, level=2, to_reference=same).verdict == "equivalent"
    said = equivalence(a, b, level=3, to_reference=same)
    assert said.verdict == "not equivalent" and said.scope == "these maps" and said.proof == "exact"
    assert said.witness is not None and said.witness.side == "reference" and recheck(said) is True


def test_a_map_fitted_to_the_optimum_passes_level_2_on_one_instance_and_fails_elsewhere() -> None:
    """Why one instance proves little: any optimum is a multiple of any other one."""
    a = Template(text="max a + b\na <= R\nb <= 3\na, b >= 0", parameters={"R": 6})
    b = Template(text="max z\nz <= 3 * R\nz >= R", parameters={"R": 6})
    fitted = read_map({"a": "z/3", "b": "z/6"})
    one = equivalence(a.at(), b.at(), level=2, to_reference=fitted, to_candidate=read_map({"z": "3 a"}))
    assert one.verdict == "equivalent"
    several = equivalence_on_draws(
        a.at, b.at, [{"R": 6}, {"R": 9}], level=2, to_reference=fitted, to_candidate=read_map({"z": "3 a"})
    )
    assert several.verdict == "not equivalent" and several.draw == {"R": 9} and recheck(several) is True


@pytest.mark.parametrize("level", [2, 3])
def test_a_map_that_was_found_is_held_fixed_on_further_draws_in_either_order(level: Any) -> None:
    plain = Template(text="max 3 x + y\nx + 2 y <= R\nx, y >= 0\nint x, y", parameters={"R": 30})
    digits = Template(
        text="max 3 x0 + 30 x1 + y\nx0 + 10 x1 + 2 y <= R\n0 <= x0 <= 9\n0 <= x1 <= 9\ny >= 0\nint x0, x1, y",
        parameters={"R": 30},
    )
    draws = [{"R": 30}, {"R": 47}, {"R": 12}]
    for a, b in ((plain, digits), (digits, plain)):
        said = equivalence_on_draws(a.at, b.at, draws, level=level)
        assert said.verdict == "equivalent" and said.draws == 3, said.reason
        later = equivalence_on_draws(a.at, b.at, [*draws, {"R": 130}])
        assert later.verdict == "not equivalent" and later.draw == {"R": 130} and recheck(later) is True, later.reason


def test_maps_onto_a_segment_do_not_make_unrelated_programs_equivalent() -> None:
    """Feasible into feasible and objectives in order, both ways, and still not the same: it is not said to be."""
    a = read_text("min x + y\nx + y <= 2\nx >= 0\ny >= 0")
    b = read_text("min z\nz <= 1\nz >= 0\nw <= 5\nw >= 0\nw + z <= 5")
    into_a = read_map({"x": "2 z", "y": "0 * z"})
    into_b = read_map({"z": "0.5 x + 0.5 y", "w": "0 * x"})
    assert equivalence(a, b, level=2, to_reference=into_a, to_candidate=into_b).verdict != "undecided"
    said = equivalence(a, b, to_reference=into_a, to_candidate=into_b)
    assert said.verdict == "undecided" and "undo" in said.reason


def test_digits_that_suffice_for_the_optimum_only() -> None:
    """Without an end above, no number of digits is enough: level 2 accepts, level 3 names a number too large."""
    a = read_text("min 10 cars\n4 cars >= 220\nint cars")
    b = read_text("min 10 c0 + 100 c1\n4 c0 + 40 c1 >= 220\n0 <= c0 <= 9\n0 <= c1 <= 9\nint c0, c1")
    gold = read_map({"cars": "c0 + 10 c1"})
    assert equivalence(a, b, level=2, to_reference=gold).verdict == "equivalent"
    said = equivalence(a, b, to_reference=gold)
    assert said.verdict == "not equivalent" and said.witness is not None
    assert said.witness.kind == "unrepresented" and said.witness.points[0]["cars"] > 99
    assert recheck(said) is True and said.proof == "exact"


def test_a_witness_that_was_tampered_with_does_not_hold() -> None:
    said = equivalence(read_text(SHELF), read_text(SHELF.replace("<= 9", "<= 8")))
    assert said.witness is not None and recheck(said) is True
    moved = {n: x + 100 for n, x in said.witness.points[0].items()}
    for update in ({"points": (moved,)}, {"kind": "empty", "images": ()}, {"side": said.witness.other}):
        changed = said.model_copy(update={"witness": said.witness.model_copy(update=update)})
        assert recheck(changed) is False, update


# -- whole variables that an equality defines ------------------------------------------------------------------------

PLAIN = "max 3 a + 2 b\n2 a + b <= 29\na + 2 b <= 30\na, b >= 0\nint a, b"
DEFINED = {
    "digits": "max 3 t + 2 b\n2 t + b <= 29\nt + 2 b <= 30\nt == t0 + 10 t1\n0 <= t0 <= 9\nt, t1, b >= 0\n"
              "int t, t0, t1, b",
    "a total": "max 2 s + a\ns + a <= 29\ns + b <= 30\ns == a + b\na, b >= 0\nint a, b, s",
    "a goal": "max p\n2 a + b <= 29\na + 2 b <= 30\np == 3 a + 2 b\na, b >= 0\nint a, b, p",
    "with bounds": "max 2 s + a\ns + a <= 29\ns + b <= 30\ns == a + b\na, b >= 0\n0 <= s <= 99\nint a, b, s",
}  # fmt: skip


@pytest.mark.parametrize("dress", DEFINED)
def test_a_whole_variable_that_an_equality_defines_needs_no_map(dress: str) -> None:
    a, b = read_text(PLAIN), read_text(DEFINED[dress])
    for pair in ((a, b), (b, a)):
        said = equivalence(*pair)
        assert said.verdict == "equivalent", said.reason
        assert said.to_reference is not None and set(said.to_reference.terms) <= {v.name for v in pair[0].variables}


def test_what_is_put_in_stays_whole_and_a_difference_is_found() -> None:
    a = read_text(PLAIN)
    other = equivalence(a, read_text(DEFINED["a total"].replace("s + b <= 30", "s + b <= 31")))
    assert other.verdict == "not equivalent" and other.witness is not None and recheck(other) is True
    pairs = read_text(PLAIN.replace("int a, b", "a == 2 k\nint a, b, k"))  # even numbers of a only
    assert equivalence(a, pairs).verdict == "not equivalent"
    halves = core_of(read_text("max a\na <= 9\n2 a == k + 2 m\na, k, m >= 0\nint a, k, m"), definitions=True)
    assert "k" not in halves.names and {"a", "m"} == set(halves.names), "k is whole for whole a and m, and not a for k"


# -- undecided, and never a guess ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("a", "b", "level", "why"),
    [
        ("min x\nx >= 2\nx <= 1", "min y\ny >= 5\ny <= 4", 3, "neither has a feasible point"),
        ("min x\nx >= 2\nx <= 1", "min y\ny >= 5\ny <= 4", 1, "neither has a feasible point"),
        ("max x\nx >= 2", "max y\ny >= 5", 2, "no optimum"),
        ("max x\nx >= 2", "max y\ny >= 5", 1, "neither has an optimum"),
        (
            "max x + y\nx + y <= 4\nx, y >= 0",
            "max p + q + r\np + q <= 1\nr <= 3\np, q, r >= 0\nq + r <= 2",
            3,
            "paired",
        ),
    ],
)
def test_undecided_has_a_reason(a: str, b: str, level: Any, why: str) -> None:
    said = equivalence(read_text(a), read_text(b), level=level)
    assert said.verdict == "undecided" and why in said.reason and said.witness is None


def test_one_without_points_or_without_optimum_differs_whatever_the_map() -> None:
    some, none, endless = (read_text(t) for t in ("min x\nx >= 2", "min x\nx >= 2\nx <= 1", "min x\nx <= 2"))
    for a, b, kind in ((some, none, "empty"), (none, some, "empty"), (some, endless, "unbounded")):
        for level in (1, 2, 3):
            said = equivalence(a, b, level=level)  # type: ignore[arg-type]
            assert said.verdict == "not equivalent" and said.witness is not None, (level, said.reason)
            assert recheck(said) is True
            if level == 2:
                assert said.witness.kind == kind and said.scope == "any maps"


def test_unbounded_programs_can_be_compared_by_their_regions() -> None:
    said = equivalence(read_text("max x\nx >= 2"), read_text("max 2 y\ny >= 2"))
    assert said.verdict == "equivalent" and said.proof == "exact" and said.factor == Fraction(1, 2)


def test_a_map_with_a_wrong_name_is_the_callers_mistake() -> None:
    a, b = read_text(SHELF), read_text(TANK)
    with pytest.raises(UsageError, match="'c', which the target does not have"):
        equivalence(a, b, to_reference=read_map({"a": "p", "b": "q", "c": "p"}))
    with pytest.raises(UsageError, match="reads 'z'"):
        equivalence(a, b, to_reference=read_map({"a": "z", "b": "q"}))
    with pytest.raises(UsageError, match="says nothing of 'b'"):
        equivalence(a, b, to_reference=read_map({"a": "p"}))


def test_a_stricter_tolerance_sees_rounded_numbers() -> None:
    a, b = (read_text(f"max x\n3 x <= 10\nx <= {bound}\nx >= 0") for bound in ("1000/3", "3.33333333"))
    assert equivalence(a, b).verdict == "equivalent"
    said = equivalence(a, b, limits=Limits(tolerance=Fraction(0)))
    assert said.verdict == "not equivalent" and recheck(said) is True


# -- forms ---------------------------------------------------------------------------------------------------------


@few
@given(st.sampled_from(NAMES), st.integers(0, 300))
def test_json_round_trip(name: str, seed: int) -> None:
    pair = make_pair(name, seed)
    f = pair.candidate()
    assert Formulation.model_validate_json(f.model_dump_json()) == f
    assert read_formulation(json.loads(f.model_dump_json())) == f
    if (gold := pair.gold()) is not None:
        assert VariableMap.model_validate_json(gold.model_dump_json()) == gold


def test_a_result_is_json_and_holds_after_reading_it() -> None:
    said = equivalence(read_text(SHELF), read_text(SHELF.replace("<= 9", "<= 8")))
    again = type(said).model_validate_json(said.model_dump_json())
    assert again == said and recheck(again) is True


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("x <= 3", "no objective"),
        ("min x\nmax x", "line 2, 'max x': a second objective"),
        ("min x * y", "not linear"),
        ("min x\nx < 3", "'<' is not one of"),
        ("min x\nx <= 3 4 %", "cannot be read"),
        ("min x\nx <= 3 4", "'4' is not expected there"),
        ("min x\nx <= nan", "'nan' is no number"),
        ("min x\nx >= -Inf", "'Inf' is no number"),
        ("min (x\n", "not closed"),
        ("min x\nx / 0 <= 3", "divides by zero"),
        ("min " + "(" * 99 + "x" + ")" * 99, "nested too deeply"),
        ("min x\nhello", "neither an objective"),
        ("min x\nint 3", "not the name of a variable"),
        ("min 3", "this is not a formulation"),
        ("min x\nx >= 1e99", "too large"),
        ("min x\nx >= 1e9999", "not a finite number"),
        ("min x" + " " * 30000, "too long"),
    ],
)
def test_text_that_is_no_formulation_says_where(text: str, why: str) -> None:
    with pytest.raises(UsageError, match=".*") as caught:
        read_text(text)
    assert why in str(caught.value)


def test_text_with_everything() -> None:
    f = read_text(
        "maximize: 2 x[0] + Rate*(y - 1)  # a comment\nsubject to\nroom: x[0] + 2 y <= 7 - x[0]\n1 <= y <= 3\n"
        "x[0], z >= 0\nz == 2\nbin z\nint y",
        {"Rate": "1/3"},
    )
    assert str(f.objective.value) == "2 x[0] + 1/3 y - 1/3"
    assert str(f.constraints[0]) == "room: 2 x[0] + 2 y <= 7"
    assert {v.name: (v.integer, v.lower, v.upper) for v in f.variables} == {
        "x[0]": (False, 0, None), "y": (True, 1, 3), "z": (True, 2, 1),
    }  # fmt: skip


@pytest.mark.parametrize(
    ("change", "why"),
    [
        ({"variables": []}, "variables"),
        ({"variables": [{"name": "x"}, {"name": "x"}]}, "two variables"),
        ({"constraints": [{"terms": {"y": 1}, "sense": "<=", "rhs": 1}]}, "'y', which is not declared"),
        ({"constraints": [{"terms": {"x": "nan"}, "sense": "<=", "rhs": 1}]}, "not a finite number"),
        ({"constraints": [{"terms": {"x": True}, "sense": "<=", "rhs": 1}]}, "not a number"),
        ({"objective": {"sense": "best"}}, "objective.sense"),
    ],
)
def test_json_that_is_no_formulation_says_where(change: dict[str, Any], why: str) -> None:
    whole = {"variables": [{"name": "x"}], "objective": {"sense": "min", "terms": {"x": 1}}}
    with pytest.raises(UsageError) as caught:
        read_formulation({**whole, **change})
    assert why in str(caught.value)


# -- what is taken out ---------------------------------------------------------------------------------------------


def test_an_objective_variable_goes_only_where_it_is_nothing_else() -> None:
    """``z >= x - 5`` with ``z >= 0`` is not ``z == x - 5``, and what is sold is no bookkeeping."""
    kept = core_of(read_text("min z\nt: z >= x - 5\nz >= 0\n0 <= x <= 9"))
    assert set(kept.names) == {"x", "z"}
    gone = core_of(read_text("min z\nt: z >= x - 5\n0 <= x <= 9"))
    assert len(gone.names) == 1
    assert gone.lift.apply({gone.names[0]: Fraction(2)})["z"] == gone.lift.apply({gone.names[0]: Fraction(2)})["x"] - 5
    up = core_of(read_text("max z\nt: z >= x - 5\n0 <= x <= 9"))
    assert set(up.names) == {"x", "z"}  # the optimum moves away from the row
    sold = core_of(read_text("max x + y\nx + y <= 4\nx >= 0\ny >= 0"))
    assert set(sold.names) == {"x", "y"} and sold.core.admits({"x": Fraction(0), "y": Fraction(0)})


def test_a_core_lifts_to_feasible_points() -> None:
    f = read_text("max 2 x + z\na: x + s == 7\nb: z - 3 x == 1\nx >= 0\n0 <= s <= 5\nint x")
    core = core_of(f)
    assert core.names == ("x",)
    for x in range(-2, 10):
        inside = core.core.admits({"x": Fraction(x)})
        assert f.admits(core.lift.apply({"x": Fraction(x)})) is inside
        assert inside is (2 <= x <= 7)


# -- published pairs ------------------------------------------------------------------------------------------------

FOLDER = next((p / "equivamap" for _, p in places() if (p / "equivamap" / "pairs.jsonl").is_file()), None)


@pytest.mark.skipif(FOLDER is None, reason="EquivaMap's pairs are not here (AGENTOPT_DATA/equivamap)")
def test_published_pairs_with_gold_maps() -> None:
    """Optima go to optima wherever the label says so; level 3 differs on digits of a number without an end."""
    assert FOLDER is not None
    rows = [json.loads(line) for line in (FOLDER / "formulations.jsonl").read_text("utf-8").splitlines()]
    tables = {row["model_id"]: read_table(row) for row in rows}
    for line in (FOLDER / "pairs.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        if row["gold_mapping"] is None:
            continue
        a, b, gold = tables[row["reference"]], tables[row["candidate"]], read_mapping(row["gold_mapping"])
        assert equivalence(a, b, level=2, to_reference=gold).verdict == "equivalent", row["pair_id"]
        said = equivalence(a, b, to_reference=gold)
        endless = row["pair_id"] == "p4.a-c"  # the cars have no limit, and two digits end at 99
        assert said.verdict == ("not equivalent" if endless else "equivalent"), row["pair_id"]
        assert recheck(said) is (True if endless else None)
