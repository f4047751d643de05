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
from agentopt.llm.types import without_key
from agentopt.run.files import find_run

__all__ = ["best_values", "read_best", "write_best"]


def write_best(
    folder: Path,
    candidate: Candidate,
    baseline: Candidate,
    parameters: Mapping[str, Parameter[Any]],
    *,
    graph: str,
    model: str | None,
    claim: str | None,
) -> Path:
    """Write ``folder/best``: it appears whole or not at all.

    ``candidate.json`` holds values, the baseline's values and, for each prompt that came from a file, that file's
    place in the workspace (what ``agentopt apply`` writes to). Texts are beside it as ``NAME.md``.
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
        "graph": graph,
        "model": model and without_key(model),
        "values": candidate.values,
        "baseline": baseline.values,
        "files": {n: p.path for n, p in parameters.items() if getattr(p, "path", None)},
        "texts": texts,
        "claim": claim,
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


def best_values(run: str, runs_dir: str) -> dict[str, Any]:
    """Parameter values of the best candidate of a run, found as ``find_run`` finds it."""
    return dict(read_best(find_run(run, runs_dir, kind="optimize"))["values"])
