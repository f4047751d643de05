"""Replies with planted faults, and right ones in unusual form: what each must come to.

Most are a right program, changed in one place.
"""

from __future__ import annotations

from typing import NamedTuple

__all__ = ["FAULTS", "UNUSUAL", "Fault"]


class Fault(NamedTuple):
    """A planted fault, or what a hasty reader would take for one."""

    name: str
    ends: str
    """``wrong`` (it runs and its figures are wrong), or the status that it must get; ``ok`` where it must score 1."""
    base: str = ""
    """A program of ``optibench_programs`` (of row 415 where there is none) ..."""
    old: str = ""
    new: str = ""
    """... in which this text is replaced by that one; all of it where ``old`` is empty and ``new`` is not."""
    reply: str = ""
    """The whole reply, where it is not just the program; ``{program}`` stands for it."""
    protocol: str = "json"


FENCED = "```python\n{program}```"
_A = "551_highspy"
_B = "239_pyscipopt"
_C = "452_pyomo"
_D = "415_scipy"
_E = "445_pyscipopt"  # lines below dashes
_PRINT = "print(dict(zip(NAMES, values)))"
_INTEGERS = 'If counts are whole:\n```python\nx = model.addVar(vtype="I")\n```'

FAULTS: tuple[Fault, ...] = (
    # Wrong models.
    Fault("a constraint is left out", "wrong", _A, "h.addConstr(3 * trains + 2 * planes <= 90)\n", ""),
    Fault("a coefficient is wrong", "wrong", _A, "8 * trains", "9 * trains"),
    Fault("a limit is wrong", "wrong", _B, "<= 12)", "<= 14)"),
    Fault("the direction is reversed", "wrong", _B, '"maximize"', '"minimize"'),
    Fault("counts are not whole", "wrong", _C, "pyo.NonNegativeIntegers", "pyo.NonNegativeReals"),
    Fault("an inequality is reversed", "wrong", _C, "2 * model.full_time >= model.students",
          "model.full_time >= 2 * model.students"),
    Fault("a sign is lost", "wrong", _D, "-found.fun]", "found.fun]"),
    Fault("two variables are swapped", "wrong", _D, "found.x[0], found.x[1]", "found.x[1], found.x[0]"),
    Fault("a lower bound is left out", "wrong", "294_pyomo", "bounds=(40, None)", "bounds=(0, None)"),
    Fault("a ratio is taken the wrong way", "wrong", "185_pyomo", '0.5 * m.money["townhouses"]',
          '2 * m.money["townhouses"]'),
    Fault("a share is of the wrong whole", "wrong", "247_pyscipopt", "0.3 * (seasonal + full_time)", "0.3 * full_time"),
    Fault("a fixed cost is forgotten", "wrong", "276_pyscipopt", " - 10 * y1 - 20 * y2", ""),
    Fault("the table is read off by a row", "wrong", "447_scipy", "[7.5, 4.5]", "[4.5, 7.5]"),
    Fault("a unit is wrong", "wrong", "185_pyomo", "0.10 *", "10 *"),
    Fault("a nonlinear term is made linear", "wrong", "227_pyscipopt", "r * t * t", "r * t"),
    Fault("a local optimum", "wrong", "453_pyscipopt", "lb=60", "lb=90"),
    Fault("a step is too coarse", "wrong", "408_numpy", "range(0, 21, 5)", "range(0, 21, 8)"),
    Fault("a figure is rounded too much", "wrong", "026_scipy", "values = [paper.x", "values = [round(paper.x, 2)"),
    Fault("a figure is 2e-4 off", "wrong", "225_numpy", "a(x)]", "a(x) + 2e-4]"),
    Fault("the cost is given in place of the profit", "wrong", "000_pyscipopt", "model.getObjVal()",
          "model.getObjVal() + 2000"),
    # Wrong answers from right models.
    Fault("the second of two programs is wrong", "wrong", _D,
          reply="```python\n{program}```\nBetter:\n```python\nimport json\nprint(json.dumps({\"The value of x1\": 1, "
                "\"The value of x2\": 2, \"The maximum value of x1 + x2\": 3}))\n```"),
    Fault("the first of two blocks is wrong, officially", "partial", _E, protocol="official",
          reply="```python\nprint('-' * 10)\nprint('tacos: 1')\n```\n```python\n{program}```"),
    Fault("an answer is guessed", "wrong", "", "", 'print({"The value of x1": 1, "The value of x2": 1, '
          '"The maximum value of x1 + x2": 2})'),
    Fault("a later object overrules the right one", "wrong", _D, "print(dict(zip(NAMES, values)))",
          "print(dict(zip(NAMES, values)))\nprint(dict(zip(NAMES, [0, 0, 0])))"),
    Fault("the second of two programs is wrong, in tildes", "wrong", _D,
          reply="~~~python\n{program}~~~\nBetter:\n~~~python\nimport json\nprint(json.dumps({\"The value of x1\": 1, "
                "\"The value of x2\": 2, \"The maximum value of x1 + x2\": 3}))\n~~~"),
    Fault("the end of a program overrules the right answer", "wrong", _D,
          reply="```python\n{program}```\nand\n```python\nprint(dict(zip(NAMES, [0, 0, 0])))\n```"),
    # Answers that are not all there or cannot be read.
    Fault("a figure is missing", "partial", _D, "dict(zip(NAMES, values))", "dict(list(zip(NAMES, values))[:2])"),
    Fault("other names", "no_answer", _D, "dict(zip(NAMES, values))", 'dict(zip("abc", values))'),
    Fault("nothing is printed", "no_answer", _D, "print(dict(zip(NAMES, values)))", "dict(zip(NAMES, values))"),
    Fault("a sentence is printed", "no_answer", _D, "print(dict(zip(NAMES, values)))", 'print("It is", sum(values))'),
    Fault("NaN", "unreadable", _D, "-found.fun]", 'float("nan")]'),
    Fault("infinity", "unreadable", _D, "-found.fun]", 'float("inf")]'),
    Fault("a solver's infinity", "unreadable", _D, "-found.fun]", "1e20]"),
    Fault("a list for a figure", "unreadable", _D, "found.x[0], found.x[1], -found.fun]",
          "list(found.x), found.x[1], -found.fun]"),
    Fault("two numbers for a figure", "unreadable", _D, "-found.fun]", '"4 or 5"]'),
    Fault("a decimal comma", "unreadable", _D, "-found.fun]", '"5,0"]'),
    Fault("null", "unreadable", _D, "-found.fun]", "None]"),
    # No optimum.
    Fault("an infeasible model, told", "infeasible", _B, "model.optimize()",
          "model.addCons(take[0] >= 2)\nmodel.optimize()\nif model.getStatus() != 'optimal':\n"
          "    print({'status': model.getStatus()})\n    raise SystemExit"),
    Fault("an infeasible model, not asked", "not_optimal", _B, "model.optimize()",
          "model.addCons(take[0] >= 2)\nmodel.optimize()"),
    Fault("an infeasible model in pyomo", "not_optimal", _C, "pyo.SolverFactory",
          "model.no = pyo.Constraint(expr=model.full_time <= 20)\npyo.SolverFactory"),
    Fault("an unbounded model, told", "unbounded", _D, "",
          "from scipy.optimize import linprog\nprint({'status': linprog([-1], bounds=[(0, None)]).message})"),
    Fault("an infeasible model, told beside figures", "infeasible", _D, _PRINT,
          'print({**dict(zip(NAMES, values)), "status": "infeasible"})'),
    Fault("an unbounded model, told beside figures", "unbounded", _D, _PRINT,
          'print({**dict(zip(NAMES, values)), "message": "Optimal value not found: the problem is unbounded."})'),
    Fault("the skeleton's sentence", "not_optimal", _E, "model.optimize()",
          "model.addCons(tacos >= 90)\nmodel.optimize()", protocol="official"),
    # Programs that do not end.
    Fault("an exception", "crashed", _D, "values = [", "values = undefined + ["),
    Fault("a figure of a solution that is not there", "crashed", _D, "b_ub=[1, 15, 10]", "b_ub=[-9, -9, -9]"),
    Fault("a syntax error", "crashed", _D, "values = [", "values = = ["),
    Fault("a syntax error above a remark", "crashed", _D, "values = [", "values = = [",
          reply=FENCED + f"\n{_INTEGERS}"),
    Fault("an exit code", "crashed", _D, "print(dict(zip(NAMES, values)))",
          "print(dict(zip(NAMES, values)))\nraise SystemExit(3)"),
    Fault("a crash of the interpreter", "crashed", _D, "values = [", "import ctypes\nctypes.string_at(0)\nvalues = ["),
    Fault("an endless loop", "timeout", _D, "values = [", "while True:\n    pass\nvalues = ["),
    Fault("too much memory", "memory", _D, "values = [", "big = [0] * 10**11\nvalues = ["),
    Fault("too much output", "limit", _D, "values = [", "while True:\n    print('x' * 10_000)\nvalues = ["),
    Fault("the network", "forbidden", _D, "values = [",
          "import urllib.request, socket\nsocket.socket().connect(('1.1.1.1', 80))\nvalues = ["),
    Fault("Gurobi", "missing_solver", _D, "from scipy.optimize import linprog", "import gurobipy"),
    Fault("CPLEX", "missing_solver", _D, "from scipy.optimize import linprog", "from docplex.mp.model import Model"),
    Fault("a program that pyomo does not find", "missing_solver", _C, '"appsi_highs"', '"glpk"'),
    Fault("a name that pyomo does not know", "missing_solver", _C, '"appsi_highs"', '"gurobi"'),
    # Replies without a program.
    Fault("no code", "no_code", reply="I would model this as a linear program: maximize 8x + 10y. The answer is 310."),
    Fault("an empty reply", "no_code", reply=" "),
    Fault("a formula in a fence", "no_code", reply="```\nmax 8x + 10y\n3x + 4y <= 120\n```"),
    Fault("a formula in tildes", "no_code", reply="~~~\nmax 8x + 10y\n3x + 4y <= 120\n~~~"),
    Fault("cut off in a line", "cut_off", reply="```python\nfrom pyscipopt import Model\nm = Model()\nm.addCons(x +"),
    Fault("cut off in a block", "cut_off", reply="```python\nfrom pyscipopt import Model\nfor i in range(3):"),
    Fault("cut off in thought", "cut_off", reply="<think>Let x be the number of trains. Then the wood"),
    Fault("cut off without a fence", "cut_off", reply="import highspy\nh = highspy.Highs()\nx = h.addVariable("),
    Fault("cut off in tildes", "cut_off", reply="~~~python\nfrom pyscipopt import Model\nm = Model()\nm.addCons(x +"),
    Fault("cut off in a tag", "cut_off", reply="<code>\nfrom pyscipopt import Model\nm = Model()\nm.addCons(x +"),
)  # fmt: skip

UNUSUAL: tuple[Fault, ...] = (
    Fault("a remark with names of its own follows", "ok", _D, reply=FENCED + f"\n{_INTEGERS}"),
    Fault("a remark that changes the model follows", "ok", _B, reply=FENCED + f"\n{_INTEGERS}"),
    Fault("a remark on a name within a function follows", "ok", _D, "found = linprog(",
          "def run(**given):\n    res = linprog(**given)\n    return res\n\nfound = run(c=",
          reply=FENCED + "\nSee also:\n```python\nprint(res.status)\n```"),
    Fault("two blocks, and a remark", "ok", _D, "\nNAMES", "\n```\nand\n```python\nNAMES",
          reply=FENCED + f"\n{_INTEGERS}"),
    Fault("tildes", "ok", _D, reply="~~~python\n{program}~~~"),
    Fault("four backticks", "ok", _D, reply="````python\n{program}````"),
    Fault("a title in the info string", "ok", _D, reply='```python title="a.py"\n{program}```'),
    Fault("braces in the info string", "ok", _D, reply="```{python}\n{program}```"),
    Fault("a short name of the language", "ok", _D, reply="```py\n{program}```"),
    Fault("the output follows at once", "ok", _D, reply="```python\n{program}```output\n{'x': 3}\n```"),
    Fault("a tag", "ok", _D, reply="<code>\n{program}</code>\nThis prints the answer."),
    Fault("two tags", "ok", _D, reply='<pre><code class="language-python">\n{program}</code></pre>'),
    Fault("no infeasible constraints", "ok", _D, _PRINT,
          'print({**dict(zip(NAMES, values)), "message": "Optimal. No infeasible constraints."})'),
    Fault("neither infeasible nor unbounded", "ok", _D, _PRINT,
          'print({**dict(zip(NAMES, values)), "message": "The model is neither infeasible nor unbounded."})'),
    Fault("an infeasible start, then optimal", "ok", _D, _PRINT,
          'print({"message": "The first point was infeasible.", "status": "optimal", **dict(zip(NAMES, values))})'),
)  # fmt: skip
