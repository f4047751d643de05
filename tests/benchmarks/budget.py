"""Budgets under attack: 64 workers, every axis, random latencies, faults and missing usage, and a provider that counts.

    python tests/benchmarks/budget.py               # 1,000 runs of the client stack, 60 whole optimizations
    python tests/benchmarks/budget.py --runs 50 --whole 6

Each run has a random budget. Cells reserve an evaluation, then call the run's real client stack (journal in a run
file, retries, limits, meter): plain, streamed, several samples a request, structured with a repair round; for the
agent, the judge and the optimizer. The provider answers late, refuses, breaks off after working, says nothing of usage.
After every event of the ledger, and after every event of the run's file, settled + outstanding is compared with the
budget; what the provider really served is compared with what was settled. A ledger that trusts (it looks at what is
settled only) must fail. Writes ``docs/results/budget.json`` and ``budget.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import random
import shutil
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel

import agentopt
from agentopt.core.values import Budget, Proposal
from agentopt.errors import AgentOptError, BudgetExhausted, BudgetTooSmall, LLMError, RateLimited, TransientLLMError
from agentopt.evaluate import Example, Task
from agentopt.evaluate.stats import clopper_pearson
from agentopt.llm.ledger import Ledger, Reservation
from agentopt.llm.prices import Price
from agentopt.llm.stack import Stack
from agentopt.llm.structured import structured
from agentopt.llm.types import Address, Message, Request, Response, Usage
from agentopt.run.api import optimize_async
from agentopt.run.calllog import StoreLog
from agentopt.store import Store

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
AXES = ("calls", "tokens", "usd", "evaluations")
PRICE = (2e-6, 8e-6)
WORKERS = 64
GRACE = 0.25
STUCK = 60.0
LATE = 0.005
"""Seconds after the deadline in which a request may still begin: between the look at the clock and the provider's."""


async def short_pause(self: Ledger, seconds: float) -> None:
    """Waits of retries and limits, cut to 2 ms: what is tested is the account, not the patience."""
    await pause(self, min(seconds, 0.002))


pause = Ledger.pause
Ledger.pause = short_pause  # type: ignore[method-assign]


class Provider:
    """Counts what it really does: requests, tokens read and written, and their price.

    Args:
        rng: source of its moods.
        beyond: share of answers that take more output tokens than their cap allows.
    """

    endpoint = "counting/provider"

    def __init__(self, rng: random.Random, beyond: float = 0.0) -> None:
        self.rng, self.beyond = rng, beyond
        self.served: Counter[str] = Counter()
        self.moods: Counter[str] = Counter()
        self.last_begin = self.last_end = 0.0

    async def complete(self, request: Request) -> Response:
        rng = self.rng
        mood = rng.choices(("answers", "silent", "refuses", "limits", "breaks", "unreached"), (60, 12, 4, 8, 8, 8))[0]
        self.moods[mood] += 1
        self.last_begin = max(self.last_begin, time.monotonic())
        try:
            await asyncio.sleep(rng.choice((0.0, 0.0005, 0.001, 0.003)))
        finally:
            self.last_end = max(self.last_end, time.monotonic())
        if mood == "unreached":
            raise TransientLLMError("connection refused", billed=False)
        self.served["calls"] += 1
        if mood == "refuses":
            raise LLMError("refused with 400")
        if mood == "limits":
            raise RateLimited("too many calls", retry_after=rng.choice((None, 0.002)))
        read = sum(len(str(m.content).encode()) for m in request.messages) // rng.randint(1, 4) + rng.randint(1, 100)
        samples = int(request.extra.get("n", 1))  # type: ignore[arg-type]
        written = sum(rng.randint(1, request.max_tokens) for _ in range(samples))
        if mood == "answers" and rng.random() < self.beyond:  # and says so: else nobody could know
            written = samples * request.max_tokens + rng.randint(100, 2000)
        self.served["tokens"] += read + written
        self.served["usd"] += read * PRICE[0] + written * PRICE[1]  # type: ignore[assignment]
        if request.on_text is not None:
            request.on_text("half an")
        if mood == "breaks":
            raise TransientLLMError("the answer broke off")
        text = '{"n": 1}' if rng.random() < 0.5 else "half an answer"
        usage = Usage(input_tokens=read, output_tokens=written) if mood == "answers" else Usage(reported=False)
        return Response(text=text, usage=usage, endpoint=self.endpoint)


class Watched(Ledger):
    """A ledger that compares settled + outstanding with the budget after everything that happens to it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.events, self.worst = 0, dict.fromkeys(AXES, -math.inf)
        self.fullest = dict.fromkeys(AXES, 0.0)

    def look(self) -> None:
        """Note how far each axis is beyond its limit."""
        self.events += 1
        for axis in AXES:
            limit = getattr(self.budget, axis)
            if limit is not None:
                used = self._settled[axis] + self._outstanding[axis]
                self.worst[axis] = max(self.worst[axis], used - limit)
                self.fullest[axis] = max(self.fullest[axis], used / limit if limit else 1.0)

    def _grant(self, reservation: Reservation) -> bool:
        granted = super()._grant(reservation)
        self.look()
        return granted

    def settle(self, reservation: Reservation, amounts: Any) -> None:
        super().settle(reservation, amounts)
        self.look()


class Trusting(Watched):
    """The control: it looks at what is settled, as most budgets do, and not at what is under way."""

    def _grant(self, reservation: Reservation) -> bool:
        for axis, value in reservation.amounts.items():
            if self._settled[axis] >= self._limits[axis]:
                raise BudgetExhausted(axis, "it has ended")
            self._outstanding[axis] += value
        self.look()
        return True


class Form(BaseModel):
    """What the structured calls ask for."""

    n: int


async def cell(i: int, stack: Stack, ledger: Ledger, rng: random.Random) -> None:
    """One evaluation with one to four calls, as a cell of a run makes them."""
    evaluation = await ledger.reserve("agent", {"evaluations": 1})
    try:
        for ordinal in range(rng.randint(1, 4)):
            role = rng.choice(("agent", "agent", "judge", "optimizer"))
            request = Request(
                model="m",
                messages=(Message(role="user", content="é" * rng.randint(1, 200)),),
                role=role,  # type: ignore[arg-type]
                max_tokens=rng.randint(1, 60),
                extra={"n": rng.randint(2, 4)} if rng.random() < 0.2 else {},
                on_text=(lambda piece: None) if rng.random() < 0.2 else None,
                address=Address(scope=f"cell/c/e{i}/0", ordinal=ordinal),
            )
            try:
                if rng.random() < 0.25:
                    await structured(stack, request, Form)
                else:
                    await stack.complete(request)
            except LLMError:
                continue
    except BaseException:
        ledger.release(evaluation)
        raise
    ledger.settle(evaluation, {"evaluations": 1})


def budget_of(rng: random.Random, axis: str) -> Budget:
    """A budget that ends within the run: on one axis, and now and then on others."""
    limits: dict[str, float] = {}
    for name in (axis, *(a for a in AXES if rng.random() < 0.2)):
        tokens = rng.randint(600, 40_000)
        limits[name] = {
            "calls": rng.randint(0, 150), "tokens": tokens, "usd": tokens * PRICE[0] * rng.uniform(1, 3),
            "evaluations": rng.randint(0, 90), "seconds": rng.uniform(0.01, 0.15),
        }[name]  # fmt: skip
    return Budget.model_validate(limits)


async def run(seed: int, axis: str, folder: Path, kind: type[Watched], beyond: float) -> dict[str, Any]:
    """One run: 64 workers take cells until there are none, or the budget has ended."""
    rng = random.Random(f"{seed}/{axis}")
    budget = budget_of(rng, axis)
    provider = Provider(random.Random(f"{seed}/provider"), beyond)
    ended: Counter[str] = Counter()
    queue = iter(range(rng.randint(60, 110)))
    stuck = False
    with Store(folder) as store:
        began = time.monotonic()
        ledger = kind(budget, grace=GRACE)
        stack = Stack(
            ledger, StoreLog(store), clients={"m": provider}, max_connections=rng.choice((4, 16, 64)),
            prices={"m": Price(input=PRICE[0], output=PRICE[1])}, attempts=rng.choice((1, 3)),
        )  # fmt: skip

        async def worker(number: int) -> None:
            mine = random.Random(f"{seed}/{number}")
            for i in queue:
                try:
                    if mine.random() < 0.03:  # a cell that its own time ends
                        await asyncio.wait_for(cell(i, stack, ledger, mine), 0.002)
                    else:
                        await cell(i, stack, ledger, mine)
                except BudgetExhausted as end:
                    ended[end.axis] += 1
                except TimeoutError:
                    ended["cell timeout"] += 1

        try:
            await asyncio.wait_for(asyncio.gather(*(worker(n) for n in range(WORKERS))), STUCK)
        except TimeoutError:
            stuck = True
        log = from_log(store, budget)
        spend = {a: math.fsum(s.get(a, 0.0) for s in store.spend().values()) for a in AXES}
    settled = ledger.settled
    overrun = Counter[str]()
    for _, name, amount in ledger.overruns:
        overrun[name] += amount  # type: ignore[assignment]
    late = {}
    if budget.seconds is not None:
        deadline = began + budget.seconds
        late = {"began": provider.last_begin - deadline, "ended": provider.last_end - deadline}
    return {
        "axis": axis, "events": ledger.events, "log_events": log["events"], "stuck": stuck, "ended": dict(ended),
        "beyond": {a: max(0.0, ledger.worst[a]) for a in AXES}, "log_beyond": log["beyond"], "late": late,
        "fullest": ledger.fullest[axis] if axis in AXES else 0.0, "left_open": sum(ledger.outstanding.values()) > 1e-6,
        "unpaid": {a: max(0.0, provider.served[a] - settled[a]) for a in ("calls", "tokens", "usd")},
        "log_differs": any(abs(spend[a] - settled[a]) > 1e-6 for a in ("calls", "tokens", "usd")),
        "overrun": dict(overrun), "moods": dict(provider.moods), "served": provider.served["calls"],
    }  # fmt: skip


def from_log(store: Store, budget: Budget) -> dict[str, Any]:
    """The same sum from the run's file alone, after each of its events."""
    settled, outstanding = Counter[str](), Counter[str]()
    open_calls: dict[str, dict[str, float]] = {}
    beyond = dict.fromkeys(AXES, 0.0)
    n = 0
    for event in store.events():
        data: Any = event.data
        n += 1
        if event.type == "call.sent":
            open_calls[data["address"]] = data["reserved"]
            outstanding.update(data["reserved"])
        elif event.type in ("call.received", "call.failed"):
            outstanding.subtract(open_calls.pop(data["address"], {}))
            settled.update(data["settled"])
        elif event.type == "cell":
            settled["evaluations"] += 1
        for axis in AXES:
            limit = getattr(budget, axis)
            if limit is not None:
                beyond[axis] = max(beyond[axis], settled[axis] + outstanding[axis] - limit)
    return {"events": n, "beyond": beyond}


# -- whole optimizations ----------------------------------------------------------------------------------------------

STYLE = agentopt.Parameter("Answer {{question}}", name="style")


@agentopt.graph
async def answer(question: str) -> Any:
    """One call, or two."""
    draft = await agentopt.allm(STYLE, question=question)
    return await agentopt.allm("Check: {{draft}}", draft=draft)


async def judged(example: Example, output: Any) -> float:
    """A judge that is asked, too."""
    return float(len(await agentopt.allm(f"Judge {output} for {example.target}")) % 2)


class Asks:
    """Gets its texts from the optimizer's model."""

    name, at = "asks", 0

    async def ask(self, view: Any, n: int) -> list[Proposal]:
        found = []
        for _ in range(n):
            self.at += 1
            turn = Message(role="user", content=f"propose {self.at}")
            try:
                await view.llm.complete(Request(model="", messages=(turn,), max_tokens=40))
            except LLMError:
                continue
            text = f"Try {'abcdefghij'[self.at % 10] * (1 + self.at // 10)} {{{{question}}}}"
            found.append(Proposal(candidate=view.baseline.change({"style": text})))
        return found

    def tell(self, outcomes: Any) -> None: ...

    def state(self) -> dict[str, Any]:
        return {"at": self.at}

    def load(self, state: Any) -> None:
        self.at = state["at"]


class Patient(Provider):
    """A provider whose refusals pass: a whole optimization ends when most of its cells fail."""

    async def complete(self, request: Request) -> Response:
        for _ in range(20):
            try:
                return await super().complete(request)
            except LLMError as error:
                if isinstance(error, TransientLLMError):
                    raise
                self.served["calls"] -= 1
        raise LLMError("refused")


async def whole(seed: int, axis: str, folder: Path) -> dict[str, Any]:
    """An optimization through the Runner: all roles, holds for the final test, 64 connections."""
    rng = random.Random(f"{seed}/whole/{axis}")
    limits = {"calls": rng.randint(900, 2500), "tokens": rng.randint(150_000, 400_000), "usd": rng.uniform(1, 3),
              "evaluations": rng.randint(190, 500), "seconds": rng.uniform(1, 4)}  # fmt: skip
    budget = Budget.model_validate({axis: limits[axis]})
    provider = Patient(random.Random(f"{seed}/{axis}/provider"))
    task = Task("t", [Example(input={"question": f"q{i}"}, target=i) for i in range(40)], judged)
    status = "error"
    try:
        result = await optimize_async(
            answer, task=task, optimizer=Asks(), model=provider, budget=budget, max_connections=WORKERS, patience=99,
            prices={"given/model": (PRICE[0] * 1e6, PRICE[1] * 1e6)}, runs_dir=str(folder), name="run", cache=False,
            max_tokens=40, timeout=20,
        )  # fmt: skip
        status = result.status
    except BudgetTooSmall:
        status = "too small"
    except AgentOptError as error:
        status = type(error).__name__
    if not (folder / "run" / "run.sqlite").exists():
        return {"axis": axis, "status": status, "log_events": 0, "log_beyond": {}, "unpaid": {}, "roles": []}
    with Store(folder / "run", readonly=True) as store:
        log = from_log(store, budget)
        spend = store.spend()
    total = {a: math.fsum(s.get(a, 0.0) for s in spend.values()) for a in AXES}
    return {
        "axis": axis, "status": status, "log_events": log["events"], "log_beyond": log["beyond"],
        "roles": sorted(r for r in spend if spend[r].get("calls")),
        "unpaid": {a: max(0.0, provider.served[a] - total[a]) for a in ("calls", "tokens", "usd")},
    }  # fmt: skip


# -- the table --------------------------------------------------------------------------------------------------------


def broken(record: dict[str, Any]) -> bool:
    """Whether a run broke its promise: beyond the budget, asked after its deadline, or served and not settled."""
    if record.get("late", {}).get("began", 0.0) > LATE:
        return True
    allowed = record.get("overrun", {})
    past = [(a, v) for key in ("beyond", "log_beyond") for a, v in record.get(key, {}).items()]
    return any(v > allowed.get(a, 0.0) + 1e-6 for a, v in past) or any(v > 1e-6 for v in record["unpaid"].values())


def share(k: int, n: int) -> str:
    """``0 of 250 [0.000, 0.015]``: with the exact 95 % interval."""
    if not n:
        return "none run"
    low, high = clopper_pearson(k, n)
    return f"{k} of {n:,} [{low:.4f}, {high:.4f}]"


def page(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    plain, beyond, control, wholes = (result[k] for k in ("runs", "beyond", "control", "whole"))
    lines = [
        f"# Budgets: {len(plain):,} runs with {WORKERS} workers",
        "",
        f"{result['machine']}; {result['seconds']:.0f} s. Raw: [budget.json](budget.json), made by",
        f"`python tests/benchmarks/budget.py {result['arguments']}`. Intervals are exact (Clopper and Pearson, 95 %).",
        "A run is broken when settled + outstanding is beyond the budget after any event of the ledger or of the run's",
        "file, when the provider served more than was settled, or when a request began after the deadline (more than",
        f"{LATE * 1000:.0f} ms: the provider's clock is looked at after the ledger's).",
        "",
        "| budget on | runs | events looked at | broken | fullest (median) | ended by the budget | stuck |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for axis in (*AXES, "seconds"):
        mine = [r for r in plain if r["axis"] == axis]
        if not mine:
            continue
        full = sorted(r["fullest"] for r in mine)[len(mine) // 2]
        ended = sum(bool(set(r["ended"]) & {*AXES, "seconds"}) for r in mine)
        lines.append(
            f"| {axis} | {len(mine)} | {sum(r['events'] + r['log_events'] for r in mine):,} | "
            f"{share(sum(map(broken, mine)), len(mine))} | {f'{full:.3f}' if axis in AXES else '-'} | {ended} | "
            f"{sum(r['stuck'] for r in mine)} |"
        )
    moods = Counter[str]()
    for r in plain:
        moods.update(r["moods"])
    total = sum(moods.values())
    late = [r["late"] for r in plain if r["late"]]
    over = [r for r in beyond if r["overrun"]]
    lines += [
        "",
        f"All: {share(sum(map(broken, plain)), len(plain))} broken; reservations left open in "
        f"{sum(r['left_open'] for r in plain)} runs; file and ledger differ in {sum(r['log_differs'] for r in plain)}.",
        f"The provider got {total:,} requests: "
        + ", ".join(f"{m} {n / total:.1%}" for m, n in moods.most_common())
        + ".",
        f"Deadlines: the latest request began {max((v['began'] for v in late), default=0) * 1000:+.0f} ms and ended "
        f"{max((v['ended'] for v in late), default=0) * 1000:+.0f} ms from the deadline (grace {GRACE * 1000:.0f} ms).",
        "",
        f"**A provider that bills beyond its cap** ({len(beyond)} runs, 10 % of answers): {len(over)} had settlements "
        f"beyond their reservations, every one of them is in `Ledger.overruns`; broken beyond what is reported there: "
        f"{share(sum(map(broken, beyond)), len(beyond))}.",
        "",
        f"**Control**, a ledger that looks at what is settled only: broken "
        f"{share(sum(map(broken, control)), len(control))}.",
        "",
        f"**Whole optimizations** through the Runner (agent, judge and optimizer): broken "
        f"{share(sum(map(broken, wholes)), len(wholes))}; {sum(r['log_events'] for r in wholes):,} events looked at; "
        + ", ".join(f"{k} {v}" for k, v in Counter(r["status"] for r in wholes).most_common())
        + ".",
    ]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Run, write the results, and fail when a promise was broken or the control was not."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=1000)
    parser.add_argument("--beyond", type=int, default=100, help="runs with a provider that bills beyond its cap")
    parser.add_argument("--control", type=int, default=50)
    parser.add_argument("--whole", type=int, default=60)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    axes = (*AXES, "seconds")
    place = Path(tempfile.mkdtemp(dir="/dev/shm" if os.path.isdir("/dev/shm") else None, prefix="budget-"))
    began = time.monotonic()

    def many(
        n: int, kind: type[Watched] = Watched, beyond: float = 0.0, over: Sequence[str] = axes
    ) -> list[dict[str, Any]]:
        found = []
        for i in range(n):
            folder = place / "run"
            found.append(asyncio.run(run(args.seed + i, over[i % len(over)], folder, kind, beyond)))
            shutil.rmtree(folder)
            if sys.stderr.isatty():
                print(f"\r{kind.__name__} {i + 1}/{n}", end="", file=sys.stderr)
        return found

    try:
        os.chdir(place)
        result: dict[str, Any] = {
            "runs": many(args.runs),
            "beyond": many(args.beyond, beyond=0.1),
            "control": many(args.control, Trusting, over=("calls", "tokens", "usd")),
            "whole": [],
        }
        for i in range(args.whole):
            result["whole"].append(asyncio.run(whole(args.seed + i, axes[i % len(axes)], place / f"w{i}")))
            shutil.rmtree(place / f"w{i}", ignore_errors=True)
    finally:
        os.chdir("/")
        shutil.rmtree(place, ignore_errors=True)
    result["arguments"] = f"--runs {args.runs} --beyond {args.beyond} --control {args.control} --whole {args.whole}"
    result["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    result["seconds"] = round(time.monotonic() - began, 1)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "budget.json").write_text(json.dumps(result) + "\n")
    (args.out / "budget.md").write_text(page(result))
    print(page(result))
    held = [*result["runs"], *result["beyond"], *result["whole"]]
    if any(map(broken, held)) or any(r.get("stuck") for r in held) or not any(map(broken, result["control"])):
        raise SystemExit("a budget was broken, a run was stuck, or the control was not broken")


if __name__ == "__main__":
    main()
