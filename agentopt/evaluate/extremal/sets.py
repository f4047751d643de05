"""Where the files of extremal problems are found, and whether a file is the one that is meant."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from agentopt.errors import MissingData, UsageError
from agentopt.evaluate.data import data_cache, may_download, places
from agentopt.evaluate.data_fetch import CannotFetch
from agentopt.evaluate.extremal.hub import HubFile, choose, download, list_files
from agentopt.evaluate.extremal.problems import ENDINGS, Problem, commonest_answer, digest_of, read_problems

__all__ = ["as_extrembench", "extrembench_file", "guess_note", "standin_file"]

FOLDER, STANDIN, REPO = "extrembench", "extremal_standin.jsonl", "binxingao/extrem-bench"
ROWS, GOALS = 93, {"min": 62, "max": 31}
"""As the paper tells them (arXiv 2510.12997, section 3)."""
_OTHERS = ("extremal_standin", "extrembench_recovered")
_NEAR = 0.1  # of the rows that may be more or fewer before a file is another one


def standin_file() -> Path:
    """The stand-in set on this machine.

    Raises:
        MissingData: it is in none of the places.
    """
    for _, place in places():
        if (path := place / FOLDER / STANDIN).is_file():
            return path
    raise MissingData(
        f"{FOLDER}/{STANDIN} is not on this machine: put it into a folder as {FOLDER}/{STANDIN} and name that folder "
        "with AGENTOPT_DATA"
    )


def extrembench_file(named: str = "") -> Path:
    """The file of ExtremBench: the one that is named, one on this machine, else fetched from the hub.

    Args:
        named: a file, or a folder that has it.

    Raises:
        MissingData: it is not here and cannot be fetched.
        UsageError: what is named is not there, or several files could be meant.
    """
    if named:
        path = Path(named).expanduser()
        if not path.exists():
            raise UsageError(f"file={named!r} is not there")
        found = _tables(path) if path.is_dir() else [path]
        if not found:
            raise UsageError(f"the folder {named!r} has no file that ends with {', '.join(ENDINGS)}")
        return _one(found)
    for _, place in places():
        if found := _tables(place / FOLDER):
            return _one(found)
    return _fetched()


def as_extrembench(problems: Sequence[Problem], path: Path) -> tuple[str, ...]:
    """What is to be told of a file that is taken for ExtremBench.

    Raises:
        UsageError: it is clearly another file.
    """
    goals = {goal: sum(p.goal == goal for p in problems) for goal in ("min", "max")}
    found = f"{len(problems)} rows, {goals['min']} of minima and {goals['max']} of maxima"
    wanted = f"ExtremBench has {ROWS}, {GOALS['min']} and {GOALS['max']}"
    if any(p.id.startswith("standin-") for p in problems):
        raise UsageError(f"{path} is the stand-in set, which is not ExtremBench: use the task extremal_standin")
    if abs(len(problems) - ROWS) > _NEAR * ROWS or sum(goals.values()) < (1 - _NEAR) * len(problems):
        raise UsageError(f"{path} is not ExtremBench: it has {found}; {wanted}")
    notes = [
        "no copy of ExtremBench was at hand when this task was written: names of fields, rows and goals of the file "
        f"are checked, but its bytes are compared with nothing (sha256 {digest_of(path)})"
    ]
    if len(problems) != ROWS or goals != GOALS:
        notes.append(f"the file differs from what the paper tells: it has {found}; {wanted}")
    return tuple(notes)


def guess_note(answers: Sequence[str]) -> str:
    """What the best constant guess scores."""
    answer, count = commonest_answer(answers)
    share = count / len(answers)
    return f"answering {answer} to everything would score {share:.3f} ({count} of {len(answers)})"


def _tables(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.suffix in ENDINGS)
    return [p for p in files if not p.name.startswith((*_OTHERS, ".", "dataset_info"))]


def _one(found: list[Path]) -> Path:
    first = min(found, key=lambda p: ENDINGS.index(p.suffix) if p.suffix in ENDINGS else 0)
    alike = [p for p in found if p.suffix == first.suffix]
    if len(alike) > 1:
        raise UsageError(f"which file is it: {', '.join(map(str, alike))}? Name one with --task-arg file=...")
    return first


def _fetched() -> Path:
    help_ = (
        f"put it into a folder as {FOLDER}/NAME ({', '.join(ENDINGS)}) and name that folder with AGENTOPT_DATA, or "
        "give --task-arg file=..."
    )
    looked = " and ".join(f"{place / FOLDER} ({said})" for said, place in places())
    if not may_download():
        raise MissingData(
            f"ExtremBench is not on this machine (looked in {looked}): using the task fetches it, or {help_}"
        )
    try:
        file = choose(list_files(REPO))
        if file is None:
            raise CannotFetch(f"the data set {REPO} has no file that ends with {', '.join(ENDINGS)}")
        target = data_cache() / FOLDER / Path(file.path).name
        download(file, target, lambda part: _check(part, file))
    except CannotFetch as error:
        raise MissingData(f"ExtremBench is not on this machine (looked in {looked}); {error}: {help_}") from None
    except OSError as error:
        raise MissingData(f"ExtremBench cannot be written to {data_cache()}: {error}: {help_}") from None
    return target


def _check(part: Path, file: HubFile) -> None:
    """A file that was fetched is what the hub said, and ExtremBench."""
    if file.bytes is not None and part.stat().st_size != file.bytes:
        raise UsageError(f"what came from {file.url} has {part.stat().st_size} bytes; the hub says {file.bytes}")
    if file.sha256 is not None and digest_of(part) != file.sha256:
        raise UsageError(f"what came from {file.url} has another sha256 than the hub says")
    as_extrembench(read_problems(part, ending=Path(file.path).suffix), part)
