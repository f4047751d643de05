"""The report's parts: differences, charts, and texts made safe."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from agentopt.report import diff
from agentopt.report.charts import intervals, lineage, scores, ticks
from agentopt.report.clean import clean

TEXT = st.text(alphabet="ab .\n", max_size=40)


@given(TEXT, TEXT)
@example("a b", "a c d")
@example(" a", "b a")
def test_a_difference_holds_both_texts(old: str, new: str) -> None:
    pieces = diff.words(old, new)
    assert "".join(text for kind, text in pieces if kind != "ins") == old
    assert "".join(text for kind, text in pieces if kind != "del") == new
    assert all(text for _, text in pieces)


def test_words_that_follow_each_other_are_one_change() -> None:
    assert diff.words("Say it now.", "Tell us then.") == [("del", "Say it now"), ("ins", "Tell us then"), ("same", ".")]


def test_long_texts_are_compared_by_line() -> None:
    old = "\n".join(f"line {i} of many" for i in range(1000))
    pieces = diff.words(old, old.replace("line 500 of many", "line 500 of all"))
    assert [text for kind, text in pieces if kind != "same"] == ["line 500 of many\n", "line 500 of all\n"]


def test_a_secret_is_gone_before_a_text_is_cut_into_words() -> None:
    (change,) = diff.changes({"p": "use sk-abcdefgh-12345678 now"}, {"p": "use sk-abcdefgh-99999999 here"})
    assert change["pieces"] == [("same", "use *** "), ("del", "now"), ("ins", "here")]


def test_values_that_are_no_texts_are_shown_whole() -> None:
    (change,) = diff.changes({"shots": 0, "same": 1}, {"shots": 16, "same": 1})
    assert change == {"name": "shots", "pieces": [("del", "0"), ("same", " → "), ("ins", "16")]}


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6))
def test_ticks_cover_and_are_few(low: float, span: float) -> None:
    marks = ticks(low, low + span)
    assert 2 <= len(marks) <= 6
    assert marks[0] <= low + 1e-6 * span + 1e-9
    assert marks[-1] >= low + span - 1e-6 * span - 1e-9
    steps = [b - a for a, b in itertools.pairwise(marks)]
    assert max(steps) - min(steps) <= 1e-6 * span + 1e-9


def row(step: int, mean: float | None, **more: Any) -> dict[str, Any]:
    spread = (
        {"low": None, "high": None} if mean is None else {"low": max(0.0, mean - 0.2), "high": min(1.0, mean + 0.2)}
    )
    return {"step": step, "mean": mean, **spread, "id": f"{step}{mean}", "parents": [], "adopted": False, **more}


@pytest.mark.parametrize("width", [360, 860])
@pytest.mark.parametrize("steps", [0, 1, 7, 60])
def test_points_lie_in_the_chart_and_apart(width: int, steps: int) -> None:
    rows = [row(-1, 0.5), *(row(s, m) for s in range(steps) for m in (0.1, 0.9, None))]
    chart = scores(rows, [(-1, 0.5), *((s, 0.9) for s in range(steps))], (0.0, 1.0), width, 300)
    assert len(chart["points"]) == 1 + 2 * steps
    for point in chart["points"]:
        assert chart["left"] < point["x"] < chart["right"]
        assert chart["top"] - 1 <= point["high"] <= point["y"] <= point["low"] <= chart["bottom"] + 1
    assert len({point["x"] for point in chart["points"]}) == len(chart["points"])
    labels = [step["x"] for step in chart["steps"]]
    assert all(b - a >= 20 for a, b in itertools.pairwise(labels))


def test_charts_of_nothing() -> None:
    assert scores([], [], (0.0, 1.0), 360, 300)["path"] == ""
    assert scores([row(-1, None)], [], (0.0, 10.0), 360, 300)["points"] == []
    assert intervals([], (0.0, 1.0), 300)["rows"] == []
    assert lineage([])["boxes"] == []


def test_a_family_has_a_curve_for_every_parent() -> None:
    rows = [
        row(-1, 0.5, id="a"),
        row(0, 0.6, id="b", parents=["a"], adopted=True),
        row(1, 0.7, id="c", parents=["a", "b", "gone"]),
    ]
    family = lineage(rows)
    assert [box["x"] for box in family["boxes"]] == sorted(box["x"] for box in family["boxes"])
    assert [curve["adopted"] for curve in family["curves"]] == [False, False, True]


@given(
    st.recursive(
        st.none() | st.floats(allow_nan=False) | st.text(max_size=9),
        lambda s: st.lists(s) | st.dictionaries(st.text(max_size=3), s),
    )
)
def test_what_holds_no_secret_stays_as_it_is(value: Any) -> None:
    assert clean(value) == value


def test_logins_in_addresses_are_secrets() -> None:
    assert clean(["https://me:pass@host/v1", "mail me@host"]) == ["https://***@host/v1", "mail me@host"]
