"""Every example in the docstrings of the library runs."""

from __future__ import annotations

import doctest
import importlib
import re
from pathlib import Path

import pytest

import agentopt
from agentopt.errors import MissingDependency

PACKAGE = Path(agentopt.__file__).resolve().parent
EXAMPLE = re.compile(r"^ *>>> ", re.MULTILINE)
OPTIONS = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE | doctest.IGNORE_EXCEPTION_DETAIL


def modules_with_examples() -> list[str]:
    """Dotted names of the modules that have an example; the template and the shipped workspace are no modules."""
    names = []
    for path in sorted(PACKAGE.rglob("*.py")):
        inside = path.relative_to(PACKAGE)
        if {"template", "_workspace"} & set(inside.parts) or not EXAMPLE.search(path.read_text(encoding="utf-8")):
            continue
        names.append(".".join(("agentopt", *inside.with_suffix("").parts)).removesuffix(".__init__"))
    return names


@pytest.mark.parametrize("name", modules_with_examples())
def test_examples(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        module = importlib.import_module(name)
    except (ImportError, MissingDependency) as problem:
        if str(problem).split("'")[1:2] and not str(problem).split("'")[1].startswith("agentopt"):
            pytest.skip(f"{name} needs an extra that is not installed: {problem}")
        raise
    monkeypatch.chdir(tmp_path)
    failed, tried = doctest.testmod(module, optionflags=OPTIONS)
    assert tried > 0
    assert failed == 0
