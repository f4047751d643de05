"""Values as JSON and back; and what someone may send who means ill."""

from __future__ import annotations

import contextlib
import enum
import json
import math
from collections import Counter, OrderedDict, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.sandbox import Record, Uncarriable
from agentopt.sandbox.guest.codec import decode, encode
from agentopt.sandbox.guest.frames import FrameError, Reader, pack


def over_the_wire(value: Any, types: Any = None) -> Any:
    return decode(json.loads(json.dumps(encode(value), allow_nan=False)), types)


ATOMS = (
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text() | st.binary()
    | st.complex_numbers(allow_nan=False) | st.decimals(allow_nan=False) | st.fractions() | st.dates() | st.times()
    | st.datetimes() | st.timedeltas()
)  # fmt: skip
HASHABLE = st.recursive(ATOMS, lambda inner: st.lists(inner, max_size=4).map(tuple), max_leaves=8)
VALUES = st.recursive(
    HASHABLE,
    lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text() | HASHABLE, inner, max_size=4)
    | st.sets(HASHABLE, max_size=4) | st.frozensets(HASHABLE, max_size=4),
    max_leaves=15,
)  # fmt: skip


def same(a: Any, b: Any) -> bool:
    if type(a) is not type(b):
        return False
    if isinstance(a, list | tuple):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return len(a) == len(b) and all(any(same(k, q) and same(v, w) for q, w in b.items()) for k, v in a.items())
    return bool(a == b)


@given(VALUES)
def test_round_trip(value: Any) -> None:
    assert same(over_the_wire(value), value)


def test_not_a_number() -> None:
    assert math.isnan(over_the_wire(float("nan")))
    assert over_the_wire([float("inf"), -float("inf"), -0.0]) == [float("inf"), -float("inf"), 0.0]
    assert math.copysign(1, over_the_wire(-0.0)) == -1


def test_a_key_that_looks_like_ours() -> None:
    for value in ({"$": "tuple", "v": [1]}, {"$": 1}, {"a": {"$": "data", "type": "x", "v": {}}}):
        assert over_the_wire(value) == value


def test_long_integers_and_texts() -> None:
    for value in (2**63, -(2**63), 10**5000, -(10**5000), "\ud800", "\0", "x" * 10**5):
        assert over_the_wire(value) == value


def test_subclasses_lose_their_class_but_not_their_content() -> None:
    assert over_the_wire(Counter("aab")) == {"a": 2, "b": 1}
    assert over_the_wire(OrderedDict(a=1)) == {"a": 1}
    assert over_the_wire(defaultdict(list, a=[1])) == {"a": [1]}
    assert over_the_wire(deque([1, 2], maxlen=3)) == deque([1, 2], maxlen=3)
    assert over_the_wire(range(1, 10**30, 3)) == range(1, 10**30, 3)


@pytest.mark.parametrize(
    "array",
    [
        np.arange(6).reshape(2, 3), np.array(1.5), np.zeros((0, 3)), np.array(["a", "bc"]), np.array([True]),
        np.array([1 + 2j]), np.asfortranarray(np.eye(3)), np.array([b"x"]), np.arange(6, dtype=">i2")[::2],
        np.array(["2020-01-01"], dtype="M8[D]"), np.array(["", "ab"], dtype="U10"), np.zeros((1000, 0)),
    ],
)  # fmt: skip
def test_arrays(array: Any) -> None:
    back = over_the_wire(array)
    assert isinstance(back, np.ndarray) and back.dtype == array.dtype and back.shape == array.shape
    assert (back == array).all()
    back[...] = array  # it can be written to


def test_array_scalars() -> None:
    for value in (np.float64(1.5), np.int8(3), np.bool_(True), np.complex64(1j), np.float32("nan")):
        back = over_the_wire(value)
        assert type(back) is type(value)
        assert back == value or np.isnan(value)


class Color(enum.Enum):
    RED = 1


@dataclass
class Thing:
    name: str
    parts: list[Any]
    extra: int = field(default=0, init=False)


@dataclass(frozen=True)
class Careful:
    x: int

    def __post_init__(self) -> None:
        if self.x < 0:
            raise RuntimeError("negative")


class Pair(NamedTuple):
    a: int
    b: Any


def test_types_of_the_reader_only() -> None:
    thing = Thing("t", [Pair(1, Color.RED)])
    thing.extra = 5
    known = {"Thing": Thing, "Pair": Pair, "Color": Color}
    assert over_the_wire(thing, known) == thing
    unknown = over_the_wire(thing)
    assert unknown == Record(
        "Thing",
        {
            "name": "t",
            "parts": [Record("Pair", {"a": 1, "b": Record("Color", {"name": "RED", "value": 1})})],
            "extra": 5,
        },
    )
    assert unknown.name == "t" and hash(unknown) == hash(over_the_wire(thing))
    with pytest.raises(AttributeError):
        _ = unknown.nothing


@pytest.mark.parametrize("value", [object(), open, print, lambda: 1, type, np.array([object()]), iter([]), Thing])
def test_what_cannot_be_carried(value: Any) -> None:
    with pytest.raises(Uncarriable, match=r"cannot be carried"):
        encode(value)


def test_where_it_cannot() -> None:
    with pytest.raises(Uncarriable, match=r"value\['a'\]\[1\] is of type builtins.object"):
        encode({"a": [1, object()]})


def test_cycles_and_depth() -> None:
    cycle: list[Any] = []
    cycle.append(cycle)
    with pytest.raises(Uncarriable, match="contains itself"):
        encode(cycle)


BAD: list[Any] = [
    {"$": "nothing"}, {"$": None, "v": 1}, {"$": ["tuple"]}, {"$": "tuple"}, {"$": "tuple", "v": 5},
    {"$": "tuple", "v": "ab"}, {"$": "set", "v": [[1]]}, {"$": "dict", "v": [[[1], 2]]}, {"$": "dict", "v": [1]},
    {"$": "bytes", "v": "?"}, {"$": "bytes", "v": 5}, {"$": "int", "v": "zz"}, {"$": "int", "v": 3},
    {"$": "float", "v": "1e400"}, {"$": "complex", "v": [1]}, {"$": "fraction", "v": [1, 0]},
    {"$": "fraction", "v": [{"$": "int", "v": "f" * 200_000}, 3]}, {"$": "decimal", "v": "x"}, {"$": "decimal", "v": 1},
    {"$": "date", "v": "tomorrow"}, {"$": "delta", "v": [1e300]}, {"$": "range", "v": [1, 2, 0]},
    {"$": "array", "dtype": "O", "shape": [1], "v": "AAAAAAAAAAA="},
    {"$": "array", "dtype": "<f8", "shape": [10**18], "v": ""},
    {"$": "array", "dtype": "<f8", "shape": [-1], "v": ""}, {"$": "array", "dtype": "<f8", "shape": [2], "v": "AAAA"},
    {"$": "array", "dtype": "f8,i4", "shape": [0], "v": ""}, {"$": "array", "dtype": ["f8"], "shape": [0], "v": ""},
    {"$": "array", "dtype": "<f8", "shape": [0] * 100, "v": ""},
    *({"$": "array", "dtype": dtype, "shape": [300], "v": ""} for dtype in ("|S0", "<U0", "|V0", "S00", "i0", "b0")),
    {"$": "array", "dtype": "<f8", "shape": [10**9, 0], "v": ""},
    {"$": "array", "dtype": "<f8", "shape": [0, 10**4, 10**4], "v": ""},
    {"$": "data", "type": "os.system", "v": ["touch"]}, {"$": "data", "type": 1, "v": {}},
    {"$": "data", "type": "Careful", "v": {"x": -1}},
    {"$": "data", "type": "Careful", "v": {"y": 1}}, {"$": "enum", "type": "Color", "name": "BLUE", "v": 1},
    {"$": "deque", "v": [1], "max": "x"}, {"$": "set", "v": [(2**61 - 1) * i for i in range(5000)]},
    {"$": "dict", "v": [[{"$": "int", "v": hex((2**61 - 1) * i)}, 0] for i in range(5000)]},
]  # fmt: skip


@pytest.mark.parametrize("data", BAD, ids=lambda data: json.dumps(data)[:40])
def test_bad_values_are_refused(data: Any) -> None:
    with pytest.raises(Uncarriable):
        decode(data, {"Careful": Careful, "Color": Color})


def test_names_choose_no_class() -> None:
    for name in ("subprocess.Popen", "Popen", "Careful", "builtins.eval", "__class__"):
        assert decode({"$": "data", "type": name, "v": {"x": 1}}) == Record(name, {"x": 1})


KINDS = ["tuple", "set", "array", "scalar", "data", "dict", "int", "range", "<f8", "deque", "enum", "bytes"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(
        st.sampled_from(["$", "v", "type", "dtype", "shape", "name", "max"]) | st.text(),
        inner | st.sampled_from(KINDS), max_size=5),
    max_leaves=20,
)  # fmt: skip


@given(JSON)
def test_whatever_comes_is_a_value_or_refused(data: Any) -> None:
    with contextlib.suppress(Uncarriable):
        decode(data, {"Careful": Careful})


# --- messages -----------------------------------------------------------------------------------------------------


@given(st.lists(st.dictionaries(st.text(), st.integers()), max_size=5), st.integers(1, 20))
def test_messages_in_pieces(messages: list[dict[str, int]], size: int) -> None:
    data, reader, got = b"".join(map(pack, messages)), Reader(1 << 20), []
    for i in range(0, len(data), size):
        got += list(reader.feed(data[i : i + size]))
    assert got == messages


@pytest.mark.parametrize(
    "data", [b"\xff\xff\xff\xff", b"\0\0\0\2[]", b"\0\0\0\4evil", b"\0\0\0\3{} ", b"\0\0\0\2\xff\xff"]
)
def test_no_messages(data: bytes) -> None:
    with pytest.raises(FrameError):
        list(Reader(1000).feed(data + b"   "))


def test_messages_before_a_bad_one_are_heard() -> None:
    reader = Reader(1000).feed(pack({"a": 1}) + b"\xff\xff\xff\xff")
    assert next(reader) == {"a": 1}
    with pytest.raises(FrameError, match="at most 1,000"):
        next(reader)


def test_deep_messages() -> None:
    deep = b'{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}"
    with pytest.raises(FrameError):
        list(Reader(10**6).feed(len(deep).to_bytes(4, "big") + deep))
