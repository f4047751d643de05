"""A stand-in for the package trace-opt, as far as ``tests/benchmarks/optimizers_trace.py`` uses it.

Its optimizer asks the model that it is given over HTTP, as the package does, and takes ``suggestion`` of the answer. So
the loop around it can be tested where the package is not installed.
"""

from __future__ import annotations

import json
import os
import sys
import urllib.request

sys.modules.update(
    dict.fromkeys(
        ("opto.trace", "opto.trace.nodes", "opto.optimizers", "opto.utils", "opto.utils.llm"), sys.modules[__name__]
    )
)


class Node:
    """A value with a name, and the arithmetic of the numerical problems."""

    def __init__(self, data, name="", constraint=""):
        self.data, self.name, self.constraint = data, name, constraint

    def __add__(self, other):
        return Node(self.data + getattr(other, "data", other))

    def __sub__(self, other):
        return Node(self.data - getattr(other, "data", other))

    def __mul__(self, other):
        return Node(self.data * getattr(other, "data", other))

    __radd__ = __add__
    __rmul__ = __mul__

    def __rsub__(self, other):
        return Node(other - self.data)


def node(data, name, trainable, constraint):
    """A parameter."""
    return Node(data, name, constraint)


def bundle(description):
    """A function of values as one of nodes."""
    return lambda function: lambda *given: Node(function(*(getattr(g, "data", g) for g in given)))


class GRAPH:
    """There is none."""

    @staticmethod
    def clear():
        """Nothing."""


class CustomLLM:
    """The model that the environment names."""

    def __init__(self):
        self.url, self.key = os.environ["TRACE_CUSTOMLLM_URL"], os.environ["TRACE_CUSTOMLLM_API_KEY"]
        self.model = os.environ["TRACE_CUSTOMLLM_MODEL"]

    def ask(self, text, max_tokens):
        """An answer; ``RuntimeError`` where the server refuses."""
        body = {"model": self.model, "messages": [{"role": "user", "content": text}], "max_tokens": max_tokens}
        headers = {"Content-Type": "application/json", "Authorization": f"Bearer {self.key}"}
        request = urllib.request.Request(self.url + "/chat/completions", json.dumps(body).encode(), headers)
        try:
            with urllib.request.urlopen(request, timeout=60) as answer:
                return json.loads(answer.read())["choices"][0]["message"]["content"]
        except urllib.error.HTTPError as error:
            raise RuntimeError(error.read().decode()) from None


class OptoPrime:
    """Shows variables, constraints, output and feedback; raises where a suggestion is of another type."""

    def __init__(self, parameters, llm, max_tokens):
        self.parameters, self.llm, self.max_tokens, self.told = parameters, llm, max_tokens, ""

    def zero_feedback(self):
        """Forget."""
        self.told = ""

    def backward(self, output, feedback):
        """Take feedback."""
        self.told = f"#Outputs\n{output.data}\n\n#Feedback\n{feedback}"

    def step(self, verbose):
        """One answer, and the values in it."""
        shown = "\n".join(f"({type(p.data).__name__}) {p.name}={p.data}" for p in self.parameters)
        limits = "\n".join(f"{p.name}: {p.constraint}" for p in self.parameters)
        text = f"#Variables\n{shown}\n\n#Constraints\n{limits}\n\n{self.told}"
        suggestion = json.loads(self.llm.ask(text, self.max_tokens))["suggestion"]
        for p in self.parameters:
            if p.name in suggestion:
                p.data = type(p.data)(suggestion[p.name])
