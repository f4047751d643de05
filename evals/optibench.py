"""OptiBench: all 605 problems, under agentopt's protocol and under the benchmark's own (arXiv 2407.09887)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from agentopt import Example
from agentopt.evaluate import Eval, Measure, Published, evaluation

README = "ReSocratic's README (github.com/yangzhch6/ReSocratic at 56a638f)"
OFFICIAL = (
    "the benchmark's own: PySCIPOpt skeleton, one sample at temperature 0, every figure within 1e-4, a model reads"
)
OBJECTIVE = "the optimal value alone, relative 1e-6, on a file whose objective is wrong in 12 rows; one sample"


def sound(example: Example) -> bool:
    """Whether the label is not known to be wrong."""
    return not example.meta["wrong"]


def confirmed(example: Example) -> bool:
    """Whether the survey arXiv 2508.10047 kept it."""
    return bool(example.meta["confirmed"])


def linear(example: Example) -> bool:
    """Linear, without a table."""
    return example.group == "linear-notable"


def linear_with_table(example: Example) -> bool:
    """Linear, with a table."""
    return example.group == "linear-table"


def nonlinear(example: Example) -> bool:
    """Nonlinear, without a table."""
    return example.group == "nonlinear-notable"


def nonlinear_with_table(example: Example) -> bool:
    """Nonlinear, with a table."""
    return example.group == "nonlinear-table"


TYPES = {
    "linear_table": linear_with_table,
    "linear": linear,
    "nonlinear_table": nonlinear_with_table,
    "nonlinear": nonlinear,
}
MEASURES = (
    *(Measure(name, f"every figure within 1e-4, {over.__name__.replace('_', ' ')}", of="score", over=over)
      for name, over in TYPES.items()),
    Measure("sound", "every figure within 1e-4, without labels known to be wrong", of="score", over=sound),
    Measure("confirmed", "every figure within 1e-4, problems that a survey kept", of="score", over=confirmed),
    Measure("objective_1e-4", "optimal value, relative 1e-4"),
    Measure("objective_1e-6", "optimal value, relative 1e-6"),
    Measure("objective_confirmed", "optimal value, relative 1e-4, problems that a survey kept",
            of="parts.objective_1e-4", over=confirmed),
    Measure("variables", "every other figure within absolute 1e-4 or relative 1e-3"),
    Measure("keys", "figures within 1e-4"),
    Measure("code_pass", "programs that ran to their end"),
    *(Measure(name, title, lower_is_better=True) for name, title in {
        "timeout": "programs out of time",
        "not_optimal": "programs that found no optimum",
        "crashed": "programs that crashed or reached another limit",
        "no_code": "replies without a whole program",
        "missing_solver": "programs that want a solver that is not here",
        "no_answer": "programs whose answer is missing or unreadable in part",
    }.items()),
)  # fmt: skip
NOTES = ("Published numbers were made with labels some of which are wrong, and by protocols of their own.",)


def cluster(example: Example) -> str | None:
    """Problems with the same answers count as one."""
    return example.cluster


def kind(example: Example) -> str | None:
    """The four types."""
    return example.group


@evaluation(version=1)
def optibench() -> Eval:
    """OptiBench with a program of thought that is told the names of the figures and prints a JSON object."""
    return measured("program_of_thought", [
        Published(model=model, score=score, measure="objective_1e-6", protocol=OBJECTIVE, source=LATER_SOURCES, n=605)
        for model, score in LATER
    ])  # fmt: skip


@evaluation(version=1)
def optibench_zero_shot() -> Eval:
    """OptiBench as its makers measured it, without examples; a fixed rule stands in for their reading model."""
    return official("optibench_zero_shot", {"zero-shot": ZERO_SHOT, "fine-tuned on ReSocratic-29k": TUNED})


@evaluation(version=1)
def optibench_few_shot() -> Eval:
    """OptiBench as its makers measured it, with two worked examples; a fixed rule stands in for their reading model."""
    return official("optibench_few_shot", {"few-shot": FEW_SHOT})


def official(graph: str, tables: Mapping[str, Sequence[tuple[str, Sequence[float]]]]) -> Eval:
    """The benchmark's own protocol."""
    published = [row for shots, rows in tables.items() for model, scores in rows for row in table(model, scores, shots)]
    return measured(graph, published, protocol="official")


def measured(graph: str, published: Sequence[Published], **task_args: str) -> Eval:
    """What all protocols have in common."""
    return Eval(
        task="optibench",
        task_args=task_args,
        graph=graph,
        split="all",
        max_tokens=2048,
        temperature=0.0,
        measures=MEASURES,
        group=cluster,
        by=kind,
        published=published,
        notes=NOTES,
    )


def table(model: str, scores: Sequence[float], shots: str) -> list[Published]:
    """A row of the paper's table: four types, all, and programs that ran, in percent."""
    measures = (*TYPES, "score", "code_pass")
    sizes = (80, 342, 50, 133, 605, 605)
    return [
        Published(model=model, score=round(score / 100, 4), measure=measure, protocol=f"{OFFICIAL}; {shots}",
                  source=README, n=n)
        for measure, score, n in zip(measures, scores, sizes, strict=True)
    ]  # fmt: skip


ZERO_SHOT = (
    ("Llama-3-8B-Instruct", (0.0, 0.29, 0.0, 0.0, 0.17, 8.8)),  # its 0.29 is printed one column before: it is 1 of 342
    ("Llama-3-70B-Instruct", (50.0, 76.9, 32.0, 30.8, 59.5, 86.8)),
    ("Mistral-7B-Instruct-v0.3", (0.0, 0.6, 0.0, 0.0, 0.3, 6.9)),
    ("Qwen2-7b-Instruct", (0.0, 3.5, 0.0, 3.0, 2.6, 19.2)),
    ("DeepSeek-V2", (27.5, 40.4, 18.0, 29.3, 34.4, 74.0)),
    ("DeepSeek-V2.5", (67.5, 78.4, 24.0, 33.1, 62.5, 92.7)),
    ("GPT-3.5-Turbo", (37.5, 68.1, 16.0, 19.5, 49.1, 85.0)),
    ("GPT-4", (62.5, 75.4, 32.0, 42.1, 62.8, 88.8)),
    ("GPT-4o", (65.0, 78.1, 40.0, 45.9, 66.1, 90.1)),
)
FEW_SHOT = (
    ("Llama-3-8B-Instruct", (2.5, 17.8, 8.0, 11.3, 13.6, 26.9)),
    ("Llama-3-70B-Instruct", (57.5, 79.2, 32.0, 33.8, 62.5, 91.2)),
    ("Mistral-7B-Instruct-v0.3", (23.8, 40.0, 18.0, 13.5, 27.9, 83.8)),
    ("Qwen2-7b-Instruct", (27.5, 65.5, 14.0, 18.8, 46.0, 87.6)),
    ("DeepSeek-V2", (56.3, 79.5, 32.0, 27.1, 61.0, 85.5)),
    ("DeepSeek-V2.5", (71.3, 79.5, 48.0, 40.6, 67.3, 91.2)),
    ("GPT-3.5-Turbo", (40.0, 75.4, 26.0, 28.6, 56.4, 93.2)),
    ("GPT-4", (71.3, 80.7, 34.0, 34.6, 65.5, 88.3)),
    ("GPT-4o", (63.8, 81.0, 50.0, 50.4, 69.4, 91.7)),
)
TUNED = (
    ("Llama-2-7B-Chat", (11.3, 40.6, 32.0, 15.8, 30.6, 93.7)),
    ("Llama-3-8B-Instruct", (32.5, 63.5, 44.0, 33.0, 51.1, 96.3)),
)
LATER_SOURCES = "the READMEs of SIRL, OptMATH and LLMOPT"
LATER = (
    ("DeepSeek-V3", 0.716), ("GPT-4", 0.686), ("SIRL-32B with Gurobi", 0.674), ("DeepSeek-R1", 0.664),
    ("OptMATH-Qwen2.5-32B", 0.661), ("o3", 0.586), ("OptMATH-Qwen2.5-7B", 0.579),
    ("LLMOPT-Qwen2.5-14B", 0.5383), ("LLMOPT-Qwen2.5-14B with self-correction", 0.6644), ("ORLM-8B", 0.511),
    ("OptiMUS", 0.458),
)  # fmt: skip
