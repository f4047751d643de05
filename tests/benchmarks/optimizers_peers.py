"""Peers: an environment of its own for each, a process of its own for each search, our gateway in between.

The gateway counts calls and tokens by role and answers 402 when a role has had its calls; the referee scores. What a
peer's script writes into ``progress.jsonl`` is what its own library held for best at that time.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from optimizers_agents import DESCRIPTION
from optimizers_counting import Clients, Counted, Counts
from optimizers_ours import Found, start_values
from optimizers_protocol import Cell, Data, Sizes, method, optimizer_model
from optimizers_referee import Numbers, Referee, judge_texts

from agentopt.core.values import Budget
from agentopt.evaluate import Example
from agentopt.llm.context import Session
from agentopt.llm.ledger import Ledger
from agentopt.llm.stack import Stack

HERE = Path(__file__).resolve().parent
VENVS = HERE.parents[1] / ".venvs"
PEERS: dict[str, tuple[list[str], ...]] = {
    # trace-opt declares xgboost and scikit-learn, more than a gigabyte; OptoPrime imports neither.
    "trace-opt": (["--no-deps", "trace-opt==0.1.3.8"], ["graphviz", "numpy", "black", "litellm", "openai"]),
    "gepa": (["gepa==0.1.4"],),
    "dspy": (["dspy==3.4.1", "optuna"],),
}
SCRIPTS = {"trace-opt": "optimizers_trace.py", "gepa": "optimizers_gepa.py", "dspy": "optimizers_dspy.py"}
GRACE = 20.0
"""Seconds that a process has to end by itself after its last call was refused."""


def python_of(peer: str) -> Path:
    """The interpreter of a peer's environment, whether it is there or not."""
    return VENVS / f"optimizers-{peer}" / "bin" / "python"


def is_ready(peer: str) -> bool:
    """Whether a peer's environment has been made."""
    return (VENVS / f"optimizers-{peer}" / "ready").exists()


def environment(peer: str) -> Path:
    """The interpreter of a peer's environment, which is made when it is missing."""
    python = python_of(peer)
    if not is_ready(peer):
        print(f"making the environment of {peer} under {python.parents[1]} ...", flush=True)
        subprocess.run([sys.executable, "-m", "venv", str(python.parents[1])], check=True)
        for packages in PEERS[peer]:
            subprocess.run([str(python), "-m", "pip", "install", "-q", *packages], check=True)
        (python.parents[1] / "ready").touch()
    return python


def versions(peer: str) -> dict[str, str]:
    """Versions of the packages that matter in a peer's environment."""
    code = "import importlib.metadata as m, json; print(json.dumps({d.name: d.version for d in m.distributions()}))"
    done = subprocess.run([str(python_of(peer)), "-c", code], capture_output=True, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    names = ("trace-opt", "gepa", "dspy", "optuna", "litellm", "openai")
    return {name: found[name] for name in names if name in found}


async def search_texts(cell: Cell, data: Data, sizes: Sizes, clients: Clients) -> Found:
    """One search of a peer on a text task."""
    counts = Counts()
    job: dict[str, Any] = {
        "start": data.start,
        "description": DESCRIPTION,
        "search": _rows(data.search),
        "validation": _rows(data.validation),
        "agent_calls": sizes.agent_calls,
    }
    with Referee(judge_texts(data)) as referee:
        job["referee"] = {"url": referee.url, "key": referee.key}
        agent = await clients.counted(data.spec.model, counts, "agent")
        found = await _run(cell, job, sizes, counts, clients, agent, data.spec.max_tokens)
    values = start_values(data) | found.values
    if found.values and not isinstance(values["instruction"], str):
        raise RuntimeError(f"{cell}: the instruction is a {type(values['instruction']).__name__}")
    found.values = values
    return found


async def search_numbers(cell: Cell, sizes: Sizes, clients: Clients) -> Found:
    """One search of a peer on each numerical problem."""
    counts, judge = Counts(), Numbers(sizes)
    with Referee(judge) as referee:
        job: dict[str, Any] = {"start": "", "search": [], "validation": [], "problems": judge.problems()}
        job["referee"] = {"url": referee.url, "key": referee.key}
        found = await _run(cell, job, sizes, counts, clients, None, 0)
    found.outcomes = {str(p): best for p, best in enumerate(judge.best)}
    found.more |= {"solved": sum(best == 1.0 for best in judge.best), "used": judge.used}
    found.values = {}
    return found


def _rows(examples: Sequence[Example]) -> list[dict[str, Any]]:
    return [{"id": e.id, "input": e.input, "target": e.target} for e in examples]


async def _run(
    cell: Cell, job: dict[str, Any], sizes: Sizes, counts: Counts, clients: Clients, agent: Counted | None, cap: int
) -> Found:
    """A peer's process from its start to its end, and what it wrote down."""
    chosen = method(cell.method)
    python = await asyncio.to_thread(environment, chosen.who)
    optimizer = await clients.counted(optimizer_model(cell.task), counts, "optimizer")
    numbers = agent is None
    defaults: dict[str, dict[str, Any]] = {
        "agent": {"max_tokens": cap, "temperature": 0.0},
        "optimizer": {"max_tokens": sizes.optimizer_tokens},
    }
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="agentopt-bench-") as place, contextlib.ExitStack() as leases:
        folder = Path(place)
        stacks = []

        def lent(client: Counted, calls: int) -> dict[str, Any]:
            ledger = Ledger(Budget(calls=calls, seconds=_deadline(sizes, numbers)), grace=60)
            stacks.append(Stack(ledger, clients={client.model: client}, max_connections=16))
            return leases.enter_context(_lent(stacks[-1], client, defaults[client.role]))

        if agent is not None:
            job["agent"] = lent(agent, sizes.agent_calls)
        # On numbers each problem has its own calls and its own address, so that none lives on another's.
        accounts = [lent(optimizer, sizes.optimizer_calls) for _ in range(sizes.problems if numbers else 1)]
        job |= {"optimizer": accounts[0], "optimizers": accounts}
        job |= {"seed": cell.seed, "options": chosen.options}
        (folder / "job.json").write_text(json.dumps(job), encoding="utf-8")
        try:
            code, said = await _process(python, SCRIPTS[chosen.who], folder, _deadline(sizes, numbers) + GRACE)
        finally:
            for stack in stacks:
                await stack.aclose()
        found = read_progress(folder / "progress.jsonl", code, said)
    found.counts, found.seconds = counts, time.monotonic() - began
    found.more["packages"] = await asyncio.to_thread(versions, chosen.who)
    return found


def _deadline(sizes: Sizes, numbers: bool) -> float:
    return sizes.seconds * (sizes.problems if numbers else 1)


@contextlib.contextmanager
def _lent(stack: Stack, client: Counted, defaults: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Address, key, model and settings of a role, for as long as the block lasts."""
    session = Session(
        stack,
        {"agent": client.model, client.role: client.model},
        defaults,
        role=client.role,  # type: ignore[arg-type]
        loop=asyncio.get_running_loop(),
        gateway=stack.gateway,
    )
    lease = stack.gateway.lend(session, "peer", 0)
    try:
        yield {"url": lease.url, "key": lease.key, "model": lease.model, **defaults}
    finally:
        lease.close()


async def _process(python: Path, script: str, folder: Path, seconds: float) -> tuple[int | None, str]:
    """Run a script; its exit code (None when it was ended) and the end of what it said."""
    settings = {
        **{k: v for k, v in os.environ.items() if not k.endswith(("_API_KEY", "_TOKEN", "_SECRET"))},
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "DSPY_CACHEDIR": str(folder / "cache"),
        "TRACE_DEFAULT_LLM_BACKEND": "CustomLLM",
        "NO_PROXY": "127.0.0.1",
        "no_proxy": "127.0.0.1",
    }
    log = folder / "said.txt"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            str(python), str(HERE / script), str(folder / "job.json"),
            stdout=out, stderr=out, stdin=asyncio.subprocess.DEVNULL, cwd=folder, env=settings, start_new_session=True,
        )  # fmt: skip
        try:
            code: int | None = await asyncio.wait_for(process.wait(), seconds)
        except TimeoutError:
            code = None
        finally:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            await process.wait()
    return code, log.read_text(encoding="utf-8", errors="replace")[-2000:]


def read_progress(path: Path, code: int | None, said: str) -> Found:
    """The last values that a peer wrote down, and how it ended.

    Raises:
        RuntimeError: the script failed; the end of what it said is in the message. The cell has no result then.
    """
    lines = [json.loads(line) for line in path.read_text().splitlines() if line.strip()] if path.exists() else []
    best: dict[str, Any] = next((line for line in reversed(lines) if "values" in line), {})
    end: dict[str, Any] = next((line for line in reversed(lines) if "ended" in line), {})
    if end.get("failed") or (code is not None and not end):
        raise RuntimeError(f"the peer's script failed: {end.get('ended', 'no word')}\n{said}")
    ended = end.get("ended") or "ended by the clock"
    return Found(best.get("values", {}), ended, score=best.get("score"), more={"improvements": len(lines) - len(end)})
