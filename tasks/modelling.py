"""Sets of modelling problems of which the optimal value is known: NL4Opt, Mamo, IndustryOR, NLP4LP, ComplexOR.

Each has been relabelled by others, and the labels disagree. A number means something only with the version of the
labels and the tolerance, so both are in the name or the feedback of every score. ``docs/optibench.md`` says which
version to take and why.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from agentopt import Example, Task, task
from agentopt.errors import MissingData, UnknownName, UsageError
from agentopt.evaluate import SplitSpec
from agentopt.evaluate.data import read_rows
from agentopt.evaluate.modelling import NO_OPTIMUM, OBJECTIVE, optimal_value

ASKED = "Write a program that solves an optimization problem and prints the optimal value."


class Row(BaseModel):
    """One problem; versions differ in their fields."""

    model_config = ConfigDict(extra="allow")

    def text(self, *names: str) -> str:
        """The first of these fields that it has."""
        extra = self.model_extra or {}
        return str(next((extra[name] for name in names if name in extra), ""))


@dataclass(frozen=True)
class Version:
    """One version of a set's labels."""

    file: str
    tolerance: str
    """Under which its makers, or those who report on it, compare."""
    about: str
    question: str = "question"
    answer: Callable[[Row], Any] = field(default=lambda row: row.text("answer"))


def last_figure(row: Row) -> Any:
    """The objective of NL4OPT-E: its last figure."""
    results = (row.model_extra or {}).get("results")
    return list(results.values())[-1] if isinstance(results, dict) and results else ""


def en_answer(row: Row) -> Any:
    """The field of ORLM and SIRL."""
    return row.text("en_answer")


SHARED = (
    "231 problems of OptiBench are, or nearly are, among its test problems: never tune here and report on optibench"
)
FEW = "18 problems: one of them is 5.6 points"
SIRL = "relabelled by SIRL"
LLMOPT = "relabelled by LLMOPT, rounded to two decimals"
OPTIMIND = "cleaned by OptiMind"
NL4OPT = {
    "nl4opt_e": Version("NL4OPT-E.json", "rel 1e-4", "of ReSocratic; 94 % agree with the annotated models", "question",
                        last_figure),
    "sirl": Version("sirl_nl4opt_245.jsonl", "rel 1e-6", f"{SIRL}; 88 % agree with the annotated models", "en_question",
                    en_answer),
    "llmopt": Version("llmopt_nl4opt_230.jsonl", "two decimals", f"{LLMOPT}; 91 % agree with the annotated models"),
}  # fmt: skip
MAMO = {
    "easy": {
        "sirl": Version("sirl_easy_fixed.jsonl", "rel 1e-6", f"{SIRL}: 10 removed, about 70 corrected", "en_question",
                        en_answer),
        "raw": Version("mamo_easy_lp.jsonl", "mamo", "as published; at least 8 % are wrong", "Question",
                       lambda row: row.text("Answer")),
        "llmopt": Version("llmopt_easy.jsonl", "two decimals", f"{LLMOPT}: 99 changed"),
    },
    "complex": {
        "sirl": Version("sirl_complex_fixed.jsonl", "rel 1e-6", f"{SIRL}: 8 removed, 43 corrected", "en_question",
                        en_answer),
        "raw": Version("mamo_complex_lp.jsonl", "mamo", "as published; at least 24 % are wrong", "Question",
                       lambda row: row.text("Answer")),
        "optimind": Version("optimind_complex_210.jsonl", "rel 1e-6", f"{OPTIMIND}: 30 of 116 same texts relabelled"),
    },
}  # fmt: skip
INDUSTRYOR = {
    "sirl": Version("sirl_fixedV2_100.jsonl", "rel 1e-6", f"{SIRL}, second version", "en_question", en_answer),
    "optimind": Version("optimind_99.jsonl", "rel 1e-6", OPTIMIND),
    "raw": Version("industryor_100.jsonl", "orlm", "as published; at least 54 % are wrong or unusable", "en_question",
                   en_answer),
    "llmopt": Version("llmopt_100.jsonl", "two decimals", "the original labels, as LLMOPT gives them"),
}  # fmt: skip
NLP4LP = {"llmopt": Version("llmopt_nlp4lp_242.jsonl", "two decimals", "those with an optimum, numbers in the text")}
COMPLEXOR = {"llmopt": Version("llmopt_complexor_18.jsonl", "two decimals", "the usable ones, with their data")}


@task(version=1)
def nl4opt(
    labels: Literal["nl4opt_e", "sirl", "llmopt"] = "nl4opt_e", tolerance: str = "", seconds: float = 20.0
) -> Task:
    """Write a program that solves a short word problem of linear programming and prints the optimal value.

    NL4Opt (Ramamonjison et al. 2023, arXiv 2303.08233): its test problems, which were published without optimal values.
    ``labels`` chooses whose: ``nl4opt_e`` 289, ``sirl`` 245, ``llmopt`` 230.
    """
    return made("nl4opt", labels, NL4OPT, tolerance, seconds, also=[SHARED])


@task(version=1)
def mamo(
    part: Literal["easy", "complex"] = "easy",
    labels: Literal["sirl", "raw", "llmopt", "optimind"] = "sirl",
    tolerance: str = "",
    seconds: float = 20.0,
) -> Task:
    """Write a program that solves a word problem of linear or integer programming and prints the optimal value.

    Mamo (Huang et al. 2024, arXiv 2405.13144): ``easy`` and ``complex``, in the version of the labels that ``labels``
    names. Beside a corrected version the score by the original label is a part, for comparison.
    """
    return made("mamo", labels, MAMO[part], tolerance, seconds, part=part)


@task(version=1)
def industryor(
    labels: Literal["sirl", "optimind", "raw", "llmopt"] = "sirl", tolerance: str = "", seconds: float = 20.0
) -> Task:
    """Write a program that solves an industrial problem of operations research and prints the optimal value.

    IndustryOR (Tang et al. 2024, arXiv 2405.17743): about 100 problems in four versions that disagree: 43 of 77 labels
    differ between ``raw`` and ``sirl``, 12 between ``sirl`` and ``optimind``. No number on one compares with another's.
    """
    return made("industryor", labels, INDUSTRYOR, tolerance, seconds)


@task(version=1)
def nlp4lp(subset: Literal["all", "confirmed"] = "all", tolerance: str = "", seconds: float = 20.0) -> Task:
    """Write a program that solves a problem of linear or integer programming and prints the optimal value.

    NLP4LP (AhmadiTeshnizi et al. 2024, arXiv 2402.10172): the 242 with an optimal value; ``subset=confirmed`` has the
    178 that the survey arXiv 2508.10047 kept. For research only.
    """
    kept: Callable[[str], bool] | None = None
    if subset == "confirmed":
        full = read_rows("nlp4lp", "nlp4lp_full.jsonl", Row).rows
        texts = {
            plain(row.text("description")) for row in full if (row.model_extra or {}).get("kept_by_llm4or") is True
        }
        kept = texts.__contains__
    return made("nlp4lp", "llmopt", NLP4LP, tolerance, seconds, part=subset if kept else "", kept=kept)


@task(version=1)
def complexor(tolerance: str = "", seconds: float = 20.0) -> Task:
    """Write a program that solves a problem given as an abstract model with data, and print the optimal value.

    ComplexOR (Xiao et al. 2024, ICLR): the 18 that are usable, of 37. One problem is 5.6 points: a smoke test.
    """
    return made("complexor", "llmopt", COMPLEXOR, tolerance, seconds, also=[FEW])


def made(
    name: str,
    labels: str,
    versions: Mapping[str, Version],
    tolerance: str,
    seconds: float,
    *,
    part: str = "",
    kept: Callable[[str], bool] | None = None,
    also: Sequence[str] = (),
) -> Task:
    """The task of one version of a set."""
    if labels not in versions:
        raise UnknownName(f"version of the labels of {name}{f' {part}' if part else ''}", labels, versions)
    version = versions[labels]
    data = read_rows(name, version.file, Row)
    raw = {} if labels == "raw" or "raw" not in versions else originals(name, versions["raw"])
    examples, left = [], []
    for index, row in enumerate(data.rows):
        question = plain(row.text(version.question))
        if not question:
            raise UsageError(f"{data.path}: row {index} has no {version.question!r}")
        if kept is not None and not kept(question):
            continue
        try:
            label = value_of(version.answer(row))
        except ValueError:
            left.append(f"row {index} of {version.file} was left out: its label is {version.answer(row)!r}")
            continue
        how = tolerance or version.tolerance
        meta: dict[str, Any] = {"labels": labels, "tolerance": how, "printed": str(version.answer(row))}
        if question in raw:
            meta["raw"] = raw[question]
        examples.append(
            Example(
                id=f"{name}-{part + '-' if part else ''}{labels}-{index}",
                input={"problem": question},
                target={OBJECTIVE: label},
                meta=meta,
                group=row.text("difficulty") or None,
            )
        )
    about = f"labels: {labels}, {version.about}; tolerance: {tolerance or version.tolerance}"
    return Task(
        "_".join(filter(None, [name, part, labels])),
        examples,
        optimal_value(tolerance=tolerance or version.tolerance, seconds=seconds),
        objective=ASKED,
        split=SplitSpec(search=0.2, validation=0.2, test=0.6),
        notes=(*data.notes, about, *left, *also),
    )


def plain(text: str) -> str:
    """A text with real line ends: in some files they are a backslash and an n."""
    return text.replace("\\n", "\n").strip()


def value_of(answer: Any) -> float | str:
    """A label as a number; ``NO_OPTIMUM`` for "No Best Solution".

    Raises:
        ValueError: it is neither.
    """
    text = str(answer).strip()
    if text.casefold() == "no best solution":
        return NO_OPTIMUM
    if text.startswith("[") and text.endswith("]"):
        text = text[1:-1]
    return float(text.replace(",", ""))


def originals(name: str, version: Version) -> dict[str, dict[str, Any]]:
    """The original label of each text, and how it is compared; none where that file is not here."""
    try:
        rows: Sequence[Row] = read_rows(name, version.file, Row).rows
    except MissingData:
        return {}
    return {
        plain(row.text(version.question)): {
            "label": value_of(version.answer(row)),
            "printed": str(version.answer(row)),
            "tolerance": version.tolerance,
        }
        for row in rows
    }
