"""The front page of the package: few names, all of them lazy, none of them broken."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import agentopt

ROOT = Path(__file__).resolve().parents[1]


def test_few_names_and_all_of_them_work() -> None:
    assert len(agentopt.__all__) <= 44
    assert agentopt.__all__ == sorted(agentopt.__all__)
    for name in agentopt.__all__:
        assert callable(getattr(agentopt, name)), name


def test_type_checkers_see_the_same_names() -> None:
    tree = ast.parse(Path(agentopt.__file__).read_text(encoding="utf-8"))
    seen = {
        alias.asname or alias.name
        for block in tree.body
        if isinstance(block, ast.If)
        for line in block.body
        if isinstance(line, ast.ImportFrom)
        for alias in line.names
    }
    assert seen == set(agentopt.__all__) == set(agentopt._HOME)


def test_import_is_light_and_has_no_side_effects() -> None:
    script = (
        "import sys, os, threading\nbefore = dict(os.environ)\nimport agentopt\n"
        "mine = [m for m in sys.modules if m.startswith('agentopt.')]\n"
        "heavy = {'openai', 'litellm', 'networkx', 'numpy', 'pydantic', 'torch', 'rich'} & set(sys.modules)\n"
        "assert not mine, mine\nassert not heavy, heavy\nassert before == dict(os.environ)\n"
        "assert threading.active_count() == 1\n"
    )
    subprocess.run([sys.executable, "-I", "-c", script], check=True, cwd=ROOT)


def test_using_the_kernel_needs_no_client_library() -> None:
    script = (
        "import sys\nfrom agentopt import graph, node, Parameter, Trace, llm, prompt\n"
        "heavy = {'openai', 'litellm', 'networkx', 'scipy', 'torch'} & set(sys.modules)\nassert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


@pytest.mark.parametrize("name", ["llm", "evaluate"])
@pytest.mark.parametrize(
    "first", ["import agentopt.{name}", "from agentopt import {name}", "import agentopt.run.api", "import agentopt"]
)
def test_two_packages_can_be_called_whatever_was_imported_first(name: str, first: str) -> None:
    script = (
        f"{first.format(name=name)}\nimport agentopt\nfrom agentopt.{name} import __name__ as full\n"
        f"import agentopt.{name} as module\n"
        f"assert full == 'agentopt.{name}' and callable(agentopt.{name}) and module is agentopt.{name}\n"
        "try:\n    agentopt." + name + "(1, 2, 3, 4, nonsense=5)\n"
        "except TypeError as problem:\n    assert 'not callable' not in str(problem), problem\n"
        "except agentopt.UsageError:\n    pass\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, cwd=ROOT)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="has no attribute 'optimise'"):
        _ = agentopt.optimise  # type: ignore[attr-defined]
    assert "optimize" in dir(agentopt)
