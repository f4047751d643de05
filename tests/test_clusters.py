"""Near-duplicates count once in every interval and test."""

from __future__ import annotations

from agentopt import Example, Feedback
from agentopt.core.values import Outcome
from agentopt.evaluate import Eval, summarize
from agentopt.evaluate.clusters import clusters_of
from agentopt.evaluate.measured import record_of


def test_an_example_without_a_label_stands_alone() -> None:
    some = [Example(id=str(i), input=i, meta={"pair": i // 2 if i < 4 else None}) for i in range(20)]
    pinned = Eval(task="t", graph="g", name="e", group=lambda example: example.meta["pair"])
    record = record_of(pinned, some)
    assert record.clusters == {"0": "0", "1": "0", "2": "1", "3": "1"}
    assert clusters_of(some) == {}
    cells = [Outcome(candidate="c", example=e.id, feedback=Feedback(score=int(e.id) % 2)) for e in some]
    assert summarize(cells, clusters=record.clusters).n_clusters == 18
    assert summarize(cells, clusters={}).n_clusters is None


def test_a_label_that_is_the_name_of_another_example_is_no_tie_to_it() -> None:
    cells = [Outcome(candidate="c", example=e, feedback=Feedback(score=e in "ab")) for e in "abc"]
    assert summarize(cells, clusters={"a": "c", "b": "c"}).n_clusters == 2
