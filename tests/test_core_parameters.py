"""Parameters: kinds, constraints, discovery, rendering."""

from __future__ import annotations

import copy
import functools
import pickle
import types
from dataclasses import dataclass
from typing import Any

import pytest

from agentopt.core import Node, Parameter, Trace, graph, node, parameters, placeholders, render
from agentopt.errors import ConstraintError, UsageError

TONE = Parameter("plain {{x}}", name="tone")
LIMIT = Parameter(3, name="limit", kind="number")


def refused(parameter: Parameter[Any], value: Any, why: str) -> None:
    with pytest.raises(ConstraintError, match=why) as caught:
        parameter.check(value)
    assert parameter.name in str(caught.value)


def test_text() -> None:
    p = Parameter("Say {{a}} and {{b}}", name="p", validator=lambda t: len(t) < 40 or "too long")
    assert p.check("{{b}} {{ a }}") == "{{b}} {{ a }}"
    refused(p, "Say {{a}}", r"lost \{\{b\}\}")
    refused(p, "{{a}} {{b}} {{c}}", r"nothing fills \{\{c\}\}")
    refused(p, 3, "no text but int")
    refused(p, "{{a}}{{b}}" + "x" * 40, "too long")
    assert p.placeholders == ("a", "b")


@pytest.mark.parametrize(("value", "wanted"), [(4, 4), ("4", 4), (4.0, 4), ("4.0", 4)])
def test_whole_numbers(value: Any, wanted: int) -> None:
    p = Parameter(3, name="p", kind="number", low=1, high=9)
    assert p.check(value) == wanted
    assert type(p.check(value)) is int


@pytest.mark.parametrize(
    ("value", "why"),
    [
        (0, "below 1"),
        (10, "above 9"),
        (2.5, "no whole"),
        (True, "no number but bool"),
        ("x", "no number"),
        ([], "list"),
    ],
)
def test_numbers_that_are_refused(value: Any, why: str) -> None:
    refused(Parameter(3, name="p", kind="number", low=1, high=9), value, why)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), "nan", "inf"])
def test_numbers_are_finite(value: Any) -> None:
    p = Parameter(0.5, name="p", kind="number")
    with pytest.raises(ConstraintError):
        p.check(value)


def test_choices_keep_their_types() -> None:
    p = Parameter(True, name="p", kind="choice", choices=(True, False, 1, "1", None))
    assert p.check(1) == 1
    assert type(p.check(1)) is int
    assert p.check("1") == "1"
    assert p.check("False") is False
    assert p.check("false") is False
    refused(p, "yes", "none of True, False, 1, '1', None")


def test_json_with_a_schema() -> None:
    schema = {"type": "object", "properties": {"k": {"type": "integer"}}, "required": ["k"]}
    p: Parameter[Any] = Parameter({"k": 1}, name="p", kind="json", json_schema=schema)
    assert p.check('{"k": 2}') == {"k": 2}
    refused(p, {"k": "x"}, r"schema at \$.k")
    refused(p, {"k": {1}}, "cannot be written as JSON")
    refused(p, "{", "no JSON")
    p.value["k"] = 99
    assert p.value == {"k": 1}


def test_demos() -> None:
    p: Parameter[Any] = Parameter([], name="p", kind="demos")
    assert p.check([{"input": 1, "output": 2, "why": "x"}]) == [{"input": 1, "output": 2, "why": "x"}]
    refused(p, [{"input": 1}], "demonstration 0")
    refused(p, {"input": 1}, "no list")


def test_validators_may_raise_return_false_or_say_why() -> None:
    def even(x: int) -> None:
        if x % 2:
            raise ValueError("odd")

    refused(Parameter(2, name="p", kind="number", validator=even), 3, "3 is refused: odd")
    refused(Parameter(2, name="p", kind="number", validator=lambda x: x == 2, constraint="two"), 3, "refused: two")


def test_the_first_value_is_checked_too() -> None:
    with pytest.raises(ConstraintError):
        Parameter(5, name="p", kind="number", high=3)
    with pytest.raises(UsageError, match="none of text, code"):
        Parameter(5, name="p", kind="string")
    with pytest.raises(UsageError, match="without '/'"):
        Parameter("x", name="a/b")


def test_setting_a_value_checks_it() -> None:
    p = Parameter(3, name="p", kind="number", high=5)
    p.value = 4
    assert p.value == 4
    with pytest.raises(ConstraintError):
        p.value = 6
    assert p.default == 4


def test_spec_is_what_an_optimizer_reads() -> None:
    from agentopt.optim.base import ParameterSpec

    p = Parameter(3, name="p", kind="number", low=1, high=9, description="d", constraint="c")
    spec = ParameterSpec(**p.spec_dict(), check=p.check)
    assert (spec.name, spec.kind, spec.value, spec.low, spec.integer) == ("p", "number", 3, 1, True)


def test_copies_are_parameters_of_their_own() -> None:
    p = Parameter(3, name="p", kind="number", high=5)
    twin = copy.deepcopy(p)
    twin.value = 4
    assert (p.value, twin.value, twin.high) == (3, 4, 5)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(p)


def helper(text: str) -> str:
    return render(TONE, x=text).value  # type: ignore[no-any-return]


@node
def inner(text: str) -> str:
    return helper(text)


@graph
def outer(text: str) -> Any:
    return [inner(text) for _ in range(LIMIT.value)]


@graph
def unrelated(text: str) -> Any:
    return text.tone  # type: ignore[attr-defined]


def test_parameters_of_functions_and_what_they_call() -> None:
    assert set(parameters(outer)) == {"limit", "tone"}
    assert parameters(outer)["tone"] is TONE
    assert parameters(unrelated) == {}
    assert list(parameters(functools.partial(inner, text=LIMIT))) == ["tone", "limit"]


def test_parameters_in_closures_defaults_and_modules() -> None:
    hidden = Parameter("a", name="hidden")
    default = Parameter("b", name="default")
    module = types.ModuleType("prompts")
    module.far = Parameter("c", name="far")  # type: ignore[attr-defined]

    def make() -> Any:
        space = {"prompts": module, "node": node}

        def use(x: Any = default) -> Any:
            return prompts.far + hidden + x  # type: ignore[name-defined]  # noqa: F821

        return types.FunctionType(use.__code__, space, "use", (default,), use.__closure__)

    assert set(parameters(node(make()))) == {"hidden", "default", "far"}


@dataclass
class Part:
    prompt: Any


class Whole:
    shared = Parameter("s", name="shared")
    __slots__ = ("_parts", "tools")

    def __init__(self) -> None:
        self._parts = [Part(Parameter("1", name="first")), {"k": (Part(Parameter("2", name="second")),)}]
        self.tools = self

    @property
    def costly(self) -> Any:
        raise AssertionError("evaluated")

    def method(self) -> Any:
        return LIMIT.value


def test_parameters_of_objects() -> None:
    assert set(parameters(Whole())) == {"first", "second", "shared", "limit"}
    assert set(parameters(Whole)) == {"shared", "limit"}
    assert set(parameters(Whole().method)) == {"first", "second", "shared", "limit"}
    assert list(parameters([LIMIT, {"a": TONE}])) == ["limit", "tone"]


def test_two_parameters_of_one_name() -> None:
    with pytest.raises(UsageError, match="two parameters are named 'tone'"):
        parameters([TONE, Parameter("other", name="tone")])
    assert list(parameters([TONE, TONE])) == ["tone"]


def test_render_keeps_where_each_piece_came_from() -> None:
    with Trace() as trace:
        name, n = Node("Ann {{n}}", name="who"), 3
        made = render("Dear {{who}}, {{n}} times {{ who }}.", who=name, n=n)
    assert made.value == "Dear Ann {{n}}, 3 times Ann {{n}}."
    assert [(p.role, p.node) for p in made.meta.parents] == [("who", name)]
    record = trace.graph[made.meta.id]
    assert [(made.value[a:b], role) for a, b, role in record.more["spans"]] == [
        ("Ann {{n}}", "who"),
        ("3", "n"),
        ("Ann {{n}}", "who"),
    ]
    assert record.constants == {"template": "Dear {{who}}, {{n}} times {{ who }}.", "n": 3}


def test_render_is_a_text_outside() -> None:
    assert render("{{a}}{{a}}", a=1) == "11"
    assert type(render("{{a}}", a=1)) is str
    assert isinstance(render(TONE, x=1), Node)
    assert render("{{template}}", template="t") == "t"


@pytest.mark.parametrize(
    ("template", "variables", "why"),
    [
        ("{{a}} {{b}}", {"a": 1}, r"needs b; pass b="),
        ("{{name}}", {"name": 1, "nmae": 2}, "did you mean 'name'"),
        ("plain", {"x": 1}, "it has none"),
        (3, {}, "a template is a text"),
    ],
)
def test_render_refuses(template: Any, variables: dict[str, Any], why: str) -> None:
    with pytest.raises(UsageError, match=why):
        render(template, **variables)


def test_placeholders_are_names_in_double_braces() -> None:
    assert placeholders("{{a}} {b} {{ c_1 }} {{1}} {{a}}") == ("a", "c_1")
