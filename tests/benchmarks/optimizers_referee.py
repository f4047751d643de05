"""What scores a peer's answers: the task's own scorer, behind a loopback address of this process.

A peer's process posts ``{"example": id, "reply": text}`` and gets ``{"score": number, "feedback": text}``: what the
agent would have made of the reply, scored by the code that scores ours; the feedback has the score and the scorer's
words, as our OptoPrime reads them. On numbers it posts ``{"problem": number, "values": {...}}``; each is an evaluation
of a candidate, and there are only so many.
"""

from __future__ import annotations

import json
import math
import secrets
import threading
from collections.abc import Callable, Mapping
from http.server import ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self

from optimizers_protocol import Data, Sizes

from agentopt.llm.loopback import LoopbackHandler
from agentopt.optim.meta import show
from agentopt.workspace import load_task

Judge = Callable[[Mapping[str, Any]], dict[str, Any]]
BOUND = 20
"""Values of the numerical problems are whole numbers from -20 to 20, as ``graphs/arithmetic.py`` has it."""


def told(score: float, text: str) -> dict[str, Any]:
    """Score and feedback, as our OptoPrime's report words them.

    >>> told(0.5, "The output should be larger.")
    {'score': 0.5, 'feedback': 'score 0.5; The output should be larger.'}
    """
    return {"score": score, "feedback": "; ".join(filter(None, (f"score {show(score)}", text)))}


class OutOfEvaluations(Exception):
    """A problem has had its candidates."""


class Referee:
    """Serves a judge on 127.0.0.1 while a ``with`` block lasts; ``url`` and ``key`` are for the peer."""

    def __init__(self, judge: Judge) -> None:
        self.key = secrets.token_urlsafe(16)
        key = self.key.encode()

        class Handler(LoopbackHandler):
            def do_POST(self) -> None:
                body = self.read_body()
                if body is None or not self.from_here():
                    return
                if not secrets.compare_digest(self.key, key):
                    self.problem(401, "a wrong key", "invalid_api_key")
                    return
                try:
                    self.send(200, judge(json.loads(body)))
                except OutOfEvaluations as end:
                    self.problem(402, str(end), "budget_exhausted")
                except (KeyError, ValueError, TypeError) as error:
                    self.problem(400, f"{type(error).__name__}: {error}", "invalid_request")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/score"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._server.shutdown()
        self._server.server_close()


def judge_texts(data: Data) -> Judge:
    """Scores replies on search and validation examples; the test examples are not known here."""
    examples = {e.id: e for e in (*data.search, *data.validation)}
    read = data.spec.read()

    def judge(asked: Mapping[str, Any]) -> dict[str, Any]:
        example = examples[asked["example"]]
        output: Any = str(asked["reply"])
        if read is not None:
            try:
                output = read(output)
                output = getattr(output, "value", output)
            except ValueError as error:
                return told(data.task.score_range[0], str(error))
        said = data.task.score(example, output)
        return told(data.task.score_range[0] if said.score is None else said.score, said.text)

    return judge


class Numbers:
    """Scores candidates of the numerical problems, and keeps the best of each.

    A value that is no whole number from -20 to 20 is refused with the reason, as ours are: nothing is evaluated, and no
    candidate is used.
    """

    def __init__(self, sizes: Sizes) -> None:
        self.sizes = sizes
        self.tasks = [load_task("numerical", problem=p) for p in range(sizes.problems)]
        self.best = [self._score(p, self._start(p))[0] for p in range(sizes.problems)]
        self.used = [0] * sizes.problems
        self._lock = threading.Lock()

    def problems(self) -> list[dict[str, Any]]:
        """What a peer is told: programs and starts, never targets."""
        known = []
        for p, task in enumerate(self.tasks):
            given = task.examples[0].input
            assert isinstance(given, Mapping)
            known.append({"problem": p, "program": given["program"], "start": self._start(p)})
        return known

    def __call__(self, asked: Mapping[str, Any]) -> dict[str, Any]:
        problem, values = int(asked["problem"]), dict(asked["values"])
        if faults := [f"{name}: {value!r:.40} is no {WANTED}" for name, value in values.items() if not sound(value)]:
            return {"score": 0.0, "feedback": "; ".join(faults), "left": self.sizes.evaluations - self.used[problem]}
        with self._lock:
            if values != self._start(problem):
                if self.used[problem] >= self.sizes.evaluations:
                    raise OutOfEvaluations(f"problem {problem} has had its {self.sizes.evaluations} candidates")
                self.used[problem] += 1
        score, text = self._score(problem, values)
        with self._lock:
            self.best[problem] = max(self.best[problem], score)
            return told(score, text) | {"left": self.sizes.evaluations - self.used[problem]}

    def _start(self, problem: int) -> dict[str, Any]:
        start = self.tasks[problem].examples[0].meta["start"]
        assert isinstance(start, dict)
        return start

    def _score(self, problem: int, values: Mapping[str, Any]) -> tuple[float, str]:
        task = self.tasks[problem]
        example = task.examples[0]
        assert isinstance(example.input, Mapping)
        output = computed(example.input["program"], values)
        said = task.score(example, output)
        return said.score or 0.0, said.text


WANTED = f"whole number from {-BOUND} to {BOUND}"


def sound(value: object) -> bool:
    """Whether it may be a value of a numerical problem."""
    return isinstance(value, int) and not isinstance(value, bool) and -BOUND <= value <= BOUND


PLAIN = {"add": lambda a, b: a + b, "sub": lambda a, b: a - b, "mul": lambda a, b: a * b}


def computed(program: Any, values: Mapping[str, Any]) -> float:
    """The last value of a program of additions, subtractions and multiplications.

    >>> computed([["add", "x", 2], ["mul", "v0", "y"]], {"x": 1, "y": 4})
    12
    """
    known: dict[str, Any] = dict(values)
    for i, (name, left, right) in enumerate(program):
        a, b = (known[o] if isinstance(o, str) else o for o in (left, right))
        known[f"v{i}"] = PLAIN[name](a, b)
    last = known[f"v{len(program) - 1}"]
    return float(last) if not math.isfinite(last) else last
