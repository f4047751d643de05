"""One HTML page: the template, its assets, and the policy under which a browser shows it."""

from __future__ import annotations

import base64
import hashlib
import os
import time
from pathlib import Path

from jinja2 import Environment, PackageLoader, StrictUndefined

from agentopt.errors import UsageError
from agentopt.report import charts, story
from agentopt.report.clean import clean
from agentopt.report.evidence import gather
from agentopt.report.pictures import pictures
from agentopt.report.spending import spending
from agentopt.run.files import RunFile

__all__ = ["ROOM", "asset", "environment", "policy", "render", "write_report"]

ROOM = 10_000_000
"""Bytes of inputs, answers and transcripts that a page takes in."""


def write_report(run: str | os.PathLike[str], out: str | os.PathLike[str] | None = None) -> Path:
    """Write the report of a run and return its path; ``report.html`` in the run's folder when none is given.

    Args:
        run: the run's folder.
        out: the file to write; it appears whole or not at all.

    Raises:
        StoreError: there is no run, or it cannot be read.
        UsageError: the file cannot be written.

    >>> import tempfile
    >>> from agentopt.errors import StoreError
    >>> with tempfile.TemporaryDirectory() as empty:
    ...     try:
    ...         write_report(empty)
    ...     except StoreError as error:
    ...         str(error).startswith("there is no run in")
    True
    """
    folder = Path(run)
    place = folder / "report.html" if out is None else Path(out)
    with RunFile(folder) as opened:
        opened.require_candidates("report")
        page = render(opened)
    beside = place.with_name(f".{place.name}.new")
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        beside.write_text(page, encoding="utf-8", errors="replace")
        os.replace(beside, place)
    except OSError as error:
        raise UsageError(f"{place} cannot be written ({error.strerror}): name another file with --out") from None
    return place


def render(run: RunFile, room: int = ROOM) -> str:
    """The page as text. Every value in it is free of secrets and escaped; ``room`` as in ``ROOM``, in bytes."""
    outcomes = run.outcomes()
    rows = story.candidates(run)
    first = sorted(rows, key=lambda r: (r["step"] >= 0, not r["best"]))
    evidence = gather(run, first, outcomes, room)
    drawn = pictures(run, rows, outcomes)
    head = clean(story.head(run))
    rows, first = clean(rows), clean(first)
    line = story.incumbents(run)
    refused = clean(story.rejected(run, rows))
    claim = clean(story.claim(run))
    table = evidence.table | {
        "candidates": [{"label": r["label"], "id": r["id"][:8], "best": r["best"]} for r in first],
        "range": head["score_range"],
    }
    made = environment()
    css, js = (asset(made, name) for name in ("report.css", "report.js"))
    return made.get_template("page.html").render(
        head=head, claim=claim, rows=rows, rejected=refused, spending=clean(spending(run)), table=table,
        warnings=clean(story.warnings(run, outcomes, drawn["escapes"])), commands=clean(story.commands(run)),
        notes=clean(evidence.notes + drawn["faults"]), pieces=evidence.pieces, drawn=drawn, css=css, js=js,
        wide=charts.scores(rows, line, head["score_range"], 860, 320),
        narrow=charts.scores(rows, line, head["score_range"], 360, 280),
        tested=[charts.intervals(claim["tested"], head["score_range"], width) for width in (520, 330)],
        family=charts.lineage(rows), most=story.MOST_DIFFS, policy=policy(css, js), made=time.time(),
    )  # fmt: skip


def environment() -> Environment:
    """Templates of the pages, with their filters."""
    environment = Environment(
        loader=PackageLoader("agentopt.report", "assets"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"amount": _amount, "moment": _moment, "score": _score, "p": _p}
    return environment


def asset(environment: Environment, name: str) -> str:
    """The text of an asset, such as ``report.css``."""
    assert environment.loader is not None
    return environment.loader.get_source(environment, name)[0].strip()


def policy(css: str, js: str) -> str:
    """Nothing is loaded and nothing runs but the page's own style and script, told by their hashes."""
    style, script = (f"'sha256-{base64.b64encode(hashlib.sha256(t.encode()).digest()).decode()}'" for t in (css, js))
    rest = "img-src data:; base-uri 'none'; form-action 'none'"
    return f"default-src 'none'; style-src {style}; script-src {script}; {rest}"


def _amount(value: float, axis: str = "") -> str:
    return f"{value:,.4f}" if axis == "usd" else f"{value:,.0f}"


def _moment(seconds: float | None) -> str:
    return "-" if seconds is None else time.strftime("%Y-%m-%d %H:%M", time.localtime(seconds))


def _score(value: float | None, digits: int = 2, sign: str = "") -> str:
    return "–" if value is None else f"{value:{sign}.{digits}f}"


def _p(value: float | None) -> str:
    if value is None:
        return "not done"
    return "< 0.0001" if value < 0.0001 else f"{value:.2g}"
