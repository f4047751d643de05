"""A trained function in its file: found and written back as what was measured, whatever else the file has."""

from __future__ import annotations

import ast
import runpy
from pathlib import Path
from typing import Any

import pytest

from agentopt.cli.apply import _write, changes
from agentopt.errors import UsageError
from agentopt.workspace.loader import load_file
from agentopt.workspace.rewriting import function_in, replaced
from agentopt.workspace.roots import Workspace

BODY = "def f(x):\n    return x"


def changed(path: Path, old: str, new: str, name: str = "f") -> Any:
    """What ``apply`` finds to do for a run that changed a function of a file."""
    place = f"{name}.code"
    record = {"baseline": {place: old}, "values": {place: new}, "files": {place: str(path)}}
    (change,) = changes(record)
    return change


def values(path: Path) -> dict[str, Any]:
    return runpy.run_path(str(path))


@pytest.mark.parametrize("odd", ["\u2028", "\u2029", "\x0c", "\x1c", "\x85", "\x0b"])
def test_a_text_with_a_rare_separator_is_written_as_it_is(tmp_path: Path, odd: str) -> None:
    path = tmp_path / "a.py"
    path.write_text(f"{BODY}\n\n\nAFTER = 1\n")
    change = changed(path, BODY, f"def f(x):\n    return {f'a{odd}b'!r}".replace(ascii(odd)[1:-1], odd))
    assert odd in change.new
    _write(change)
    assert values(path)["f"](0) == f"a{odd}b"
    assert changed(path, BODY, change.new).done


def test_a_form_feed_before_a_function_is_no_drift(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text(f"A = 1\n\x0c\n{BODY}\n")
    change = changed(path, BODY, "def f(x):\n    return 2")
    assert not change.drifted
    _write(change)
    assert path.read_text() == "A = 1\n\x0c\ndef f(x):\n    return 2\n"


def test_the_line_ends_of_a_file_stay(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_bytes(b"A = '''1\r\n2'''\r\n\r\ndef f(x):\r\n    return x\r\n\r\nB = 2\r\n")
    change = changed(path, BODY, "import math\n\ndef f(x):\n    return math.e")
    assert not change.drifted
    assert not any(line.endswith("\r") for line in change.diff())
    _write(change)
    assert path.read_bytes() == (
        b"A = '''1\r\n2'''\r\n\r\nimport math\r\n\r\n\r\ndef f(x):\r\n    return math.e\r\n\r\nB = 2\r\n"
    )


METHOD = """from agentopt import trainable


class Agent:
    @trainable
    def ask(self, x):
        '''Ask.

        More of it.
        '''
        return '''one
            two
three''' + x


LAST = 1
"""


def test_the_texts_of_a_method_are_what_they_are_in_its_file(tmp_path: Path) -> None:
    (tmp_path / "agentopt.toml").touch()
    path = tmp_path / "a.py"
    path.write_text(METHOD)
    loaded = load_file(Workspace(tmp_path), path)
    source = loaded.Agent.ask.__agentopt__.source
    assert "return '''one\n            two\nthree'''" in source
    assert "'''Ask.\n\n    More of it.\n    '''" in source, "docstrings move with their code"
    assert function_in(METHOD, "Agent.ask") == source
    new = source.replace("+ x", "+ str(x)")
    _write(changed(path, source, new, "Agent.ask"))
    assert path.read_text() == METHOD.replace("+ x", "+ str(x)")
    assert changed(path, source, new, "Agent.ask").done


def test_what_a_method_needs_is_written_where_it_finds_it(tmp_path: Path) -> None:
    path = tmp_path / "a.py"
    path.write_text("class A:\n    def f(self):\n        return 1\n\n    B = 2\n\n\nC = 3\n")
    _write(changed(path, "def f(self):\n    return 1", "import math\n\ndef f(self):\n    return h()\n\ndef h():\n"
                   "    return math.e", "A.f"))  # fmt: skip
    space = values(path)
    assert space["A"]().f() == values(path)["math"].e
    assert (space["A"].B, space["C"]) == (2, 3)


def test_decorators_of_the_file_and_of_the_candidate(tmp_path: Path) -> None:
    made = replaced(f"@outer\n{BODY}\n", "f", f"from functools import cache\n\n@cache\n{BODY}")
    assert made == f"from functools import cache\n\n\n@outer\n@cache\n{BODY}\n"


def test_tabs(tmp_path: Path) -> None:
    made = replaced("class A:\n\tdef f(x):\n\t\treturn x\n", "A.f", "def f(x):\n    return 2")
    assert made == "class A:\n\tdef f(x):\n\t    return 2\n"
    ast.parse(made)


@pytest.mark.parametrize(
    ("new", "said"),
    [
        (f"from __future__ import annotations\n\n{BODY}", "no program any more"),
        ("def g(x):\n    return x", "its source has no such function"),
    ],
)
def test_what_cannot_be_written_is_refused(new: str, said: str) -> None:
    with pytest.raises(UsageError, match=said):
        replaced(f"A = 1\n{BODY}\n", "f", new)


def test_the_last_definition_counts_and_what_comes_after_it_stays_after_it() -> None:
    new = f"{BODY}\n\n\ndef f(x, y):\n    return x\n\n\nprint(f)\n"
    assert replaced(f"{BODY}\n", "f", new) == new
