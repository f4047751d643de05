from __future__ import annotations

import http.client
import json
import socket
import sys
import threading
import time
from pathlib import Path

import pytest

from agentopt.serve import openai_api as api
from agentopt.serve.endpoint import Endpoint
from agentopt.serve.engine import Engine

FAKE = Path(__file__).parent / "data" / "fake_engine.py"


@pytest.fixture(scope="module")
def engine():
    made = Engine("local/fake", [sys.executable, str(FAKE), "{}"])
    yield made
    made.close()


@pytest.fixture
def serve(engine):
    running = []

    def start(**options) -> Endpoint:
        endpoint = Endpoint(engine, "fake", **options)
        threading.Thread(target=endpoint.serve_forever, args=(0.02,), daemon=True).start()
        running.append(endpoint)
        return endpoint

    yield start
    for endpoint in running:
        endpoint.shutdown()
        endpoint.server_close()


def call(endpoint, method="POST", path="/v1/chat/completions", body=None, headers=None, raw=None):
    connection = http.client.HTTPConnection("127.0.0.1", endpoint.server_address[1], timeout=30)
    data = raw if raw is not None else (json.dumps(body).encode() if body is not None else None)
    connection.request(method, path, data, headers or {})
    answer = connection.getresponse()
    text = answer.read().decode()
    connection.close()
    return answer.status, json.loads(text) if "json" in answer.getheader("Content-Type", "") else text


def said(text, **more):
    return {"model": "fake", "messages": [{"role": "user", "content": text}], **more}


def test_chat(serve):
    status, answer = call(serve(), body=said("echo two words"))
    assert status == 200
    assert answer["object"] == "chat.completion"
    assert answer["choices"][0]["message"] == {"role": "assistant", "content": "two words"}
    assert answer["choices"][0]["finish_reason"] == "stop"
    assert answer["usage"]["prompt_tokens"] == 5
    assert answer["usage"]["completion_tokens"] == 2
    assert answer["usage"]["prompt_tokens_details"] == {"cached_tokens": 2}


def test_several_answers_have_seeds_of_their_own(serve):
    _, answer = call(serve(), body=said("whole", n=3, seed=10, temperature=0.5))
    sent = [json.loads(c["message"]["content"]) for c in answer["choices"]]
    assert [s["seed"] for s in sent] == [10, 11, 12]
    assert [c["index"] for c in answer["choices"]] == [0, 1, 2]
    assert sent[0]["temperature"] == 0.5


def test_text_completion(serve):
    _, answer = call(serve(), path="/v1/completions", body={"prompt": "echo once", "max_tokens": 3})
    assert answer["object"] == "text_completion"
    assert answer["choices"][0]["text"] == "once"


def test_tools(serve):
    tools = [{"type": "function", "function": {"name": "add"}}]
    _, answer = call(
        serve(), body=said("tool", tools=tools, tool_choice={"type": "function", "function": {"name": "add"}})
    )
    choice = answer["choices"][0]
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert choice["message"]["tool_calls"][0]["function"] == {"name": "add", "arguments": '{"a": 1}'}


def test_stream(serve):
    status, text = call(serve(), body=said("echo a b c", stream=True, stream_options={"include_usage": True}))
    assert status == 200
    lines = [line.removeprefix("data: ") for line in text.split("\n\n") if line]
    assert lines[-1] == "[DONE]"
    events = [json.loads(line) for line in lines[:-1]]
    assert "".join(e["choices"][0]["delta"].get("content", "") for e in events if e["choices"]) == "abc"
    assert events[-2]["choices"][0]["finish_reason"] == "stop"
    assert events[-1]["usage"]["completion_tokens"] == 1


def test_client_that_goes_away_is_dropped_in_the_engine(serve, engine):
    endpoint = serve()
    for stream in (False, True):
        body = json.dumps(said("wait", stream=stream)).encode()
        with socket.create_connection(("127.0.0.1", endpoint.server_address[1])) as connection:
            connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nHost: localhost\r\n")
            connection.sendall(f"Content-Length: {len(body)}\r\n\r\n".encode() + body)
            deadline = time.monotonic() + 20
            while not engine.in_flight and time.monotonic() < deadline:
                time.sleep(0.01)
        while engine.in_flight and time.monotonic() < deadline:
            time.sleep(0.01)
        assert engine.in_flight == 0


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({}, "messages must be a list"),
        ({"messages": [{"role": "robot", "content": "x"}]}, "needs a role"),
        ({"messages": [{"role": "user", "content": [{"type": "image_url"}]}]}, "only text is read"),
        ({"messages": [{"role": "user", "content": 5}]}, "must be a text"),
        (said("x", max_tokens="many"), "max_tokens must be a whole number"),
        (said("x", max_tokens=-1), "at least 1"),
        (said("x", temperature=-1), "temperature"),
        (said("x", stop=[1]), "stop must be"),
        (said("x", n=0), "n must be"),
        (said("x", n=2, stream=True), "n must be 1"),
        (said("x", tools=[{"function": {}}]), "tools must be"),
        (said("x", response_format={"type": "yaml"}), "response_format.type"),
        (said("x", response_format={"type": "json_schema"}), "must be a JSON schema"),
        (said("refuse too long"), "too long"),
        ([1], "must be a JSON object"),
    ],
)
def test_wrong_requests_say_what_is_wrong(serve, body, words):
    status, answer = call(serve(), body=body)
    assert status == 400
    assert words in answer["error"]["message"]


def test_broken_bodies_and_paths(serve):
    endpoint = serve()
    assert call(endpoint, raw=b"{nope")[0] == 400
    assert call(endpoint, path="/v1/embeddings", body={})[0] == 404
    assert call(endpoint, "GET", "/v1/nothing")[0] == 404
    assert call(endpoint, path="/v1/completions", body={"prompt": [1, 2]})[0] == 400
    assert call(endpoint, raw=b"x", headers={"Content-Length": str(1 << 40)})[0] == 413


def test_engine_failures_are_5xx(serve):
    status, answer = call(serve(), body=said("fail hiccup"))
    assert status == 503
    assert "hiccup" in answer["error"]["message"]
    status, answer = call(serve(), body=said("die std::bad_alloc", stream=True))
    assert status == 503
    assert call(serve(), body=said("echo again"))[0] == 200


def test_key_is_asked_for_but_not_by_health(serve):
    endpoint = serve(api_key="secret")
    assert call(endpoint, body=said("echo x"))[0] == 401
    assert call(endpoint, body=said("echo x"), headers={"Authorization": "Bearer wrong"})[0] == 401
    assert call(endpoint, body=said("echo x"), headers={"Authorization": "Bearer secret"})[0] == 200
    assert call(endpoint, "GET", "/v1/models")[0] == 401
    assert call(endpoint, "GET", "/health")[0] == 200


@pytest.mark.parametrize("headers", [{"Host": "evil.example"}, {"Origin": "https://evil.example"}])
def test_web_pages_cannot_reach_it(serve, headers):
    assert call(serve(), body=said("echo x"), headers=headers)[0] == 403


def test_models_health_and_metrics(serve):
    endpoint = serve()
    assert endpoint.url == f"http://127.0.0.1:{endpoint.server_address[1]}/v1"
    call(endpoint, body=said("echo x y"))
    call(endpoint, body=said("refuse it"))
    assert call(endpoint, "GET", "/v1/models")[1]["data"][0]["id"] == "fake"
    assert call(endpoint, "GET", "/health")[1]["loaded"] is True
    lines = call(endpoint, "GET", "/metrics")[1].splitlines()
    assert "agentopt_requests_total 2" in lines
    assert "agentopt_errors_total 1" in lines
    assert "agentopt_output_tokens_total 2" in lines


def test_only_loopback_is_bound_unless_asked(serve):
    assert serve().server_address[0] == "127.0.0.1"


def test_fields_of_a_request_reach_the_engine():
    body = said(
        "x",
        max_completion_tokens=9,
        stop="END",
        seed=4,
        top_k=3,
        logprobs=True,
        top_logprobs=2,
        response_format={"type": "json_schema", "json_schema": {"name": "a", "schema": {"type": "object"}}},
    )
    message = api.to_wire(body, chat=True)
    assert (message["max_tokens"], message["stop"], message["seed"], message["top_k"]) == (9, ["END"], 4, 3)
    assert (message["logprobs"], message["top_logprobs"]) == (True, 2)
    assert message["json_schema"] == {"type": "object"}
    assert api.to_wire(said("x", response_format={"type": "json_object"}), chat=True)["json_schema"] == {
        "type": "object"
    }
    developer = api.to_wire(
        {"messages": [{"role": "developer", "content": [{"type": "text", "text": "a"}]}]}, chat=True
    )
    assert developer["messages"] == [{"role": "system", "content": "a"}]


def test_openai_client_speaks_to_it(serve):
    openai = pytest.importorskip("openai")
    client = openai.OpenAI(base_url=serve().url, api_key="none", max_retries=0)
    messages = [{"role": "user", "content": "echo a b"}]
    assert client.chat.completions.create(model="fake", messages=messages).choices[0].message.content == "a b"
    stream = client.chat.completions.create(model="fake", messages=messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "ab"
