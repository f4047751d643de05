"""What comes out of a run, as plain files: ``best/`` with one Markdown file a text and the candidate as JSON."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from agentopt.core import Parameter
from agentopt.core.values import Candidate
from agentopt.errors import UsageError
from agentopt.evaluate.claims import Claim
from agentopt.llm.types import without_key
from agentopt.run.config import RunConfig
from agentopt.run.files import find_run

__all__ = ["SETTINGS", "best_values", "read_best", "said", "unproven", "write_best"]

SETTINGS = ("temperature", "max_tokens", "timeout", "code_timeout")
"""Options of a run under which its candidates were tested, and under which ``load`` serves the best one."""


def write_best(
    folder: Path,
    candidate: Candidate,
    baseline: Candidate,
    parameters: Mapping[str, Parameter[Any]],
    *,
    config: RunConfig,
    claim: Claim | None,
) -> Path:
    """Write ``folder/best``: it appears whole or not at all.

    ``candidate.json`` holds values, the baseline's values, the settings of the agent's calls, what the test said and,
    for each prompt that came from a file, that file's place in the workspace (what ``agentopt apply`` writes to). Texts
    are beside it as ``NAME.md``.
    """
    made, place = folder / "best.new", folder / "best"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    texts = {}
    for name, value in candidate.values.items():
        parameter = parameters.get(name)
        if isinstance(value, str) and (parameter is None or parameter.kind in ("text", "code")):
            texts[name] = f"{re.sub(r'[^A-Za-z0-9_.-]+', '-', name)}.md"
            (made / texts[name]).write_text(value + "\n", encoding="utf-8")
    record = {
        "schema_version": 1,
        "id": candidate.id,
        "graph": config.graph,
        "model": config.model and without_key(config.model),
        "settings": {name: getattr(config, name) for name in SETTINGS},
        "values": candidate.values,
        "baseline": baseline.values,
        "files": {n: p.path for n, p in parameters.items() if getattr(p, "path", None)},
        "texts": texts,
        "claim": claim and claim.sentence,
        "improved": claim is not None and claim.shown,
    }
    (made / "candidate.json").write_text(json.dumps(record, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
    shutil.rmtree(place, ignore_errors=True)
    made.rename(place)
    return place


def read_best(path: str | Path) -> dict[str, Any]:
    """The record of a run's best candidate. ``path`` is a run, its ``best`` folder, or ``candidate.json`` itself.

    Raises ``UsageError`` when there is none.
    """
    place = Path(path)
    for file in (place, place / "candidate.json", place / "best" / "candidate.json"):
        if file.is_file() and file.suffix == ".json":
            record: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
            return record
    raise UsageError(f"there is no best candidate in {place}: name a run folder that has finished (`agentopt runs`)")


def unproven(record: Mapping[str, Any]) -> bool:
    """Whether a best candidate differs from the baseline, and no test showed that it is better."""
    return record["values"] != record["baseline"] and not record.get("improved", False)


def said(record: Mapping[str, Any]) -> str:
    """What the test said of a best candidate."""
    return record.get("claim") or "no test was made: no improvement is claimed"


def best_values(run: str, runs_dir: str) -> dict[str, Any]:
    """Parameter values of the best candidate of a run, found as ``find_run`` finds it."""
    return dict(read_best(find_run(run, runs_dir, kind="optimize"))["values"])
