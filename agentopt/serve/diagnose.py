"""From the last lines of a server's log, and how it ended, to one line that says what to do."""

from __future__ import annotations

import re
import signal
from collections.abc import Sequence

__all__ = ["diagnose"]

SIGNS: tuple[tuple[str, str], ...] = (
    (
        r"gguf_tensor_to_f16 failed|Unsupported.*(GGUF|tensor type)",
        "this engine cannot read the file's tensor types: try ?engine=xllamacpp",
    ),
    (
        r"CUDA out of memory|torch\.OutOfMemoryError|No available memory for the cache",
        "out of GPU memory: lower --gpu-memory-utilization or --max-model-len",
    ),
    (
        r"bad_alloc|Cannot allocate memory|MemoryError|failed to allocate",
        "out of memory: take a smaller model, kv_gb or max_seqs",
    ),
    (r"[Aa]ddress already in use", "its port is taken: name another with --port"),
    (r"No module named '?([\w.]+)", "a package is missing: {0}"),
    (r"No space left on device", "the disk is full"),
    (r"Failed to infer device type|No CUDA GPUs are available", "no GPU was found, and this build needs one"),
    (r"(?:401|403).{0,40}(?:huggingface|gated)|GatedRepoError", "the model is gated: log in to its hub first"),
    (
        r"couldn't connect to|LocalEntryNotFoundError|Network is unreachable|OfflineModeIsEnabled",
        "the model's hub cannot be reached: name a local folder",
    ),
    (r"is not a (?:local folder|valid model)|RepositoryNotFoundError", "there is no such model"),
    (r"unrecognized arguments?: (.+)", "it does not know the argument {0}"),
)


def diagnose(lines: Sequence[str], returncode: int | None) -> str:
    """What probably went wrong, then how it ended, then the last line that says something.

    Args:
        lines: the end of the log.
        returncode: exit status; negative for a signal, None while it runs.

    >>> diagnose(["loading", "std::bad_alloc"], -6)
    'out of memory: take a smaller model, kv_gb or max_seqs (ended by SIGABRT; last: std::bad_alloc)'
    """
    said = [line.strip() for line in lines if line.strip()]
    advice = ""
    for line in reversed(said):
        for pattern, words in SIGNS:
            match = re.search(pattern, line)
            if match:
                advice = words.format(*match.groups())
                break
        if advice:
            break
    if not advice and returncode == -signal.SIGKILL:
        advice = "it was killed, by hand or because memory ran out"
    elif not advice and returncode == -signal.SIGILL:
        advice = "this processor lacks an instruction that the engine was built with"
    ending = _ending(returncode)
    last = f"; last: {said[-1][:300]}" if said else ""
    return f"{advice} ({ending}{last})" if advice else f"{ending}{last}"


def _ending(returncode: int | None) -> str:
    if returncode is None:
        return "still running"
    if returncode < 0:
        try:
            return f"ended by {signal.Signals(-returncode).name}"
        except ValueError:
            return f"ended by signal {-returncode}"
    return f"ended with status {returncode}"
