"""Nodes within containers: lists, tuples, dicts, sets, slices and dataclasses are searched, and handed on plain."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Iterator
from typing import Any

from agentopt.core.cell import ATOMS, Cell, Nested

__all__ = ["cells_in", "split", "unwrap"]


def unwrap(value: Any) -> tuple[Any, Any]:
    """``(plain, record)``: the value without nodes, and what a node's arguments keep of it.

    A container without nodes comes back as it is, not copied. Containers with nodes are copied as far down as the nodes
    are; the originals stay as they were.
    """
    if isinstance(value, Cell):
        return value._n_plain(), value
    if type(value) in ATOMS:
        return value, value
    found = tuple(_search(value))
    if not found:
        return value, value
    return _replace(value, {}), Nested(value, found)


def split(values: Iterable[Any]) -> tuple[list[Any], list[Any], bool]:
    """``unwrap`` for several values, and whether any node was among them."""
    plain: list[Any] = []
    record: list[Any] = []
    found = False
    for value in values:
        kind = type(value)
        if kind in ATOMS:
            plain.append(value)
            record.append(value)
        elif issubclass(kind, Cell):
            found = True
            plain.append(value._n_plain())
            record.append(value)
        else:
            value, kept = unwrap(value)
            found = found or type(kept) is Nested
            plain.append(value)
            record.append(kept)
    return plain, record, found


def cells_in(record: Any) -> Iterable[Cell]:
    """The nodes of one recorded argument."""
    if isinstance(record, Cell):
        return (record,)
    return (cell for _, cell in record.found) if type(record) is Nested else ()


def _items(value: Any) -> Iterator[tuple[str, Any]]:
    """The places of a container and what is there; nothing for anything else."""
    if isinstance(value, list | tuple):
        if set(map(type, value)) <= ATOMS:
            return
        names = getattr(value, "_fields", None)
        for i, item in enumerate(value):
            yield (f".{names[i]}" if names else f"[{i}]"), item
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (f"[key {key!r}]" if isinstance(key, Cell) else f"[{key!r}]"), item
            if type(key) not in ATOMS:
                yield "[key]", key
    elif isinstance(value, set | frozenset):
        for item in value:
            yield "{}", item
    elif type(value) is slice:
        yield from ((".start", value.start), (".stop", value.stop), (".step", value.step))
    elif hasattr(type(value), "__dataclass_fields__"):
        for name in type(value).__dataclass_fields__:
            if hasattr(value, name):
                yield f".{name}", getattr(value, name)


def _search(value: Any) -> Iterator[tuple[str, Cell]]:
    """The nodes within a container with their places, in order; containers that hold themselves are no trouble."""
    seen = {id(value)}
    stack: list[tuple[str, Iterator[tuple[str, Any]]]] = [("", _items(value))]
    while stack:
        prefix, items = stack[-1]
        for place, item in items:
            if isinstance(item, Cell):
                yield prefix + place, item
            elif type(item) not in ATOMS and id(item) not in seen:
                seen.add(id(item))
                stack.append((prefix + place, _items(item)))
                break
        else:
            stack.pop()


def _replace(value: Any, done: dict[int, Any]) -> Any:
    """A copy of a container with the values of the nodes in it."""
    if isinstance(value, Cell):
        return value._n_plain()
    if type(value) in ATOMS:
        return value
    if id(value) in done:
        return done[id(value)]
    if not any(True for _ in _search(value)):
        return value
    new: Any
    if isinstance(value, list):
        new = done[id(value)] = copy.copy(value)
        new[:] = [_replace(item, done) for item in value]
    elif isinstance(value, tuple):
        items = [_replace(item, done) for item in value]
        new = type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    elif isinstance(value, dict):
        new = done[id(value)] = copy.copy(value)
        new.clear()
        new.update({_replace(key, done): _replace(item, done) for key, item in value.items()})
    elif isinstance(value, set | frozenset):
        new = type(value)(_replace(item, done) for item in value)
    elif type(value) is slice:
        new = slice(*(_replace(item, done) for item in (value.start, value.stop, value.step)))
    else:
        new = done[id(value)] = copy.copy(value)
        for name in type(value).__dataclass_fields__:
            if hasattr(value, name):
                object.__setattr__(new, name, _replace(getattr(value, name), done))
    return new
