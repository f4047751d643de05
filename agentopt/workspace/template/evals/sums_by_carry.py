"""A pinned measurement: `agentopt eval sums_by_carry` runs it under the settings that stand here."""

from agentopt import Example
from agentopt.evaluate import Eval, Measure, commonest, evaluation


def carry(example: Example) -> str:
    """The type of a sum: whether its last digits make a ten."""
    first, second = (int(number) for number in example.input.split(" + "))
    return "with carry" if first % 10 + second % 10 > 9 else "no carry"


@evaluation(version=1)
def sums_by_carry():
    """Sums of two numbers, each asked twice."""
    return Eval(
        task="sums",
        graph="solve",
        split="validation",
        repeats=2,
        by=carry,
        measures=[Measure("written", "tokens written", of="metrics.output_tokens", kind="mean")],
        guesses=[commonest(lambda example: str(example.target))],
    )
