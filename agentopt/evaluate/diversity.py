"""How alike the programs of a problem are: mean similarity over all pairs, 1 for equal ones; lower is more diverse.

The measures are those of Light et al. 2024 (the table on diversity): TF-IDF cosine, edit distance, token sequences, and
the cosine of embeddings, where somebody brings an embedding.
"""

from __future__ import annotations

import difflib
import io
import itertools
import math
import tokenize
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from agentopt.errors import UsageError

__all__ = [
    "MEASURES", "cosine", "edit_similarity", "embedding_similarity", "mean_similarity", "python_tokens",
    "tfidf_similarity", "token_similarity",
]  # fmt: skip

_SKIPPED = {tokenize.ENCODING, tokenize.ENDMARKER, tokenize.NL, tokenize.COMMENT, tokenize.NEWLINE}


def python_tokens(program: str) -> list[str]:
    """The tokens of a Python program without comments; of one that cannot be cut into tokens, its words and signs.

    >>> python_tokens("x = 1  # one")
    ['x', '=', '1']
    """
    found: list[str] = []
    try:
        for token in tokenize.generate_tokens(io.StringIO(program).readline):
            if token.type in (tokenize.INDENT, tokenize.DEDENT):
                found.append("<indent>" if token.type == tokenize.INDENT else "<dedent>")
            elif token.type not in _SKIPPED and token.string.strip():
                found.append(token.string)
    except (tokenize.TokenError, SyntaxError):
        return program.split()
    return found


def edit_similarity(one: str, other: str) -> float:
    """1 minus the Levenshtein distance (Levenshtein 1966) over the length of the longer text.

    >>> edit_similarity("kitten", "sitting") == 1 - 3 / 7
    True
    """
    longest = max(len(one), len(other))
    if one == other or not longest:
        return 1.0
    if len(one) < len(other):
        one, other = other, one
    row = list(range(len(other) + 1))
    for i, a in enumerate(one, 1):
        before, row[0] = row[0], i
        for j, b in enumerate(other, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (a != b))
    return 1.0 - row[-1] / longest


def token_similarity(one: str, other: str) -> float:
    """Ratcliff and Obershelp's ratio (``difflib``) over the programs' tokens; the same in either order.

    >>> token_similarity("x = 1", "x  =  1")
    1.0
    """
    a, b = sorted((python_tokens(one), python_tokens(other)))
    return difflib.SequenceMatcher(None, a, b, autojunk=False).ratio()


def cosine(one: Mapping[str, float], other: Mapping[str, float]) -> float:
    """The cosine of the angle between two sparse vectors; two empty ones are equal.

    >>> cosine({"a": 1.0}, {"a": 2.0}), cosine({"a": 1.0}, {"b": 1.0})
    (1.0, 0.0)
    """
    lengths = math.sqrt(math.fsum(v * v for v in one.values()) * math.fsum(v * v for v in other.values()))
    if not lengths:
        return 1.0 if not any(one.values()) and not any(other.values()) else 0.0
    return min(1.0, math.fsum(value * other.get(key, 0.0) for key, value in one.items()) / lengths)


def tfidf_similarity(programs: Sequence[str]) -> float:
    """Mean cosine over all pairs of TF-IDF vectors of the programs' tokens.

    Term counts are weighed by the smoothed inverse document frequency ``1 + ln((1 + n) / (1 + df))`` over these very
    programs (Salton and Buckley 1988; smoothing as scikit-learn does it).

    Raises:
        UsageError: fewer than two programs.

    >>> tfidf_similarity(["x = 1", "x = 1"])
    1.0
    """
    counted = [Counter(python_tokens(program)) for program in programs]
    documents = Counter(token for counts in counted for token in counts)
    weight = {token: 1.0 + math.log((1 + len(programs)) / (1 + df)) for token, df in documents.items()}
    vectors = [{token: n * weight[token] for token, n in counts.items()} for counts in counted]
    return _over_pairs([cosine(a, b) for a, b in itertools.combinations(vectors, 2)], len(programs))


def embedding_similarity(programs: Sequence[str], embed: Callable[[str], Sequence[float]]) -> float:
    """Mean cosine over all pairs of embeddings.

    Args:
        programs: at least two.
        embed: the vector of a program, such as CodeBERT's first position; none is shipped.

    >>> embedding_similarity(["a", "b"], lambda program: [1.0, 0.0])
    1.0
    """
    vectors = [{str(i): float(v) for i, v in enumerate(embed(program))} for program in programs]
    return _over_pairs([cosine(a, b) for a, b in itertools.combinations(vectors, 2)], len(programs))


def mean_similarity(programs: Sequence[str], measure: str | Callable[[str, str], float]) -> float:
    """Mean similarity over all pairs of programs.

    Args:
        programs: at least two.
        measure: a name of ``MEASURES``, or a function of two programs.

    Raises:
        UsageError: fewer than two programs, or no such measure.

    >>> mean_similarity(["x = 1", "x = 1", "y = 2"], "edit") == (1 + 2 * 0.6) / 3
    True
    """
    if measure == "tfidf":
        return tfidf_similarity(programs)
    if isinstance(measure, str) and measure not in MEASURES:
        raise UsageError(f"mean_similarity: no measure {measure!r}; there are {', '.join([*MEASURES, 'tfidf'])}")
    of = MEASURES[measure] if isinstance(measure, str) else measure
    return _over_pairs([of(a, b) for a, b in itertools.combinations(programs, 2)], len(programs))


def _over_pairs(found: Sequence[float], programs: int) -> float:
    if programs < 2:
        raise UsageError(f"the similarity of {programs} programs: at least two are needed")
    return math.fsum(found) / len(found)


MEASURES: dict[str, Callable[[str, str], float]] = {"edit": edit_similarity, "tokens": token_similarity}
"""Measures of two programs, by name; ``tfidf`` needs all programs at once."""
