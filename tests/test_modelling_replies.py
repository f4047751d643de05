"""Which program a reply gives, and whether it is whole."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.evaluate.modelling.replies import find_program, imports_of

WHOLE = "from pyscipopt import Model\n\nm = Model()\nx = m.addVar('x', ub=3)\nprint({'x': 3})\n"
OTHER = "import json\n\nprint(json.dumps({'x': 4}))\n"


def fence(code: str, language: str = "python") -> str:
    return f"```{language}\n{code}```\n"


@pytest.mark.parametrize(
    ("reply", "form", "code"),
    [
        (f"Sure.\n{fence(WHOLE)}Done.", "one", WHOLE),
        (fence(WHOLE, "Python"), "one", WHOLE),
        (fence(WHOLE, ""), "one", WHOLE),
        (f"{fence(WHOLE)}\nNo, better:\n{fence(OTHER)}", "several", OTHER),
        (f"{fence('pip install pyscipopt' + chr(10), 'bash')}{fence(WHOLE)}", "one", WHOLE),
        (f"{fence('!pip install pyscipopt' + chr(10))}{fence(WHOLE)}", "one", WHOLE),
        (f"{fence(WHOLE)}It prints\n```\n{{'x': 3}}\n```", "one", WHOLE),
        (f"{fence(WHOLE)}Use it so:\n{fence('print(m.getObjVal())' + chr(10))}", "joined",
         WHOLE + "\nprint(m.getObjVal())\n"),
        ("First\n```python\nimport math\nx = 2\n```\nthen\n```python\nprint(math.sqrt(x))\n```", "joined",
         "import math\nx = 2\n\nprint(math.sqrt(x))\n"),
        (fence(WHOLE).replace("\n", "\r\n"), "one", WHOLE),
        ("1. Solve it:\n" + textwrap.indent(fence(WHOLE), "   "), "one", WHOLE),
        (WHOLE, "bare", WHOLE),
        (f"{WHOLE}\nThis program solves the problem, and prints it.", "bare", WHOLE),
        (f"```python\n{WHOLE}", "one", WHOLE),
        (f"<think>```python\nprint(1)\n```</think>{fence(WHOLE)}", "one", WHOLE),
    ],
)  # fmt: skip
def test_the_program_is_found(reply: str, form: str, code: str) -> None:
    found = find_program(reply)
    assert (found.form, found.code) == (form, code)


@pytest.mark.parametrize(
    "reply",
    [
        "", "The maximum profit is 3600.", "import duties are 5 dollars a table.", "```\nx >= 3\ny <= 4\n```",
        "```json\n{\"x\": 3}\n```", "```\nObjective: 3\n```", "```python\n```",
    ],
)  # fmt: skip
def test_a_reply_without_a_program(reply: str) -> None:
    assert find_program(reply).form == "none"


@pytest.mark.parametrize(
    "reply",
    [
        "```python\nfrom pyscipopt import Model\nm = Model()\nm.addCons(x +",
        "```python\nfrom pyscipopt import Model\nm = Model()\nfor i in range(3):",
        "```python\nprint('''abc",
        "from pyscipopt import Model\nm = Model()\nm.addCons(x +",
        "<think>Let x be the number of",
        f"{fence('x = 1' + chr(10))}and\n```python\nprint((x",
    ],
)
def test_a_reply_that_was_cut_off(reply: str) -> None:
    assert find_program(reply).form == "cut_off"


def test_a_whole_program_before_a_cut_one_is_taken() -> None:
    found = find_program(f"{fence(WHOLE)}Better:\n```python\nfrom pyscipopt import Mod")
    assert (found.form, found.code, found.blocks) == ("several", WHOLE, 2)


def test_a_reply_known_to_be_truncated_within_a_block_is_cut_off_even_where_it_parses() -> None:
    assert find_program("```python\nimport math\nprint(1)", truncated=True).form == "cut_off"
    assert find_program("```python\nimport math\nprint(1)\n```\nThis", truncated=True).form == "one"


def test_a_broken_program_that_is_whole_is_handed_on_to_crash() -> None:
    assert find_program(fence("import math\nx = = 3\nprint(x)\n")).form == "one"


def test_imports() -> None:
    assert imports_of(WHOLE) == ("pyscipopt",)
    assert imports_of("import os.path as p, sys\nfrom . import x\nfrom a.b import c\n") == ("a", "os", "sys")
    assert imports_of("import (") == ()


@given(st.text(alphabet="`python\n x=1(){}'\"#:<think>/", max_size=80))
def test_no_reply_raises(reply: str) -> None:
    find_program(reply)


@pytest.mark.parametrize(
    ("reply", "form"),
    [
        (fence("\n" * 6000 + "x\n"), "one"),
        ("import os\n\n" + "x = 1\n\n" * 2500 + "print((\n", "cut_off"),
    ],
)
def test_a_reply_that_is_made_to_take_long_does_not(reply: str, form: str) -> None:
    assert find_program(reply).form == form  # these took minutes


def test_sentences_below_bare_code_are_left_out_of_a_long_reply_too() -> None:
    code = "import json\n\n" + "".join(f"x{i} = {i}\n\n" for i in range(300)) + "print(json.dumps({'x': x1}))\n"
    assert find_program(f"{code}\nThis finds x.\n").code == code
