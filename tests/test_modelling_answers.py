"""Reading what programs print: numbers in their many forms, objects, and claims."""

from __future__ import annotations

import json
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.evaluate.answers import Unreadable
from agentopt.evaluate.modelling.answers import read_json
from agentopt.evaluate.modelling.claims import claimed
from agentopt.evaluate.modelling.figures import read_figure


@pytest.mark.parametrize(
    ("value", "figure"),
    [
        (3, 3.0), (2.5, 2.5), (True, 1.0), (False, 0.0), ([4], 4.0), ([[4]], 4.0), ("7", 7.0), ("1e-05", 1e-5),
        ("1E+5", 1e5), ("1,234,567.89", 1234567.89), ("1 234 567", 1234567.0), ("$12.50", 12.5), ("12.5 kg", 12.5),
        ("3/4", 0.75), ("1 1/2", 1.5), ("10 m^2", 10.0), ("10 m²", 10.0), ("5 km/h", 5.0), ("15%", 15.0),
        ("np.float64(3.25)", 3.25), ("x = 5", 5.0), ("twenty", 20.0), ("-0.0", 0.0), ("  8 ", 8.0),
        ("$1.2 million", 1.2e6),
    ],
)  # fmt: skip
def test_figures(value: object, figure: float) -> None:
    assert read_figure(value) == pytest.approx(figure, rel=1e-15)


@pytest.mark.parametrize(
    "value",
    [
        None, "", "nan", "NaN", "-inf", "Infinity", "None", "n/a", float("nan"), float("inf"), 1e20, -1e21, 10**400,
        "1e20", [], [1, 2], {"a": 1}, {}, "3 or 4", "12 hours 30", "1.234,56", "12,5", "1/0", "about", "x" * 300,
        "between 3 and 5", "- 5", "9" * 250,
    ],
)  # fmt: skip
def test_what_is_no_figure(value: object) -> None:
    with pytest.raises(Unreadable):
        read_figure(value)


@given(st.floats(min_value=-1e19, max_value=1e19))
def test_every_float_is_read_back_exactly(value: float) -> None:
    assert read_figure(repr(value)) == value
    assert read_json(json.dumps({"a": value}), ["a"]).values == {"a": value}
    assert read_json(repr({"a": value}), ["a"]).values == {"a": value}


@pytest.mark.parametrize(
    ("output", "values"),
    [
        ('{"profit": 12, "tables": 3}', {"profit": 12.0, "tables": 3.0}),
        ('{\n  "profit": 12,\n  "tables": 3\n}\n', {"profit": 12.0, "tables": 3.0}),
        ('log {x}\n{"profit": 12, "tables": 3}\nbye', {"profit": 12.0, "tables": 3.0}),
        ("{'profit': 12.0, 'tables': np.float64(3.0)}", {"profit": 12.0, "tables": 3.0}),
        ('{"Profit": 12, "TABLES ": "3"}', {"profit": 12.0, "tables": 3.0}),
        ('{"variables": {"tables": 3}, "profit": 12}', {"profit": 12.0, "tables": 3.0}),
        ('{"profit": 1}\n{"profit": 12, "tables": 3}', {"profit": 12.0, "tables": 3.0}),
        ('{"profit": 12, "tables": 3}\n{"time": 0.1}', {"profit": 12.0, "tables": 3.0}),
        ('{"status": "optimal", "profit": 12, "tables": 3}', {"profit": 12.0, "tables": 3.0}),
        ('{"profit": 12, "profit": 12, "tables": 3}', {"profit": 12.0, "tables": 3.0}),
    ],
)
def test_objects(output: str, values: dict[str, float]) -> None:
    read = read_json(output, ["profit", "tables"])
    assert (read.values, read.problems, read.missing, read.claim) == (values, {}, (), None)


def test_what_cannot_be_read_is_told_by_name() -> None:
    read = read_json('{"a": NaN, "b": "3 or 4", "c": 1, "c": 2, "e": 5}', ["a", "b", "c", "d", "e"])
    assert read.values == {"e": 5.0}
    assert set(read.problems) == {"a", "b", "c"} and read.missing == ("d",)
    assert "NaN" in read.problems["a"] and "twice" in read.problems["c"]


def test_a_dictionary_with_nan_as_python_prints_it() -> None:
    read = read_json("{'a': nan, 'b': -inf, 'c': 2.0}", ["a", "b", "c"])
    assert read.values == {"c": 2.0} and set(read.problems) == {"a", "b"}


def test_names_that_differ_in_punctuation_only_are_not_mixed_up() -> None:
    assert read_json('{"x_1": 1, "x1": 2}', ["x_1", "x1"]).values == {"x_1": 1.0, "x1": 2.0}
    assert read_json('{"X 1": 1}', ["x_1", "x1"]).values == {}


@pytest.mark.parametrize(
    ("output", "claim"),
    [
        ('{"status": "infeasible"}', "infeasible"),
        ('{"status": "infeasible", "profit": 0, "tables": 0}', "infeasible"),
        ('{"status": "unbounded", "profit": null}', "unbounded"),
        ("The model is infeasible.", "infeasible"),
        ("Model status        : Unbounded", "unbounded"),
        ("The problem could not be solved to optimality.", "not_optimal"),
        ("SCIP Status        : problem is solved [infeasible or unbounded]", "not_optimal"),
        ("inforunbd", "not_optimal"),
        ("No solution found.", "not_optimal"),
        ("ApplicationError: No executable found for solver 'glpk'", "missing_solver"),
        ("profit 3", None),
    ],
)
def test_claims(output: str, claim: str | None) -> None:
    assert read_json(output, ["profit", "tables"]).claim == claim


@pytest.mark.parametrize(
    ("told", "claim"),
    [
        ({"message": "Optimal. No infeasible constraints."}, None),
        ({"message": "The model is neither infeasible nor unbounded."}, None),
        ({"message": "It isn't infeasible or unbounded"}, None),
        ({"message": "Not found infeasible."}, None),
        ({"message": "Optimal solution found; the first point was infeasible."}, None),
        ({"message": "The first point was infeasible", "status": "optimal"}, None),
        ({"message": "Iteration limit 100 was not reached, terminated successfully."}, None),
        ({"message": "TerminationCondition.optimal; primal infeasibility 1e-9"}, None),
        ({"status": "infeasible"}, "infeasible"),
        ({"status": "TerminationCondition.infeasible"}, "infeasible"),
        ({"status": "Not optimal: infeasible"}, "infeasible"),
        ({"status": "Optimal solution not found: infeasible"}, "infeasible"),
        ({"message": "Optimization was not successful. The problem is unbounded."}, "unbounded"),
        ({"message": "Not infeasible, but unbounded."}, "unbounded"),
        ({"status": "infeasible or unbounded"}, "not_optimal"),
        ({"status": "sub-optimal"}, "not_optimal"),
        ({"status": "time limit"}, "not_optimal"),
    ],
)
def test_a_claim_beside_figures_has_to_be_one(told: dict[str, str], claim: str | None) -> None:
    read = read_json(json.dumps({"profit": 3, "tables": 1, **told}), ["profit", "tables"])
    assert (read.claim, read.values) == (claim, {"profit": 3.0, "tables": 1.0})


def test_a_claim_in_place_of_figures_stands_whatever_is_beside_it() -> None:
    read = read_json('{"profit": null, "message": "Optimal status not known: infeasible. Success: 0"}', ["profit"])
    assert read.claim == "infeasible"
    read = read_json('{"profit": 3, "status": "optimal"}\n{"status": "infeasible"}', ["profit"])
    assert read.claim == "infeasible"


def test_a_log_that_speaks_of_infeasible_points_does_not_unmake_an_answer() -> None:
    log = "trying an infeasible start\npresolve: 0 unbounded rays\n"
    assert read_json(log + '{"profit": 3}', ["profit"]).claim is None


def test_claimed_prefers_the_missing_solver() -> None:
    assert claimed("Could not locate the 'glpsol' executable; no solution found") == "missing_solver"


@given(st.text(alphabet="{}[]\"':, \nab1.eNa", max_size=120))
def test_no_output_raises(output: str) -> None:
    read = read_json(output, ["a", "b"])
    assert all(math.isfinite(value) for value in read.values.values())


def test_many_braces_end_in_time() -> None:
    assert read_json("{" * 100_000, ["a"]).missing == ("a",)


@pytest.mark.parametrize(
    "output",
    [
        '{"x":[' * 500 + "1," * 95000,
        "{'x':[" * 400 + "1," * 9000,
        ("{'x': np.float64(  " + " " * 6000 + "}\n") * 30,
    ],
)
def test_an_output_that_is_made_to_take_long_does_not(output: str) -> None:
    assert read_json(output, ["x"]).values == {}  # these took minutes


def test_what_only_begins_like_an_object_hides_none() -> None:
    assert read_json("{ not one }\n" * 400 + '{"x": 3}', ["x"]).values == {"x": 3.0}
