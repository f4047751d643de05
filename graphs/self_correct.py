"""A program that solves an optimization problem, run, criticised and mended until it is judged right.

After the self-correction of LLMOPT (Jiang et al. 2024, https://arxiv.org/abs/2410.13213): the model judges formulation
and code by what came of a run, and writes anew what it finds wrong. Nothing here knows the right answer. What may
change: how the first program is come by (``base``), who criticises (``critic``), how often a program is mended at most
(``rounds``), the words of every request, and what may change in ``program_of_thought`` and ``five_element``.

A critic is an async function ``(problem, formulation, program, solved)``: the problem, the formulation ("" where there
is none), the program, and what came of its run, a ``Solved`` as a dict. It gives None when it has nothing to add to
what the run says, a text, which says what is wrong, or a dict in the fields of ``Judgement``. ``CRITICS`` has those
that the parameter chooses among; a graph of one's own hands another one over, as the argument ``critic``.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from pydantic import BaseModel, ValidationError

from agentopt import Node, Parameter, allm, graph, node, prompt, render
from agentopt.core.effects import effect
from agentopt.errors import UnusableAnswer, UsageError
from agentopt.evaluate.modelling import find_program, solve_reply
from agentopt.workspace import prompt_text

from .five_element import formulate
from .five_element import request as from_formulation
from .program_of_thought import PROGRAM, listed

JUDGE = prompt("agents/self_correct_judge")
MEND, REFORMULATE = prompt("agents/self_correct_program"), prompt("agents/self_correct_formulation")
REPORT, NO_FORMULATION = prompt_text("agents/self_correct_report"), prompt_text("agents/self_correct_none")
BASE = Parameter(
    "direct",
    name="base",
    kind="choice",
    choices=("direct", "five_element"),
    description="how the first program is come by: from the problem at once, or by way of a formulation",
)
CRITIC = Parameter(
    "execution",
    name="critic",
    kind="choice",
    choices=("execution", "self_judge"),
    description="who says whether a program is mended: its run alone, or the model, which is shown everything (a call)",
)
ROUNDS = Parameter(
    2,
    name="rounds",
    kind="number",
    low=0,
    high=6,
    description="how often a program is mended at most; a round costs one to three calls",
    constraint="a whole number",
)
RESTATE = ("infeasible", "unbounded")
"""Endings of a run that speak against the formulation, where there is one, rather than against the code."""
WORTH = {"ok": 3, "partial": 2, "no_code": 0, "cut_off": 0}
"""What a run's ending makes of its program, where one of several is taken; any other ending: 1."""
SHOWN = 1500
"""Characters of what a run printed, and of why it failed, that the model is shown."""
NUMBERED = re.compile(r"(?:>>>)?\s+\d+ \| ")
"""A line of the program as the sandbox shows it beside an error."""


class Judgement(BaseModel):
    """What a model says of a formulation and a program."""

    analysis: str
    formulation: bool
    code: bool


@node
@effect
async def execute(reply: str, names: Sequence[str], cut: bool = False) -> dict[str, Any]:
    """Run the program of a reply in the sandbox, and read what it prints: a ``Solved``, as JSON."""
    solved = await solve_reply(reply, names, truncated=cut)
    if solved.ours:
        raise ConnectionError(f"no program can be run here: {solved.text}")
    return solved.model_dump(mode="json")


@node
def reason(solved: dict[str, Any]) -> str:
    """Why a run ended as it did: what was raised, and the line that raised it."""
    lines = str(solved["text"]).splitlines()
    marked = [line for line in lines if line.startswith(">>>")]
    return "\n".join([line for line in lines if not NUMBERED.match(line)] + marked)[:SHOWN]


@node
def printed(solved: dict[str, Any]) -> str:
    """The end of what a program printed."""
    return str(solved["stdout"]).strip()[-SHOWN:] or "-"


def report(solved: Any) -> Any:
    """What the sandbox says of a run, for a model to read."""
    return render(REPORT, status=solved["status"], reason=reason(solved), printed=printed(solved))


@node
def verdict(said: Any, solved: dict[str, Any]) -> dict[str, Any]:
    """What a critic says, and the run where it says nothing; a program without an answer is never right."""
    ran = {"formulation": solved["status"] not in RESTATE, "code": solved["status"] == "ok", "analysis": ""}
    if said is None or isinstance(said, str):
        return {**ran, "code": ran["code"] and not said, "analysis": said or ""}
    try:
        judgement = Judgement.model_validate(said)
    except ValidationError as error:
        raise UsageError(
            f"a critic gave {said!r:.80}; it gives None, a text, or a dict with analysis (a text), formulation and "
            f"code (whether they are right): {error.errors()[0]['msg']}"
        ) from None
    return {**judgement.model_dump(), "code": judgement.code and ran["code"]}


@node
def right(verdict: dict[str, Any]) -> bool:
    """Whether nothing is to be mended."""
    return bool(verdict["formulation"] and verdict["code"])


@node
def restate(verdict: dict[str, Any], base: str) -> bool:
    """Whether it is the formulation that is to be mended."""
    return base == "five_element" and not verdict["formulation"]


@node
def criticism(report: str, verdict: dict[str, Any]) -> str:
    """What the model is told of its last attempt."""
    return "\n\n".join(filter(None, (report, verdict["analysis"].strip())))


@node
def program(solved: dict[str, Any], reply: str) -> str:
    """What a judge reads: the program, or the reply in which none was found."""
    return solved["program"].strip() or reply


@node
def repeated(reply: str, earlier: Sequence[str]) -> bool:
    """Whether a mended program is one that was to be mended."""
    return find_program(reply).code in [find_program(one).code for one in earlier]


def was_cut(reply: Any) -> bool:
    """Whether the cap of output tokens ended a reply."""
    return isinstance(reply, Node) and reply.meta.more.get("finish") == "length"


@node
def settle(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """The last program that answered, or answered in part, or the last that is one; and how often it was mended."""
    taken = max(reversed(runs), key=lambda run: WORTH.get(run["status"], 1))
    cut = {"cut_off": True} if taken["status"] == "cut_off" else {}
    return {"program": taken["program"], "rounds": len(runs) - 1, **cut}


def request(problem: Any, formulation: Any, names: Any) -> Any:
    """The request for a program: from a formulation, or from the problem at once."""
    if BASE.value == "five_element":
        return from_formulation(problem, formulation, names)
    return render(PROGRAM, problem=problem, names=listed(names))


async def execution(problem: Any, formulation: Any, program: Any, solved: Any) -> Any:
    """Has nothing to add to what the run says."""
    return None


async def self_judge(problem: Any, formulation: Any, program: Any, solved: Any) -> Any:
    """The model, which is shown everything; without a verdict of its, what the run says stands."""
    shown = {"problem": problem, "formulation": formulation or NO_FORMULATION, "program": program}
    try:
        return await allm(JUDGE, **shown, report=report(solved), schema=Judgement, name="judgement")
    except UnusableAnswer:
        return None


Critic = Callable[[Any, Any, Any, Any], Awaitable[Any]]
CRITICS: dict[str, Critic] = {"execution": execution, "self_judge": self_judge}


def asked_critic(given: Critic | None) -> Critic:
    """The critic that was given, or the one that the parameter names."""
    given = given.value if isinstance(given, Node) else given
    if given is None:
        return CRITICS[CRITIC.value]
    if not callable(given):
        raise UsageError(
            f"self_correct: critic is {given!r:.60}; give an async function (problem, formulation, program, solved), "
            f"or set the parameter critic to one of {', '.join(CRITIC.choices)}"
        )
    return given


@graph
async def self_correct(
    problem: str, names: Sequence[str] = ("objective",), critic: Critic | None = None
) -> dict[str, Any]:
    """Write a program, run it, and mend it or its formulation until it is judged right or the rounds are over.

    ``critic`` takes the place of the one that the parameter names; it is never shown what the right answer is.
    """
    formulation: Any = await formulate(problem) if BASE.value == "five_element" else ""
    asked = request(problem, formulation, names)
    replies = [await allm(asked, name="program")]
    runs = [await execute(replies[0], names, was_cut(replies[0]))]
    while len(runs) <= ROUNDS.value:
        said = await asked_critic(critic)(problem, formulation, program(runs[-1], replies[-1]), runs[-1])
        judged = verdict(said, runs[-1])
        if right(judged):
            break
        told = criticism(report(runs[-1]), judged)
        if restate(judged, BASE):
            formulation = await formulate(problem, REFORMULATE, (formulation, told))
            asked = request(problem, formulation, names)
            reply = await allm(asked, name="program")
        else:
            turns = [("user", asked), ("assistant", replies[-1])]
            reply = await allm(MEND, criticism=told, messages=turns, name="program")
        if repeated(reply, replies):
            break
        replies.append(reply)
        runs.append(await execute(reply, names, was_cut(reply)))
    return settle(runs)
