"""Trace's OptoPrime on a text or on numbers. Runs in the environment of trace-opt."""

from __future__ import annotations

import itertools
import multiprocessing
import os

from optimizers_peer import BudgetEnded, Job, budget_behind, main, post

FAILURES = 5
"""Steps in a row in which the package may raise before that is taken for a fault of the harness."""


class Optimizer:
    """OptoPrime with its defaults, its model behind the gateway at one address.

    A step on which the package raises, because of what the model answered, has changed nothing and cost its answer:
    so has an answer of ours that is turned down.
    """

    def __init__(self, to, parameters):
        from opto.optimizers import OptoPrime
        from opto.utils.llm import CustomLLM

        os.environ.update(
            TRACE_CUSTOMLLM_MODEL=to["model"], TRACE_CUSTOMLLM_URL=to["url"], TRACE_CUSTOMLLM_API_KEY=to["key"]
        )
        self.package = OptoPrime(parameters, llm=CustomLLM(), max_tokens=to["max_tokens"])
        self.failures = 0

    def step(self, output, feedback):
        """Feedback on an output, and one step."""
        self.package.zero_feedback()
        self.package.backward(output, feedback)
        try:
            self.package.step(verbose=False)
            self.failures = 0
        except Exception as error:
            self.failures += 1
            if budget_behind(error) or self.failures >= FAILURES:
                raise


def texts(job):
    """One example after another, as in the BBH example of the package: where the answer is wrong the text is changed.

    The best on the validation set is the result. Every text is validated as it comes, while the calls last: none is
    asked for whose validation could not be paid.
    """
    from opto.trace import bundle, node
    from opto.trace.nodes import GRAPH

    instruction = node(job.start, name="instruction", trainable=True, constraint=job.given["description"])

    def ask(instruction, problem):
        return job.answer(instruction, problem)

    ask.__qualname__ = "ask"
    ask = bundle(description="[ask] Gives the instruction and a problem to a language model, returns its reply.")(ask)
    optimizer = Optimizer(job.given["optimizer"], [instruction])
    validated, left = {}, job.given["agent_calls"]

    def validate():
        nonlocal left
        text = instruction.data
        if text not in validated:
            left -= len(job.validation)
            rows = job.evaluate(text, job.validation)
            validated[text] = sum(row["score"] for row in rows) / len(rows)
            best = max(validated, key=validated.get)
            job.tell(values={"instruction": best}, score=validated[best])

    validate()
    kept = 0
    for example in itertools.cycle(job.search):
        if left < 1 + len(job.validation):
            return f"{left} calls of the agent are left, too few for another text and its validation"
        GRAPH.clear()
        left -= 1
        reply = ask(instruction, example["input"])
        said = job.score(example, reply.data)
        before = instruction.data
        if said["score"] < 1:
            feedback = (
                f"The answer is wrong. We expect {example['target']!r}. {said['feedback']} "
                "Please modify the instruction."
            )
            optimizer.step(reply, feedback)
            validate()
        elif kept + 1 >= 2 * len(job.search):
            return "two rounds without a mistake or a change"
        kept = kept + 1 if instruction.data == before else 0


def numbers(job):
    """All problems, some at once, each in a process of its own, since the package has one graph a process."""
    import opto.optimizers
    import opto.utils.llm  # noqa: F401  # once, before the processes part

    with multiprocessing.get_context("fork").Pool(8) as pool:
        ended = pool.map(number, [(str(job.path), p) for p in job.given["problems"]], chunksize=1)
    return "; ".join(ended)


def number(given):
    """One problem: evaluate, tell score and direction, step; until it is right, or has had candidates or answers."""
    from opto.trace import node
    from opto.trace.nodes import GRAPH

    path, problem = given
    job = Job(path)
    nodes = {
        name: node(value, name=name, trainable=True, constraint="a whole number from -20 to 20")
        for name, value in problem["start"].items()
    }
    optimizer = Optimizer(job.given["optimizers"][problem["problem"]], list(nodes.values()))
    referee, known = job.given["referee"], {}
    try:
        while True:
            GRAPH.clear()
            values = {name: n.data for name, n in nodes.items()}
            steps = dict(nodes)
            for i, (name, left, right) in enumerate(problem["program"]):
                a, b = (steps[o] if isinstance(o, str) else o for o in (left, right))
                steps[f"v{i}"] = a + b if name == "add" else a - b if name == "sub" else a * b
            output = steps[f"v{len(problem['program']) - 1}"]
            key = tuple(values.items())
            if key not in known:
                known[key] = post(referee["url"], referee["key"], {"problem": problem["problem"], "values": values})
            said = known[key]
            if said["score"] >= 1:
                return "solved"
            if said["left"] <= 0:
                return "candidates used"
            optimizer.step(output, said["feedback"])
    except BudgetEnded:
        return "candidates used"
    except Exception as error:
        return "answers used" if budget_behind(error) else f"failed: {type(error).__name__}: {str(error)[:200]}"


if __name__ == "__main__":
    main(lambda job: numbers(job) if "problems" in job.given else texts(job))
