"""What Scattered Forest Search does with what it is told: seeds, directions, insights, choices, stops."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agentopt._aio import run_sync
from agentopt.core.values import Budget, Candidate, Feedback, Outcome, Proposal
from agentopt.errors import BudgetExhausted, LLMError, UnknownName, UsageError
from agentopt.llm.types import Request, Response
from agentopt.optim.base import ParameterSpec
from agentopt.optim.forest import SFS, Genetic, Refine, Repeated, Themed, Tree
from agentopt.optim.forest.agreement import consensus, weights
from agentopt.optim.forest.directions import distinct, read_ideas
from agentopt.optim.forest.forms import code_of, read_answer
from agentopt.optim.forest.insights import Insights, Note, read_insights
from agentopt.optim.forest.policy import Arm, puct, uct
from agentopt.optim.forest.tree import ROOT, Forest, Node
from agentopt.testing import FakeView, ScriptedLLM
from agentopt.testing.scripted import Reply

STUB = "def f(x):\n    return 0\n"


class Game:
    """A program that is to hold a number; the answers are scripted, the score is looked up by the number."""

    def __init__(self, score: Callable[[int], list[float]], write: Callable[[Request], str] | None = None) -> None:
        self.score, self.write, self.next = score, write, 0
        self.requests: list[Request] = []
        specs = {"f": ParameterSpec("f", "code", STUB, "doubles its argument")}
        examples = {f"t{i}": (f"f({i})", 2 * i) for i in range(len(score(0)))}
        self.view = FakeView(specs, ScriptedLLM(self.reply), objective="Double.", examples=examples)
        self.told(self.view.baseline)

    def reply(self, request: Request) -> Reply:
        self.requests.append(request)
        if self.write is not None and (said := self.write(request)):
            return said
        path = self.path(request)
        if "/scatter/" in path:
            self.next += 1
            return {"reflection": "why", "ideas": [f"Turn knob {self.next} left.", f"Open door {self.next} wide."]}
        if "/scout/" in path:
            return {"insights": [f"Knob {path[-1]} matters."]}
        self.next += 1
        return f"```python\ndef f(x):\n    return {self.next}\n```"

    @staticmethod
    def path(request: Request) -> str:
        return str(request.address.path if request.address else "")

    @staticmethod
    def number(candidate: Candidate) -> int:
        return int(re.findall(r"return (\d+)", str(candidate.values["f"]))[-1])

    def told(self, candidate: Candidate) -> list[Outcome]:
        outcomes = [
            Outcome(candidate=candidate.id, example=f"t{i}", output=0, feedback=Feedback(score=s, text=f"said {s}"))
            for i, s in enumerate(self.score(self.number(candidate)))
        ]
        self.view = self.view.evaluated(candidate, outcomes)
        return outcomes

    def step(self, optimizer: Any, n: int = 1) -> list[Proposal]:
        """One ask, its evaluation, the tell; what was proposed."""
        out: list[Proposal] = run_sync(optimizer.ask(self.view, n))
        known = {scored.candidate.id for scored in self.view.archive}
        for proposal in out:
            if proposal.candidate.id not in known:
                optimizer.tell(self.told(proposal.candidate))
        self.view = self.view.next()
        return out

    @property
    def paths(self) -> list[str]:
        return [re.sub(r"\d+$", "", self.path(r)) for r in self.requests]

    def asked(self, kind: str) -> list[str]:
        """The user messages of the requests of a kind."""
        return [str(r.messages[-1].content) for r in self.requests if f"/{kind}/" in self.path(r)]


def flat(number: int) -> list[float]:
    return [0.5, 0.5]


# -- the shape of a search -----------------------------------------------------------------------------------------


def test_seeds_come_first_then_directions_then_children_then_insights() -> None:
    game = Game(lambda number: [number / 100, 0.0])
    optimizer = SFS(seeds=2)
    for _ in range(5):
        game.step(optimizer)
    assert game.paths == [
        "sfs/seed/", "sfs/seed/",
        "sfs/scatter/", "sfs/write/",
        "sfs/scout/", "sfs/scatter/", "sfs/write/",
        "sfs/scout/", "sfs/write/",
    ]  # fmt: skip
    assert "Knob 2 matters." in game.asked("scatter")[1], "a direction is written with what other branches taught"
    assert "Insights so far" not in game.asked("write")[0]


def test_a_full_pass_ends_the_search_at_once_and_pays_for_nothing_more() -> None:
    game = Game(lambda number: [1.0, 1.0] if number > 5 else [0.5, 0.0])
    optimizer = SFS(seeds=2)
    while len(game.view.archive) < 20 and game.step(optimizer):
        pass
    assert game.number(game.view.best.candidate) > 5
    paid = len(game.requests)
    assert game.step(optimizer) == [] and len(game.requests) == paid
    assert game.paths[-1] == "sfs/write/", "not even insights are asked for after it"


def test_a_seed_with_a_full_pass_stops_the_seeding() -> None:
    game = Game(lambda number: [1.0] if number == 2 else [0.0])
    optimizer = SFS(seeds=5)
    while game.step(optimizer):
        pass
    assert game.paths == ["sfs/seed/"] * 2


def test_full_marks_on_a_minibatch_are_no_full_pass() -> None:
    game = Game(lambda number: [1.0] if number == 1 else [0.0, 0.0])
    optimizer = SFS(seeds=1)
    game.step(optimizer)
    assert game.step(optimizer), "it ran on one of two examples"


def test_without_any_part_the_requests_before_the_difference_are_the_same() -> None:
    """The first seeds of a search are the same requests, whichever part is switched off."""

    def seeds(**options: Any) -> list[tuple[str, int | None]]:
        game = Game(flat)
        optimizer = SFS(start=False, **options)
        for _ in range(4):
            game.step(optimizer)
        return [(str(r.messages), r.seed) for r in game.requests if "/seed/" in game.path(r)]

    whole = seeds(seeds=3)
    assert len(whole) == 3
    assert seeds(seeds=3, scatter=False) == whole and seeds(seeds=3, scout=False) == whole
    assert seeds(seeds=3, forest=False) == whole[:1]


def test_solutions_end_the_search() -> None:
    game = Game(flat)
    optimizer = SFS(seeds=2, solutions=5)
    made = [len(game.step(optimizer, 2)) for _ in range(5)]
    assert sum(made) == 5 and made[-1] == 0


def test_where_no_seed_is_of_use_the_search_goes_on_from_the_start() -> None:
    game = Game(flat, lambda request: "no program" if "/seed/" in Game.path(request) else "")
    optimizer = SFS(seeds=2, start=False, retries=1)
    useless = [game.step(optimizer) for _ in range(2)]
    assert all("no program" in out[0].rejected[0] for out in useless)
    assert [out[0].candidate.id for out in useless] == [game.view.baseline.id] * 2
    assert game.step(optimizer)[0].operator == "sfs/idea"


def test_the_start_has_a_tree_when_it_is_worth_one() -> None:
    for score, start, grows in ((0.5, None, True), (0.0, None, False), (0.0, True, True), (0.5, False, False)):
        game = Game(lambda number, score=score: [score if number == 0 else 0.0])  # type: ignore[misc]
        optimizer = SFS(seeds=1, start=start)
        game.step(optimizer)
        child = game.step(optimizer)[0].candidate
        assert (child.parents == (game.view.baseline.id,)) is grows, (score, start)


# -- foresting -----------------------------------------------------------------------------------------------------


def themes_of(game: Game) -> list[str]:
    return [str(r.messages[0].content).split("manner: ")[-1] for r in game.requests if "/seed/" in game.path(r)]


def test_themes_are_drawn_without_replacement_and_reach_the_system_prompt() -> None:
    game = Game(flat)
    optimizer = Themed()
    for _ in range(26):
        game.step(optimizer)
    drawn = themes_of(game)
    assert len(set(drawn[:23])) == 23 and drawn[23:] == drawn[:3]
    assert all("who" in theme for theme in drawn[10:23]), "styles first, then roles"
    other = Game(flat)
    other.view = FakeView(**{**{f: getattr(other.view, f) for f in other.view.__dataclass_fields__}, "seed": 7})
    run_sync(Themed().ask(other.view, 10))
    assert sorted(themes_of(other)) == sorted(drawn[:10]) and themes_of(other) != drawn[:10]


def test_code_and_texts_have_lists_of_their_own_and_none_leaves_the_request_alone() -> None:
    game = Game(flat)
    run_sync(Repeated().ask(game.view, 3))
    assert len({str(r.messages) for r in game.requests}) == 1 and len({r.seed for r in game.requests}) == 3
    assert "manner" not in str(game.requests[0].messages)
    role = Game(flat)
    run_sync(SFS(theme="role").ask(role.view, 1))
    assert "who" in themes_of(role)[0] or "a " in themes_of(role)[0]


def test_equal_seeds_are_one_tree() -> None:
    game = Game(
        flat, lambda request: "```python\ndef f(x):\n    return 1\n```" if "/seed/" in Game.path(request) else ""
    )
    optimizer = SFS(seeds=3)
    out = run_sync(optimizer.ask(game.view, 3))
    assert len(out) == 1 and "the same as candidate" in " ".join(out[0].rejected)
    assert len(optimizer.state()["forest"]["nodes"]) == 1 + 1  # type: ignore[index, call-overload, arg-type]


# -- scattering ----------------------------------------------------------------------------------------------------


def test_directions_keep_their_order_and_are_not_written_twice() -> None:
    def write(request: Request) -> str:
        if "/scatter/" not in Game.path(request):
            return ""
        known = str(request.messages[-1].content)
        first = ["Use a heap.", "Use a set."] if "Use a heap" not in known else ["use a HEAP", "Sort it first."]
        return json.dumps({"reflection": "r", "ideas": first})

    game = Game(flat, write)
    optimizer = SFS(forest=False, scout=False)
    for _ in range(5):
        game.step(optimizer)
    tried = [re.findall(r"# Idea\n(.*)", text)[0] for text in game.asked("write")]
    generic = "Look for the cause of the first failed example and mend it."
    assert tried == ["Use a heap.", "Use a set.", "Sort it first.", generic, tried[4]]


@pytest.mark.parametrize(
    "text",
    [
        '{"ideas": ["Use a set.", "Sort first."]}',
        'Sure!\n```json\n{"reflection": "x", "ideas": ["Use a set.", "Sort first."]}\n```',
        "Idea 1: Use a set.\nIdea 2: Sort first.",
        "**Idea 1**: Use a set.\n\n**Idea 2:** Sort first.",
        "Reflection: 2 things.\n\n1. Use a set.\n2. Sort first.\n\nGood luck!",
        "# Idea 1: Use a set.\n# Idea 2: Sort first.",
        '{"ideas": ["Idea 1: Use a set.", "2. Sort first."]}',
    ],
)
def test_ideas_are_read_from_every_usual_form(text: str) -> None:
    assert read_ideas(text) == ["Use a set.", "Sort first."]


def test_ideas_of_no_use_are_padded_and_a_cut_answer_is_not_adopted() -> None:
    cut = Response(text='{"reflection": "r", "ideas": ["Use a heap.", "Use', finish="length")
    game = Game(flat)
    plain, game.view.llm = game.view.llm, None

    def reply(request: Request) -> Reply:
        return cut if "/scatter/" in Game.path(request) else game.reply(request)

    game.view.llm = ScriptedLLM(reply)
    optimizer = SFS(forest=False, retries=1)
    out = game.step(optimizer)
    assert plain is not None and "cut off" in " ".join(out[0].rejected) and out[0].why.startswith("Look for the cause")


# -- scouting ------------------------------------------------------------------------------------------------------


def test_insights_are_merged_and_capped_and_survive_an_answer_that_cannot_be_read() -> None:
    insights = Insights()
    insights.merge(["A first lesson.", "Another thing."], most=3)
    insights.merge([], most=3)
    insights.merge(["a FIRST lesson", "Third point.", "Fourth word."], most=3)
    assert insights.lines == ["a FIRST lesson", "Third point.", "Fourth word."]
    for change in (0.1, -0.5, 0.0, 0.4):
        insights.note(Note(f"moved {change}", 0, change), most=2)
    assert [note.change for note in insights.notes] == [-0.5, 0.4]
    assert insights.shown().splitlines()[-2:] == ["- (+0.4) moved 0.4", "- (-0.5) moved -0.5"]
    assert Insights.of(json.loads(json.dumps(insights.state()))) == insights


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("", []), ("no header here", []), ("Insights: None", []), ('{"insights": []}', []), ('{"insights": null}', []),
        ("Insights:\n\n- one two\n\n- three four", ["one two", "three four"]),
        ('{"insights": ["one two", 3, ""]}', ["one two"]),
        ('{"insights": "one two\\nthree four"}', ["one two", "three four"]),
        ("Reflections: x\nUpdated Insights: one two", ["one two"]),
    ],
)  # fmt: skip
def test_insights_are_read_or_left_alone(text: str, lines: list[str]) -> None:
    assert read_insights(text) == lines


def test_a_budget_that_bears_no_further_candidate_is_not_spent_on_insights() -> None:
    game = Game(flat)
    optimizer = SFS(forest=False)
    for _ in range(3):
        game.step(optimizer)
    assert game.paths.count("sfs/scout/") == 2
    left = {f: getattr(game.view, f) for f in game.view.__dataclass_fields__}
    game.view = FakeView(**{**left, "remaining": Budget(tokens=900)})
    run_sync(optimizer.ask(game.view, 1))
    assert game.paths.count("sfs/scout/") == 2


def test_notes_need_no_call() -> None:
    game = Game(lambda number: [number / 100])
    optimizer = SFS(seeds=1, scout=False, notes=3)
    for _ in range(4):
        game.step(optimizer)
    assert not game.asked("scout") and re.search(r"- \(\+0\.\d+\) Turn knob", game.asked("scatter")[-1])


# -- choosing ------------------------------------------------------------------------------------------------------


def test_the_formulas_are_those_of_the_paper() -> None:
    assert uct(Arm(0.25, 4), 9, c=math.sqrt(2)) == 0.25 + math.sqrt(2) * math.sqrt(math.log(9) / 4)
    beta = math.log((1 + 9 + 10) / 10) + 2
    assert puct(Arm(0.25, 4, 0.5), 9) == 0.25 + beta * 0.5 * math.sqrt(math.log(9) / 5)


@settings(max_examples=50)
@given(st.lists(st.tuples(st.integers(-1, 8), st.floats(0, 1)), min_size=1, max_size=12))
def test_values_are_the_best_score_below(rows: list[tuple[int, float]]) -> None:
    forest, scores = Forest(), {}
    for number, (parent, score) in enumerate(rows):
        forest.add(Node(f"n{number}", parent if parent < number else ROOT))
        scores[f"n{number}"] = score
    values = forest.values(scores)
    for number in range(len(rows)):
        below, waiting = [], [number]
        while waiting:
            at = waiting.pop()
            below.append(scores[f"n{at}"])
            waiting += forest.children(at)
        assert values[number] == max(below)
    half = forest.values(scores, alpha=0.5)
    assert all(scores[f"n{i}"] <= half[i] <= values[i] for i in values)


def test_a_node_is_left_only_for_a_better_child() -> None:
    forest = Forest([Node("a"), Node("b", 0), Node("c", 0)])
    scores = {"a": 0.5, "b": 0.5, "c": 0.2}
    assert forest.select(scores) == 0
    assert forest.select({**scores, "c": 0.6}) == 2
    forest.nodes[0].open = ["an idea"]
    assert forest.select({**scores, "c": 0.6}) == 0
    forest.nodes[0].open = []
    assert forest.select(scores, leave="full") in (1, 2)
    assert forest.select(scores, blocked=[0]) in (1, 2)
    assert forest.select(scores, blocked=[0, 1, 2]) is None
    assert forest.select({}) is None, "what is still being evaluated is not gone down to"
    assert Forest.of(json.loads(json.dumps(forest.state()))) == forest


def test_visits_spread_what_is_in_flight() -> None:
    game = Game(flat)
    optimizer = SFS(seeds=3, start=False)
    game.step(optimizer, 3)
    out = game.step(optimizer, 6)
    assert len({p.candidate.parents for p in out}) == 3, "two children for each of three equal seeds"
    assert len(game.asked("scatter")) == 3
    more = game.step(optimizer, 4)
    assert len(more) == 4 and game.view.llm.most_in_flight >= 3


def test_puct_likes_what_was_written_first() -> None:
    game = Game(flat)
    optimizer = SFS(forest=False, select="puct", start=True)
    game.step(optimizer, 2)
    first, second = optimizer.state()["forest"]["nodes"][1:]  # type: ignore[index, call-overload]
    assert first["logp"] > second["logp"]  # type: ignore[index, call-overload, operator]


def test_agreement_lets_a_test_that_nobody_passes_weigh_little() -> None:
    scores = {"a": {"t": 1.0, "u": 0.0, "bad": 0.0}, "b": {"t": 1.0, "u": 1.0, "bad": 0.0}, "c": {"t": 0.0, "bad": 1.0}}
    found = weights(scores)
    assert found == {"t": 3 / 5, "u": 2 / 4, "bad": 2 / 5}
    assert set(weights(scores, "uniform").values()) == {1.0}
    ranked = consensus({"a": {"t": 1, "u": 1}, "b": {"t": 1, "u": 1}, "c": {"t": 1, "u": 0}, "d": {"t": 0, "u": 0}})
    assert ranked == {"a": 2 / 4, "b": 2 / 4, "c": 1 / 8, "d": 0.0} and consensus({}) == {}
    game = Game(lambda number: {1: [1.0, 1.0, 0.0], 2: [0.0, 1.0, 1.0]}.get(number, [1.0, 0.0, 0.0]))
    optimizer = SFS(seeds=2, weighting="agreement")
    game.step(optimizer, 2)
    assert game.step(optimizer), "agreement is no full pass"


# -- answers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "the answer is empty"),
        ("I cannot.", "no program"),
        ("```python\ndef f(x) return x\n```", "does not parse: line 1"),
        ("def f(x):\n    return (x", "does not parse"),
        (STUB, "the same as candidate"),
    ],
)
def test_a_program_of_no_use_is_refused_with_the_reason(text: str, reason: str) -> None:
    game = Game(flat, lambda request: text or " ")
    out = game.step(SFS(retries=0, start=False))
    assert reason in out[0].rejected[0] and out[0].candidate.id == game.view.baseline.id


def test_programs_are_read_from_every_usual_form() -> None:
    code = "import re\n\ndef f(x):\n    return 2 * x\n"
    spec = [ParameterSpec("f", "code", STUB)]
    for text in (
        code, f"Sure:\n```python\n{code}```\nDone.", f"```\n{code}```", f"Here:\n\n{code}",
        json.dumps({"suggestion": {"f": code}}), f"```python\nprint(1)\n```\nand\n```py\n{code}\n```",
        f"```python\n{code}",
    ):  # fmt: skip
        assert read_answer(text, spec) == {"f": code}, text
    assert code_of("@cache\ndef g(): ...\n") == "@cache\ndef g(): ...\n"


def test_an_answer_of_no_use_is_asked_for_anew_and_warmer() -> None:
    game = Game(flat, lambda request: "" if request.address and request.address.ordinal else "nothing")
    out = game.step(SFS(start=False))
    assert [r.temperature for r in game.requests] == [0.2, 0.5] and len({r.seed for r in game.requests}) == 2
    assert out[0].candidate.id != game.view.baseline.id and "no program" in out[0].rejected[0]


def test_long_requests_lose_what_is_needed_least() -> None:
    game = Game(lambda number: [0.0] * 4 + [1.0] * 4)
    for name in game.view.examples:
        game.view.examples[name] = ("word " * 300, 1)  # type: ignore[index]
    for limit in (4000, 900, 400):
        game.requests.clear()
        run_sync(SFS(forest=False, start=True, max_prompt_tokens=limit).ask(game.view, 1))
        sizes = [sum(len(str(m.content)) for m in r.messages) / 3 for r in game.requests]
        assert max(sizes) <= limit + 60
        assert all("return 0" in str(r.messages) for r in game.requests), "the program itself is whole"


# -- what stops it -------------------------------------------------------------------------------------------------


def test_a_model_that_fails_goes_up_and_one_that_fails_sometimes_does_not() -> None:
    def broken(request: Request) -> str:
        raise LLMError("the key was refused")

    game = Game(flat, broken)
    with pytest.raises(LLMError, match="the key"):
        game.step(SFS())

    def ends(request: Request) -> str:
        if "/write/" in Game.path(request):
            raise BudgetExhausted("tokens", "none left")
        return ""

    game = Game(flat, ends)
    with pytest.raises(BudgetExhausted):
        game.step(SFS(forest=False))


# -- the baselines -------------------------------------------------------------------------------------------------


def test_refinement_goes_on_from_the_latest_or_from_the_best() -> None:
    scores = {1: 0.5, 3: 0.9, 5: 0.1, 7: 0.2}
    for follow, parents in (("latest", [0, 1, 3, 5]), ("best", [0, 1, 3, 3])):
        game = Game(lambda number: [scores.get(number, 0.0)])
        optimizer = Refine(follow=follow, start=False)
        made = [game.step(optimizer)[0].candidate for _ in range(4)]
        ids = {s.candidate.id: game.number(s.candidate) for s in game.view.archive}
        assert [ids[c.parents[0]] for c in made] == parents
        assert game.number(game.view.best.candidate) == 3, "the best one is the result"


def test_plain_tree_search_has_no_directions_and_leaves_a_node_when_its_places_are_used() -> None:
    game = Game(lambda number: [1 / (2 + number)])
    optimizer = Tree(start=False)
    made = [game.step(optimizer)[0].candidate for _ in range(4)]
    assert set(game.paths) == {"tree/seed/", "tree/write/"}
    ids = {s.candidate.id: game.number(s.candidate) for s in game.view.archive}
    assert [ids[c.parents[0]] for c in made] == [0, 1, 1, 2], "children score lower, and are gone down to all the same"


def test_islands_refine_members_of_their_own_and_the_worse_half_begins_again() -> None:
    game = Game(lambda number: [number / 100])
    optimizer = Genetic(start=False, population=2)
    for _ in range(8):
        game.step(optimizer, 2)
    state = optimizer.state()
    islands: Any = state["islands"]
    assert len(islands) == 2 and all(islands)
    nodes: Any = state["forest"]["nodes"]  # type: ignore[index, call-overload]
    roots = {number: node["parent"] for number, node in enumerate(nodes)}
    assert sum(parent == ROOT for parent in roots.values()) == 2
    assert max(map(min, islands)) > 1, "a seed was left behind"


def test_a_child_goes_to_its_parents_island_also_when_another_parent_got_no_direction() -> None:
    def write(request: Request) -> str:
        if "/scatter/0" in Game.path(request):
            raise LLMError("not now")
        return ""

    game = Game(flat, write)
    optimizer = Genetic(scatter=True, start=False, seeds=2)
    for _ in range(2):
        game.step(optimizer, 2)
    assert optimizer.state()["islands"] == [[0], [1, 2]]


@pytest.mark.parametrize("kind", [SFS, Refine, Tree, Genetic, Repeated, Themed])
def test_nothing_is_proposed_after_a_full_pass(kind: Any) -> None:
    game = Game(lambda number: [1.0 if number else 0.0])
    optimizer = kind()
    assert game.step(optimizer) and game.step(optimizer) == []


# -- options -------------------------------------------------------------------------------------------------------


def test_wrong_options_are_refused_in_one_line() -> None:
    with pytest.raises(UnknownName, match="did you mean 'uct'"):
        SFS(select="utc")
    with pytest.raises(UnknownName, match="theme of themed"):
        Themed(theme="styles")
    for options in ({"seeds": 0}, {"alpha": 2}, {"scout": 1}, {"c": -1}, {"kinds": "code"}, {"temperature": math.nan}):
        with pytest.raises(UsageError, match="sfs: "):
            SFS(**options)  # type: ignore[arg-type]
    with pytest.raises(UsageError, match="latest or best"):
        Refine(follow="last")
    with pytest.raises(UsageError, match="islands=0"):
        Genetic(islands=0)
    assert SFS(solutions="none").solutions is None  # type: ignore[arg-type]


def test_near_repeats_of_directions_do_not_count_as_new() -> None:
    assert distinct(["x == 0", "x != 0", "", "X == 0."]) == ["x == 0", "x != 0", ""]
