"""Evals as tasks of inspect-ai: our graph is the solver, our scorer the scorer, inspect's model answers.

In a file of one's own::

    from inspect_ai import task
    from agentopt.export.inspect_task import as_inspect

    @task
    def sums():
        return as_inspect("sums_by_carry")

then ``inspect eval FILE.py --model ...``. Evals of the workspace and the built-in ones are there without a file, as
``inspect eval agentopt/NAME``.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

from agentopt._aio import in_thread
from agentopt.core import Block, Graph, Node, Override, Trace, open_run
from agentopt.core.values import Candidate
from agentopt.errors import LLMError
from agentopt.evaluate import Eval, Example
from agentopt.evaluate.clusters import clusters_of
from agentopt.evaluate.scoring import ScorerError, takes_trace
from agentopt.export.inspect_log import KEY, SCORE, failure, library, text_of
from agentopt.export.inspect_place import TaskPlace
from agentopt.llm.context import Session, use_session
from agentopt.llm.types import Request, Response, Text, ToolCall, Usage
from agentopt.run.blame import blame, causes
from agentopt.run.config import RunConfig
from agentopt.run.evaluation import examples_of
from agentopt.run.past import PastTrace
from agentopt.run.setup import task_of
from agentopt.run.target import Target, jsonable, value_of
from agentopt.workspace import load_eval, load_graph, prompt_text

__all__ = ["InspectClient", "as_inspect"]


def as_inspect(pinned: Eval | str, *, graph: str | None = None) -> Any:
    """A task of inspect-ai that measures what an eval measures, under its protocol.

    Examples, repeats (inspect's epochs), caps and temperature are those of the eval; the standard error is by its
    clusters (those of the examples where it has no ``group``), and the table by its types. Parts of the score stand in
    each score's metadata.

    A program that fails, or that a limit of inspect ends, has the lowest score, with the reason as the explanation. A
    model that cannot be reached and a scorer that breaks down are errors of their sample, which does not count; they
    end the task only where ``--fail-on-error`` says so.

    Args:
        pinned: an ``Eval``, or its name.
        graph: another graph than the eval's.

    Raises:
        MissingDependency: inspect-ai is not installed.
        UsageError: what the eval names cannot be had.
    """
    inspect, dataset, model, scorer = library(""), library("dataset"), library("model"), library("scorer")
    chosen = load_eval(pinned) if isinstance(pinned, str) else pinned
    named = graph or chosen.graph
    config = RunConfig(graph=named, task=chosen.task, task_args=dict(chosen.task_args), seed=chosen.seed)
    task = task_of(config)
    splits = task.splits(limit=chosen.limit, of=chosen.split, seed=chosen.seed)
    examples = examples_of(splits, chosen.split)
    clusters = clusters_of(examples, chosen.group)
    samples = []
    for example in examples:
        labels = {"type": chosen.by and chosen.by(example)}
        if clusters:  # inspect wants one of every sample
            labels["cluster"] = clusters.get(example.id, example.id)
        kept = {name: str(label) for name, label in labels.items() if label is not None}
        samples.append(
            dataset.Sample(
                id=example.id, input=text_of(example.input) or " ", target=text_of(example.target),
                metadata={**kept, KEY: {"example": example.model_dump(mode="json")}},
            )
        )  # fmt: skip
    metrics = [scorer.mean(), scorer.stderr(cluster="cluster" if clusters else None)]
    if chosen.by is not None:
        metrics.append(scorer.grouped(scorer.mean(), "type", all=False))
    held: dict[str, Trace] | None = {} if takes_trace(task.scorer) else None
    place = TaskPlace(chosen.name, config, task.scorer)
    return inspect.Task(
        dataset=dataset.MemoryDataset(samples, name=task.name),
        solver=_solver(chosen, Target(load_graph(named), named), held, place),
        scorer=_scorer(task, chosen, metrics, held, place),
        name=chosen.name, version=chosen.version, epochs=chosen.repeats,
        config=model.GenerateConfig(max_tokens=chosen.max_tokens, temperature=chosen.temperature),
        fail_on_error=False,
    )  # fmt: skip


class InspectClient:
    """Requests to the model that ``inspect eval --model`` names, answered by inspect."""

    def __init__(self) -> None:
        self.failed: dict[str, LLMError] = {}
        """What brought no answer, by the request's hash, and has not been asked again with success."""

    async def complete(self, request: Request) -> Response:
        """Answer one request.

        Raises:
            LLMError: it asks for what is not passed on (pictures, tools, a form of the answer), or inspect brings no
                answer.
        """
        try:
            response = await self._answer(request)
        except LLMError as problem:
            self.failed[request.hash] = problem
            raise
        self.failed.pop(request.hash, None)
        return response

    async def _answer(self, request: Request) -> Response:
        model = library("model")
        if request.tools or request.json_schema is not None:
            raise LLMError("a task of inspect-ai passes on texts only: this graph offers tools, or asks for JSON")
        config = model.GenerateConfig(
            max_tokens=request.max_tokens, temperature=request.temperature, top_p=request.top_p, seed=request.seed,
            stop_seqs=list(request.stop) or None,
        )  # fmt: skip
        messages = [_message(model, m) for m in request.messages]
        try:
            output = await model.get_model().generate(messages, config=config)
        except Exception as problem:  # of whatever provider
            raise LLMError(f"{type(problem).__name__}: {problem}") from problem
        used = output.usage
        usage = Usage(reported=False)
        if used is not None:
            read = used.input_tokens + (used.input_tokens_cache_read or 0)
            usage = Usage(input_tokens=read, output_tokens=used.output_tokens)
        finish: Any = {"stop": "stop", "max_tokens": "length", "content_filter": "content_filter"}
        return Response(
            text=output.completion, finish=finish.get(str(output.stop_reason), "unknown"), usage=usage,
            endpoint=f"inspect/{output.model}", tool_calls=tuple(_call(c) for c in output.message.tool_calls or ()),
        )  # fmt: skip


def _message(model: Any, message: Any) -> Any:
    content = message.content
    if not isinstance(content, str):
        if any(not isinstance(part, Text) for part in content):
            raise LLMError("a task of inspect-ai passes on texts only: this graph sends a picture")
        content = "".join(part.text for part in content)
    kind = {"system": "ChatMessageSystem", "user": "ChatMessageUser", "assistant": "ChatMessageAssistant"}
    if message.role not in kind:
        raise LLMError("a task of inspect-ai passes on texts only: this graph gives a tool's answer")
    return getattr(model, kind[message.role])(content=content)


def _call(call: Any) -> ToolCall:
    return ToolCall(id=call.id, name=call.function, arguments=json.dumps(call.arguments))


def _solver(pinned: Eval, target: Target, held: dict[str, Trace] | None, place: TaskPlace) -> Any:
    """Our graph on the example of a sample; its output goes into the state, as text and, whole, as metadata.

    Where the scorer reads traces, the live one goes into ``held``, and its graph into the metadata: a log that inspect
    scores anew has that. Of a graph that fails the metadata has status and error; a failure of the program is scored,
    any other is the sample's error.
    """
    solver, model, limits = library("solver"), library("model"), library("util").LimitExceededError
    candidate = Candidate(values=dict(pinned.values), origin="baseline")

    async def solve(state: Any, generate: Any) -> Any:
        kept, client = state.metadata[KEY], InspectClient()
        example = Example.model_validate(kept["example"])
        session = _session(pinned, state, client)
        try:
            async with place.entered():
                with open_run(), Override(dict(pinned.values)), Trace() as trace, use_session(session):
                    given = await target.call(example.input)
                    trace.output = given if isinstance(given, Node) else None
                    shown = jsonable(value_of(given))
            for hidden in client.failed.values():  # the program went on as if all were well
                raise hidden
        except (Exception, SystemExit) as problem:
            if limit := next((c for c in causes(problem) if isinstance(c, limits)), None):
                raise limit from None
            kept["status"] = "infra_error"  # also where it is a mistake of the caller, which is raised
            kept["status"], kept["error"] = blame(problem, candidate)
            if kept["status"] != "agent_error":
                raise
            return state
        kept["output"] = shown
        if held is not None:
            graph = json.dumps(trace.graph.to_json(), ensure_ascii=False, default=repr)
            kept["trace"] = json.loads(graph.encode("utf-8", "backslashreplace"))
            held[state.uuid] = trace
        state.output = model.ModelOutput.from_content(str(state.model), text_of(shown))
        state.messages.append(state.output.message)
        return state

    def agentopt_graph() -> Callable[..., Any]:
        return solve

    return solver.solver(name=f"agentopt_{target.name.rpartition('@')[2]}")(agentopt_graph)()


def _session(pinned: Eval, state: Any, client: InspectClient) -> Session:
    """Inspect's model, asked as the eval says."""
    defaults = {"max_tokens": pinned.max_tokens, "repeat": state.epoch - 1}
    if pinned.temperature is not None:
        defaults["temperature"] = pinned.temperature
    models = {"agent": "inspect", "judge": "inspect"}
    return Session(client, models, defaults, loop=asyncio.get_running_loop(), prompt=prompt_text)


def _scorer(task: Any, pinned: Eval, metrics: list[Any], held: dict[str, Trace] | None, place: TaskPlace) -> Any:
    """Our scorer on what the graph gave."""
    scorer = library("scorer")

    async def score(state: Any, target: Any) -> Any:
        kept = state.metadata[KEY]
        if "output" not in kept:
            status = kept.get("status", "timeout")
            told = kept.get("error", "a limit of inspect has ended it")
            return None if status == "infra_error" else failure(task.score_range[0], status, told)
        trace: Any = held.pop(state.uuid, None) if held is not None else None
        if trace is None and "trace" in kept:
            trace = PastTrace(Graph.from_json(kept["trace"]))
        judge = replace(_session(pinned, state, InspectClient()), role="judge")
        async with place.entered():
            with open_run(), Block(), use_session(judge):
                example = Example.model_validate(kept["example"])
                said = await task.ascore(example, kept["output"], trace, aside=in_thread)
        if isinstance(said, ScorerError):
            raise RuntimeError(said.text)
        if said.score is None:
            return None
        answer = text_of(kept["output"])
        return scorer.Score(value=said.score, answer=answer, explanation=said.text or None, metadata=dict(said.parts))

    def agentopt_score() -> Callable[..., Any]:
        return score

    return scorer.scorer(metrics=metrics, name=SCORE)(agentopt_score)()
