"""The grammar of plain schemas: which schemas it takes, and what it says for them."""

from __future__ import annotations

from typing import Any

import pytest

from agentopt.serve.grammar import compact


def root(schema: dict[str, Any]) -> str | None:
    grammar = compact(schema)
    return None if grammar is None else grammar.splitlines()[0]


def of(**properties: Any) -> dict[str, Any]:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def test_an_object_has_its_properties_in_order_with_one_blank_after_colon_and_comma() -> None:
    schema = of(why={"type": "string", "maxLength": 9}, n={"type": "integer", "minimum": 0})
    assert root(schema) == r'root ::= "{" "\"why\": " str ", " "\"n\": " int "}"'


def test_choices_are_written_out() -> None:
    assert root(of(kind={"enum": ["a b", 'say "x"', 3]})) == (
        r'root ::= "{" "\"kind\": " ("\"a b\"" | "\"say \\\"x\\\"\"" | "3") "}"'
    )


def test_objects_and_arrays_nest() -> None:
    schema = of(outer=of(items={"type": "array", "items": {"type": "number"}}))
    assert root(schema) == (r'root ::= "{" "\"outer\": " "{" "\"items\": " ("[" "]" | "[" num (", " num)* "]") "}" "}"')


def test_references_are_written_out_where_they_stand() -> None:
    part = of(n={"type": "integer"})
    schema = of(a={"$ref": "#/$defs/Part"}, b={"type": "array", "items": {"$ref": "#/$defs/Part"}})
    assert root({**schema, "$defs": {"Part": part}}) == root(of(a=part, b={"type": "array", "items": part}))


@pytest.mark.parametrize(
    "schema",
    [
        {**of(a={"$ref": "#/$defs/A"}), "$defs": {"A": of(a={"type": "array", "items": {"$ref": "#/$defs/A"}})}},
        {"type": "object"},
        {"type": "object", "properties": {"a": {"type": "string"}}, "required": []},
        {"type": "object", "properties": {"a": {"$ref": "#/$defs/A"}}, "required": ["a"], "$defs": {}},
        of(a={"type": "string", "pattern": "x+"}),
        of(a={"type": ["string", "null"]}),
        of(a={"anyOf": [{"type": "string"}, {"type": "null"}]}),
        of(a={"enum": []}),
        {"type": "array"},
    ],
)
def test_schemas_that_are_not_plain_are_left_to_the_engine(schema: dict[str, Any]) -> None:
    assert compact(schema) is None
