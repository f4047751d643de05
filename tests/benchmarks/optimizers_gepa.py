"""GEPA's search on a text: ``gepa.optimize`` with its defaults. Runs in GEPA's environment."""

from __future__ import annotations

import gepa
from gepa.adapters.default_adapter.default_adapter import DefaultAdapter
from gepa.core.adapter import EvaluationBatch
from optimizers_peer import main


class Slot(DefaultAdapter):
    """GEPA's own adapter for one text, with our agent in place of a system turn and a user turn, many calls at once."""

    def __init__(self, job):
        super().__init__(model=lambda messages: "")
        self.job = job

    def evaluate(self, batch, candidate, capture_traces=False):
        rows = self.job.evaluate(candidate["instruction"], [data["example"] for data in batch])
        traces = [
            {"data": data, "full_assistant_response": row["reply"], "feedback": feedback(data, row)}
            for data, row in zip(batch, rows, strict=True)
        ]
        return EvaluationBatch(
            outputs=[{"full_assistant_response": row["reply"]} for row in rows],
            scores=[row["score"] for row in rows],
            trajectories=traces if capture_traces else None,
        )


def feedback(data, row):
    """What GEPA's own evaluator says, with the score and the scorer's words added where a reply is wrong."""
    if row["score"] >= 1:
        return f"The generated response is correct. The response include the correct answer '{data['answer']}'"
    return f"The generated response is incorrect. The correct answer is '{data['answer']}'. {row['feedback']}"


class Told:
    """Writes down what GEPA holds for best on the validation set, whenever it has looked at one."""

    def __init__(self, job):
        self.job, self.best = job, None

    def on_valset_evaluated(self, event):
        score = event["average_score"]
        if event["num_examples_evaluated"] == event["total_valset_size"] and (self.best is None or score > self.best):
            self.best = score
            self.job.tell(values=dict(event["candidate"]), score=score)


def search(job):
    """Search until GEPA's own count of metric calls, or the gateway's of the agent's calls, is at the budget."""

    def instances(examples):
        return [
            {"input": e["input"], "additional_context": {}, "answer": str(e["target"]), "example": e} for e in examples
        ]

    def reflect(prompt):
        messages = prompt if isinstance(prompt, list) else [{"role": "user", "content": prompt}]
        return job.chat("optimizer", messages)

    result = gepa.optimize(
        seed_candidate={"instruction": job.start},
        trainset=instances(job.search),
        valset=instances(job.validation),
        adapter=Slot(job),
        reflection_lm=reflect,
        max_metric_calls=job.given["agent_calls"],
        callbacks=[Told(job)],
        seed=job.seed,
    )
    best = result.best_idx
    job.tell(values=dict(result.candidates[best]), score=result.val_aggregate_scores[best])
    return f"gepa: {result.total_metric_calls} metric calls, {len(result.candidates)} candidates kept"


if __name__ == "__main__":
    main(search)
