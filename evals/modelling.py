"""Sets of modelling problems by their optimal value, each under the labels and the tolerance that are pinned here.

LLMOPT (arXiv 2410.13213) measures three things: ER, the programs that run and print a result (``executed``); SA, those
that reach the right optimum (the score); AST, how often self-correction was performed on average. Near it is the
measure ``rounds``, of agents that say so: how often a program was mended, 0 where the first was kept. LLMOPT may begin
at 1: its least is 1.13, where 98.29 % of the first programs run, and its loop is not published.
"""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import JsonValue

from agentopt.evaluate import Eval, Measure, Published, evaluation

README = "LLMOPT's README (github.com/antgroup/LLMOPT at 1492dd3)"
ECO = "ECO's README, as it tabulates LLMOPT's paper and itself"
CORRECTED = "LLMOPT's labels, rounded to two decimals; up to several rounds in which the model mends its program"
ONCE = "LLMOPT's labels, rounded to two decimals; one program, not mended"
COUNTED = f"{CORRECTED}; AST, whose count may begin at 1 where that of `rounds` begins at 0"
PAPER = "labels and tolerance of LLMOPT's paper, with self-correction"
EXPERT, PRIOR, ECO_NOW = "human experts", "LLMOPT-Qwen1.5-14B", "ECO with o4-mini"
ZERO = "zero-shot with parallel samples and solver feedback; labels and tolerance of its own"
EXPERTS = "human experts, as ECO reports them"
MEASURES = (
    Measure("executed", "ER: programs that ran and printed a result"),
    Measure("rounds", "how often a program was mended, from 0 on", kind="mean", failed=None, lower_is_better=True),
    Measure("objective_1e-4", "optimal value, relative 1e-4"),
    Measure("objective_1e-6", "optimal value, relative 1e-6"),
    Measure("solved_raw", "optimal value by the original label, where there is one", failed=None),
    Measure("code_pass", "programs that ran to their end"),
    *(
        Measure(name, title, lower_is_better=True)
        for name, title in {
            "timeout": "programs out of time",
            "not_optimal": "programs that found no optimum",
            "crashed": "programs that crashed or reached another limit",
            "no_code": "replies without a whole program",
            "missing_solver": "programs that want a solver that is not here",
            "no_answer": "programs whose answer is missing or unreadable",
        }.items()
    ),
)


def pinned(
    task: str,
    args: dict[str, JsonValue],
    *,
    n: int,
    llmopt: Sequence[float] = (),
    others: Sequence[tuple[str, float, str]] = (),
    notes: Sequence[str] = (),
) -> Eval:
    """An eval of one set; ``llmopt`` is ER, SA and AST with correction, then ER and SA without, in percent."""
    rows: list[Published] = []
    if llmopt:
        er, sa, ast, er_once, sa_once = llmopt
        model = "LLMOPT-Qwen2.5-14B"
        for measure, value, protocol in (
            ("executed", er / 100, CORRECTED), ("score", sa / 100, CORRECTED), ("rounds", ast, COUNTED),
        ):  # fmt: skip
            rows.append(_row(f"{model} with self-correction", value, protocol, README, measure, n))
        for measure, value in (("executed", er_once / 100), ("score", sa_once / 100)):
            rows.append(_row(model, value, ONCE, README, measure, n))
    for model, percent, protocol in others:
        rows.append(_row(model, percent / 100, protocol, ECO, "score", None))
    return Eval(
        task=task,
        task_args=args,
        graph="program_of_thought",
        split="all",
        max_tokens=2048,
        temperature=0.0,
        measures=MEASURES,
        published=rows,
        notes=("No number compares with one made with other labels or another tolerance.", *notes),
    )


def _row(model: str, value: float, protocol: str, source: str, measure: str, n: int | None) -> Published:
    return Published(model=model, score=round(value, 4), protocol=protocol, source=source, measure=measure, n=n)


@evaluation(version=1)
def nl4opt() -> Eval:
    """NL4Opt's test problems by their optimal value, labels of ReSocratic (NL4OPT-E), relative 1e-4."""
    return pinned(
        "nl4opt", {"labels": "nl4opt_e"}, n=230, llmopt=(100.0, 97.31, 1.38, 97.42, 80.28),
        others=[(PRIOR, 93.0, PAPER), (ECO_NOW, 89.2, ZERO), (EXPERT, 94.3, EXPERTS)],
        notes=["231 problems of OptiBench are, or nearly are, among these: tune nothing here that is reported there."],
    )  # fmt: skip


@evaluation(version=1)
def mamo_easy() -> Eval:
    """Mamo's easy problems by their optimal value, labels corrected by SIRL, relative 1e-6."""
    return pinned(
        "mamo", {"part": "easy", "labels": "sirl"}, n=652, llmopt=(100.0, 95.31, 1.13, 98.29, 89.53),
        others=[(PRIOR, 97.0, PAPER), (ECO_NOW, 86.2, ZERO), (EXPERT, 90.4, EXPERTS)],
    )  # fmt: skip


@evaluation(version=1)
def mamo_complex() -> Eval:
    """Mamo's complex problems by their optimal value, labels corrected by SIRL, relative 1e-6."""
    return pinned(
        "mamo", {"part": "complex", "labels": "sirl"}, n=211, llmopt=(99.05, 85.78, 2.13, 77.73, 44.08),
        others=[(PRIOR, 68.0, PAPER), (ECO_NOW, 71.6, ZERO), (EXPERT, 78.9, EXPERTS)],
    )  # fmt: skip


@evaluation(version=1)
def industryor() -> Eval:
    """IndustryOR by its optimal value, labels of SIRL's second version, relative 1e-6."""
    return pinned(
        "industryor", {"labels": "sirl"}, n=100, llmopt=(94.0, 44.0, 2.14, 61.0, 29.0),
        others=[(PRIOR, 46.0, PAPER), (ECO_NOW, 60.0, ZERO), (EXPERT, 76.0, EXPERTS)],
        notes=["At least 54 % of the original labels are wrong or unusable, and two corrections disagree on 12 of 77."],
    )  # fmt: skip


@evaluation(version=1)
def nlp4lp() -> Eval:
    """NLP4LP, the 242 problems with an optimal value, within 0.01."""
    return pinned(
        "nlp4lp", {}, n=242, llmopt=(100.0, 86.49, 1.50, 97.93, 73.42),
        others=[(PRIOR, 83.8, PAPER), (ECO_NOW, 88.0, ZERO)],
    )  # fmt: skip


@evaluation(version=1)
def complexor() -> Eval:
    """ComplexOR, the 18 usable problems with their data, within 0.01: a smoke test."""
    return pinned(
        "complexor", {}, n=18, llmopt=(100.0, 76.47, 3.46, 88.89, 35.29),
        others=[(PRIOR, 72.2, PAPER), (ECO_NOW, 83.3, ZERO)],
        notes=["One problem is 5.6 points."],
    )  # fmt: skip
