"""Values as JSON: what both sides of the sandbox send each other. Never pickles.

Plain JSON values are written as they are. Everything else is an object with the key ``"$"``, which says its kind:
``tuple``, ``set``, ``frozenset``, ``deque``, ``dict`` (keys that are no texts), ``bytes``, ``bytearray``, ``float``
(nan and the infinities), ``complex``, ``int`` (long ones, in hex), ``range``, ``decimal``, ``fraction``, ``date``,
``time``, ``datetime``, ``delta``, ``array`` and ``scalar`` (numpy), ``data`` (a dataclass or named tuple, by field) and
``enum``.

Decoding makes objects of these kinds only. A dataclass comes back as one of the types that the *reader* passed in,
looked up by its name among these alone, otherwise as a ``Record``: the writer chooses no class.
"""

from __future__ import annotations

import dataclasses
import datetime
import decimal
import enum
import fractions
import math
import re
import sys
from binascii import a2b_base64, b2a_base64
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

__all__ = ["STAND", "Record", "Uncarriable", "decode", "encode"]

STAND = "agentopt.self"
"""Name of the record that stands for the object of a method."""

_PLAIN = object()
_FIELD: Any = dataclasses._FIELD  # type: ignore[attr-defined]
_DEPTH = 100
_ATOMS = frozenset({type(None), bool, str})
_DTYPE = re.compile(r"[<>|=]?([biufc]\d{1,2}|[SUV][1-9]\d{0,6}|[mM]8\[\w{1,9}\])")
_LONG = 1 << 63
_FLOOD = 500
_LONGEST = 100_000
_VOID = 1_000_000  # of an array without elements: the product of its other axes


class Uncarriable(ValueError):
    """A value that cannot be sent, or a message that is no value."""


class Record:
    """A dataclass, named tuple or enum member of a type that the reader does not know: its name and its fields.

    >>> point = Record("Point", {"x": 1, "y": 2})
    >>> point.x, point
    (1, Record('Point', {'x': 1, 'y': 2}))
    """

    __slots__ = ("fields", "type_name")

    def __init__(self, type_name: str, fields: Mapping[str, Any]) -> None:
        self.type_name, self.fields = type_name, dict(fields)

    def __getattr__(self, name: str) -> Any:
        try:
            return object.__getattribute__(self, "fields")[name]
        except KeyError:
            raise AttributeError(name) from None

    def __eq__(self, other: object) -> bool:
        return type(other) is Record and (other.type_name, other.fields) == (self.type_name, self.fields)

    def __hash__(self) -> int:
        return hash((self.type_name, *self.fields))

    def __repr__(self) -> str:
        return f"Record({self.type_name!r}, {self.fields!r})"


def encode(value: Any, where: str = "value", depth: int = 0) -> Any:
    """``value`` as JSON types.

    Raises:
        Uncarriable: a part of it cannot be sent; the message says which.

    >>> encode({"a": (1, 2.5), "b": {3}})
    {'a': {'$': 'tuple', 'v': [1, 2.5]}, 'b': {'$': 'set', 'v': [3]}}
    >>> decode(encode({(1, 2): b"x", "n": float("inf")}))
    {(1, 2): b'x', 'n': inf}
    """
    kind = type(value)
    if kind in _ATOMS:
        return value
    if kind is int:
        return value if -_LONG < value < _LONG else {"$": "int", "v": hex(value)}
    if kind is float:
        return value if math.isfinite(value) else {"$": "float", "v": repr(value)}
    if depth > _DEPTH:
        raise Uncarriable(f"{where} is nested more than {_DEPTH} deep, or contains itself")
    if kind is list:
        return _items(value, where, depth)
    if kind is dict:
        return _mapping(value, where, depth)
    for base, write in _WRITERS:
        if isinstance(value, base):
            return write(value, where, depth + 1)
    if (numpy := sys.modules.get("numpy")) is not None and isinstance(value, (numpy.ndarray, numpy.generic)):
        return _array(value, where, depth)
    if kind is Record:
        return _data(value.type_name, value.fields, where, depth)
    if (fields := getattr(kind, "__dataclass_fields__", None)) is not None:
        real = [name for name, field in fields.items() if field._field_type is _FIELD]
        return _data(kind.__name__, {name: getattr(value, name) for name in real}, where, depth)
    raise Uncarriable(f"{where} is of type {kind.__module__}.{kind.__qualname__}, which cannot be carried")


def _items(values: Iterable[Any], where: str, depth: int) -> list[Any]:
    listed = list(values)
    if set(map(type, listed)) <= _ATOMS:
        return listed
    return [encode(item, f"{where}[{i}]" if depth < 4 else where, depth + 1) for i, item in enumerate(listed)]


def _mapping(value: Any, where: str, depth: int) -> Any:
    items = list(dict.items(value))
    if all(type(key) is str for key, _ in items) and "$" not in value:
        return {key: encode(item, f"{where}[{key[:40]!r}]" if depth < 4 else where, depth + 1) for key, item in items}
    return {
        "$": "dict",
        "v": [[encode(k, f"a key of {where}", depth + 1), encode(v, where, depth + 1)] for k, v in items],
    }


def _tuple(value: Any, where: str, depth: int) -> Any:
    names = getattr(type(value), "_fields", None)
    if type(value) is not tuple and isinstance(names, tuple) and len(names) == len(value):
        return _data(type(value).__name__, dict(zip(names, value, strict=True)), where, depth)
    return {"$": "tuple", "v": _items(value, where, depth)}


def _data(name: str, fields: Mapping[str, Any], where: str, depth: int) -> Any:
    return {"$": "data", "type": name, "v": {key: encode(v, f"{where}.{key}", depth + 1) for key, v in fields.items()}}


def _array(value: Any, where: str, depth: int) -> Any:
    if not _DTYPE.fullmatch(value.dtype.str) or value.dtype.fields:
        raise Uncarriable(f"{where} is an array of {value.dtype}, which cannot be carried")
    kind = "array" if isinstance(value, sys.modules["numpy"].ndarray) else "scalar"
    raw = _base64(value.tobytes())
    return {"$": kind, "dtype": value.dtype.str, "shape": list(value.shape), "v": raw}


def _base64(data: bytes) -> str:
    return b2a_base64(data, newline=False).decode("ascii")


def _delta(value: datetime.timedelta) -> list[int]:
    return [value.days, value.seconds, value.microseconds]


def _tagged(tag: str, write: Callable[[Any], Any]) -> Callable[[Any, str, int], Any]:
    return lambda value, where, depth: {"$": tag, "v": write(value)}


def _listed(tag: str) -> Callable[[Any, str, int], Any]:
    return lambda value, where, depth: {"$": tag, "v": _items(value, where, depth)}


_WRITERS: tuple[tuple[type, Callable[[Any, str, int], Any]], ...] = (
    (enum.Enum, lambda v, where, depth: {"$": "enum", "type": type(v).__name__, "name": v.name,
                                         "v": encode(v.value, where, depth)}),
    (tuple, _tuple),
    (dict, _mapping),
    (list, _items),
    (set, _listed("set")),
    (frozenset, _listed("frozenset")),
    (deque, lambda v, where, depth: {"$": "deque", "v": _items(v, where, depth), "max": v.maxlen}),
    (bytes, _tagged("bytes", _base64)),
    (bytearray, _tagged("bytearray", _base64)),
    (complex, lambda v, where, depth: {"$": "complex", "v": [encode(v.real), encode(v.imag)]}
        if type(v) is complex else _array(v, where, depth)),
    (range, _tagged("range", lambda v: [encode(n) for n in (v.start, v.stop, v.step)])),
    (decimal.Decimal, _tagged("decimal", str)),
    (fractions.Fraction, _tagged("fraction", lambda v: [encode(v.numerator), encode(v.denominator)])),
    (datetime.datetime, _tagged("datetime", lambda v: v.isoformat())),
    (datetime.date, _tagged("date", lambda v: v.isoformat())),
    (datetime.time, _tagged("time", lambda v: v.isoformat())),
    (datetime.timedelta, _tagged("delta", _delta)),
    (str, lambda v, where, depth: str.__str__(v)),
    (int, lambda v, where, depth: encode(int.__int__(v), where, depth)),
    (float, lambda v, where, depth: encode(float.__float__(v), where, depth)
        if not hasattr(v, "dtype") else _array(v, where, depth)),
)  # fmt: skip


def decode(data: Any, types: Mapping[str, type] | None = None, depth: int = 0) -> Any:
    """The value of what ``encode`` wrote, or someone who pretends to be it.

    Args:
        data: JSON types.
        types: dataclasses, named tuples and enums by name, that may be made; nothing else is.

    Raises:
        Uncarriable: it is no value.
    """
    kind = type(data)
    if kind in _ATOMS or kind is int or kind is float:
        return data
    if depth > 2 * _DEPTH:
        raise Uncarriable(f"a value nested more than {2 * _DEPTH} deep")
    if kind is list:
        return data if set(map(type, data)) <= _ATOMS else [decode(item, types, depth + 1) for item in data]
    if kind is not dict:
        raise Uncarriable(f"{kind.__name__} is no JSON type")
    tag = data.get("$", _PLAIN)
    if tag is _PLAIN:
        return {key: decode(item, types, depth + 1) for key, item in data.items()}
    read = _READERS.get(tag) if isinstance(tag, str) else None
    if read is None:
        raise Uncarriable(f"a value of the unknown kind {str(tag)[:40]!r}")
    try:
        return read(data, lambda item: decode(item, types, depth + 1), types or {})
    except Uncarriable:
        raise
    except Exception as exc:  # also of a dataclass's own checks
        raise Uncarriable(f"a {tag} that cannot be read: {type(exc).__name__}: {str(exc)[:200]}") from None


_Read = Callable[[Any], Any]


def _hashed(keys: list[Any]) -> list[Any]:
    """``keys``, unless so many of them share a hash that a set of them would take for ever."""
    if len(keys) > _FLOOD:
        hashes = sorted(map(hash, keys))
        if any(hashes[i] == hashes[i + _FLOOD] for i in range(len(hashes) - _FLOOD)):
            raise Uncarriable(f"more than {_FLOOD} keys with one hash")
    return keys


def _read_items(data: Any, read: _Read, _: Any) -> list[Any]:
    if type(data["v"]) is not list:
        raise TypeError("its parts are no list")
    return [read(item) for item in data["v"]]


def _read_dict(data: Any, read: _Read, _: Any) -> dict[Any, Any]:
    pairs = [(read(key), read(item)) for key, item in data["v"]]
    _hashed([key for key, _ in pairs])
    return dict(pairs)


def _read_array(data: Any, read: _Read, _: Any) -> Any:
    import numpy

    dtype, shape = data["dtype"], data["shape"]
    if not isinstance(dtype, str) or not _DTYPE.fullmatch(dtype):
        raise ValueError(f"dtype {str(dtype)[:40]!r}")
    if not all(type(n) is int and 0 <= n < _LONG for n in shape) or len(shape) > 32:
        raise ValueError("shape")
    raw, kind = a2b_base64(data["v"], strict_mode=True), numpy.dtype(dtype)
    if math.prod(shape) * kind.itemsize != len(raw):
        raise ValueError(f"{len(raw)} bytes are no {dtype} of shape {shape}")
    if not raw and math.prod(filter(None, shape)) > _VOID:
        raise ValueError(f"nothing in a shape of {shape}")  # a sum over its other axes would make it real
    array = numpy.frombuffer(bytearray(raw), dtype=kind).reshape(shape) if raw else numpy.empty(shape, kind)
    return array if data["$"] == "array" else array[()]


def _read_data(data: Any, read: _Read, types: Mapping[str, type]) -> Any:
    name, fields = data["type"], data["v"]
    if not isinstance(name, str) or type(fields) is not dict:
        raise TypeError("no name or no fields")
    values = {key: read(item) for key, item in fields.items()}
    made = types.get(name)
    if made is None:
        return Record(name, values)
    if dataclasses.is_dataclass(made):
        later = {f.name for f in dataclasses.fields(made) if not f.init}
        thing = made(**{key: item for key, item in values.items() if key not in later})
        for key in later & values.keys():
            object.__setattr__(thing, key, values[key])
        return thing
    return made(**values)


def _read_enum(data: Any, read: _Read, types: Mapping[str, type]) -> Any:
    name, member = data["type"], data["name"]
    if not isinstance(name, str) or not isinstance(member, str):
        raise TypeError("no name")
    made: Any = types.get(name)
    return Record(name, {"name": member, "value": read(data["v"])}) if made is None else made[member]


def _read_float(data: Any, read: _Read, _: Any) -> float:
    return {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}[data["v"]]


def _read_int(data: Any, read: _Read, _: Any) -> int:
    return int(data["v"], 16)


def _read_bytes(data: Any, read: _Read, _: Any) -> bytes:
    return a2b_base64(data["v"], strict_mode=True)


def _read_decimal(data: Any, read: _Read, _: Any) -> decimal.Decimal:
    if not isinstance(data["v"], str):
        raise TypeError("no text")
    return decimal.Decimal(data["v"])


def _read_fraction(data: Any, read: _Read, _: Any) -> fractions.Fraction:
    above, below = map(read, data["v"])
    if max(above.bit_length(), below.bit_length()) > _LONGEST:
        raise ValueError(f"more than {_LONGEST} bits")  # its greatest common divisor would take for ever
    return fractions.Fraction(above, below)


def _read_complex(data: Any, read: _Read, _: Any) -> complex:
    real, imag = map(read, data["v"])
    return complex(float(real), float(imag))


_READERS: dict[str, Callable[[Any, _Read, Mapping[str, type]], Any]] = {
    "tuple": lambda d, r, t: tuple(_read_items(d, r, t)),
    "set": lambda d, r, t: set(_hashed(_read_items(d, r, t))),
    "frozenset": lambda d, r, t: frozenset(_hashed(_read_items(d, r, t))),
    "deque": lambda d, r, t: deque(_read_items(d, r, t), d.get("max")),
    "dict": _read_dict,
    "bytes": _read_bytes,
    "bytearray": lambda d, r, t: bytearray(_read_bytes(d, r, t)),
    "float": _read_float,
    "complex": _read_complex,
    "int": _read_int,
    "range": lambda d, r, t: range(*map(r, d["v"])),
    "decimal": _read_decimal,
    "fraction": _read_fraction,
    "date": lambda d, r, t: datetime.date.fromisoformat(d["v"]),
    "time": lambda d, r, t: datetime.time.fromisoformat(d["v"]),
    "datetime": lambda d, r, t: datetime.datetime.fromisoformat(d["v"]),
    "delta": lambda d, r, t: datetime.timedelta(*map(r, d["v"])),
    "array": _read_array,
    "scalar": _read_array,
    "data": _read_data,
    "enum": _read_enum,
}
