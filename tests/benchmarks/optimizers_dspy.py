"""DSPy's MIPROv2 on a text, with or without worked examples. Runs in DSPy's environment."""

from __future__ import annotations

import dspy
from dspy.utils.callback import BaseCallback
from optimizers_peer import AT_ONCE, BudgetEnded, budget_behind, main, turns


class Slot(dspy.Adapter):
    """Makes the agent's own turns of an instruction, demos and a problem, and takes the reply as it is."""

    def format(self, signature, demos, inputs):
        shown = [{"input": d["problem"], "output": d["reply"]} for d in demos if d.get("reply")]
        return turns(signature.instructions, inputs["problem"], shown)

    def parse(self, signature, completion):
        return {"reply": completion}


class Agent(dspy.Module):
    """The agent as a DSPy program of one predictor."""

    def __init__(self, start):
        super().__init__()
        self.solve = dspy.Predict(dspy.Signature("problem -> reply", start))

    def forward(self, problem):
        with dspy.context(adapter=Slot()):
            return self.solve(problem=problem)


class Told(BaseCallback):
    """Writes down the best program of those that were looked at on the whole validation set."""

    def __init__(self, job):
        self.job, self.best, self.programs = job, None, {}
        self.refused = False

    def on_evaluate_start(self, call_id, instance, inputs):
        self.programs[call_id] = (inputs["program"], len(inputs.get("devset") or instance.devset))

    def on_evaluate_end(self, call_id, outputs, exception=None):
        program, size = self.programs.pop(call_id)
        whole = outputs is not None and size == len(self.job.validation) and not self.refused
        if whole and (self.best is None or outputs.score > self.best):
            self.best = outputs.score
            self.job.tell(values=values(program), score=outputs.score / 100)


def values(program):
    """Instruction and demos of a program, as ours has them."""
    demos = [{"input": d["problem"], "output": str(d["reply"])} for d in program.solve.demos if d.get("reply")]
    return {"instruction": program.solve.signature.instructions, "demos": demos}


def search(job):
    """``MIPROv2(auto="light")``, whose trials fit into the budget by themselves."""
    told = Told(job)

    def lm(role, **more):
        to = job.given[role]
        return dspy.LM(
            f"openai/{to['model']}", api_base=to["url"], api_key=to["key"], max_tokens=to["max_tokens"], num_retries=0,
            **more,
        )  # fmt: skip

    def metric(example, prediction, trace=None):
        return job.score(known[example.problem], prediction.reply)["score"]

    def examples(rows):
        made = [dspy.Example(problem=r["input"], reply=str(r["target"])) for r in rows]
        return [e.with_inputs("problem") for e in made]

    known = {row["input"]: row for row in (*job.search, *job.validation)}

    class Agents(dspy.LM):
        """The agent's model; remembers that the budget has ended, so that a cut evaluation does not count."""

        def forward(self, *args, **kwargs):
            try:
                return super().forward(*args, **kwargs)
            except Exception as error:
                told.refused = told.refused or budget_behind(error) is not None
                raise

    to = job.given["agent"]
    agents = Agents(
        f"openai/{to['model']}", api_base=to["url"], api_key=to["key"], max_tokens=to["max_tokens"],
        temperature=to["temperature"], num_retries=0,
    )  # fmt: skip
    dspy.configure(lm=agents, callbacks=[told])
    demos = job.options["demos"]
    optimizer = dspy.MIPROv2(
        metric=metric,
        prompt_model=lm("optimizer"),
        task_model=agents,
        auto="light",
        max_bootstrapped_demos=demos,
        max_labeled_demos=demos,
        num_threads=AT_ONCE,
        seed=9 + job.seed,
    )
    best = optimizer.compile(Agent(job.start), trainset=examples(job.search), valset=examples(job.validation))
    if told.refused:
        raise BudgetEnded("an evaluation was cut")
    job.tell(values=values(best), score=best.score / 100)
    return f"mipro: {len(best.candidate_programs)} programs evaluated"


if __name__ == "__main__":
    main(search)
