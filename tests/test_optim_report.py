"""OptoPrime's report: what of a trace reaches the model, in which words, and how much of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from agentopt.core import Graph, Node, Parameter, Record, Trace, graph, node, render
from agentopt.core.values import Candidate, Feedback, Outcome
from agentopt.errors import UsageError
from agentopt.optim.base import ParameterSpec
from agentopt.optim.meta import estimate_tokens
from agentopt.optim.optoprime.fold import fold
from agentopt.optim.optoprime.memory import choose, ladder, remember
from agentopt.optim.optoprime.optimizer import OptoPrimeOptimizer, build, pick
from agentopt.optim.optoprime.program import read_program
from agentopt.optim.optoprime.report import Caps, Run, report
from agentopt.testing import FakeView, ScriptedLLM
from agentopt.testing.optimizers import spec_of

GOLDEN = Path(__file__).parent / "data" / "optim"
W = Parameter(2.0, name="w", kind="number", low=-10, high=10, description="the weight")
B = Parameter(1, name="b", kind="number", low=-5, high=5)
TEMPLATE = Parameter("Answer.\n\n{{question}}", name="instruction", constraint="keep {{question}}")


@node
def ask(prompt: str) -> str:
    """What the model answers to a prompt."""
    return "six apples" if "apples" in prompt else "2"


@graph
def agent(question: str) -> Any:
    return ask(render(TEMPLATE, question=question))


def number_view(**values: float) -> FakeView:
    x = Node(3, name="x")
    y = x * W + B
    specs = {p.name: spec_of(p) for p in (W, B)}
    view = FakeView(specs, ScriptedLLM([]), objective="Make the output right.", graph_of=lambda o: Graph.of(y))
    said = Feedback(score=-12, text="The output should be larger.")
    first = Outcome(candidate=view.baseline.id, example="e", output=7, feedback=said)
    view = view.evaluated(view.baseline, [first])
    worse = Candidate(values={"w": 1.0, "b": 1})
    said = Feedback(score=-15, text="The output should be larger.")
    return view.evaluated(worse, [Outcome(candidate=worse.id, example="e", output=4, feedback=said)])


def text_view() -> FakeView:
    examples = {"e1": ("How many apples?", "6"), "e2": ("How many dogs?", "2")}
    graphs = {}
    for id, (question, _) in examples.items():
        with Trace() as trace:
            agent(question)
        graphs[id] = trace.graph
    specs = {"instruction": spec_of(TEMPLATE)}
    view = FakeView(specs, ScriptedLLM([]), examples=examples, graph_of=lambda o: graphs[o.example])
    outcomes = [
        Outcome(
            candidate=view.baseline.id, example="e1", output="six apples", feedback=Feedback(score=0, text="expected 6")
        ),
        Outcome(candidate=view.baseline.id, example="e2", output="2", feedback=Feedback(score=1, text="right")),
    ]
    return view.evaluated(view.baseline, outcomes)


def prompt_of(view: Any, **options: Any) -> str:
    machine = OptoPrimeOptimizer(**options)
    messages = machine.messages(view, list(view.parameters.values()), machine._runs(view))
    return "\n\n=====\n\n".join(f"[{m.role}]\n{m.content}" for m in messages) + "\n"


@pytest.mark.parametrize(
    ("name", "view", "options"),
    [
        ("numbers", number_view, {}),
        ("numbers_masked", number_view, {"mask_graph": True}),
        ("text", text_view, {}),
        ("text_masked", text_view, {"mask_graph": True, "memory": 0}),
    ],
)
def test_golden_prompt(name: str, view: Any, options: dict[str, Any]) -> None:
    """The prompts are part of what is released: a change of theirs is a change of these files."""
    assert prompt_of(view(), **options) == (GOLDEN / f"{name}.txt").read_text("utf-8")


def test_the_report_has_every_section() -> None:
    view = number_view()
    run = Run.of(view.best.outcomes[0], view.graph(view.best.outcomes[0]), view.parameters)
    sections = report([run], list(view.parameters.values()), view.best.candidate.values, Caps())
    assert sections["code"] == "mul_1 = x * w\nadd_1 = mul_1 + b"
    assert sections["variables"].splitlines() == [
        "w (number; -10 to 10) = 2  # the weight",
        "b (whole number; -5 to 5) = 1",
    ]
    assert sections["inputs"] == "x = 3"
    assert sections["others"] == "mul_1 = 3 * 2 = 6"
    assert sections["outputs"] == "add_1 = 6 + 1 = 7"
    assert sections["feedback"] == "score -12; The output should be larger."


def test_parameters_that_are_not_asked_about_are_inputs() -> None:
    view = number_view()
    machine = OptoPrimeOptimizer(memory=0)
    text = str(machine.messages(view, [spec_of(W)], machine._runs(view))[1].content)  # type: ignore[arg-type]
    assert "# Inputs (fixed)\nb = 1\nx = 3" in text
    masked = OptoPrimeOptimizer(memory=0, mask_graph=True)
    text = str(masked.messages(view, [spec_of(W)], masked._runs(view))[1].content)  # type: ignore[arg-type]
    assert "# Inputs (fixed)\nb = 1\n" in text
    assert "x = 3" not in text


def test_permuting_the_edges_changes_the_prompt() -> None:
    """The optimizer reads the graph: rewired, it is another request; masked, it is the same one."""
    view = number_view()
    real = Graph.of(Node(3, name="x") * W + B)
    records = list(real.nodes)
    swap = {"p:w": "p:b", "p:b": "p:w"}

    def rewired(record: Record) -> Record:
        fields = {name: getattr(record, name) for name in Record.__dataclass_fields__}
        fields["parents"] = tuple((swap.get(id, id), role, kind) for id, role, kind in record.parents)
        return Record(**fields)

    ids = {record.id for record in records}
    assert {"p:w", "p:b"} <= ids
    other = FakeView(view.parameters, view.llm, view.objective, view.archive, graph_of=lambda o: changed)
    changed = Graph(sorted(map(rewired, records), key=lambda r: bool(r.parents)), real.output)
    assert prompt_of(other) != prompt_of(view)
    assert prompt_of(other, mask_graph=True) == prompt_of(view, mask_graph=True)


def test_a_loop_is_folded() -> None:
    total: Any = W
    for i in range(50):
        total = total * 2
        total = total + i
    texts, hidden = fold(read_program(Graph.of(total), {"w"}).lines)
    assert len(texts) < 10
    assert len(hidden) >= 90
    assert texts[0] == "mul_1 = w * 2"
    assert texts[-1] == "add_50 = mul_50 + 49"


def test_different_steps_are_not_folded() -> None:
    total: Any = W
    for _ in range(3):
        total = (total + 1) * total - 2
    program = read_program(Graph.of(total), {"w"})
    texts, hidden = fold(program.lines)
    assert len(texts) == 9
    assert not hidden


def test_runs_of_one_program_share_its_code() -> None:
    text = prompt_of(text_view())
    assert text.count("ask_1 = ask(") == 1
    assert "[run 1]" in text
    assert "[run 2]" in text


def test_only_what_the_parameters_reach_is_shown() -> None:
    aside = Node(5, name="aside")
    unused = aside * 100
    out = (Node(2, name="x") + unused) * W
    program = read_program(Graph.of(out), {"w"})
    assert [line.code() for line in program.lines] == ["mul_1 = add_1 * w"]
    assert [(line.name, line.value) for line in program.inputs] == [("add_1", 502)]


def test_a_failed_node_shows_its_traceback() -> None:
    @node
    def halve(x: int) -> float:
        return x / 0

    @graph
    def program() -> Any:
        return halve(B)

    with Trace() as trace, pytest.raises(ZeroDivisionError):
        program()
    outcome = Outcome(candidate="c", example="e", status="agent_error", error="ZeroDivisionError: division by zero")
    run = Run.of(outcome, trace.graph, {"b": spec_of(B)})
    sections = report([run], [spec_of(B)], {"b": 1}, Caps())
    assert "ZeroDivisionError" in sections["outputs"]
    assert "return x / 0" in sections["outputs"]


@pytest.mark.parametrize("limit", [400, 800, 3000])
def test_the_prompt_stays_within_its_tokens(limit: int) -> None:
    huge = "lorem ipsum " * 5_000
    x = Node(huge, name="document")
    total: Any = TEMPLATE + x
    for i in range(300):
        total = total + str(i) if i % 60 else total + x
    specs = [spec_of(TEMPLATE)]
    outcome = Outcome(candidate="c", example="e", output=huge, feedback=Feedback(score=0, text=huge))
    runs = [Run.of(outcome, Graph.of(total), {"instruction": specs[0]}) for _ in range(3)]
    messages = build(
        FakeView({}, None).prompt("meta/optoprime"),
        "Do it.",
        specs,
        {"instruction": str(TEMPLATE.value)},
        runs,
        [],
        max_tokens=limit,
    )
    assert sum(estimate_tokens(str(m.content)) for m in messages) <= limit
    assert "{{question}}" in str(messages[1].content)
    assert "characters left out" in str(messages[1].content)


def test_a_limit_that_cannot_be_met_is_said() -> None:
    view = number_view()
    with pytest.raises(UsageError, match="raise max_prompt_tokens"):
        build(view.prompt("meta/optoprime"), "goal " * 900, [spec_of(W)], {"w": 1}, [], [], max_tokens=300)


def test_memory_keeps_the_best_and_the_latest_with_the_best_last() -> None:
    view = number_view()
    for i, score in enumerate([-3.0, -9.0, -1.0, -30.0, -20.0]):
        candidate = Candidate(values={"w": float(i), "b": 2})
        said = Feedback(score=score, text="smaller")
        view = view.evaluated(candidate, [Outcome(candidate=candidate.id, example="e", output=i, feedback=said)])
    kept = choose(view.archive, view.best.candidate.id, 3)
    assert [scored.mean for scored in kept] == [-20, -9, -3]
    text = remember(kept, list(view.parameters.values()), view.best.candidate.values, 50)
    assert text.splitlines()[-1] == "w = 0, b = 2 -> output 0; smaller; score -3"
    assert choose(view.archive, "", 0) == []


def test_code_that_was_tried_is_shown_whole_with_what_was_said_of_its_worst_example() -> None:
    """A model copies what it is shown, and so the mark of a shortened middle too."""
    spec = ParameterSpec(name="f.code", kind="code", value="def f(x):\n    return x")
    view = FakeView({"f.code": spec}, ScriptedLLM([]))
    body = "\n".join(f"    y{i} = x * {i}" for i in range(40))
    candidate = Candidate(values={"f.code": f"def f(x):\n{body}\n    return y1"})
    said = {"a": Feedback(score=1.0, text="right"), "b": Feedback(score=0.0, text="f(2) returned 2, expected 4")}
    outcomes = [Outcome(candidate=candidate.id, example=e, output=1, feedback=f) for e, f in said.items()]
    view = view.evaluated(candidate, outcomes)
    text = remember(view.archive[-1:], [spec], {"f.code": spec.value}, 60)
    assert str(candidate.values["f.code"]) in text and "left out" not in text
    assert text.endswith("score 0.5 on 2 examples; at worst: f(2) returned 2, expected 4")


def test_tries_of_one_number_are_shown_in_its_order() -> None:
    view = number_view()
    for w, score, text in [(8.0, -6, "smaller"), (5.0, -3, "larger"), (9.0, -9, "smaller"), (-4.0, -30, "larger")]:
        candidate = Candidate(values={"w": w, "b": 1})
        said = Feedback(score=score, text=text)
        view = view.evaluated(candidate, [Outcome(candidate=candidate.id, example="e", output=w, feedback=said)])
    shown = ladder(view.archive, spec_of(W), view.best.candidate.values, 3)
    assert [line.partition(" ->")[0] for line in shown.splitlines()] == ["w = 1", "w = 2", "w = 5", "w = 8", "w = 9"]
    assert shown.splitlines()[2].endswith("larger; score -3  (now)")
    assert ladder(view.archive, spec_of(B), view.best.candidate.values, 3) == ""
    machine = OptoPrimeOptimizer()
    asked = [spec_of(W)]
    text = str(machine.messages(view, asked, [])[1].content)  # type: ignore[arg-type]
    assert "# Tried before (the smallest value first)" in text
    assert "the best last" not in text


def test_example_policies() -> None:
    def outcome(id: str, score: float | None, status: Any = "ok") -> Outcome:
        feedback = None if score is None else Feedback(score=score)
        return Outcome(candidate="c", example=id, status=status, feedback=feedback)

    view = number_view()
    outcomes = [outcome("a", 0.9), outcome("b", 0.1), outcome("c", 0.5), outcome("d", 0.2)]
    scored = view.evaluated(view.baseline, [*outcomes, outcome("e", None, "infra_error")]).archive[-1]
    assert [o.example for o in pick(scored, 2, "worst", view.rng)] == ["b", "d"]
    assert [o.example for o in pick(scored, 2, "best", view.rng)] == ["a", "c"]
    assert [o.example for o in pick(scored, 3, "mixed", view.rng)] == ["b", "d", "a"]
    assert {o.example for o in pick(scored, 9, "random", view.rng)} == {"a", "b", "c", "d"}


async def test_proposals_of_a_step_differ_in_what_is_asked() -> None:
    view = number_view()
    view.llm = ScriptedLLM(lambda request: {"reasoning": "", "suggestion": {"w": 3, "b": 2}})
    await OptoPrimeOptimizer(focus="mixed").ask(view, 3)  # type: ignore[arg-type]
    asked = [r.json_schema["properties"]["suggestion"]["required"] for r in view.llm.requests]  # type: ignore[index,call-overload]
    assert asked == [["w", "b"], ["b"], ["w"]]
    assert len({r.seed for r in view.llm.requests}) == 3
    assert len({r.temperature for r in view.llm.requests}) == 3
    assert len({str(r.address) for r in view.llm.requests}) == 3


def test_options_out_of_range_are_refused() -> None:
    with pytest.raises(UsageError, match="focus='some' is none of"):
        OptoPrimeOptimizer(focus="some")  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="memory=-1; it must be"):
        OptoPrimeOptimizer(memory=-1)
