"""An agent that reasons, acts and looks at what came of it: search over a corpus, and a calculator.

ReAct, after Yao et al. 2022 (https://arxiv.org/abs/2210.03629, section 2). Steps are lines of text, which any model can
write, or calls of tools where the model has them (``protocol``). What may change beside that: the words of both
requests, how many turns there are, and how many passages a search shows.
"""

from __future__ import annotations

import re
from typing import Any

from agentopt import Parameter, UsageError, allm, graph, node, prompt, render
from agentopt.errors import UnusableAnswer
from agentopt.llm.toolrun import arun_tools
from agentopt.workspace import prompt_text, read_corpus

from .calculator import compute
from .retrieval import search

REQUEST, TOOLS_REQUEST = prompt("agents/react"), prompt("agents/react_tools")
OBSERVATION, NOTHING = prompt_text("agents/react_observation"), prompt_text("agents/react_nothing")
MALFORMED, LAST = prompt_text("agents/react_malformed"), prompt_text("agents/react_last")
PROTOCOL = Parameter(
    "text",
    name="protocol",
    kind="choice",
    choices=("text", "tools"),
    description="whether actions are lines of text, or calls of tools as the model's own interface has them",
)
TURNS = Parameter(
    6,
    name="turns",
    kind="number",
    low=2,
    high=12,
    description="the most calls of the model for one problem; the last one is told that it must answer",
    constraint="a whole number",
)
K = Parameter(3, name="passages", kind="number", low=1, high=8, description="how many passages a search shows")

ANSWER = re.compile(r"^[ \t*]*(?:Final )?Answer[ \t*]*:[ \t*]*(?P<answer>\S.*?)[ \t]*$", re.IGNORECASE | re.MULTILINE)
ACTION = re.compile(
    r"^[ \t*]*Action[ \t*\d]*:[ \t*]*(?P<tool>\w+)[ \t]*[\[(:]?(?P<words>.*?)[])]?[ \t*]*$",
    re.IGNORECASE | re.MULTILINE,
)


@node
def step(reply: str) -> dict[str, str]:
    """What a reply does first: an action with its words, an answer, or nothing that can be read; and its text so far.

    What a small model makes up after its action is cut off (``kept``), or it would believe it in the next turn.
    """
    said = sorted((m for m in (ANSWER.search(reply), ACTION.search(reply)) if m), key=lambda m: m.start())
    if not said:
        return {"tool": "", "words": "", "kept": reply}
    kept = reply[: said[0].end()]
    if said[0].re is ANSWER:
        return {"tool": "answer", "words": said[0]["answer"], "kept": kept}
    tool, words = said[0]["tool"].lower(), said[0]["words"].strip().strip("\"'")
    return {"tool": "answer" if tool == "finish" else tool, "words": words, "kept": kept}


@node
def look_up(words: str, corpus: str, k: int) -> str:
    """The passages that fit the words, as a text."""
    return "\n".join(f"{title}: {text}" for title, text in search(read_corpus(corpus), words, k)) or NOTHING


@node
def observe(action: dict[str, str], corpus: str, k: int, left: int) -> str:
    """Do what an action says; an error is what there is to observe. ``left``: how many turns are left."""
    try:
        match action["tool"]:
            case "search":
                seen = look_up(action["words"], corpus, k)
            case "calculate":
                seen = f"{compute(action['words']):.10g}"
            case _:
                seen = MALFORMED
    except UsageError:
        raise
    except ValueError as error:
        seen = f"Error: {error}"
    text = OBSERVATION.replace("{{result}}", seen)
    return f"{text}\n\n{LAST}" if left == 1 else text


@graph
async def react(problem: str, corpus: str = "almanac") -> str:
    """Act and observe until there is an answer."""
    if PROTOCOL == "tools":
        return await arun_tools(TOOLS_REQUEST, problem=problem, tools=tools(corpus, K.value), turns=TURNS.value)
    turns: list[Any] = [("user", render(REQUEST, problem=problem))]
    for left in reversed(range(TURNS.value)):
        reply = await allm(messages=turns, stop=("Observation:",), max_tokens=200)
        action = step(reply)
        if action["tool"] == "answer":
            return action["words"]
        turns += [("assistant", action["kept"]), ("user", observe(action, corpus, K, left))]
    raise UnusableAnswer(f"no answer after {TURNS.value} turns")


def tools(corpus: str, k: int) -> list[Any]:
    """The same actions as functions that a model may call."""

    def search(words: str) -> str:
        """Search the encyclopaedia and read the entries that fit the words best: names work, questions do not."""
        return look_up(words, corpus, k)

    def calculate(expression: str) -> float:
        """The value of an arithmetic expression of numbers, + - * / and parentheses."""
        return compute(expression)

    return [search, calculate]
