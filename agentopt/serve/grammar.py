"""A JSON schema as a grammar that leaves no room for blanks.

The grammar that OpenVINO GenAI makes of a schema allows any number of blanks between any two marks, and small models
fall into writing nothing else. For the plain schemas that most calls use (objects whose properties are all required,
arrays, texts, numbers, choices, and references to such) this module writes the grammar itself, in xgrammar's EBNF: one
blank after each colon and comma. Bounds of numbers and lengths of texts are not in it; who asked checks them anyway.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

__all__ = ["compact"]

_RULES = r"""
str ::= "\"" chars
chars ::= "\"" | [^\0-\x1f\"\\\r\n] chars | "\\" esc chars
esc ::= ["\\/bfnrt] | "u" hex hex hex hex
hex ::= [0-9A-Fa-f]
int ::= "-"? ("0" | [1-9] [0-9]*)
num ::= int ("." [0-9]+)? ([eE] [+-]? [0-9]+)?
"""
_SCALARS = {"string": "str", "integer": "int", "number": "num", "boolean": '("true" | "false")', "null": '"null"'}
_NOTES = {
    "title", "description", "default", "examples", "minLength", "maxLength", "minimum", "maximum",
    "exclusiveMinimum", "exclusiveMaximum", "additionalProperties", "$schema", "$defs",
}  # fmt: skip


def compact(schema: Mapping[str, Any]) -> str | None:
    """The EBNF grammar of a schema, or None for one that is not plain.

    >>> schema = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
    >>> compact(schema).splitlines()[0]
    'root ::= "{" "\\\\"n\\\\": " int "}"'
    """
    try:
        return f"root ::= {_rule(schema, schema.get('$defs') or {})}{_RULES}"
    except _NotPlain:
        return None


class _NotPlain(Exception):
    """The schema uses something that is left to the engine's own reader."""


def _rule(schema: Any, defs: Mapping[str, Any], within: tuple[str, ...] = ()) -> str:
    """The right side of a rule. ``within`` are the definitions that are being written: what refers to itself is not."""
    if not isinstance(schema, Mapping):
        raise _NotPlain
    keys = set(schema) - _NOTES
    if keys == {"$ref"}:
        name = str(schema["$ref"]).removeprefix("#/$defs/")
        if name not in defs or name in within:
            raise _NotPlain
        return _rule(defs[name], defs, (*within, name))
    if "enum" in schema and keys <= {"enum", "type"} and schema["enum"]:
        return "(" + " | ".join(_literal(value) for value in schema["enum"]) + ")"
    if keys == {"const"}:
        return _literal(schema["const"])
    kind = schema.get("type")
    if kind == "object" and keys <= {"type", "properties", "required"}:
        return _object(schema, defs, within)
    if kind == "array" and keys <= {"type", "items"} and "items" in schema:
        item = _rule(schema["items"], defs, within)
        return f'("[" "]" | "[" {item} (", " {item})* "]")'
    if isinstance(kind, str) and kind in _SCALARS and keys == {"type"}:
        return _SCALARS[kind]
    raise _NotPlain


def _object(schema: Mapping[str, Any], defs: Mapping[str, Any], within: tuple[str, ...]) -> str:
    properties = schema.get("properties")
    if not isinstance(properties, Mapping) or not properties or set(schema.get("required", ())) != set(properties):
        raise _NotPlain
    pairs = [
        f"{_quoted(json.dumps(name, ensure_ascii=False) + ': ')} {_rule(part, defs, within)}"
        for name, part in properties.items()
    ]
    return '"{" ' + ' ", " '.join(pairs) + ' "}"'


def _literal(value: Any) -> str:
    return _quoted(json.dumps(value, ensure_ascii=False))


def _quoted(text: str) -> str:
    if any(ord(c) < 32 for c in text):
        raise _NotPlain
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
