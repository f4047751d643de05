"""Retrieval-augmented answering: passages are looked up, and the model answers from them.

After Lewis et al. 2020 (https://arxiv.org/abs/2005.11401), with BM25 as the retriever. What may change: the words of
the request and of the search request, how many passages are shown, how they are scored (k1 and b of BM25), whether the
model writes the search words, and where the passages stand.
"""

from __future__ import annotations

from agentopt import Parameter, allm, graph, node, prompt
from agentopt.workspace import Passage, prompt_text, read_corpus

from .retrieval import search

REQUEST, QUERY = prompt("agents/rag"), prompt("agents/rag_query")
PASSAGES, QUESTION = prompt_text("agents/rag_passages"), prompt_text("agents/rag_question")
K = Parameter(3, name="passages", kind="number", low=1, high=12, description="how many passages the model is shown")
K1 = Parameter(
    1.5, name="k1", kind="number", low=0.0, high=4.0, description="BM25: how much a word counts that a passage repeats"
)
B = Parameter(
    0.75, name="b", kind="number", low=0.0, high=1.0, description="BM25: how much long passages are marked down"
)
REWRITE = Parameter(
    "off",
    name="rewrite",
    kind="choice",
    choices=("off", "on"),
    description="whether the model writes the search words (one more call), or the question itself is searched for",
)
PLACE = Parameter(
    "before",
    name="place",
    kind="choice",
    choices=("before", "after", "system"),
    description="where the passages stand: before the question, after it, or in the system turn",
)


@node
def retrieve(corpus: str, query: str, k: int, k1: float, b: float) -> list[Passage]:
    """Look up the k passages that fit the query best."""
    return search(read_corpus(corpus), query, k, k1, b)


@node
def arrange(problem: str, passages: list[Passage], place: str) -> tuple[str, str]:
    """The system turn and the material of the request."""
    texts = "\n\n".join(f"{title}: {text}" for title, text in passages)
    shown, question = PASSAGES.replace("{{passages}}", texts), QUESTION.replace("{{problem}}", problem)
    if place == "system":
        return shown, question
    return "", "\n\n".join((shown, question) if place == "before" else (question, shown))


@graph
async def rag(problem: str, corpus: str = "almanac") -> str:
    """Look passages up, by the question or by search words, and answer from them."""
    query = problem
    if REWRITE == "on":
        query = await allm(QUERY, problem=problem, max_tokens=48, name="search words")
    system, material = arrange(problem, retrieve(corpus, query, K, K1, B), PLACE)
    return await allm(REQUEST, material=material, **({"system": system} if PLACE == "system" else {}))
