"""Evaluation: tasks, scorers, splits, and what may be claimed from outcomes.

Statistics are loaded when they are first used. The package is callable, because ``agentopt.evaluate(graph, task=...)``
has the same name: the call goes to ``agentopt.run.api.evaluate``.
"""

from __future__ import annotations

import importlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any

from agentopt.evaluate.task import Example, Task, TaskFactory, task

if TYPE_CHECKING:
    from agentopt.evaluate.aa import AASummary, aa_summary
    from agentopt.evaluate.claims import Claim, claim, compare
    from agentopt.evaluate.diversity import mean_similarity
    from agentopt.evaluate.json_scorer import json_fields
    from agentopt.evaluate.ledger import SplitLedger, Touch
    from agentopt.evaluate.metric import from_metric
    from agentopt.evaluate.noninferiority import NonInferiority, not_worse
    from agentopt.evaluate.number_answers import stated_number
    from agentopt.evaluate.option_answers import stated_option
    from agentopt.evaluate.passrates import iterations_to_solve, pass_any, pass_at_k, solved_within
    from agentopt.evaluate.patterns import contains, regex
    from agentopt.evaluate.power import minimum_detectable
    from agentopt.evaluate.programs import Checked, ProgramRunner, Verdict, passes, use_runner
    from agentopt.evaluate.protect import evaluator_hash
    from agentopt.evaluate.protocol import Eval, Guess, Measure, Published, always, commonest, evaluation
    from agentopt.evaluate.racing import Race
    from agentopt.evaluate.ran import how_it_ran
    from agentopt.evaluate.scorers import boolean, choice, exact, numeric
    from agentopt.evaluate.scoring import ScorerError, normalise
    from agentopt.evaluate.sequences import brackets, word_list
    from agentopt.evaluate.splits import Splits, SplitSpec
    from agentopt.evaluate.stats import holm, interval
    from agentopt.evaluate.summary import Summary, example_scores, summarize
    from agentopt.evaluate.verdicts import verdict
    from agentopt.evaluate.verifiers import Verifier, verifier

_WHERE = {
    "aa": ("AASummary", "aa_summary"),
    "claims": ("Claim", "claim", "compare"),
    "diversity": ("mean_similarity",),
    "json_scorer": ("json_fields",),
    "ledger": ("SplitLedger", "Touch"),
    "metric": ("from_metric",),
    "noninferiority": ("NonInferiority", "not_worse"),
    "passrates": ("iterations_to_solve", "pass_any", "pass_at_k", "solved_within"),
    "power": ("minimum_detectable",),
    "programs": ("Checked", "ProgramRunner", "Verdict", "passes", "use_runner"),
    "protect": ("evaluator_hash",),
    "protocol": ("Eval", "Guess", "Measure", "Published", "always", "commonest", "evaluation"),
    "racing": ("Race",),
    "ran": ("how_it_ran",),
    "patterns": ("contains", "regex"),
    "scorers": ("boolean", "choice", "exact", "numeric"),
    "scoring": ("ScorerError", "normalise"),
    "sequences": ("brackets", "word_list"),
    "splits": ("SplitSpec", "Splits"),
    "number_answers": ("stated_number",),
    "option_answers": ("stated_option",),
    "stats": ("holm", "interval"),
    "summary": ("Summary", "example_scores", "summarize"),
    "verdicts": ("verdict",),
    "verifiers": ("Verifier", "verifier"),
}

__all__ = [
    "AASummary",
    "Checked",
    "Claim",
    "Eval",
    "Example",
    "Guess",
    "Measure",
    "NonInferiority",
    "ProgramRunner",
    "Published",
    "Race",
    "ScorerError",
    "SplitLedger",
    "SplitSpec",
    "Splits",
    "Summary",
    "Task",
    "TaskFactory",
    "Touch",
    "Verdict",
    "Verifier",
    "aa_summary",
    "always",
    "boolean",
    "brackets",
    "choice",
    "claim",
    "commonest",
    "compare",
    "contains",
    "evaluation",
    "evaluator_hash",
    "exact",
    "example_scores",
    "from_metric",
    "holm",
    "how_it_ran",
    "interval",
    "iterations_to_solve",
    "json_fields",
    "mean_similarity",
    "minimum_detectable",
    "normalise",
    "not_worse",
    "numeric",
    "pass_any",
    "pass_at_k",
    "passes",
    "regex",
    "solved_within",
    "stated_number",
    "stated_option",
    "summarize",
    "task",
    "use_runner",
    "verdict",
    "verifier",
    "word_list",
]


def __getattr__(name: str) -> Any:
    for module, names in _WHERE.items():
        if name in names:
            return getattr(importlib.import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted(__all__)


class _Package(ModuleType):
    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return importlib.import_module("agentopt.run.api").evaluate(*args, **kwargs)


sys.modules[__name__].__class__ = _Package
