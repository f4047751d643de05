"""``kill -9`` at any moment: no committed answer is asked again, and the end is that of an uninterrupted run."""

from __future__ import annotations

import random
import re
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path
from typing import Any

from agentopt.run.files import open_run
from agentopt.testing import StubServer

PROGRAM = textwrap.dedent(
    '''
    import asyncio, sys
    import agentopt
    from agentopt.evaluate import Example, Task
    from agentopt.llm.types import Message, Request
    from agentopt.core.values import Candidate, Proposal

    class Words:
        """Asks the model for a word, once for each proposal."""

        name, at = "words", 0

        async def ask(self, view, n):
            turns = [Message(role="user", content=f"word {self.at + i}") for i in range(n)]
            answers = [view.llm.complete(Request(model="", messages=(turn,))) for turn in turns]
            words = [answer.text for answer in await asyncio.gather(*answers)]
            self.at += n
            return [Proposal(candidate=Candidate(values={"style": f"Answer {w} {{{{question}}}}"})) for w in words]

        def tell(self, outcomes): pass

        def state(self): return {"at": self.at}

        def load(self, state): self.at = state["at"]

    STYLE = agentopt.Parameter("Answer {{question}}", name="style")

    @agentopt.graph
    async def answer(question):
        return await agentopt.allm(STYLE, question=question)

    def same(example, output):
        return output == example.target

    def questions():
        return Task("questions", [Example(input={"question": f"q{i}"}, target=f"right q{i}") for i in range(30)], same)

    if __name__ == "__main__":
        what, folder, url = sys.argv[1:]
        if what == "start":
            agentopt.optimize(answer, task=questions(), model=url, optimizer=Words(), steps=2, proposals=3,
                              max_connections=8, runs_dir=folder, name="run", cache=False, budget="calls=2000")
        else:
            agentopt.resume("run", runs_dir=folder, graph=answer, task=questions(), optimizer=Words())
    '''
)


def reply(body: dict[str, Any]) -> Any:
    """A function of the request alone, as the promise about crashes needs."""
    text = str(body["messages"][-1]["content"])
    time.sleep(0.01)
    if text.startswith("word "):
        return ("briefly", "quickly", "slowly", "carefully", "loudly", "softly")[int(text[5:]) % 6]
    question = re.search(r"q(\d+)", text)
    right = question and ("carefully" in text or int(question[1]) % 3 == 0)
    return f"right q{question[1]}" if question and right else "wrong"


def start(tmp_path: Path, what: str, url: str) -> subprocess.Popen[str]:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    command = [sys.executable, str(program), what, str(tmp_path / "runs"), url]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=tmp_path)


def end_state(folder: Path) -> Any:
    with open_run(folder / "runs" / "run") as run:
        cells = {(o.candidate, o.example, o.repeat, o.split, o.status, o.score) for o in run.outcomes()}
        return cells, run.best(), run.claim()


def test_killed_again_and_again_it_ends_like_an_uninterrupted_run(tmp_path: Path) -> None:
    rng = random.Random(3)
    whole, cut = tmp_path / "whole", tmp_path / "cut"
    whole.mkdir()
    cut.mkdir()
    with StubServer(reply) as server:
        process = start(whole, "start", server.model)
        _, errors = process.communicate(timeout=120)
        assert process.returncode == 0, errors
        asked = server.count
        server.requests.clear()
        kills = 0
        process = start(cut, "start", server.model)
        while True:
            target = server.count + rng.randint(asked // 5, asked // 2)
            while process.poll() is None and server.count < target:
                time.sleep(0.002)
            if process.poll() is not None:
                break
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
            process = start(cut, "resume", server.model)
        _, errors = process.communicate()
        assert process.returncode == 0, errors
        assert kills >= 2
        with open_run(cut / "runs" / "run") as run:
            answered = [e.data["address"] for e in run.events("call.received")]
            assert len(answered) == len(set(answered)), "a committed answer was asked again"
            sent = len(list(run.events("call.sent")))
            assert sent - len(answered) <= 8 * kills, "more in flight than there are connections"
            assert server.count <= sent
    assert end_state(cut) == end_state(whole)
    whole_cells, _, claim = end_state(whole)
    assert claim is not None
    assert len(whole_cells) >= 12 + 12
