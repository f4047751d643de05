"""The task: what is to be solved, and how an answer is scored."""

import random

from agentopt import Example, task


def only_the_number(example: Example, answer: str) -> tuple[float, str]:
    """1 when the answer is the number and nothing else, else 0 with the reason."""
    if answer == str(example.target):
        return 1.0, "right"
    if str(example.target) in answer:
        return 0.0, f"the number is right, but the answer must be {example.target} and nothing else"
    return 0.0, f"wrong: the sum is {example.target}"


@task(version=1)
def sums(n: int = 90, seed: int = 0):
    """Add two numbers. The answer is the sum as digits, without any other word."""
    random_numbers = random.Random(seed)
    pairs = [(random_numbers.randint(10, 99), random_numbers.randint(10, 99)) for _ in range(n)]
    return [Example(input=f"{a} + {b}", target=a + b) for a, b in pairs], only_the_number
