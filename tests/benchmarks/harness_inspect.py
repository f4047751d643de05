"""inspect-ai's side of ``harness.py``: the same samples, in an environment that may have inspect-ai alone."""

from __future__ import annotations

import tempfile
import time

from harness import serve
from inspect_ai import Task, eval
from inspect_ai.dataset import MemoryDataset, Sample
from inspect_ai.model import GenerateConfig, get_model
from inspect_ai.scorer import exact
from inspect_ai.solver import generate


def run(url: str, questions: list[tuple[str, str]], connections: int) -> tuple[float, float]:
    """Seconds of ``eval``, and the mean score."""
    asked = [Sample(input=question, target=answer) for question, answer in questions]
    model = get_model(
        "openai/stub", base_url=url, api_key="none", memoize=False,
        config=GenerateConfig(max_connections=connections, max_tokens=50, temperature=0.0, max_retries=0),
        responses_api=False,
    )  # fmt: skip
    task = Task(dataset=MemoryDataset(asked), solver=generate(), scorer=exact())
    with tempfile.TemporaryDirectory() as place:
        begun = time.perf_counter()
        (log,) = eval(task, model=model, log_dir=place, display="none", max_samples=connections, log_level="error")
        taken = time.perf_counter() - begun
    if log.status != "success" or log.results is None:
        raise SystemExit(f"inspect-ai ended with {log.status}: {log.error.message if log.error else ''}")
    return taken, float(log.results.scores[0].metrics["mean"].value)


if __name__ == "__main__":
    serve(run)
