"""``llm()`` and ``allm()``: prompts, conversations, provenance, addresses, sessions, tools, images."""

from __future__ import annotations

import asyncio
import inspect
import json
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agentopt import core
from agentopt.core.values import Budget
from agentopt.errors import BudgetExhausted, LLMError, MissingDependency, UsageError
from agentopt.llm.call import allm, llm
from agentopt.llm.context import Session, current_session, use_session
from agentopt.llm.ledger import Ledger
from agentopt.llm.providers import resolve
from agentopt.llm.retry import Retrying
from agentopt.llm.stack import Stack
from agentopt.llm.toolrun import arun_tools, run_tools
from agentopt.llm.types import Image, Message, Request, Response, Text, ToolCall
from agentopt.run.calllog import StoreLog
from agentopt.store import Store
from agentopt.testing import Reply, ScriptedLLM, StubReply, StubServer

PNG = bytes.fromhex("89504e470d0a1a0a")


def shout(request: Request) -> Reply:
    return str(request.messages[-1].content).upper()


class Told(ScriptedLLM):
    def __init__(self, reply: Callable[[Request], Reply] = shout, **options: Any) -> None:
        super().__init__(reply, **options)

    @property
    def last(self) -> Request:
        return self.requests[-1]


@pytest.fixture
def told() -> Iterator[Told]:
    client = Told()
    with use_session(Session(client, models={"agent": "small", "judge": "big"})):
        yield client


def test_a_plain_call_gives_a_plain_text(told: Told) -> None:
    assert llm("hi") == "HI"
    assert type(llm("hi")) is str
    assert told.last.messages == (Message(role="user", content="hi"),)
    assert (told.last.model, told.last.role, told.last.address) == ("small", "agent", None)


def test_placeholders(told: Told) -> None:
    assert llm("Add {{a}} and {{b}}", a=1, b="{{a}}") == "ADD 1 AND {{A}}"
    assert llm("Not a {{template}}") == "NOT A {{TEMPLATE}}"
    with pytest.raises(UsageError, match="b"):
        llm("Add {{a}} and {{b}}", a=1)
    with pytest.raises(UsageError, match="c"):
        llm("Add {{a}}", a=1, c=2)
    with pytest.raises(UsageError):
        llm(core.Parameter("Add {{a}}", name="p"))
    assert told.calls == 2


def test_conversations(told: Told) -> None:
    llm(
        "and now?",
        system="Be brief.",
        messages=[Message(role="user", content="a"), {"role": "assistant", "content": "b"}, ("user", "c")],
    )
    assert [(m.role, m.content) for m in told.last.messages] == [
        ("system", "Be brief."),
        ("user", "a"),
        ("assistant", "b"),
        ("user", "c"),
        ("user", "and now?"),
    ]
    llm(messages=[("user", "only this")])
    assert [m.content for m in told.last.messages] == ["only this"]


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"prompt": 7},
        {"prompt": "x", "messages": [("robot", "hi")]},
        {"prompt": "x", "messages": ["hi"]},
        {"prompt": "x", "max_tokens": 0},
        {"prompt": "x", "temperature": "hot"},
        {"prompt": "x", "tools": [lambda x: x]},
        {"prompt": "x", "images": [b"not a picture"]},
        {"prompt": "x", "images": ["missing.png"]},
        {"name": "x", "images": [PNG]},
        {"question": "x"},
    ],
)
def test_mistakes_are_told_before_anything_is_asked(told: Told, options: dict[str, Any]) -> None:
    with pytest.raises(UsageError):
        llm(**options)
    assert told.calls == 0


def test_defaults_come_from_the_session_and_its_role() -> None:
    client = Told()
    defaults = {"max_tokens": 100, "temperature": 0.5, "stop": ("a",), "judge": {"max_tokens": 7}}
    models = {"agent": "small", "judge": "big"}
    with use_session(Session(client, models, defaults)):
        llm("x")
        assert (client.last.max_tokens, client.last.temperature, client.last.stop) == (100, 0.5, ("a",))
        llm("x", max_tokens=9, temperature=0.0, stop="b", model="other")
        assert (client.last.max_tokens, client.last.temperature, client.last.stop) == (9, 0.0, ("b",))
        assert client.last.model == "other"
    with use_session(Session(client, models, defaults, role="judge")):
        llm("x")
        assert (client.last.max_tokens, client.last.model, client.last.role) == (7, "big", "judge")


def test_without_a_model() -> None:
    with use_session(Session(Told())), pytest.raises(MissingDependency, match="AGENTOPT_MODEL"):
        llm("x")


def test_outside_a_run_the_environment_names_the_model(monkeypatch: pytest.MonkeyPatch) -> None:
    with StubServer(lambda body: body["messages"][-1]["content"].upper()) as server:
        monkeypatch.setenv("AGENTOPT_MODEL", server.model)
        assert llm("hello") == "HELLO"

        async def again() -> str:
            return await allm("hello again")

        assert asyncio.run(again()) == "HELLO AGAIN"


def test_a_thread_without_a_run_is_refused_while_a_run_is_open(told: Told) -> None:
    failed: list[BaseException] = []

    def stray() -> None:
        try:
            llm("x")
        except UsageError as error:
            failed.append(error)

    with core.open_run():
        thread = threading.Thread(target=stray)
        thread.start()
        thread.join()
        assert "copy_context" in str(failed[0])
        thread = threading.Thread(target=core.copy_context(stray))
        thread.start()
        thread.join()
    assert len(failed) == 1
    assert told.calls == 1


class Answer(BaseModel):
    value: int


def test_schema(told: Told) -> None:
    client = Told(lambda request: {"value": 4} if request.json_schema else "four")
    with use_session(Session(client, models={"agent": "m"})):
        assert llm("x", schema=Answer) == Answer(value=4)
        response = llm("x", schema=Answer, full=True)
        assert isinstance(response, Response)
        with core.Trace():
            node = llm("x", schema=Answer)
            assert isinstance(node, core.Node)
            assert node.value.value == 4


def test_full_tells_everything(told: Told) -> None:
    response = llm("hi", full=True)
    assert isinstance(response, Response)
    assert (response.text, response.finish, response.usd) == ("HI", "stop", 0.0)


def test_a_cut_text_comes_as_it_is_and_says_so() -> None:
    client = Told(lambda request: "a long answer", cap=True)
    with use_session(Session(client, models={"agent": "m"})), core.Trace():
        node = llm("hi", max_tokens=1)
        assert isinstance(node, core.Node)
        assert node.value == "a lo"
        assert node.meta.more["finish"] == "length"


def test_pieces(told: Told) -> None:
    pieces: list[str] = []
    assert llm("a text of some length", on_text=pieces.append) == "".join(pieces)
    assert len(pieces) > 1


@pytest.mark.parametrize("schema", [None, "form"])
def test_a_listener_that_fails_is_no_reason_to_ask_again(schema: str | None, tmp_path: Path) -> None:
    class Form(BaseModel):
        n: int

    def hear(piece: str) -> None:
        heard.append(piece)
        raise ValueError("the program's own mistake")

    heard: list[str] = []
    with StubServer(lambda body: '{"n": 1234567}') as server, Store(tmp_path) as store:
        stack = Stack(Ledger(Budget()), StoreLog(store))
        session = Session(stack, models={"agent": server.model}, scope="cell/c/e/0")
        form = {} if schema is None else {"schema": Form}

        async def ask() -> None:
            with use_session(session):
                await allm("hi", on_text=hear, **form)
            await stack.aclose()

        with pytest.raises(ValueError, match="the program's own mistake"):
            asyncio.run(ask())
        assert (server.count, len(heard)) == (1, 1)
        assert [e.type for e in store.events()] == ["call.sent", "call.received"]
        assert next(iter(store.events("call.received"))).data["response"]["text"] == '{"n": 1234567}'


def test_a_listener_hears_of_a_second_try() -> None:
    class Listens(list[str]):
        def __call__(self, piece: str) -> None:
            self.append(piece)

        def restart(self) -> None:
            self.clear()

    heard = Listens()
    with StubServer(lambda body: "an answer") as server:
        server.fail(StubReply("an answer", break_after=5))
        with use_session(Session(Retrying(resolve(server.model)), models={"agent": server.model})):
            assert llm("hi", on_text=heard) == "".join(heard) == "an answer"
    assert server.count == 2


def test_the_key_of_a_models_url_is_not_on_the_graph(told: Told) -> None:
    with core.Trace() as trace:
        llm("hi", model="http://topsecret@127.0.0.1:8000/v1#m")
    assert told.last.model == "http://topsecret@127.0.0.1:8000/v1#m"
    said = json.dumps(trace.graph.to_json(), default=repr)
    assert "http://127.0.0.1:8000/v1#m" in said
    assert "topsecret" not in said


def test_the_answer_is_on_the_graph_with_its_parents(told: Told) -> None:
    instruction = core.Parameter("Answer {{question}}", name="instruction")
    warmth = core.Parameter(0.5, name="warmth", kind="number", low=0, high=1)
    with core.Trace() as trace:
        question = core.Node("why?", name="question")
        draft = llm(instruction, question=question, name="draft")
        final = llm("Improve: {{draft}}", system=instruction.default.replace("{{", ""), draft=draft, temperature=warmth)
    assert isinstance(final, core.Node)
    assert final.value == "IMPROVE: ANSWER WHY?"
    assert isinstance(draft, core.Node)
    assert (draft.meta.name, draft.meta.kind) == ("draft", "llm")
    roles = {parent.role for parent in final.meta.parents}
    assert {"prompt", "temperature"} <= roles
    names = {record.name for record in trace.graph.subgraph(final).nodes}
    assert {"instruction", "warmth", "question", "draft", "llm"} <= names
    more = final.meta.more
    assert (more["model"], more["finish"], more["endpoint"]) == ("small", "stop", "scripted/llm")
    assert more["usage"]["output_tokens"] == 5
    assert "test_llm_call.py" in final.meta.where
    json.dumps(trace.graph.to_json())
    final.backward("be kinder")
    assert len(instruction.feedback) == len(warmth.feedback) == 1


def test_a_node_as_argument_is_enough(told: Told) -> None:
    answer = llm(core.Node("hi"))
    assert isinstance(answer, core.Node)
    assert answer.value == "HI"
    answer = llm("hi", messages=[("user", core.Node("earlier"))])
    assert isinstance(answer, core.Node)
    assert [m.content for m in told.last.messages] == ["earlier", "hi"]


def test_inside_a_node_the_answer_is_plain_and_recorded(told: Told) -> None:
    @core.node
    def solve(question: str) -> str:
        answer = llm(question)
        assert type(answer) is str
        return answer + "!"

    with core.Trace() as trace:
        result = solve("hi")
    assert isinstance(result, core.Node)
    assert result.value == "HI!"
    assert "llm" in {record.name for record in trace.graph.subgraph(result).nodes}


def addresses(client: Told) -> list[str]:
    return [f"{r.address} {r.messages[-1].content}" for r in client.requests]


def test_addresses_follow_the_program_and_not_the_clock() -> None:
    def run(delays: dict[str, float]) -> list[str]:
        client = Told()

        class Slow(Told):
            async def complete(self, request: Request) -> Response:
                await asyncio.sleep(delays[str(request.messages[-1].content)])
                return await client.complete(request)

        @core.node
        async def solve(question: str) -> list[str]:
            return list(await asyncio.gather(allm(f"{question}1"), allm(f"{question}2")))

        async def cell() -> None:
            with core.open_run(), use_session(Session(Slow(), {"agent": "m"}, scope="cell/c/e/0")):
                await asyncio.gather(solve("a"), solve("b"), allm("c"))

        asyncio.run(cell())
        return sorted(addresses(client))

    expected = [
        "cell/c/e/0|solve:0|0 a1",
        "cell/c/e/0|solve:0|1 a2",
        "cell/c/e/0|solve:1|0 b1",
        "cell/c/e/0|solve:1|1 b2",
        "cell/c/e/0||0 c",
    ]
    names = ["a1", "a2", "b1", "b2", "c"]
    assert run({name: 0.01 * i for i, name in enumerate(names)}) == expected
    assert run({name: 0.01 * (5 - i) for i, name in enumerate(names)}) == expected


def test_the_sync_call_refuses_to_stop_a_runs_loop(told: Told) -> None:
    async def cell() -> None:
        with core.open_run(), use_session(Session(told, {"agent": "m"}, scope="cell/c/e/0")):
            llm("x")

    with pytest.raises(UsageError, match=r"await agentopt\.allm"):
        asyncio.run(cell())
    assert told.calls == 0


def test_the_sync_call_from_a_worker_thread_is_served_by_the_runs_loop() -> None:
    loops: list[asyncio.AbstractEventLoop] = []

    class Noted(Told):
        async def complete(self, request: Request) -> Response:
            loops.append(asyncio.get_running_loop())
            return await super().complete(request)

    async def cell() -> str:
        loop = asyncio.get_running_loop()
        with core.open_run(), use_session(Session(Noted(), {"agent": "m"}, scope="cell/c/e/0", loop=loop)):
            return await asyncio.to_thread(lambda: str(llm("x")))

    loop = asyncio.new_event_loop()
    try:
        assert loop.run_until_complete(cell()) == "X"
        assert loops == [loop]
    finally:
        loop.close()


async def test_the_sync_call_works_in_a_notebooks_loop(told: Told) -> None:
    assert llm("x") == "X"


@pytest.mark.parametrize("error", [LLMError("down"), BudgetExhausted("calls", "no calls are left")])
def test_errors_come_through(error: Exception) -> None:
    with use_session(Session(Told(lambda request: error), models={"agent": "m"})):
        with core.Trace() as trace, pytest.raises(type(error), match=str(error)):
            llm("x")
        assert str(error) in str(trace.graph.nodes[-1].error)
        with pytest.raises(type(error)):
            asyncio.run(_awaited())


async def _awaited() -> str:
    return await allm("x")


def test_images(told: Told, tmp_path: Path) -> None:
    path = tmp_path / "cat.png"
    path.write_bytes(PNG)
    told_url = "data:image/png;base64,iVBORw0KGgo="
    llm("What is this?", images=[path, PNG, "https://example.org/cat.png"])
    assert told.last.messages[0].content == (
        Text(text="What is this?"),
        Image(url=told_url),
        Image(url=told_url),
        Image(url="https://example.org/cat.png"),
    )


def add(a: int, b: int = 1) -> int:
    """Add two numbers."""
    if b < 0:
        raise ValueError("b is negative")
    return a + b


def calling(*calls: tuple[str, str]) -> Response:
    return Response(tool_calls=tuple(ToolCall(id=str(i), name=n, arguments=a) for i, (n, a) in enumerate(calls)))


def test_tools_are_told_and_called_until_there_is_an_answer() -> None:
    client = Told()
    script: list[Reply] = [
        calling(("add", '{"a": 2, "b": 3}'), ("add", '{"a": 5}')),
        calling(("add", '{"a": "x"}'), ("nobody", "{}"), ("add", '{"a": 1, "b": -1}'), ("add", "{")),
        "done",
    ]
    client = Told(lambda request: script.pop(0))
    with use_session(Session(client, models={"agent": "m"}, scope="s")):
        assert run_tools("Add!", tools=[add], system="Use tools.") == "done"
    tool = client.requests[0].tools[0]
    assert (tool.name, tool.description, tool.parameters["required"]) == ("add", "Add two numbers.", ["a"])
    assert [m.role for m in client.requests[1].messages] == ["system", "user", "assistant", "tool", "tool"]
    assert [m.content for m in client.requests[1].messages[-2:]] == ["5", "6"]
    errors = [json.loads(str(m.content))["error"] for m in client.requests[2].messages[-4:]]
    assert "a: Input should be a valid integer" in errors[0]
    assert errors[1] == "no tool named 'nobody'; there are ['add']"
    assert errors[2] == "ValueError: b is negative"
    assert "Invalid JSON" in errors[3]


async def test_async_and_traced_tools_stay_on_the_graph() -> None:
    @core.node
    async def look(what: str) -> str:
        return f"{what} seen"

    script: list[Reply] = [calling(("look", '{"what": "cat"}')), "a cat"]
    with use_session(Session(Told(lambda request: script.pop(0)), models={"agent": "m"})), core.Trace() as trace:
        answer = await arun_tools(core.Parameter("What is there?", name="prompt"), tools=[look])
    assert isinstance(answer, core.Node)
    assert answer.value == "a cat"
    assert {"prompt", "look", "llm"} <= {record.name for record in trace.graph.subgraph(answer).nodes}


def test_a_model_that_never_answers_in_words() -> None:
    client = Told(lambda request: calling(("add", '{"a": 1}')))
    with use_session(Session(client, models={"agent": "m"})), pytest.raises(LLMError, match="after 3 calls"):
        run_tools("Add!", tools=[add], turns=3)
    assert client.calls == 3


def test_a_tool_that_ends_the_budget_ends_the_loop() -> None:
    def spend() -> str:
        raise BudgetExhausted("calls", "no calls are left")

    with (
        use_session(Session(Told(lambda request: calling(("spend", "{}"))), models={"agent": "m"})),
        pytest.raises(BudgetExhausted),
    ):
        run_tools("x", tools=[spend])


def test_sessions_nest_and_end(told: Told) -> None:
    outer = current_session()
    with use_session(Session(Told(), models={"agent": "inner"})) as inner:
        assert current_session() is inner
    assert current_session() is outer


def test_importing_it_imports_no_provider() -> None:
    code = (
        "import agentopt.llm.call, agentopt.llm.providers, agentopt.testing, sys;"
        "agentopt.llm.providers.resolve('http://127.0.0.1:1/v1#m');"
        "agentopt.llm.providers.resolve('anthropic/x');"
        "print([m for m in ('aiohttp', 'openai', 'litellm', 'httpx') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.strip() == "[]"


def test_the_front_page_has_every_name(told: Told) -> None:
    import agentopt
    import agentopt.llm as package

    assert not [name for name in package.__all__ if inspect.ismodule(getattr(package, name))]
    with pytest.raises(AttributeError, match="no attribute 'nobody'"):
        _ = package.nobody  # type: ignore[attr-defined]
    assert agentopt.llm("hi") == "HI"
    assert agentopt.allm is allm
