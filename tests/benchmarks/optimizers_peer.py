"""What a peer's script needs, whatever the peer: its job, the agent, the scorer, and a place to say how far it is.

Runs in the peer's environment: the standard library alone.
"""

from __future__ import annotations

import json
import sys
import threading
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

AT_ONCE = 16
_LOCK = threading.Lock()


class BudgetEnded(Exception):
    """The gateway, or the referee, answered 402: there is nothing left to spend."""


def post(url, key, body):
    """Post JSON and read JSON; raises ``BudgetEnded`` for status 402."""
    headers = {"Content-Type": "application/json", "Authorization": f"Bearer {key}"}
    asked = urllib.request.Request(url, json.dumps(body).encode(), headers)
    try:
        with urllib.request.urlopen(asked, timeout=600) as answer:
            return json.loads(answer.read())
    except urllib.error.HTTPError as error:
        said = error.read().decode(errors="replace")
        if error.code == 402:
            raise BudgetEnded(said) from None
        raise RuntimeError(f"status {error.code}: {said}") from None


class Job:
    """One search of a peer: ``job.json``, whose path is the script's argument."""

    def __init__(self, path):
        self.path = Path(path)
        self.given = json.loads(self.path.read_text())
        self.start, self.seed, self.options = self.given["start"], self.given["seed"], self.given["options"]
        self.search, self.validation = self.given["search"], self.given["validation"]
        self.progress = self.path.with_name("progress.jsonl")

    def chat(self, role, messages):
        """An answer of the agent's or the optimizer's model, with that role's settings."""
        to = self.given[role]
        body = {"model": to["model"], "messages": messages, "max_tokens": to["max_tokens"]}
        if to.get("temperature") is not None:
            body["temperature"] = to["temperature"]
        said = post(to["url"] + "/chat/completions", to["key"], body)
        return said["choices"][0]["message"]["content"] or ""

    def answer(self, instruction, problem, demos=()):
        """The agent's reply to a problem."""
        return self.chat("agent", turns(instruction, problem, demos))

    def score(self, example, reply):
        """Score and feedback of a reply to an example."""
        referee = self.given["referee"]
        return post(referee["url"], referee["key"], {"example": example["id"], "reply": reply})

    def evaluate(self, instruction, examples):
        """Reply, score and feedback on each of some examples, many at once."""

        def one(example):
            reply = self.answer(instruction, example["input"])
            said = self.score(example, reply)
            return {"reply": reply, **said}

        with ThreadPoolExecutor(AT_ONCE) as pool:
            return list(pool.map(one, examples))

    def tell(self, **what):
        """Write down the best so far (``values``, ``score``), or how it ended (``ended``)."""
        with _LOCK, self.progress.open("a") as lines:
            lines.write(json.dumps(what) + "\n")


def turns(instruction, problem, demos=()):
    """The turns of the agent's request: those of ``optimizers_agents.py``."""
    told, instruction = [], instruction.replace("{{", "{ {").replace("}}", "} }")
    for demo in demos:
        told.append({"role": "user", "content": f"{instruction}\n\n{demo['input']}"})
        told.append({"role": "assistant", "content": str(demo["output"])})
    return [*told, {"role": "user", "content": f"{instruction}\n\n{problem}"}]


def main(search):
    """Run ``search(job)`` and write down how it ended; the end of the budget is a normal end."""
    job = Job(sys.argv[1])
    try:
        ended = search(job)
    except BudgetEnded as end:
        ended = f"budget: {str(end)[:200]}"
    except Exception as error:
        cause = budget_behind(error)
        if cause is None:
            job.tell(ended=f"failed: {type(error).__name__}: {str(error)[:500]}", failed=True)
            raise
        ended = f"budget: {cause[:200]}"
    job.tell(ended=ended or "finished")


def budget_behind(error):
    """What the end of the budget said, where an exception comes from it; else None."""
    seen = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, BudgetEnded) or getattr(error, "status_code", None) == 402:
            return str(error)
        if type(error).__name__ == "LMBillingError" or "budget_exhausted" in str(error):
            return str(error)
        error = error.__cause__ or error.__context__
    return None
