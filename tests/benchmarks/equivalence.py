"""Does the check of equivalence say what is true? Precision and recall at each level, on published and generated pairs.

    python tests/benchmarks/equivalence.py                        # everything that is missing, then the page
    python tests/benchmarks/equivalence.py --each 4 --fresh       # a small run from the beginning
    python tests/benchmarks/equivalence.py --part 2/3             # the second third only, beside others
    python tests/benchmarks/equivalence.py --model local/qwen2.5-coder-1.5b --sample 30    # maps by a model, too

Generated pairs: ``agentopt.evaluate.equivalence.pairs``, each label true by construction. Published pairs: EquivaMap's
in ``AGENTOPT_DATA/equivamap`` (left out with a word where that is not there), with the labels of EquivaFormulation and
of FormulationBench. Ways of judging: level 1; level 2 and 3 with the true (gold) maps and with maps that are found
without a model; level 2 with gold maps on further draws of the parameters. Every witness is checked again in fractions.

One line a pair goes to ``docs/results/equivalence.jsonl`` as it is judged; a run that was stopped goes on from there.
The table goes to ``docs/results/equivalence.json`` and ``equivalence.md``.
"""

from __future__ import annotations

import argparse
import asyncio
import collections
import json
import statistics
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from agentopt.evaluate import Verifier, verifier
from agentopt.evaluate.data import places
from agentopt.evaluate.equivalence import (
    Equivalence,
    ask_equivalence,
    equivalence,
    equivalence_on_draws,
    read_mapping,
    read_table,
    recheck,
)
from agentopt.evaluate.equivalence.pairs import TRANSFORMS, Pair, make_pair
from agentopt.evaluate.equivalence.pairs.making import NAMES, UNRELATED
from agentopt.llm import ByModel, Limited, Retrying, Session, resolve, use_session

VERDICTS = ("equivalent", "not equivalent", "undecided")
RESULTS = Path(__file__).resolve().parents[2] / "docs" / "results"
WAYS = {
    "1": "level 1: equal optimal values",
    "2 gold": "level 2: optima to optima, gold map",
    "2 gold, draws": "level 2, gold map, on further draws",
    "2 found": "level 2, map found without a model",
    "3 gold": "level 3: feasible sets and objective, gold map",
    "3 found": "level 3, map found without a model",
    "3 model": "level 3, map by a model, with one repair",
}


def told(result: Equivalence, began: tuple[float, float]) -> dict[str, Any]:
    """What is kept of a verdict."""
    return {
        "verdict": result.verdict,
        "scope": result.scope,
        "proof": result.proof,
        "witness": result.witness.kind if result.witness else None,
        "checked": recheck(result),
        "reason": "" if result.verdict == "equivalent" else result.reason[:200],
        "wall": round(time.perf_counter() - began[0], 4),
        "cpu": round(time.process_time() - began[1], 4),
    }


def now() -> tuple[float, float]:
    """Wall clock and processor time."""
    return time.perf_counter(), time.process_time()


def judge(reference: Any, candidate: Any, gold: Any) -> dict[str, Any]:
    """One pair, in every way."""
    ways: dict[str, Any] = {}
    began = now()
    ways["1"] = told(equivalence(reference, candidate, level=1), began)
    began = now()
    found = equivalence(reference, candidate, level=3)
    ways["3 found"] = told(found, began)
    began = now()
    maps = {"to_reference": found.to_reference, "to_candidate": found.to_candidate}
    ways["2 found"] = told(equivalence(reference, candidate, level=2, **maps), began)
    if gold is not None:
        for level in (2, 3):
            began = now()
            ways[f"{level} gold"] = told(equivalence(reference, candidate, level=level, to_reference=gold), began)
    return ways


def judge_generated(pair: Pair, draws: int, seed: int) -> dict[str, Any]:
    """A generated pair, in every way, also on further draws."""
    reference, candidate, gold = pair.reference(), pair.candidate(), pair.gold()
    ways = judge(reference, candidate, gold)
    if gold is not None and draws > 1:
        began = now()
        usable = [d for d in pair.problem.draws(4 * draws, seed=seed) if pair.possible(d)][:draws]
        result = equivalence_on_draws(pair.reference, pair.candidate, usable, level=2, to_reference=pair.gold)
        ways["2 gold, draws"] = {**told(result, began), "draws": result.draws}
    return {"id": pair.id, "set": "generated", "variation": pair.variation, "label": pair.equivalent,
            "family": pair.family, "ways": ways}  # fmt: skip


def published() -> Iterator[tuple[dict[str, Any], Any, Any, Any]]:
    """The pairs of EquivaMap that are on this machine: row, reference, candidate, gold map."""
    folder = next((p / "equivamap" for _, p in places() if (p / "equivamap" / "pairs.jsonl").is_file()), None)
    if folder is None:
        print("EquivaMap's pairs are not here (AGENTOPT_DATA/equivamap): left out", flush=True)
        return
    rows = [json.loads(line) for line in (folder / "formulations.jsonl").read_text("utf-8").splitlines()]
    tables = {row["model_id"]: read_table(row) for row in rows}
    for line in (folder / "pairs.jsonl").read_text("utf-8").splitlines():
        row = json.loads(line)
        gold = read_mapping(row["gold_mapping"]) if row["gold_mapping"] else None
        yield row, tables[row["reference"]], tables[row["candidate"]], gold


async def judge_by_model(row: Mapping[str, Any], reference: Any, candidate: Any, session: Session) -> dict[str, Any]:
    """A pair under the maps that a model proposes, with one repair; ``row`` is what is kept of the pair."""
    began = now()
    with use_session(session):
        asked = await ask_equivalence(reference, candidate)
    said = {**told(asked.result, began), "rounds": len(asked.rounds)}
    return {**row, "id": f"{row['id']}@{session.model()}", "ways": {"3 model": said}}


def by_model(model: str, sample: int, seed: int) -> Iterator[dict[str, Any]]:
    """So many generated pairs, each transformation in turn, judged with maps by a model."""
    client = ByModel(lambda name: Retrying(Limited(resolve(name))))
    session = Session(client, models={"judge": model}, role="judge")
    for i in range(sample):
        pair = make_pair(NAMES[i % len(NAMES)], 10_000 * seed + i // len(NAMES))
        row = {"id": pair.id, "set": "generated", "variation": pair.variation, "label": pair.equivalent}
        yield asyncio.run(judge_by_model(row, pair.reference(), pair.candidate(), session))


def judge_published(row: Mapping[str, Any], reference: Any, candidate: Any, gold: Any) -> dict[str, Any]:
    """A published pair, in every way."""
    return {"id": row["pair_id"], "set": "published", "variation": row["variation"],
            "label": row["label_equivaformulation"], "label_formulationbench": row["label_formulationbench"],
            "ways": judge(reference, candidate, gold)}  # fmt: skip


def rounded(counts: Sequence[float | None]) -> list[float | None]:
    """Numbers as they are kept."""
    return [None if c is None else round(c, 4) for c in counts]


def measure(rows: Iterable[Mapping[str, Any]], way: str, label: str = "label") -> dict[str, Any] | None:
    """Precision and recall of one way of judging; what is undecided is not accepted."""
    judged = [(row, row["ways"][way]) for row in rows if way in row["ways"]]
    if not judged:
        return None
    v: Verifier = verifier((said["verdict"] == "equivalent", row[label]) for row, said in judged)
    verdicts = collections.Counter(said["verdict"] for _, said in judged)
    refuted = [row[label] for row, said in judged if said["verdict"] == "not equivalent"]
    shown = [said for _, said in judged if said["witness"]]
    return {
        "n": v.n,
        "counts": {k: getattr(v, k) for k in ("accepted_right", "refused_right", "accepted_wrong", "refused_wrong")},
        "precision": v.precision,
        "recall": v.recall,
        "intervals": {k: rounded(i) if i else None for k, i in v.intervals().items()},
        "verdicts": dict(verdicts),
        "refuted": len(refuted),
        "refuted_wrongly": sum(refuted),
        "proof_exact": sum(said["proof"] == "exact" for _, said in judged),
        "witnesses": len(shown),
        "witnesses_checked": sum(said["checked"] is True for said in shown),
        "cpu_median": statistics.median(said["cpu"] for _, said in judged),
        "cpu_mean": statistics.fmean(said["cpu"] for _, said in judged),
        "wall_median": statistics.median(said["wall"] for _, said in judged),
    }


def by_variation(rows: Sequence[Mapping[str, Any]], way: str) -> dict[str, dict[str, int]]:
    """Verdicts of one way, by transformation."""
    found: dict[str, collections.Counter[str]] = {}
    for row in rows:
        if way in row["ways"]:
            found.setdefault(row["variation"], collections.Counter())[row["ways"][way]["verdict"]] += 1
    return {name: dict(counts) for name, counts in found.items()}


def summary(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """All tables."""
    out: dict[str, Any] = {}
    for name in ("generated", "published"):
        part = [row for row in rows if row["set"] == name]
        if part:
            ways = {way: m for way in WAYS if (m := measure(part, way))}
            pairs = sum("1" in row["ways"] for row in part)
            out[name] = {"pairs": pairs, "ways": ways, "by_variation": {w: by_variation(part, w) for w in ways}}
    part = [row for row in rows if row["set"] == "published" and "1" in row["ways"]]
    if part:
        other = {way: m for way in WAYS if (m := measure(part, way, "label_formulationbench"))}
        out["published"]["ways_formulationbench"] = other
        out["published"]["disputes"] = [_dispute(row) for row in part if _disputed(row)]
    return out


def _exact(row: Mapping[str, Any]) -> Mapping[str, Any]:
    ways = row["ways"]
    return ways["3 gold"] if "3 gold" in ways else ways["3 found"]


def _disputed(row: Mapping[str, Any]) -> bool:
    verdict = _exact(row)["verdict"]
    return row["label"] != row["label_formulationbench"] or (verdict == "equivalent") != row["label"]


def _dispute(row: Mapping[str, Any]) -> dict[str, Any]:
    said = _exact(row)
    return {
        "id": row["id"],
        "variation": row["variation"],
        "equivaformulation": row["label"],
        "formulationbench": row["label_formulationbench"],
        "level_2": row["ways"].get("2 gold", row["ways"]["2 found"])["verdict"],
        "level_3": said["verdict"],
        "why": said["reason"] or "one feasible set is the exact image of the other",
    }


def share(value: float | None, interval: Sequence[float] | None) -> str:
    """A rate with its interval."""
    if value is None or interval is None:
        return "-"
    return f"{value:.3f} [{interval[0]:.3f}, {interval[1]:.3f}]"


def table(ways: Mapping[str, Any]) -> list[str]:
    """Rows of one set."""
    out = [
        "| way | n | precision | recall | equivalent | not | undecided | refuted wrongly | witnesses checked | CPU s |",
        "| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |",
    ]
    for way, m in ways.items():
        v, i = m["verdicts"], m["intervals"]
        out.append(
            f"| {WAYS[way]} | {m['n']} | {share(m['precision'], i['precision'])} | {share(m['recall'], i['recall'])} "
            f"| {v.get('equivalent', 0)} | {v.get('not equivalent', 0)} | {v.get('undecided', 0)} "
            f"| {m['refuted_wrongly']} | {m['witnesses_checked']} of {m['witnesses']} | {m['cpu_median']:.3f} |"
        )
    return out


def verdict_table(found: Mapping[str, Mapping[str, Mapping[str, int]]], told_of: Mapping[str, str]) -> list[str]:
    """Verdicts by transformation: equivalent / not equivalent / undecided."""
    ways = list(found)
    names = sorted({n for counts in found.values() for n in counts}, key=lambda n: (len(n), n))
    out = [f"| | transformation | {' | '.join(ways)} |", f"| --- | --- |{' --- |' * len(ways)}"]
    for name in names:
        cells = []
        for way in ways:
            c = found[way].get(name, {})
            cells.append("/".join(str(c.get(v, 0)) for v in VERDICTS) if c else "-")
        out.append(f"| {name} | {told_of.get(name, '')} | {' | '.join(cells)} |")
    return out


def markdown(found: Mapping[str, Any], command: str) -> str:
    """The page."""
    names = {**{n: t.told + ("" if t.equivalent else " (not equivalent)") for n, t in TRANSFORMS.items()},
             **{n: t + " (not equivalent)" for n, t in UNRELATED.items()}}  # fmt: skip
    out = [
        "# Equivalence of formulations",
        "",
        "Does the check say what is true? Precision and recall of \"equivalent\", with exact 95 % intervals (Clopper "
        "and Pearson), and CPU seconds a pair (median). What is undecided is not accepted, and counts against recall "
        "only. *Refuted wrongly*: \"not equivalent\" of a pair that is. What each way proves is in "
        "[equivalence.md](../equivalence.md). "
        f"Made by `{command}`; raw: [equivalence.json](equivalence.json), a line a pair in "
        "[equivalence.jsonl](equivalence.jsonl).",
    ]  # fmt: skip
    if "generated" in found:
        part = found["generated"]
        out += ["", f"## Generated pairs ({part['pairs']})", "", *table(part["ways"]), "",
                "Verdicts by transformation (equivalent/not equivalent/undecided):", "",
                *verdict_table(part["by_variation"], names), "",
                "The near misses d-, e-, h- and l- mostly keep the optimum: levels 1 and 2 cannot tell them from the "
                "reference, and by the definition of level 2 they are right to accept them."]  # fmt: skip
    if "published" in found:
        part = found["published"]
        out += ["", f"## EquivaMap's pairs ({part['pairs']})", "", "Against the labels of EquivaFormulation:", "",
                *table(part["ways"]), "", "Against the labels of FormulationBench:", "",
                *table(part["ways_formulationbench"]), "",
                "Verdicts by transformation (equivalent/not equivalent/undecided):", "",
                *verdict_table(part["by_variation"], names), ""]  # fmt: skip
        out += ["Pairs whose published labels differ, or differ from level 3. Levels 2 and 3 judge the instance; "
                "FormulationBench judges a formulation for all instances, and refuses any fixed number of digits.", "",
                "| pair | | EquivaFormulation | FormulationBench | level 2 | level 3 | why |",
                "| --- | --- | --- | --- | --- | --- | --- |"]  # fmt: skip
        for d in part["disputes"]:
            labels = " | ".join("equivalent" if d[k] else "not" for k in ("equivaformulation", "formulationbench"))
            out.append(f"| {d['id']} | {d['variation']} | {labels} | {d['level_2']} | {d['level_3']} | {d['why']} |")
    else:
        out += ["", "EquivaMap's pairs were not on the machine."]
    return "\n".join(out).rstrip() + "\n"


def main() -> None:
    """Judge what is missing, and write the page."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--each", type=int, default=34, help="generated pairs of each transformation")
    parser.add_argument("--draws", type=int, default=2, help="draws of the parameters, the generated one included")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--minutes", type=float, help="stop in time; the page has what there is")
    parser.add_argument("--part", default="1/1", help="which part of the generated pairs, such as 2/3")
    parser.add_argument("--model", help="a model that proposes maps, on a sample, such as local/qwen2.5-coder-1.5b")
    parser.add_argument("--sample", type=int, default=30, help="pairs that the model is asked about")
    parser.add_argument("--fresh", action="store_true", help="forget what was judged before")
    parser.add_argument("--out", default=str(RESULTS))
    options = parser.parse_args()
    out, began = Path(options.out), time.monotonic()
    raw = out / "equivalence.jsonl"
    if options.fresh:
        raw.unlink(missing_ok=True)
    rows = [json.loads(line) for line in raw.read_text("utf-8").splitlines()] if raw.is_file() else []
    done = {row["id"] for row in rows}

    def late() -> bool:
        return options.minutes is not None and time.monotonic() - began > 60 * options.minutes

    def keep(row: dict[str, Any]) -> None:
        rows.append(row)
        with raw.open("a", encoding="utf-8") as file:
            file.write(json.dumps(row) + "\n")
        said = {way: w["verdict"] for way, w in row["ways"].items()}
        print(row["id"], row["label"], said, flush=True)

    part, _, parts = options.part.partition("/")
    for row in published() if part == "1" else ():
        if row[0]["pair_id"] not in done and not late():
            keep(judge_published(*row))
    for i in range(int(part) - 1, options.each, int(parts)):
        for name in NAMES:
            if f"{name}/{(seed := 10_000 * options.seed + i)}" not in done and not late():
                keep(judge_generated(make_pair(name, seed), options.draws, seed))
    for row in by_model(options.model, options.sample, options.seed) if options.model else ():
        if row["id"] not in done:
            keep(row)
    rows = [json.loads(line) for line in raw.read_text("utf-8").splitlines()]  # with those of other parts
    found = summary(rows)
    (out / "equivalence.json").write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    page = markdown(found, "python tests/benchmarks/equivalence.py")
    (out / "equivalence.md").write_text(page, encoding="utf-8")
    print(page)


if __name__ == "__main__":
    main()
