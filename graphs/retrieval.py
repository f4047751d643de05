"""Search over a corpus by BM25, for the graphs that look things up.

The scores are those of ``bm25s`` (Lù 2024, https://arxiv.org/abs/2407.03618) in its default variant.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any

from agentopt.errors import MissingDependency
from agentopt.workspace import Passage

WORD = re.compile(r"\w+")
STOP = {
    *("a", "an", "and", "are", "as", "at", "be", "by", "for", "from", "has", "have", "how", "in", "is", "it", "its"),
    *("many", "much", "of", "on", "or", "than", "that", "the", "to", "was", "what", "which"),
}


def words(text: str) -> list[str]:
    """The words of a text that are looked for, in lower case."""
    return [word for word in WORD.findall(text.casefold()) if word not in STOP]


@lru_cache(maxsize=32)
def index(passages: tuple[Passage, ...], k1: float, b: float) -> Any:
    """The passages, ready to be searched with these settings."""
    try:
        import bm25s
    except ImportError:
        raise MissingDependency("search over a corpus needs bm25s: pip install 'agentopt[retrieval]'") from None
    made = bm25s.BM25(k1=k1, b=b)
    made.index([words(f"{p.title} {p.text}") or [""] for p in passages], show_progress=False)
    return made


def search(passages: tuple[Passage, ...], query: str, k: int = 3, k1: float = 1.5, b: float = 0.75) -> list[Passage]:
    """The ``k`` passages that fit the query best, best first; those that share no word with it are left out."""
    made = index(passages, k1, b)
    known = [word for word in words(query) if word in made.vocab_dict]
    if not known:
        return []
    scores = made.get_scores(known)
    order = sorted(range(len(passages)), key=lambda i: (-scores[i], i))[:k]
    return [passages[i] for i in order if scores[i] > 0]
