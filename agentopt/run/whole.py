"""Whether evaluations may be compared on all examples with a verdict: searches choose by some of these."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from pydantic import JsonValue

from agentopt.core.values import canonical, digest
from agentopt.errors import StoreError
from agentopt.evaluate import SplitLedger
from agentopt.evaluate.summary import counted
from agentopt.run.files import RunFile
from agentopt.run.finals import user
from agentopt.run.setup import split_ledger
from agentopt.run.stored import stored_examples

__all__ = ["ledgers_of", "no_test_on_all"]


def ledgers_of(files: Sequence[RunFile]) -> list[SplitLedger]:
    """The ledgers of the runs' examples: outside of a workspace they are beside the runs, wherever these lie now."""
    places = [file.config.model_copy(update={"runs_dir": str(file.dir.parent)}) for file in files]
    return list({ledger.path.resolve(): ledger for ledger in map(split_ledger, places)}.values())


def no_test_on_all(files: Sequence[RunFile]) -> str | None:
    """Why a comparison of evaluations on all their examples is no test; None where it is one.

    It is one where the protocol of each is all (an eval that pins it, or a log of another program, which knows no
    splits) and no run that searched or chose on the common examples can have made the values of either. A run that the
    ledger names and that is not here may have made any values, and a log may have any.

    Raises:
        StoreError: the split ledger cannot be read.
    """
    for file in files:
        if not _protocol_is_all(file):
            return f"on all examples a verdict is for evals whose protocol is all, and {file.dir.name} is none"
    common = set.intersection(*(_inputs(file) for file in files))
    places = {file.dir.parent for file in files}
    for ledger in ledgers_of(files):
        count, runs = ledger.tuned(common)
        for run in runs:
            for file in files:
                if _may_have_made(run, file, places):
                    of = f"{count} of these {counted(len(common), 'example')} were searched or chosen on"
                    return f"{of}, and the values of {file.dir.name} may be of {run}, which did: no test"
    return None


def _protocol_is_all(file: RunFile) -> bool:
    if "imported" in file.started:
        return True
    pinned = file.started.get("eval")
    return (
        pinned is not None and file.started["split"] == "all" and "split" not in {d["field"] for d in pinned["departs"]}
    )


def _inputs(file: RunFile) -> set[str]:
    """The examples' inputs as the ledger knows them."""
    examples = stored_examples(file.store, file.started)
    return {digest(e.input) for e in examples.values()}


def _may_have_made(run: str, file: RunFile, places: Collection[Path]) -> bool:
    """Whether the run, as the ledger names it, made one of the values that an evaluation is of."""
    evaluated = file.baseline()
    if "imported" in file.started or evaluated is None:
        return True
    for place in places:
        folder = place / run.rpartition(" (")[0]
        try:
            with RunFile(folder) as found:
                if user(found.store) == run:
                    return not _made(found).isdisjoint(_settings(evaluated.values))
        except StoreError:
            continue
    return True


def _made(run: RunFile) -> set[tuple[str, str]]:
    """What a run made: the settings of its candidates that are not those it began with."""
    began = run.baseline()
    tried = {one for entry in run.state.archive for one in _settings(entry.candidate.values)}
    return tried - _settings(began.values if began else {})


def _settings(values: Mapping[str, JsonValue]) -> set[tuple[str, str]]:
    return {(name, canonical(value)) for name, value in values.items()}
