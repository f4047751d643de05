"""Defaults of a run, from ``agentopt.toml`` and from the environment.

Order, strongest first: what is given in the call or on the command line, ``AGENTOPT_<FIELD>`` in the environment, the
table ``[run]`` of ``agentopt.toml`` (or ``[tool.agentopt.run]``), the field's own default.
"""

from __future__ import annotations

import difflib
import os
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from agentopt.errors import UsageError
from agentopt.workspace.roots import Workspace, find_root

__all__ = ["PREFIX", "run_defaults"]

PREFIX = "AGENTOPT_"


def run_defaults(
    fields: Collection[str],
    *,
    start: Path | str | None = None,
    environ: Mapping[str, str] | None = None,
) -> dict[str, Any]:
    """What file and environment say of a run's fields. Values of the environment are texts, to be parsed by the model.

    Args:
        fields: names that are allowed.
        start: where the workspace is looked for; default the working directory.
        environ: default ``os.environ``.

    Raises:
        UsageError: ``[run]`` has a field that does not exist; the message has a suggestion.
    """
    root = find_root(start)
    table: Any = Workspace(root).config.get("run", {}) if root is not None else {}
    if not isinstance(table, dict):
        raise UsageError(f"{root}: `run` must be a table of fields, not {table!r}")
    for key in table:
        if key not in fields:
            close = difflib.get_close_matches(key, list(fields), n=1)
            guess = f"; did you mean {close[0]!r}?" if close else ""
            raise UsageError(f"{root}: [run] has no field {key!r}{guess} (there are {', '.join(sorted(fields))})")
    values = dict(table)
    for field in fields:
        text = (os.environ if environ is None else environ).get(PREFIX + field.upper())
        if text is not None:
            values[field] = text
    return values
