"""From what a caller gives (names, objects, options) to the configuration of a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import ValidationError

from agentopt.core.values import Budget
from agentopt.errors import UnknownName, UsageError
from agentopt.llm.types import Client
from agentopt.run import setup
from agentopt.run.config import RunConfig
from agentopt.workspace import run_defaults
from agentopt.workspace.loader import refuse_while_importing

__all__ = ["clients_by_role", "configured"]

ROLES = ("model", "optimizer_model", "judge_model")


def configured(graph: Any, task: Any, options: dict[str, Any]) -> tuple[RunConfig, dict[str, Any]]:
    """A configuration from objects, options, environment and ``agentopt.toml``; and the objects themselves.

    Raises ``UsageError`` (``UnknownName``) for options that do not exist or cannot be used.
    """
    refuse_while_importing("optimize or evaluate")
    given: dict[str, Any] = {"clients": dict(options.pop("clients", None) or {})}
    fields: dict[str, Any] = run_defaults(RunConfig.model_fields.keys())
    if isinstance(graph, str):
        fields["graph"] = graph
    else:
        given["graph"], fields["graph"] = graph, setup.reference(graph)
    if isinstance(task, str):
        fields["task"] = task
    else:
        given["task"], fields["task"] = task, setup.reference(task)
    if not isinstance(options.get("optimizer", ""), str):
        given["optimizer"] = options.pop("optimizer")
        fields["optimizer"] = given["optimizer"].name
    for role in ROLES:
        if not isinstance(options.get(role), str | None):
            name = f"given/{role}"
            given["clients"][name] = options[role]
            options[role] = name
    for key in options:
        if key not in RunConfig.model_fields:
            raise UnknownName("option", key, RunConfig.model_fields, "`help(agentopt.RunConfig)` lists them")
    if isinstance(options.get("budget"), str):
        options["budget"] = Budget.parse(options["budget"])
    if isinstance(fields.get("budget"), str):
        fields["budget"] = Budget.parse(fields["budget"])
    try:
        return RunConfig.model_validate({**fields, **options}), given
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        name = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"the option {name}: {first['msg']}, not {first['input']!r}") from None


def clients_by_role(clients: Mapping[str, Client] | None, given: Mapping[str, Client | None]) -> dict[str, Client]:
    """Clients by model string, those that were given for a role in the place of one among them."""
    return {**(clients or {}), **{f"given/{role}": client for role, client in given.items() if client is not None}}
