"""Which program a reply gives, and whether it is whole."""

from __future__ import annotations

import textwrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agentopt.evaluate.modelling.replies import find_program, imports_of

WHOLE = "from pyscipopt import Model\n\nm = Model()\nx = m.addVar('x', ub=3)\nprint({'x': 3})\n"
OTHER = "import json\n\nprint(json.dumps({'x': 4}))\n"
IN_A_FUNCTION = "import json\n\ndef solve():\n    res = 3\n    return res\n\nprint(json.dumps({'x': solve()}))\n"
MODEL = "import json\n\ndef solve():\n    return {'x': 3}\n"


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
    ("blocks", "form", "code"),
    [
        ((WHOLE, "y = model.addVar(vtype='I')\n"), "several", WHOLE),  # of a name that is not there
        ((WHOLE, "y = m.addVar(vtype='I')\n"), "several", WHOLE),  # nothing that could answer
        ((IN_A_FUNCTION, "print(res)\n"), "several", IN_A_FUNCTION),  # of a name that lives in a function
        ((WHOLE, "print(m.getObjVal())\n", "print(model.getStatus())\n"), "joined", WHOLE + "\nprint(m.getObjVal())\n"),
        (("import json\nx = 2\n", "print(json.dumps(x))\n", "print(res.status)\n"), "joined",
         "import json\nx = 2\n\nprint(json.dumps(x))\n"),
        ((MODEL, "print(json.dumps(solve()))\n"), "joined", MODEL + "\nprint(json.dumps(solve()))\n"),
        ((MODEL + "def main():\n    print(solve())\n", "main()\n"), "joined",
         MODEL + "def main():\n    print(solve())\n\nmain()\n"),
        (("model.addVar()\n", WHOLE), "several", WHOLE),
        (("x = [n for n in a]\n", "print(x, lost)\n"), "joined", "x = [n for n in a]\n\nprint(x, lost)\n"),
    ],
)  # fmt: skip
def test_a_remark_below_a_program_is_no_part_of_it(blocks: tuple[str, ...], form: str, code: str) -> None:
    found = find_program("Or:\n".join(map(fence, blocks)))
    assert (found.form, found.code, found.blocks) == (form, code, len(blocks))


@pytest.mark.parametrize(
    "used",
    [
        "[print(a, b) for a, b in []]", "f = lambda n: n + m", "print((x := 3), x)", "for __file__ in []: pass",
        "def f(*a, **b):\n    global z\n    z = 1\nprint(z)",
        "class C:\n    t = 1\n    def f(self): return __class__, m",
        "try:\n    import q\nexcept ImportError as w:\n    print(w)\n    q = None\nprint(q)",
        "import a.b as c, d.e\nc, d",
        "match m:\n    case [p, *q]:\n        print(p, q)",
    ],
)  # fmt: skip
def test_names_are_looked_up_as_python_does(used: str) -> None:
    whole = f"import sys\nm = 1\n{used}\nprint(sys)\n"
    assert find_program(fence(WHOLE) + fence(whole)).code == whole
    assert find_program(fence(WHOLE) + fence(f"{whole}print(k)\ndef g():\n    k = 1\n")).code == WHOLE


@pytest.mark.parametrize(
    "reply",
    [
        f"~~~python\n{WHOLE}~~~\nDone.",
        f"~~~\n{WHOLE}~~~",
        f"````python\n{WHOLE}````",
        f"```python\n{WHOLE}````",
        f'```python title="a.py"\n{WHOLE}```',
        f"```{{python}}\n{WHOLE}```",
        f"```{{.python .numberLines}}\n{WHOLE}```",
        f"```py\n{WHOLE}```",
        f"``` Python3 \n{WHOLE}``` \n",
        f"```python:solve.py\n{WHOLE}```",
        f"Here: ```python\n{WHOLE}```",
        "- Solve it:\n\n" + textwrap.indent(fence(WHOLE), "      ") + "\n- Done.",
        "1. " + textwrap.indent(fence(WHOLE), "   ").lstrip(),
        f"It prints with ```print```\n{fence(WHOLE)}",
        f"```python\n{WHOLE}```output\n{{'x': 3}}\n```",
        f"```python\nimport math\n```python\n{WHOLE}```",
        f"~~~~python\n{WHOLE}~~~~\nIn short ~~~ and ``` are fences.",
    ],
)
def test_fences_are_read_as_in_markdown(reply: str) -> None:
    assert find_program(reply).code == WHOLE


def test_a_longer_fence_holds_shorter_ones() -> None:
    code = f"text = '''\n```\nx\n```\n'''\n{WHOLE}"
    assert find_program(f"````python\n{code}````").code == code
    assert find_program(f"~~~python\n{code}~~~").code == code


@pytest.mark.parametrize(
    "reply",
    [
        f"<code>\n{WHOLE}</code>\nDone.",
        f"<code>{WHOLE}</code>",
        f'<pre><code class="language-python">\n{WHOLE}</code></pre>',
        f"<python>\n{WHOLE}</python>",
        f"It is <code>m</code>:\n<answer>\n{WHOLE}\n</answer>",
        f"<answer>\n```python\n{WHOLE}```\n</answer>",
        f"<code>\nimport math\nprint(1)\n</code>\nBetter:\n<code>\n{WHOLE}</code>",
        f"<code>\n{WHOLE}",
        f"{WHOLE}\nHere <code>m</code> is the model.",
    ],
)
def test_a_program_in_a_tag_ends_with_it(reply: str) -> None:
    assert find_program(reply).code == WHOLE


def test_a_tag_that_was_closed_was_not_cut() -> None:
    assert find_program(f"<code>\n{WHOLE}</code>", truncated=True).form == "bare"
    assert find_program(f"<code>\n{WHOLE}", truncated=True).form == "cut_off"
    assert find_program("<code>\nimport math\nprint(math.sqrt(").form == "cut_off"
    assert find_program("~~~python\nimport math\nprint(math.sqrt(").form == "cut_off"


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


@given(st.text(alphabet="`~python\n x=1(){}'\"#:<think>/", max_size=80))
def test_no_reply_raises(reply: str) -> None:
    find_program(reply)


@pytest.mark.parametrize(
    ("reply", "form"),
    [
        (fence("\n" * 6000 + "x\n"), "one"),
        ("import os\n\n" + "x = 1\n\n" * 2500 + "print((\n", "cut_off"),
        (fence("print(x)\n") * 3000, "joined"),
        ("<code>\nimport x " * 3000, "none"),
        ("`" * 50_000 + "x`\n" + "- " * 50_000 + "~", "none"),
    ],
)
def test_a_reply_that_is_made_to_take_long_does_not(reply: str, form: str) -> None:
    assert find_program(reply).form == form  # these took minutes


def test_sentences_below_bare_code_are_left_out_of_a_long_reply_too() -> None:
    code = "import json\n\n" + "".join(f"x{i} = {i}\n\n" for i in range(300)) + "print(json.dumps({'x': x1}))\n"
    assert find_program(f"{code}\nThis finds x.\n").code == code
