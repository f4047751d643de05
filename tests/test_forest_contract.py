"""Scattered Forest Search and its baselines keep the ask/tell contract, whatever is searched."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agentopt.core import Parameter
from agentopt.core.values import Outcome
from agentopt.llm.types import Request
from agentopt.optim.base import Optimizer
from agentopt.optim.registry import make
from agentopt.testing import FakeView, OptimizerContract
from agentopt.testing.scripted import Reply


def answer(request: Request) -> Reply:
    """A good answer to each kind of request; other seeds give other answers."""
    path, draw = str(request.address.path if request.address else ""), request.seed or 0
    if "/scatter/" in path:
        ideas = [f"Look at part {draw % 97 + i}." for i in range(2)]
        return json.dumps({"reflection": "It is too short.", "ideas": ideas})
    if "/scout/" in path:
        return json.dumps({"insights": [f"Lesson {draw % 97}."]})
    values = {
        "instruction": f"Work out {{{{question}}}} with care {draw % 997}.",
        "count": 1 + draw % 8,
        "tone": "warm",
    }
    return json.dumps({"suggestion": values})


class _Forest(OptimizerContract):
    options: dict[str, Any] = {}
    kind = "sfs"
    rounds = 5

    def make_optimizer(self) -> Optimizer:
        return make(self.kind, **self.options)

    def reply(self, request: Request) -> Reply:
        return answer(request)


class TestSFS(_Forest):
    """Two seeds, then trees."""

    options = {"seeds": 2, "notes": 2}


class TestSFSWithPuct(_Forest):
    options = {"seeds": 1, "select": "puct", "weighting": "agreement", "temperature": 0.0}


class TestNoScatter(_Forest):
    options = {"seeds": 2, "scatter": False}


class TestNoForest(_Forest):
    options = {"forest": False}


class TestNoScout(_Forest):
    options = {"seeds": 2, "scout": False}


class TestRepeated(_Forest):
    kind = "repeated"


class TestThemed(_Forest):
    kind = "themed"


class TestRefine(_Forest):
    kind = "refine"


class TestRefineBest(_Forest):
    kind = "refine"
    options = {"follow": "best", "scatter": False, "start": False}


class TestTree(_Forest):
    kind = "tree"


class TestGenetic(_Forest):
    kind = "genetic"
    options = {"population": 2, "start": False}


class TestText(_Forest):
    """One text, asked for between marks."""

    options = {"seeds": 2, "answer": "text"}

    def parameters(self) -> dict[str, Parameter[Any]]:
        return {"instruction": Parameter("Answer {{question}} now.", name="instruction", description="what it is told")}

    def reply(self, request: Request) -> Reply:
        path, draw = str(request.address.path if request.address else ""), request.seed or 0
        assert request.json_schema is None
        if "/scatter/" in path:
            return f"Reflection.\nIdea 1: Look at part {draw % 89}.\nIdea 2: Write {draw % 83} words."
        if "/scout/" in path:
            return f"Reflections: it helped.\nUpdated insights:\n- Lesson {draw % 97}."
        return f"Here it is: <NEW>Work out {{{{question}}}} with care {draw % 997}.</NEW>"


class TestCode(_Forest):
    """A program, in a code block."""

    options = {"seeds": 2, "start": False}

    def parameters(self) -> dict[str, Parameter[Any]]:
        return {"f": Parameter("def f(x):\n    return 0\n", name="f", kind="code", description="doubles a number")}

    def view(self, reply: Callable[[Request], Reply] | None = None) -> FakeView:
        view = super().view(reply)  # the program is never run: no sandbox is needed
        view.parameters = {name: replace(spec, check=lambda value: value) for name, spec in view.parameters.items()}
        return view

    def reply(self, request: Request) -> Reply:
        path, draw = str(request.address.path if request.address else ""), request.seed or 0
        if "/scatter/" in path or "/scout/" in path:
            return answer(request)
        assert request.json_schema is None
        return f"Of course.\n```python\ndef f(x):\n    return x + {draw % 997}\n```"

    def outcomes(self, candidate: Any, view: FakeView) -> list[Outcome]:
        added = re.findall(r"\d+", str(candidate.values["f"]))
        return super().outcomes(candidate.change({}), view)[: 1 + len(added)]
