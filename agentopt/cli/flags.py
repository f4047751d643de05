"""Command-line flags made from a pydantic model, so that an option has one spelling everywhere.

A field ``max_connections: int = 16`` becomes ``--max-connections INTEGER``; its docstring is the help. What is not
given on the command line comes from ``AGENTOPT_MAX_CONNECTIONS``, then from ``[run]`` in ``agentopt.toml``, then
from the field's default.
"""

from __future__ import annotations

import ast
import functools
import inspect
import itertools
import json
import textwrap
import types
from collections.abc import Callable, Collection, Mapping
from typing import Annotated, Any, TypeVar, Union, get_args, get_origin

import typer
from pydantic import BaseModel, ValidationError

from agentopt.core.values import Budget
from agentopt.errors import UsageError
from agentopt.workspace.settings import run_defaults

__all__ = ["configured", "field_help", "flag", "pairs", "validated", "with_flags"]

Model = TypeVar("Model", bound=BaseModel)
SHORT = {
    "task": "-t",
    "optimizer": "-o",
    "budget": "-b",
    "model": "-m",
    "limit": "-n",
    "max_connections": "-j",
}
ARGUMENTS = ("graph",)
REPEATED = ("task_args", "optimizer_args", "parameters")


def with_flags(*models: type[BaseModel], leave_out: Collection[str] = ()) -> Callable[[Callable[..., Any]], Any]:
    """Decorator: the command's first parameter becomes a dict of the flags given, one for each field of the models.

    Other parameters of the command are kept as they are. ``graph`` is a positional argument.
    """

    def decorate(command: Callable[..., Any]) -> Callable[..., Any]:
        own = list(inspect.signature(command, eval_str=True).parameters.values())[1:]
        made = [
            inspect.Parameter(
                name,
                inspect.Parameter.KEYWORD_ONLY,
                default=None,
                annotation=_annotation(name, field.annotation, _said(words.get(name, ""), field.get_default())),
            )
            for model in models
            for words in (field_help(model),)
            for name, field in model.model_fields.items()
            if name not in leave_out
        ]
        made.sort(key=lambda p: p.name not in ARGUMENTS)
        fields = {p.name for p in made}

        @functools.wraps(command)
        def wrapper(**given: Any) -> Any:
            flags = {k: v for k, v in given.items() if k in fields and v is not None and v != []}
            return command(flags, **{k: v for k, v in given.items() if k not in fields})

        kept = [p.replace(kind=inspect.Parameter.KEYWORD_ONLY) for p in own]
        wrapper.__signature__ = inspect.Signature([*made, *kept])  # type: ignore[attr-defined]
        wrapper.__annotations__ = {p.name: p.annotation for p in [*made, *kept]}
        del wrapper.__wrapped__
        return wrapper

    return decorate


def configured(model: type[Model], flags: Mapping[str, Any], *, environ: Mapping[str, str] | None = None) -> Model:
    """The model's instance from flags, environment, ``agentopt.toml`` and defaults, in this order of strength.

    Raises ``UsageError`` in one line that names the flag.
    """
    values = {**run_defaults(model.model_fields, environ=environ), **flags}
    for name, value in values.items():
        kind = _plain(model.model_fields[name].annotation)
        if kind is Budget and isinstance(value, str):
            values[name] = Budget.parse(value)
        elif get_origin(kind) is dict and isinstance(value, str | list | tuple):
            values[name] = pairs(value.split(",") if isinstance(value, str) else value, flag(name))
        elif get_origin(kind) is tuple and isinstance(value, str | list):
            values[name] = tuple(value.split(",") if isinstance(value, str) else value)
        elif value == "none" and type(None) in get_args(model.model_fields[name].annotation):
            values[name] = None
    missing = [n for n, f in model.model_fields.items() if f.is_required() and n not in values]
    if missing:
        wanted = " and ".join("a graph" if n in ARGUMENTS else flag(n) for n in missing)
        raise UsageError(
            f"{wanted} must be given, on the command line or as `{missing[0]} = ...` under [run] in "
            "agentopt.toml (`agentopt list` shows what there is)"
        )
    return validated(model, values)


def validated(model: type[Model], values: Mapping[str, Any]) -> Model:
    """The model's instance from values alone; raises ``UsageError`` in one line that names the flag."""
    try:
        return model.model_validate(values)
    except ValidationError as problem:
        first = problem.errors(include_url=False)[0]
        if not first["loc"]:
            raise UsageError(first["msg"].removeprefix("Value error, ")) from None
        raise UsageError(f"{flag(str(first['loc'][0]))}: {first['msg']}, not {first['input']!r}") from None


def pairs(texts: Collection[str], flag: str) -> dict[str, Any]:
    """``KEY=VALUE`` texts as a dict; a value that is JSON (a number, true, a list) is read as such.

    >>> pairs(["n=20", "level=hard"], "--task-arg")
    {'n': 20, 'level': 'hard'}
    """
    found: dict[str, Any] = {}
    for text in texts:
        key, sep, value = text.partition("=")
        if not sep or not key.strip():
            raise UsageError(f"{flag} {text!r} is not KEY=VALUE")
        try:
            found[key.strip()] = json.loads(value)
        except json.JSONDecodeError:
            found[key.strip()] = value
    return found


def field_help(model: type[BaseModel]) -> dict[str, str]:
    """The sentence under each field of a model, as a reader of its source sees it."""
    texts = {name: field.description or "" for name, field in model.model_fields.items()}
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(model)))
    except (OSError, TypeError, SyntaxError):
        return texts
    body = tree.body[0].body if isinstance(tree.body[0], ast.ClassDef) else []
    for field, below in itertools.pairwise(body):
        match field, below:
            case ast.AnnAssign(target=ast.Name(id=name)), ast.Expr(value=ast.Constant(value=str(words))):
                texts[name] = " ".join(words.replace("``", "").split())
    return texts


def _said(words: str, default: Any) -> str:
    if default is None or default == {} or default == Budget() or not isinstance(default, str | int | float | bool):
        return words
    return f"{words} [default: {str(default).lower() if isinstance(default, bool) else default}]"


def flag(name: str) -> str:
    """How a field is given on the command line: ``--max-connections``."""
    if name in ARGUMENTS:
        return name.upper()
    return "--" + (name.removesuffix("s") if name in REPEATED else name).replace("_", "-")


def _plain(annotation: Any) -> Any:
    if get_origin(annotation) in (Union, types.UnionType):
        inner = [a for a in get_args(annotation) if a is not type(None)]
        return inner[0] if len(inner) == 1 else str
    return annotation


def _annotation(name: str, annotation: Any, words: str) -> Any:
    kind = _plain(annotation)
    if name in ARGUMENTS:
        return Annotated[str | None, typer.Argument(help=words, show_default=False)]
    declared = [flag(name), *([SHORT[name]] if name in SHORT else [])]
    if kind is bool:
        declared = [f"{flag(name)}/--no-{name.replace('_', '-')}"]
    if get_origin(kind) in (dict, tuple):
        metavar = "KEY=VALUE" if get_origin(kind) is dict else "NAME"
        option = typer.Option(*declared, help=f"{words} Repeatable.", metavar=metavar, show_default=False)
        return Annotated[list[str] | None, option]
    # A field that may be None takes the word "none", so it is read as text and left to the model.
    reads = kind if kind in (int, float, bool) and kind is annotation else str
    shown = {int: "N", float: "NUMBER", bool: None, Budget: "AXIS=AMOUNT,..."}.get(kind, "TEXT")
    return Annotated[reads | None, typer.Option(*declared, help=words, metavar=shown, show_default=False)]
