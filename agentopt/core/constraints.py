"""What each kind of parameter admits."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from agentopt.core.scope import SCOPE
from agentopt.errors import ConstraintError

if TYPE_CHECKING:
    from agentopt.core.parameter import Parameter

__all__ = ["KINDS", "check", "placeholders"]

_PLACEHOLDER = re.compile(r"\{\{\s*([A-Za-z_]\w*)\s*\}\}")


def placeholders(text: str) -> tuple[str, ...]:
    """The names in double braces, each once, in order.

    >>> placeholders("{{a}} and {{ b }} and {{a}}")
    ('a', 'b')
    """
    return tuple(dict.fromkeys(_PLACEHOLDER.findall(text)))


def check(parameter: Parameter[Any], value: Any) -> Any:
    """The value converted to the parameter's kind.

    Raises:
        ConstraintError: with the reason alone.
    """
    value = _CHECKS[parameter.kind](parameter, value)
    if parameter.validator is not None:
        try:
            verdict = parameter.validator(value)
        except (ValueError, AssertionError) as exc:
            raise ConstraintError(f"{_short(value)} is refused: {exc or type(exc).__name__}") from None
        if verdict is False or isinstance(verdict, str):
            raise ConstraintError(
                f"{_short(value)} is refused: {verdict or parameter.constraint or 'by its validator'}"
            )
    return value


def _text(parameter: Parameter[Any], value: Any) -> str:
    if not isinstance(value, str):
        raise ConstraintError(f"{_short(value)} is no text but {type(value).__name__}")
    here, wanted = set(placeholders(value)), set(placeholders(parameter.default))
    if lost := sorted(wanted - here):
        raise ConstraintError("the text lost " + ", ".join(f"{{{{{name}}}}}" for name in lost))
    if new := sorted(here - wanted):
        raise ConstraintError("nothing fills " + ", ".join(f"{{{{{name}}}}}" for name in new) + " in the text")
    return value


def _number(parameter: Parameter[Any], value: Any) -> Any:
    if isinstance(value, str):
        try:
            value = float(value) if re.search(r"[.eEnN]", value) else int(value)
        except ValueError:
            raise ConstraintError(f"{_short(value)} is no number") from None
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ConstraintError(f"{_short(value)} is no number but {type(value).__name__}")
    if not math.isfinite(value):
        raise ConstraintError(f"{value!r} is not finite")
    if parameter.integer:
        if value != int(value):
            raise ConstraintError(f"{value!r} is no whole number")
        value = int(value)
    if parameter.low is not None and value < parameter.low:
        raise ConstraintError(f"{value!r} is below {parameter.low!r}")
    if parameter.high is not None and value > parameter.high:
        raise ConstraintError(f"{value!r} is above {parameter.high!r}")
    return value


def _choice(parameter: Parameter[Any], value: Any) -> Any:
    for choice in parameter.choices:
        if type(choice) is type(value) and choice == value:
            return choice
    for choice in parameter.choices:
        if isinstance(value, str) and not isinstance(choice, str) and value in (str(choice), json.dumps(choice)):
            return choice
    raise ConstraintError(f"{_short(value)} is none of {', '.join(map(repr, parameter.choices))}")


def _json(parameter: Parameter[Any], value: Any) -> Any:
    if isinstance(value, str) and not isinstance(parameter.default, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise ConstraintError(f"{_short(value)} is no JSON") from None
    try:
        value = json.loads(json.dumps(value, allow_nan=False))
    except (TypeError, ValueError) as exc:
        raise ConstraintError(f"{_short(value)} cannot be written as JSON: {exc}") from None
    if parameter.json_schema is not None:
        _schema(value, parameter.json_schema)
    return value


def _schema(value: Any, schema: Any) -> None:
    import jsonschema  # type: ignore[import-untyped]  # slow to import, and only schemas need it

    try:
        jsonschema.validate(value, dict(schema))
    except jsonschema.ValidationError as exc:
        raise ConstraintError(f"{_short(value)} breaks the schema at {exc.json_path}: {exc.message}") from None


def _demos(parameter: Parameter[Any], value: Any) -> Any:
    value = _json(parameter, value)
    if not isinstance(value, list):
        raise ConstraintError(f"{_short(value)} is no list of demonstrations")
    for i, demo in enumerate(value):
        if not isinstance(demo, dict) or not {"input", "output"} <= demo.keys():
            raise ConstraintError(f"demonstration {i} is no object with input and output: {_short(demo)}")
    return value


def _code(parameter: Parameter[Any], value: Any) -> Any:
    if not isinstance(value, str):
        raise ConstraintError(f"{_short(value)} is no source but {type(value).__name__}")
    if value.strip() == parameter.default.strip():
        return parameter.default
    place = SCOPE.get()[0].exec
    if place is None:
        raise ConstraintError(
            "a changed source needs the sandbox, and none is open here: generated code never runs in the host process"
        )
    place.check(parameter, value)
    return value


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 80 else text[:77] + "..."


_CHECKS: dict[str, Callable[[Parameter[Any], Any], Any]] = {
    "text": _text,
    "code": _code,
    "number": _number,
    "choice": _choice,
    "json": _json,
    "demos": _demos,
}
KINDS = tuple(_CHECKS)
