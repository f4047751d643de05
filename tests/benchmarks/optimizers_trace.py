"""Trace's OptoPrime on a text or on numbers. Runs in the environment of trace-opt."""

from __future__ import annotations

import itertools
import multiprocessing
import os

from optimizers_peer import BudgetEnded, Job, budget_behind, main, post


def optoprime(job, parameters):
    """OptoPrime with its defaults, its model behind the gateway."""
    from opto.optimizers import OptoPrime
    from opto.utils.llm import CustomLLM

    to = job.given["optimizer"]
    os.environ.update(
        TRACE_CUSTOMLLM_MODEL=to["model"], TRACE_CUSTOMLLM_URL=to["url"], TRACE_CUSTOMLLM_API_KEY=to["key"]
    )
    return OptoPrime(parameters, llm=CustomLLM(), max_tokens=to["max_tokens"])


def texts(job):
    """One example after another, as in the BBH example of the package: right, and the text is validated; wrong, and it
    is changed. The best on the validation set is the result."""
    from opto.trace import bundle, node
    from opto.trace.nodes import GRAPH

    instruction = node(
        job.start, name="instruction", trainable=True,
        constraint="what the model is told before each problem; " + job.given["constraint"],
    )  # fmt: skip

    def ask(instruction, problem):
        return job.answer(instruction, problem)

    ask.__qualname__ = "ask"
    ask = bundle(description="[ask] Gives the instruction and a problem to a language model, returns its reply.")(ask)
    optimizer = optoprime(job, [instruction])
    validated = {}

    def validate():
        text = instruction.data
        if text not in validated:
            rows = job.evaluate(text, job.validation)
            validated[text] = sum(row["score"] for row in rows) / len(rows)
            if validated[text] >= max(validated.values()):
                best = max(validated, key=validated.get)
                job.tell(values={"instruction": best}, score=validated[best])

    kept = 0
    for example in itertools.cycle(job.search):
        GRAPH.clear()
        reply = ask(instruction, example["input"])
        said = job.score(example, reply.data)
        if said["score"] >= 1:
            validate()
            kept += 1
            if kept >= 2 * len(job.search):
                return "two rounds without a mistake or a change"
            continue
        if len(validated) < 2:
            validate()
        feedback = (
            f"The answer is wrong. We expect {example['target']!r}. {said['text']} Please modify the instruction."
        )
        before = instruction.data
        optimizer.zero_feedback()
        optimizer.backward(reply, feedback)
        optimizer.step(verbose=False)
        kept = kept + 1 if instruction.data == before else 0
    return "finished"


def numbers(job):
    """All problems, some at once, each in a process of its own, since the package has one graph a process."""
    import opto.optimizers
    import opto.utils.llm  # noqa: F401  # once, before the processes part

    with multiprocessing.get_context("fork").Pool(8) as pool:
        ended = pool.map(number, [(str(job.path), p) for p in job.given["problems"]], chunksize=1)
    return "; ".join(ended)


def number(given):
    """One problem: evaluate, say larger or smaller, step; until it is right, or has had its candidates."""
    from opto.trace import node
    from opto.trace.nodes import GRAPH

    path, problem = given
    job = Job(path)
    nodes = {
        name: node(value, name=name, trainable=True, constraint="a whole number from -20 to 20")
        for name, value in problem["start"].items()
    }
    optimizer = optoprime(job, list(nodes.values()))
    referee, empty, known = job.given["referee"], 0, {}
    try:
        while empty < 5:
            GRAPH.clear()
            values = {name: n.data for name, n in nodes.items()}
            steps = dict(nodes)
            for i, (name, left, right) in enumerate(problem["program"]):
                a, b = (steps[o] if isinstance(o, str) else o for o in (left, right))
                steps[f"v{i}"] = a + b if name == "add" else a - b if name == "sub" else a * b
            output = steps[f"v{len(problem['program']) - 1}"]
            key = tuple(values.items())
            if key in known:
                empty += 1
            else:
                known[key] = post(referee["url"], referee["key"], {"problem": problem["problem"], "values": values})
                empty = 0
            said = known[key]
            if said["score"] >= 1:
                return "solved"
            if said["left"] <= 0:
                return "candidates used"
            optimizer.zero_feedback()
            optimizer.backward(output, said["text"])
            optimizer.step(verbose=False)
    except BudgetEnded:
        return "budget"
    except Exception as error:
        return "budget" if budget_behind(error) else f"failed: {type(error).__name__}: {str(error)[:200]}"
    return "nothing new five times"


if __name__ == "__main__":
    main(lambda job: numbers(job) if "problems" in job.given else texts(job))
