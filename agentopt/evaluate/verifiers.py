"""How far a verifier can be trusted: what it lets pass against what is right."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

__all__ = ["Verifier", "verifier"]


@dataclass(frozen=True, slots=True)
class Verifier:
    """Counts of a verifier's verdicts against the truth. A rate over nothing is None.

    >>> v = Verifier(accepted_right=88, refused_right=44, accepted_wrong=10, refused_wrong=18)
    >>> round(v.precision, 3), round(v.recall, 3), round(v.accuracy, 3)
    (0.898, 0.667, 0.662)
    """

    accepted_right: int
    """True positives: it passes, and it is right."""
    refused_right: int
    """False negatives."""
    accepted_wrong: int
    """False positives."""
    refused_wrong: int
    """True negatives."""

    @property
    def n(self) -> int:
        """All verdicts."""
        return self.accepted_right + self.refused_right + self.accepted_wrong + self.refused_wrong

    @property
    def precision(self) -> float | None:
        """Of what it accepts, the share that is right."""
        return _share(self.accepted_right, self.accepted_wrong)

    @property
    def recall(self) -> float | None:
        """Of what is right, the share that it accepts."""
        return _share(self.accepted_right, self.refused_right)

    @property
    def specificity(self) -> float | None:
        """Of what is wrong, the share that it refuses."""
        return _share(self.refused_wrong, self.accepted_wrong)

    @property
    def accuracy(self) -> float | None:
        """The share of verdicts that are true."""
        return _share(self.accepted_right + self.refused_wrong, self.accepted_wrong + self.refused_right)

    def intervals(self, *, confidence: float = 0.95) -> dict[str, tuple[float, float] | None]:
        """Exact intervals (Clopper and Pearson 1934) of the four rates, by name; None over nothing.

        They take the verdicts as independent, which those on programs of one problem are not: use one a problem.
        """
        from agentopt.evaluate.stats import clopper_pearson

        of = {
            "precision": (self.accepted_right, self.accepted_right + self.accepted_wrong),
            "recall": (self.accepted_right, self.accepted_right + self.refused_right),
            "specificity": (self.refused_wrong, self.refused_wrong + self.accepted_wrong),
            "accuracy": (self.accepted_right + self.refused_wrong, self.n),
        }
        return {name: clopper_pearson(k, n, confidence=confidence) if n else None for name, (k, n) in of.items()}


def verifier(pairs: Iterable[tuple[bool, bool]]) -> Verifier:
    """Count pairs of (accepted, right).

    >>> verifier([(True, True), (False, True), (True, False)]).precision
    0.5
    """
    found = {(accepted, right): 0 for accepted in (True, False) for right in (True, False)}
    for accepted, right in pairs:
        found[bool(accepted), bool(right)] += 1
    return Verifier(found[True, True], found[False, True], found[True, False], found[False, False])


def _share(part: int, rest: int) -> float | None:
    return part / (part + rest) if part + rest else None
