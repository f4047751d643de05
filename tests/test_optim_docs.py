"""The page on OptoPrime runs, and its tables are true."""

from __future__ import annotations

import inspect
import re
from pathlib import Path

from agentopt.core.constraints import KINDS
from agentopt.optim.invariants import RULES
from agentopt.optim.optoprime import OptoPrimeOptimizer
from agentopt.optim.registry import BUILTIN

PAGE = (Path(__file__).parent.parent / "docs" / "optoprime.md").read_text("utf-8")


def test_every_block_runs() -> None:
    blocks = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)
    assert len(blocks) == 3
    for block in blocks:
        exec(compile(block, "docs/optoprime.md", "exec"), {})  # noqa: S102  the page is ours


def test_the_tables_name_what_there_is() -> None:
    first = set(re.findall(r"^\| `(\w+)` \|", PAGE, re.MULTILINE))
    options = set(inspect.signature(OptoPrimeOptimizer).parameters) - {"off"}
    assert first == {*BUILTIN, *RULES, "duplicate", *options}


def test_the_defaults_are_told() -> None:
    for name, parameter in inspect.signature(OptoPrimeOptimizer).parameters.items():
        told = re.search(rf"^\| `{name}` \| (.*?) \|", PAGE, re.MULTILINE)
        if told and name == "kinds":
            assert told[1] == "all but " + " and ".join(kind for kind in KINDS if kind not in parameter.default)
        elif told:
            assert told[1].strip("`").lower() == str(parameter.default).lower()
