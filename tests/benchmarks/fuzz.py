"""Malformed answers: 10,000 texts that a model might write, through the path by which proposals are adopted.

    python tests/benchmarks/fuzz.py                 # 10,000 answers
    python tests/benchmarks/fuzz.py --answers 500

Hypothesis makes the answers: JSON that is cut, nested, escaped, of wrong types, with numbers out of range, half
characters, names that do not exist, values that lost a placeholder, copied an example, ended in mid-sentence. Each goes
through ``suggest`` (schema, parsing, repair round, invariants) and through the built-in optimizers, then through the
check that the run makes before it pays; and each, read as JSON, straight to that check, as an optimizer that looks at
nothing would. Nothing may crash, and nothing adopted may break an invariant: those are written a second time here,
from their description and not from their code. Writes ``docs/results/fuzz.json`` and ``fuzz.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import math
import os
import platform
import re
import time
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from agentopt.core import Parameter
from agentopt.core.values import Candidate, Outcome, Proposal
from agentopt.errors import MalformedAnswer, TruncatedAnswer
from agentopt.evaluate.stats import clopper_pearson
from agentopt.llm.types import Message, Request, Response
from agentopt.optim.base import View
from agentopt.optim.invariants import RULES, check
from agentopt.optim.meta import parse_object
from agentopt.optim.registry import make
from agentopt.optim.suggest import Sampling, settle, suggest
from agentopt.testing import FakeView, ScriptedLLM
from agentopt.testing.optimizers import spec_of

RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
START = "You solve riddles, from 1 to 5 steps.\nWrite <answer>...</answer>.\n\n{{question}}\n\nAnswer:"
STORY = "In the year {} a farmer from Kent sold his {} best brown cows to the old miller."
FROZEN = ("from 1 to 5",)
GOOD = "Think first, from 1 to 5 steps, and write <answer>...</answer> at the end."


def window(reply: Any, seed: int, off: Sequence[str] = ()) -> FakeView:
    """A run's window over every kind of parameter, with examples and frozen words."""
    parameters: list[Parameter[Any]] = [
        Parameter(START, name="instruction", description="what the model is told"),
        Parameter(3, name="count", kind="number", low=1, high=9),
        Parameter(0.5, name="heat", kind="number"),
        Parameter("plain", name="tone", kind="choice", choices=("plain", "warm", "Warm", 3)),
        Parameter({"depth": 1}, name="rules", kind="json"),
        Parameter({"n": 1}, name="form", kind="json", json_schema={"type": "object", "required": ["n"]}),
        Parameter([{"input": "a", "output": "b"}], name="shots", kind="demos"),
    ]
    examples = {f"e{i}": (STORY.format(1800 + i, i), str(i)) for i in range(8)}
    specs = {p.name: spec_of(p) for p in parameters}
    view = FakeView(specs, ScriptedLLM(reply), examples=examples, seed=seed, frozen=FROZEN, off=off)
    return view.evaluated(view.baseline, [Outcome(candidate="c", example=id) for id in examples])


# -- what a model might write -----------------------------------------------------------------------------------------

HALF = st.sampled_from(["\ud83d", "\udc00", "\ud83d\ude00", "\x00", "\ufffd", "\u2028"])
TEXTS = st.one_of(
    st.just(GOOD),
    st.text(max_size=60),
    st.sampled_from([
        "", " ", START, START.upper(), "Solve it.", "Solve {{question}} with {{hint}}.", "{question}", "{{ question }}",
        f"{GOOD} and then the", f"{GOOD} (", f"{GOOD}\n```\nx", f"{GOOD}...", f"{{{GOOD}", f"```\n{GOOD}\n```",
        f"<p>{GOOD}",
        GOOD.replace("<answer>", "<result>"), GOOD.replace("1 to 5", "1 to 9"), GOOD.replace("</answer>", ""),
        f"{GOOD} In the year 1803 a farmer from Kent sold.", f"{GOOD} Rewrite it in other words. Keep its meaning.",
        GOOD * 40, f'"{GOOD}"', f"{GOOD} <<<", "12 34", "{{question}}\n\nAnswer: 1", "a" * 5000,
        GOOD + "\n\n{{question}}",
    ]),
    st.builds(lambda a, b: GOOD[:30] + a + GOOD[30:] + b, HALF, st.one_of(HALF, st.text(max_size=10))),
    st.builds(lambda n: GOOD[:n], st.integers(1, len(GOOD))),
)  # fmt: skip
LEAVES = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**30), 10**30), st.just(10**400), st.floats(allow_nan=True), TEXTS,
    st.sampled_from(["5", "5.0", "many", "1e999", "NaN", "true", "WARM", "plain ", "[]", "{}", "3", " 4 "]),
)  # fmt: skip
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3),
        st.dictionaries(st.sampled_from(["input", "output", "n", "depth", "x", "\ud800"]), inner, max_size=3),
    ),
    max_leaves=6,
)
NAMES = st.sampled_from(["instruction", "count", "heat", "tone", "rules", "form", "shots", "nobody", "reasoning", ""])
LIKELY = {
    "instruction": TEXTS, "count": st.one_of(st.integers(-2, 12), st.floats(-2, 12), LEAVES),
    "heat": LEAVES, "tone": st.one_of(st.sampled_from(["warm", "Warm", "WARM", "plain", "3", "cold"]), LEAVES),
}  # fmt: skip
SUGGESTIONS = st.lists(NAMES, max_size=5, unique=True).flatmap(
    lambda names: st.fixed_dictionaries({name: LIKELY.get(name, VALUES) for name in names})
)
OBJECTS = st.one_of(
    SUGGESTIONS.map(lambda s: {"reasoning": "because", "suggestion": s}),
    SUGGESTIONS,
    st.builds(lambda s, r: {"reasoning": r, "suggestion": s}, SUGGESTIONS, VALUES),
    VALUES.map(lambda v: {"suggestion": v}),
    VALUES,
)


def written(value: Any) -> str:
    """JSON as models write it: constants that JSON does not have, half characters as escapes."""
    return json.dumps(value, default=str)


WRITTEN = OBJECTS.map(written)
ANSWERS = st.one_of(
    WRITTEN,
    WRITTEN,
    st.builds(lambda text, n: text[: len(text) * n // 100], WRITTEN, st.integers(0, 99)),
    st.builds(lambda text, a, b: f"{a}{text}{b}", WRITTEN, st.text(max_size=20), st.text(max_size=20)),
    WRITTEN.map(lambda text: f"Sure!\n```json\n{text}\n```\nGood luck {{x}}"),
    WRITTEN.map(lambda text: f"<think>{text[:50]}</think>{text}"),
    WRITTEN.map(lambda text: text.replace('"', "'")),
    WRITTEN.map(lambda text: text.replace("}", ",}")),
    WRITTEN.map(lambda text: text.encode().decode("unicode_escape", "replace")),
    st.text(max_size=200),
    st.builds(lambda c, n: c * n, st.sampled_from(["[", "{", '{"a":', "\\", '"', "{{"]), st.integers(1, 3000)),
)
REPLIES = st.one_of(
    ANSWERS, ANSWERS, ANSWERS, ANSWERS,
    st.builds(lambda t, f: Response(text=t, finish=f), ANSWERS, st.sampled_from(["length", "content_filter", "stop"])),
    st.sampled_from([TruncatedAnswer("cut", "{"), MalformedAnswer("odd", "\ud800"), Response(text="")]),
)  # fmt: skip


# -- the invariants, once more ----------------------------------------------------------------------------------------


def faults(view: FakeView, candidate: Candidate) -> list[str]:
    """What an adopted candidate breaks, judged by the words of the invariants' description alone."""
    found = []
    values, start = candidate.values, view.baseline.values
    if set(values) != set(start):
        return ["names"]
    for name, spec in view.parameters.items():
        if json.loads(json.dumps(values[name], allow_nan=False)) != json.loads(json.dumps(values[name])):
            found.append("json")
        if spec.kind == "number":
            value = values[name]
            real = isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
            low, high = (-math.inf if spec.low is None else spec.low), (math.inf if spec.high is None else spec.high)
            found += [] if real and low <= value <= high else ["constraint"]
        if spec.kind == "choice" and values[name] not in spec.choices:
            found.append("constraint")
    if not isinstance(values["form"], dict) or "n" not in values["form"]:
        found.append("constraint")
    if not isinstance(values["shots"], list) or any(not {"input", "output"} <= set(d) for d in values["shots"]):
        found.append("constraint")
    text = values["instruction"]
    if text == START:
        return found
    if not isinstance(text, str):
        return [*found, "constraint"]
    names = set(re.findall(r"\{\{\s*(\w+)\s*\}\}", text))
    found += ["placeholders"] if names != {"question"} else []
    found += ["schema"] if "<answer>" not in text or "</answer>" not in text else []
    found += ["frozen"] if "from 1 to 5" not in " ".join(text.split()) else []
    found += ["length"] if not text.strip() or len(text) > 2000 else []
    ends = text.rstrip(), text.partition("\n\n{{question}}")[0].rstrip()
    found += ["unfinished"] if any(e.endswith(("...", "…", ",", "(", " and", " the")) for e in ends) else []
    found += ["unfinished"] if text.count("```") % 2 else []
    found += ["unfinished"] if text.count("(") > text.count(")") else []
    found += ["form"] if text.strip().startswith(("```", "<", "[")) or "<<<" in text else []
    found += (
        ["copied"] if "a farmer from Kent sold his" in text or "1803 a farmer from kent sold" in text.casefold() else []
    )
    found += ["leak"] if "Rewrite it in other words. Keep its meaning" in text else []
    try:
        text.encode()
    except UnicodeEncodeError:
        found.append("half characters")
    return found


async def proposals(view: FakeView, who: str, draw: int) -> list[Proposal]:
    """What is proposed when the model answers as scripted."""
    seen = cast("View", view)
    if who == "suggest":
        specs = list(view.parameters.values())
        messages = [Message(role="user", content="go")]
        found = await suggest(seen, messages, specs, view.baseline.values, Sampling("fuzz", draw))
        return settle(seen, [found], "fuzz")
    if who == "careless":
        answer = await view.llm.complete(Request(model="m", messages=(Message(role="user", content="go"),)))
        data = parse_object(answer.text) or {}
        inner = data.get("suggestion", data)
        new = {k: v for k, v in inner.items() if k in view.parameters} if isinstance(inner, dict) else {}
        return [] if answer.unfinished else [Proposal(candidate=view.baseline.change(new))]
    optimizer = make(who)
    first = await optimizer.ask(seen, 2)
    json.dumps(optimizer.state(), allow_nan=False)
    return first


def fuzz(answers: int, seed_: int = 0, off: Sequence[str] = ()) -> dict[str, Any]:
    """Try so many answers, some invariants switched off; returns counts, and what went wrong."""
    counts: Counter[str] = Counter()
    rejected: Counter[str] = Counter()
    wrong: list[dict[str, Any]] = []
    others = ("suggest", "suggest", "careless", "careless", "optoprime", "paraphrase", "random")

    @seed(seed_)
    @settings(
        max_examples=answers, deadline=None, database=None, suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )  # fmt: skip
    @given(st.lists(REPLIES, min_size=1, max_size=3), st.sampled_from(others), st.integers(0, 2**31 - 2))
    def one(replies: list[Any], who: str, draw: int) -> None:
        queue = list(replies)
        counts["runs"] += 1

        def reply(request: Any) -> Any:
            counts["answers"] += 1
            given = queue.pop(0) if len(queue) > 1 else queue[0]
            return Response(text=given) if isinstance(given, str) else given

        try:
            view = window(reply, draw, off)
            before = json.dumps(view.baseline.values, sort_keys=True)
            for proposal in asyncio.run(proposals(view, who, draw)):
                counts["proposals"] += 1
                Proposal.model_validate_json(proposal.model_dump_json())
                broken = check(proposal, cast("View", view))
                rejected.update(v.rule for v in broken)
                for line in proposal.rejected:
                    counts["reasons"] += 1
                    line.encode()
                if broken:
                    continue
                counts["adopted"] += 1
                counts["adopted with another text"] += proposal.candidate.values["instruction"] != START
                cut = all(isinstance(r, Response) and r.unfinished for r in replies)
                if cut and proposal.candidate.values["instruction"] != START:
                    wrong.append({"fault": ["unfinished"], "by": who, "replies": [repr(r)[:300] for r in replies]})
                if fault := faults(view, proposal.candidate):
                    wrong.append({"fault": fault, "by": who, "values": repr(proposal.candidate.values)[:500]})
            if json.dumps(view.baseline.values, sort_keys=True) != before:
                wrong.append({"fault": ["the baseline changed"], "by": who})
        except (TruncatedAnswer, MalformedAnswer):
            counts["no answer"] += 1  # of "careless", which does not catch them; the run would
        except Exception as error:
            wrong.append({"fault": ["crash"], "by": who, "error": f"{type(error).__name__}: {error}"[:300],
                          "replies": [repr(r)[:300] for r in replies]})  # fmt: skip

    one()
    return {"counts": dict(counts), "rejected": dict(rejected.most_common()), "wrong": wrong}


def page(result: dict[str, Any]) -> str:
    """The result as Markdown."""
    counts, wrong = result["counts"], result["wrong"]
    crashes = sum("crash" in w["fault"] for w in wrong)
    adopted = counts.get("adopted", 0)

    def share(k: int, n: int) -> str:
        low, high = clopper_pearson(k, n)
        return f"{k} of {n:,} [{low:.5f}, {high:.5f}]"

    lines = [
        f"# Malformed answers: {counts['answers']:,}",
        "",
        f"{result['machine']}; {result['seconds']:.0f} s. Raw: [fuzz.json](fuzz.json), made by",
        f"`python tests/benchmarks/fuzz.py {result['arguments']}`. Intervals are exact (Clopper and Pearson, 95 %).",
        "",
        "| | |",
        "| --- | --- |",
        f"| runs of `suggest` or an optimizer | {counts['runs']:,} |",
        f"| answers given | {counts['answers']:,} |",
        f"| reasons recorded for what was not taken | {counts.get('reasons', 0):,} |",
        f"| proposals made | {counts['proposals']:,} |",
        f"| adopted | {adopted:,}, {counts.get('adopted with another text', 0):,} with another text |",
        f"| crashes | {share(crashes, counts['runs'])} |",
        f"| adopted although an invariant is broken | {share(len(wrong) - crashes, adopted)} |",
        "",
        "Rules that turned a proposal down before anything was paid: "
        + ", ".join(f"`{rule}` {n:,}" for rule, n in result["rejected"].items())
        + ".",
        "`duplicate` is what becomes of an answer of which nothing could be used.",
    ]
    return "\n".join(lines) + "\n"


def main(argv: Sequence[str] | None = None) -> None:
    """Run, write the results, and fail when something crashed or was wrongly adopted."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--answers", type=int, default=10_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=RESULTS)
    args = parser.parse_args(argv)
    began = time.monotonic()
    result: dict[str, Any] = {"counts": Counter(), "rejected": Counter(), "wrong": []}
    batch = 0
    while result["counts"]["answers"] < args.answers and not result["wrong"]:
        part = fuzz(min(1000, args.answers), args.seed + batch)
        batch += 1
        result["counts"].update(part["counts"])
        result["rejected"].update(part["rejected"])
        result["wrong"] += part["wrong"]
    assert set(result["rejected"]) <= {*RULES, "duplicate"}
    result["arguments"] = f"--answers {args.answers} --seed {args.seed}"
    result["machine"] = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    result["seconds"] = round(time.monotonic() - began, 1)
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "fuzz.json").write_text(json.dumps(result, indent=1) + "\n")
    (args.out / "fuzz.md").write_text(page(result))
    print(page(result))
    for fault in result["wrong"][:10]:
        print(json.dumps(fault, indent=1))
    if result["wrong"]:
        raise SystemExit(f"{len(result['wrong'])} answers crashed something or were wrongly adopted")


if __name__ == "__main__":
    main()
