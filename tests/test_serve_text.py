from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.serve.diagnose import diagnose
from agentopt.serve.pieces import Pieces, cut, split_words
from agentopt.serve.tooltext import forced_schema, parse_tool_calls
from agentopt.serve.wire import decode, encode


def bytes_decoder(ids: list[int]) -> str:
    return bytes(ids).decode("utf-8", "replace")


@given(st.text(max_size=60), st.lists(st.text(min_size=1, max_size=4), max_size=3), st.lists(st.integers(1, 5)))
def test_pieces_are_exactly_the_answer_whatever_the_rhythm(text, stop, rhythm):
    ids = list(text.encode("utf-8", "surrogatepass")) if text.isprintable() else list(text.encode("utf-8", "ignore"))
    whole, _ = cut(bytes_decoder(ids), stop)
    pieces, shown = Pieces(bytes_decoder, stop), ""
    at = 0
    for step in [*rhythm, *([1] * len(ids))]:
        shown += pieces.add(ids[at : at + step])
        assert whole.startswith(shown)
        at += step
    shown += pieces.finish(whole)
    assert shown == whole


def test_half_a_character_is_held_back():
    pieces = Pieces(bytes_decoder)
    first, *rest = "é".encode()
    assert pieces.add([65, first]) == ""
    assert pieces.add(rest) == "Aé"


@given(st.text(alphabet="ab .,\n<", max_size=300), st.integers(1, 50))
def test_split_words_loses_nothing(text, size):
    assert "".join(split_words(text, size)) == text


def test_split_words_keeps_to_the_size_where_it_can():
    assert max(map(len, split_words("word " * 1000, 100))) <= 100


OFFERED = {"add", "now"}


@pytest.mark.parametrize(
    ("text", "rest", "names"),
    [
        ('<tool_call>\n{"name": "add", "arguments": {"a": 1}}\n</tool_call>', "", ["add"]),
        (
            '<tool_call>{"name": "add", "arguments": {}}</tool_call>\n<tool_call>{"name": "now"}</tool_call>',
            "",
            ["add", "now"],
        ),
        ('Hm. <tool_call>{"name": "now", "arguments": {}}', "Hm.", ["now"]),
        ('```json\n{"name": "add", "arguments": {"a": 1}}\n```', "", ["add"]),
        ('{"name": "add", "arguments": "{}"}', "", ["add"]),
        ('[{"name": "add", "arguments": {}}, {"name": "now", "arguments": {}}]', "", ["add", "now"]),
        ('{"name": "rm", "arguments": {}}', '{"name": "rm", "arguments": {}}', []),
        ("<tool_call>{broken</tool_call>", "<tool_call>{broken</tool_call>", []),
        ("just words", "just words", []),
        ("5", "5", []),
        ("", "", []),
    ],
)
def test_tool_calls_in_text(text, rest, names):
    found, calls = parse_tool_calls(text, OFFERED)
    assert found == rest
    assert [call["name"] for call in calls] == names
    assert all(isinstance(json.loads(call["arguments"]), dict) for call in calls)


def test_forced_schema_of_one_and_of_many():
    tools = [{"function": {"name": n, "parameters": {"type": "object"}}} for n in ("add", "now")]
    assert [f["properties"]["name"]["const"] for f in forced_schema(tools)["anyOf"]] == ["add", "now"]
    assert forced_schema(tools, "now")["properties"]["name"] == {"const": "now"}
    with pytest.raises(ValueError, match="'rm', which is not among the tools"):
        forced_schema(tools, "rm")


@given(st.dictionaries(st.text(), st.text() | st.integers() | st.none()))
def test_messages_are_one_line_and_come_back(message):
    line = encode(message)
    assert line.count(b"\n") == 1
    assert decode(line) == message


def test_a_line_that_is_no_object_is_refused():
    with pytest.raises(ValueError, match="not a JSON object"):
        decode(b"[1]\n")


@pytest.mark.parametrize(
    ("lines", "status", "words"),
    [
        (["RuntimeError: gguf_tensor_to_f16 failed"], 3, "engine=xllamacpp"),
        (["OSError: [Errno 98] Address already in use"], 1, "--port"),
        (["torch.OutOfMemoryError: CUDA out of memory."], 1, "gpu-memory-utilization"),
        (["ModuleNotFoundError: No module named 'torchvision'"], 1, "a package is missing: torchvision"),
        (["vllm: error: unrecognized arguments: --fast"], 2, "does not know the argument --fast"),
        (["loading"], -9, "killed, by hand or because memory ran out"),
        (["loading"], -4, "processor lacks an instruction"),
        ([], -11, "SIGSEGV"),
        (["strange"], 5, "ended with status 5; last: strange"),
        ([], None, "still running"),
    ],
)
def test_diagnosis(lines, status, words):
    assert words in diagnose(lines, status)


def test_forced_tools_become_a_schema_for_llama_cpp():
    from agentopt.serve.engine_xll import body

    tools = [{"type": "function", "function": {"name": n}} for n in ("add", "now")]
    message = {"op": "chat", "messages": [], "tools": tools, "max_tokens": 4}
    assert body({**message, "tool_choice": "auto"})["tool_choice"] == "auto"
    assert "tools" not in body({**message, "tool_choice": "none"})
    forced = body({**message, "tool_choice": "now"})
    assert forced["tools"] == tools
    assert forced["response_format"]["json_schema"]["schema"]["properties"]["name"] == {"const": "now"}
    assert "anyOf" in body({**message, "tool_choice": "required"})["response_format"]["json_schema"]["schema"]


def test_sampling_that_nobody_narrowed_is_not_narrowed():
    from agentopt.serve.engine_xll import body

    sent = body({"op": "complete", "prompt": "x", "temperature": None, "top_k": 7})
    assert (sent["temperature"], sent["top_p"], sent["top_k"], sent["min_p"]) == (1.0, 1.0, 7, 0.0)
    assert sent["prompt"] == "x"
    assert "messages" not in sent
