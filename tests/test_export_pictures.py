"""Pictures: what is in them, odd text, many nodes."""

from __future__ import annotations

import itertools
import re
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentopt.core import Graph, Node, Parameter, Trace, graph, node, render
from agentopt.export.layout import lay_out
from agentopt.export.pictures import dot, mermaid, svg

NS = "{http://www.w3.org/2000/svg}"


def sample() -> Graph:
    prompt = Parameter("Solve {{q}}", name="prompt")

    @node
    def answer(text: str) -> str:
        return text + "!"

    @node
    def fail(text: str) -> str:
        raise ValueError("no <good>")

    @graph
    def solve(q: str) -> Any:
        text = answer(render(prompt, q=q))
        if text:
            return fail(text)
        return text

    with Trace() as trace, pytest.raises(ValueError):
        solve('a "quoted" <b> & \\ text | {x} [y] #1;\nline two')
    return trace.graph


def boxes(picture: str) -> list[ElementTree.Element]:
    return list(ElementTree.fromstring(picture).iter(f"{NS}g"))


def test_svg_is_xml_with_a_box_a_node_and_a_path_an_edge() -> None:
    g = sample()
    picture = svg(g)
    root = ElementTree.fromstring(picture)
    assert len(boxes(picture)) == len(g)
    edges = [p for p in root.iter(f"{NS}path") if p.get("class", "").endswith("-edge")]
    assert len(edges) == len({(e.source, e.target) for e in g.edges})
    assert "prefers-color-scheme:dark" in picture
    assert {b.get("class") for b in boxes(picture)} >= {"param", "error output", "render", "call", "value"}
    assert "ValueError: no <good>" in "".join(root.itertext())


def test_boxes_of_a_layer_do_not_overlap_and_parents_are_above() -> None:
    records = sample().nodes
    layout = lay_out(records, {r.id: 50.0 for r in records})
    for layer in layout.layers:
        for a, b in itertools.pairwise(layer):
            assert a.x + a.width / 2 < b.x - b.width / 2
    for source, target, path in layout.edges:
        assert layout.spots[source].layer < layout.spots[target].layer
        assert [spot.layer for spot in path] == list(range(path[0].layer, path[-1].layer + 1))


def test_mermaid_and_dot_say_every_node_and_edge() -> None:
    g = sample()
    text = mermaid(g)
    assert text.startswith("flowchart TD\n")
    assert len(re.findall(r"^  v\d+\W", text, re.M)) == len(g) + len(list(g.edges))
    assert all(arrow in text for arrow in ("-->", "==>", "-.->"))
    assert '"quoted"' not in text
    drawn = dot(g)
    assert drawn.count(" -> ") == len(list(g.edges))
    assert drawn.count("[label=") == len(g) + len(list(g.edges))
    assert '\\"quoted\\"' in drawn


@settings(max_examples=60, deadline=None)
@given(st.text(max_size=60))
def test_any_text_gives_well_formed_pictures(text: str) -> None:
    g = Graph.of(Node(text, name="x") + "y")
    ElementTree.fromstring(svg(g))
    assert len(mermaid(g).splitlines()) == 5
    assert len(dot(g).splitlines()) == 6


def test_long_texts_are_clipped() -> None:
    g = Graph.of(Node("word " * 10_000, name="x") + "")
    assert len(svg(g)) < 6_000
    assert len(mermaid(g)) < 500
    assert len(dot(g)) < 600


def test_large_graphs_show_what_is_nearest_to_the_output() -> None:
    x: Any = Node(0)
    for _ in range(2_000):
        x = x + 1
    g = Graph.of(x)
    for picture in (svg(g, limit=50), mermaid(g, limit=50), dot(g, limit=50)):
        assert "and 1951 more" in picture
        assert "2000" in picture
    assert len(boxes(svg(g, limit=50))) == 50


def test_an_empty_graph() -> None:
    ElementTree.fromstring(svg(Graph([])))
    assert mermaid(Graph([])) == "flowchart TD"
    assert dot(Graph([])).startswith("digraph")
