"""Building meta-prompts and parsing their answers: the pieces that all optimizers share.

A meta-prompt is a file (``prompts/meta/*.md``) with ``{{name}}`` placeholders. A *block* is text between blank lines;
a block whose placeholders are all empty is left out, so that one file serves a problem with and without, say, memory.
"""

from __future__ import annotations

import json
import math
import re
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from agentopt._builtin import without_front_matter
from agentopt._code import broken
from agentopt.errors import BudgetExhausted, LLMError, MalformedAnswer, UnusableAnswer, UsageError
from agentopt.llm.structured import parse_json
from agentopt.llm.types import Address, Message, Request
from agentopt.optim.base import OptimizerLLM, ParameterSpec, View

__all__ = [
    "SHORTENED",
    "Answer",
    "ask_json",
    "bounds",
    "clip",
    "estimate_tokens",
    "fill",
    "parse_object",
    "section",
    "show",
    "size_of",
    "usable_text",
    "value_schema",
]

_PLACEHOLDER = re.compile(r"\{\{\s*(\w+)\s*\}\}")
_FENCED = re.compile(r"\s*```[a-zA-Z0-9]*[ \t]*\n(.*?)\n?```\s*", re.DOTALL)
_MARKED = re.compile(r"\s*<<<+[ \t]*\n?(.*?)\n?[ \t]*>>>+\s*", re.DOTALL)


def fill(template: str, values: Mapping[str, str]) -> str:
    """Fill ``{{name}}`` placeholders in one pass; a block whose placeholders are all empty is left out.

    Args:
        template: text of a prompt file; a YAML front matter is dropped.
        values: text of each placeholder; what they contain is never filled in turn.

    Raises:
        UsageError: the template names a placeholder that ``values`` lacks.

    >>> fill("Hi {{who}}.\\n\\n# Memory\\n{{memory}}\\n\\nBye", {"who": "Ann", "memory": ""})
    'Hi Ann.\\n\\nBye'
    """
    blocks = []
    for block in re.split(r"\n\s*\n", without_front_matter(template)):
        names = _PLACEHOLDER.findall(block)
        missing = [name for name in names if name not in values]
        if missing:
            raise UsageError(
                f"the meta-prompt has the placeholder {{{{{missing[0]}}}}}, which is not filled here; "
                f"it may use {', '.join(sorted(values))}"
            )
        if not names or any(values[name].strip() for name in names):
            blocks.append(_PLACEHOLDER.sub(lambda m: values[m.group(1)].rstrip("\n"), block))
    return "\n\n".join(blocks)


def section(text: str, name: str) -> str:
    """The part of a prompt file under the line ``=== name``; the whole file when it has no such lines.

    >>> section("=== system\\nYou are.\\n=== user\\nDo {{x}}.", "user")
    'Do {{x}}.'
    """
    parts = re.split(r"^=== *(\w+) *$", without_front_matter(text), flags=re.MULTILINE)
    found = {parts[i]: parts[i + 1].strip() for i in range(1, len(parts) - 1, 2)}
    if not found:
        return parts[0].strip()
    if name not in found:
        raise UsageError(f"the meta-prompt has no part '=== {name}'; it has {sorted(found)}")
    return found[name]


def estimate_tokens(text: str) -> int:
    """Tokens of a text, rounded up: UTF-8 bytes / 3, a little more than what tokenizers make of English or code."""
    return math.ceil(len(text.encode()) / 3)


def size_of(messages: Sequence[Message]) -> int:
    """Estimated tokens of a request."""
    return sum(estimate_tokens(str(message.content)) for message in messages)


SHORTENED = re.compile(r"\[\d+ characters left out\]|\(\d+ lines left out\)")
"""What stands where a request was shortened, which models copy."""


def clip(text: str, tokens: int) -> str:
    """The text, or its beginning and end with the number of characters left out between them.

    >>> clip("abcdefghij" * 30, 20)
    'abcdefghijabcdefghijabcdef ...[260 characters left out]... ghijabcdefghij'
    """
    if estimate_tokens(text) <= tokens:
        return text
    keep = max(3 * tokens - 20, 8)
    head, tail = keep * 2 // 3, keep - keep * 2 // 3
    while head > 4 and estimate_tokens(text[:head] + text[len(text) - tail :]) > tokens:
        head, tail = head * 3 // 4, max(tail * 3 // 4, 1)
    left = len(text) - head - tail
    return f"{text[:head]} ...[{left} characters left out]... {text[len(text) - tail :]}" if left > 0 else text


def show(value: object, tokens: int = 200) -> str:
    """A value as an optimizer's model reads it: JSON, numbers with at most 6 significant digits, long texts clipped.

    >>> show({"a": 0.30000000000000004, "b": "x"})
    '{"a": 0.3, "b": "x"}'
    """
    if isinstance(value, str):
        return json.dumps(clip(value, tokens), ensure_ascii=False)
    try:
        return clip(json.dumps(_rounded(value), ensure_ascii=False), tokens)
    except (TypeError, ValueError):
        return clip(repr(value), tokens)


def _rounded(value: object) -> object:
    if isinstance(value, float):
        if not math.isfinite(value):
            return value
        short = float(f"{value:.6g}")
        return int(short) if short.is_integer() and abs(short) < 1e15 else short
    if isinstance(value, Mapping):
        return {str(k): _rounded(v) for k, v in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(v) for v in value]
    return value


def value_schema(spec: ParameterSpec) -> dict[str, JsonValue]:
    """JSON schema of a parameter's value: type, bounds, the choices, or the parameter's own schema.

    >>> value_schema(ParameterSpec("n", "number", 3, low=0, integer=True))
    {'type': 'integer', 'minimum': 0}
    """
    if spec.kind == "number":
        schema: dict[str, JsonValue] = {"type": "integer" if spec.integer else "number"}
        if spec.low is not None and math.isfinite(spec.low):
            schema["minimum"] = math.ceil(spec.low) if spec.integer else spec.low
        if spec.high is not None and math.isfinite(spec.high):
            schema["maximum"] = math.floor(spec.high) if spec.integer else spec.high
        return schema
    if spec.kind == "choice":
        return {"enum": list(spec.choices)}
    if spec.kind == "json":
        return dict(spec.json_schema) if spec.json_schema else {}
    if spec.kind == "demos":
        return {"type": "array", "items": {"type": "object"}}
    return {"type": "string"}


def parse_object(text: str) -> dict[str, JsonValue] | None:
    """The JSON object in an answer, also inside a code fence or prose; None when there is no complete one.

    >>> parse_object('Sure! ```json\\n{"a": 1}\\n``` Good luck {x}')
    {'a': 1}
    """
    try:
        value = parse_json(text)
    except MalformedAnswer:
        return None
    return value if isinstance(value, dict) else None


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of one request: ``data`` or the reason why there is none. ``text`` is what the model wrote."""

    data: dict[str, JsonValue] | None
    text: str = ""
    problem: str = ""
    stopped: BudgetExhausted | LLMError | None = None
    """The end of the budget, or the failure of the call itself."""


async def ask_json(
    view: View,
    messages: Sequence[Message],
    schema: Mapping[str, JsonValue],
    *,
    path: str,
    ordinal: int = 0,
    temperature: float | None,
    seed: int,
    max_tokens: int,
) -> Answer:
    """Ask the optimizer's model for a JSON object. Never raises for what a model or the budget does.

    The address (the ask's scope, ``path``, ``ordinal``) is fixed by the caller, so that requests sent side by side keep
    the same addresses in a resumed run. A truncated answer is dropped, not repaired.
    """
    llm: OptimizerLLM = view.llm
    request = Request(
        model=llm.model,
        messages=tuple(messages),
        role="optimizer",
        max_tokens=max_tokens,
        temperature=temperature,
        seed=seed,
        json_schema=dict(schema),
        address=Address(scope=f"ask/{view.step}", path=path, ordinal=ordinal),
    )
    try:
        response = await llm.complete(request)
    except BudgetExhausted as error:
        return Answer(None, problem=f"budget: {error}", stopped=error)
    except UnusableAnswer as error:
        return Answer(None, error.text, problem=str(error))
    except LLMError as error:
        return Answer(None, problem=f"the call failed: {error}", stopped=error)
    if response.unfinished:
        return Answer(None, response.text, f"the answer was cut off {response.unfinished}")
    data = parse_object(response.text)
    if data is None:
        return Answer(None, response.text, "the answer has no complete JSON object")
    return Answer(data, response.text)


def bare_source(text: str) -> str:
    """Source that a model wrote, without a code fence or the marks of a request around it, and not indented as a whole.

    >>> bare_source("```python\\ndef f():\\n    pass\\n```")
    'def f():\\n    pass'
    >>> bare_source("<<<\\n  def f():\\n      pass\\n>>>")
    'def f():\\n    pass'
    """
    bare = textwrap.dedent(_unwrapped(text).strip("\n")).rstrip()
    prompted = bare.removeprefix(">>> ")  # a model that has seen the marks may begin with one of them
    return bare if not broken(bare) or broken(prompted) else prompted


def usable_text(value: JsonValue) -> str:
    """A text that a model wrote for a text parameter, without the wrapping that small models add.

    Fences, quotes and the marks of a request around the whole are taken off; nothing else is changed.

    >>> usable_text('"Answer with a number."')
    'Answer with a number.'
    >>> usable_text("<<<\\nAnswer with a number.\\n>>>")
    'Answer with a number.'
    """
    text = _unwrapped(value).strip() if isinstance(value, str) else ""
    for quote in ('"', "'", "“”"):
        inner = text[1:-1]
        if len(text) > 2 and text[0] == quote[0] and text[-1] == quote[-1] and not set(inner) & set(quote):
            text = inner.strip()
    return text


def _unwrapped(text: str) -> str:
    """What is inside of a code fence, or of the marks between which a request shows a value."""
    for wrapping in (_MARKED, _FENCED):
        if found := wrapping.fullmatch(text):
            text = found.group(1)
    return text


def bounds(spec: ParameterSpec) -> str:
    """What a number or a choice may be, as a line of a request; nothing for what has no bounds.

    >>> bounds(ParameterSpec(name="x", kind="number", value=1.0, low=0.0, high=2.0))
    'x: 0 .. 2'
    """
    if spec.kind == "choice":
        return f"{spec.name}: {', '.join(map(str, spec.choices))}"
    if spec.kind != "number" or spec.low is None or spec.high is None:
        return ""
    return f"{spec.name}: {show(spec.low)} .. {show(spec.high)}"
