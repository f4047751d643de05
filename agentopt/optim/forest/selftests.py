"""Tests that a model writes for a program from the description alone: validation where nobody has given any.

They may be wrong. ``agreement`` weighs them by what candidates make of them; ``agentopt.evaluate.verifier`` says how
far they can be trusted where the truth is known.
"""

from __future__ import annotations

import ast
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from pydantic import JsonValue

from agentopt._code import find_code, parsed
from agentopt.errors import UnusableAnswer
from agentopt.llm.types import Address, Message, Request
from agentopt.optim.base import OptimizerLLM
from agentopt.optim.meta import fill, parse_object, section

__all__ = ["SelfTests", "read_tests", "write_tests"]

_LONGEST = 400  # characters of a test


@dataclass(frozen=True, slots=True)
class SelfTests:
    """The tests that are kept, why others are not, and how many calls it took."""

    tests: tuple[str, ...]
    rejected: tuple[str, ...] = ()
    calls: int = 0


def read_tests(answer: str, entry_point: str) -> tuple[list[str], list[str]]:
    """The usable tests of an answer, each an ``assert`` that calls the function, and why the others are not.

    >>> read_tests('{"tests": ["assert f(1) == 2", "assert 1 == 1", "assert f(", "print(f(3))"]}', "f")[0]
    ['assert f(1) == 2']
    """
    data = parse_object(answer) if "```" not in answer else None
    found = data.get("tests") if data else None
    if isinstance(found, list):
        pieces = [piece for piece in found if isinstance(piece, str)]
    else:
        pieces = _statements(find_code(answer) or answer)
    kept: dict[str, str] = {}
    rejected = []
    for piece in pieces:
        reason, test = _test(piece, entry_point)
        if reason:
            rejected.append(f"{' '.join(piece.split())[:80]}: {reason}")
        else:
            kept.setdefault(test, test)
    return list(kept), rejected


def _statements(code: str) -> list[str]:
    """The asserts of a program, those of several lines whole; of one that does not parse, its lines with an assert."""
    tree = parsed(code)
    if tree is not None:
        return [ast.unparse(node) for node in ast.walk(tree) if isinstance(node, ast.Assert)]
    return [line.strip() for line in code.splitlines() if "assert" in line]


def _test(piece: str, entry_point: str) -> tuple[str, str]:
    tree = parsed(piece.strip())
    if tree is None:
        return "it does not parse", ""
    if len(tree.body) != 1 or not isinstance(node := tree.body[0], ast.Assert):
        return "it is not one assert", ""
    called = {n.func.id for n in ast.walk(node) if isinstance(n, ast.Call) and isinstance(n.func, ast.Name)}
    if entry_point not in called:
        return f"it does not call {entry_point}", ""
    test = ast.unparse(ast.Assert(test=node.test, msg=None))
    return ("it is too long", "") if len(test) > _LONGEST else ("", test)


async def write_tests(
    llm: OptimizerLLM,
    prompt: Callable[[str], str],
    problem: str,
    entry_point: str,
    *,
    count: int = 6,
    calls: int = 20,
    temperature: float = 0.2,
    max_tokens: int = 1024,
    json: bool = True,
    seed: int = 0,
    scope: str = "tests",
    known: Sequence[str] = (),
) -> SelfTests:
    """Ask for tests until there are enough. Light et al. 2024, section 3 (6 tests, written once, before any program).

    Args:
        llm: the model.
        prompt: text of a prompt file by name; the request is ``meta/forest_tests``.
        problem: what the function shall do.
        entry_point: its name.
        count: how many tests are wanted.
        calls: how often the model is asked at most.
        temperature: of the first call; further ones are warmer, up to 1.
        max_tokens: cap of an answer.
        json: ask for JSON; a code block is asked for, and in either case read, otherwise.
        seed: of the calls.
        scope: where in a run the calls stand.
        known: tests that are there already, and count; such as those of the problem itself.

    Returns:
        At most ``count`` tests, the known ones first; perhaps none: whoever uses them must bear that.

    Raises:
        BudgetExhausted: the budget ended before there was any.
        LLMError: the model could not be asked.
    """
    text, rng = prompt("meta/forest_tests"), random.Random(f"{seed}/tests")
    kept = dict.fromkeys(known)
    rejected: list[str] = []
    schema: dict[str, JsonValue] = {
        "type": "object",
        "properties": {"tests": {"type": "array", "items": {"type": "string", "maxLength": _LONGEST}, "minItems": 1}},
        "required": ["tests"],
        "additionalProperties": False,
    }
    asked = 0
    while len(kept) < count and asked < calls:
        values = {
            "problem": problem, "name": entry_point, "known": "\n".join(kept), "count": str(count - len(kept)),
            "closing": section(text, "json" if json else "text"),
        }  # fmt: skip
        request = Request(
            model=llm.model,
            messages=(
                Message(role="system", content=section(text, "system")),
                Message(role="user", content=fill(section(text, "user"), values)),
            ),
            role="optimizer",
            max_tokens=max_tokens,
            temperature=min(max(1.0, temperature), temperature + 0.1 * asked),
            seed=rng.randrange(2**31 - 1),
            json_schema=schema if json else None,
            address=Address(scope=scope, path="tests", ordinal=asked),
        )
        asked += 1
        try:
            response = await llm.complete(request)
        except UnusableAnswer as error:
            rejected.append(str(error))
            continue
        if response.unfinished:
            rejected.append(f"the answer was cut off {response.unfinished}")
            if json:
                continue
        tests, faults = read_tests(response.text, entry_point)
        rejected += faults
        kept |= dict.fromkeys(tests)
    return SelfTests(tuple(kept)[:count], tuple(rejected), asked)
