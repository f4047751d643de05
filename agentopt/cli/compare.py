"""``agentopt compare``"""

from __future__ import annotations

import string
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from agentopt._text import number, short
from agentopt.cli.console import print_json, print_table
from agentopt.cli.place import RunsDir
from agentopt.errors import UsageError

if TYPE_CHECKING:
    from agentopt.run.versus import Versus

__all__ = ["compare"]

SPLITS = ("test", "validation", "search", "all")


def compare(
    runs: Annotated[
        list[str],
        typer.Argument(
            metavar="A B [C ...]",
            help="Runs: path, name, or the beginning of a name. NAME@baseline: where an optimization began. "
            "FILE.eval: a log of inspect-ai, which becomes a run.",
        ),
    ],
    split: Annotated[
        str | None, typer.Option("--split", help="Only test, validation or search; or all of evaluations.")
    ] = None,
    measure: Annotated[
        str,
        typer.Option(
            "--measure", metavar="NAME", help="By a measure of the runs' eval, parts.NAME, metrics.NAME or answered."
        ),
    ] = "score",
    alpha: Annotated[float, typer.Option("--alpha", min=0.0, max=1.0, help="Level of the test.")] = 0.05,
    examples: Annotated[bool, typer.Option("--examples", help="Show the examples whose scores differ.")] = False,
    runs_dir: RunsDir = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Compare evaluations and optimizations, example by example: the first with each of the others.

    A verdict is given on test examples, and on all of evals whose protocol is all where no search of them made what is
    compared, by an exact paired test; with several others it is adjusted for their number (Holm). Exit code 2: the runs
    cannot be compared (other tasks, no common examples).
    """
    from agentopt.run.versus import compare_all

    if split is not None and split not in SPLITS:
        raise UsageError(f"--split {split!r} is none of {', '.join(SPLITS)}")
    if len(runs) > len(string.ascii_lowercase):
        raise UsageError(f"{len(runs)} runs are too many for one table: compare at most {len(string.ascii_lowercase)}")
    found = compare_all(
        [_run(name, runs_dir) for name in runs], split=split, measure=measure, runs_dir=runs_dir, alpha=alpha
    )
    if as_json:
        print_json({"alpha": alpha, "comparisons": [_record(v) for one in found for v in one]})
        return
    lettered = list(zip(string.ascii_lowercase[1:], found, strict=False))
    typer.echo(f"a: {found[0][0].a}")
    for letter, one in lettered:
        typer.echo(f"{letter}: {one[0].b}")
    if measure != "score":
        typer.echo(f"by: {measure}")
    columns = ["of", "examples", "n", "missing", "a", "other", "difference", "95 % interval", "p", "verdict"]
    print_table(columns, [_row(letter, v) for letter, one in lettered for v in one],
                right=["n", "missing", "a", "other", "difference", "p"])  # fmt: skip
    for letter, one in lettered:
        typer.echo(f"{letter} against a, {one[0].split} examples: {one[0].sentence}")
    for note in dict.fromkeys(note for one in found for v in one for note in v.notes):
        typer.echo(f"note: {note}")
    if examples:
        _examples(lettered)


def _run(name: str, runs_dir: str) -> str:
    """A run by its name; a log of inspect-ai is made one."""
    if not name.endswith(".eval"):
        return name
    from agentopt.export.inspect_read import import_log

    return str(import_log(name, runs_dir))


def _row(letter: str, v: Versus) -> tuple[str, ...]:
    ends = "-" if v.low is None or v.high is None else f"[{v.low:+.3f}, {v.high:+.3f}]"
    difference = "-" if v.difference is None else f"{v.difference:+.3f}"
    p = v.adjusted if v.adjusted is not None else v.claim.p if v.claim is not None else None
    verdict = v.claim.verdict if v.claim is not None else "none: not a test"
    missing = v.only_a + v.only_b + v.unscored
    return (letter, v.split, str(v.n), str(missing), number(v.mean_a), number(v.mean_b), difference, ends,
            "-" if p is None else "<0.0001" if p < 0.0001 else f"{p:.4f}", verdict)  # fmt: skip


def _examples(lettered: Sequence[tuple[str, Sequence[Versus]]]) -> None:
    rows = [
        (letter, v.split, c.example, short(c.input, 40), short(c.target, 20), number(c.score_a), number(c.score_b),
         short(c.output_a, 30), short(c.output_b, 30))
        for letter, one in lettered
        for v in one
        for c in v.changed
    ]  # fmt: skip
    typer.echo("")
    if not rows:
        typer.echo("no example has another score")
        return
    columns = ["of", "examples", "example", "input", "target", "a", "other", "output of a", "output of the other"]
    print_table(columns, rows, right=["a", "other"])


def _record(versus: Versus) -> dict[str, Any]:
    claim = versus.claim and versus.claim.model_dump(mode="json")
    return asdict(versus) | {"claim": claim, "notes": list(versus.notes), "sentence": versus.sentence}
