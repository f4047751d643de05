"""The places of an instruction: the request has question and instruction once each, in the order of the place."""

from __future__ import annotations

import pytest

from agentopt import Override, load_graph, parameters
from agentopt.llm.context import Session, use_session
from agentopt.llm.types import Request
from agentopt.testing import ScriptedLLM

QUESTION = "How much is {{x}} + 2?"


@pytest.mark.parametrize(
    ("place", "wanted"),
    [
        ("before_Q", f"Add slowly.\nQ: {QUESTION}\nA:"),
        ("Q_begin", f"Q: Add slowly.\n{QUESTION}\nA:"),
        ("Q_end", f"Q: {QUESTION}\nAdd slowly.\nA:"),
        ("A_begin", f"Q: {QUESTION}\nA: Add slowly."),
    ],
)
async def test_the_instruction_stands_at_its_place(place: str, wanted: str) -> None:
    seen: list[str] = []

    def reply(request: Request) -> str:
        seen.append(str(request.messages[-1].content))
        return "4"

    session = Session(ScriptedLLM(reply), models={"agent": "any"})
    with use_session(session), Override({"instruction": "Add slowly.", "place": place}):
        await load_graph("instructed")(QUESTION)
    assert seen == [wanted]


def test_both_may_change_and_every_place_has_its_layout() -> None:
    found = parameters(load_graph("instructed"))
    assert set(found) == {"instruction", "place"}
    assert found["place"].choices == ("Q_begin", "before_Q", "Q_end", "A_begin")
