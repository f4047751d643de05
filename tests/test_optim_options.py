"""Options of optimizers that cannot be: refused in one line when the optimizer is made, before anything is paid."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from agentopt.errors import UnknownName, UsageError
from agentopt.optim.base import ChecksParameters, ParameterSpec
from agentopt.optim.registry import BUILTIN, make
from agentopt.workspace import prompt_text

TEXTS = ("opro", "optoprime", "sfs", "random", "paraphrase")
"""Those whose model writes texts."""


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", [0, -4, 2.5, "many", True, None])
def test_a_cap_of_an_answer_is_a_whole_number(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"^{name}: max_tokens={value!r}; it must be a whole number, at least 1$"):
        make(name, max_tokens=value)


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("value", [-1, math.inf, math.nan, "hot"])
def test_a_temperature_is_a_finite_number(name: str, value: Any) -> None:
    with pytest.raises(UsageError, match=f"^{name}: temperature={value!r}; it must be a number, at least 0$"):
        make(name, temperature=value)
    make(name, temperature=0)
    make(name, max_tokens=10**400)


@pytest.mark.parametrize("name", TEXTS)
def test_an_invariant_that_does_not_exist_cannot_be_switched_off(name: str) -> None:
    with pytest.raises(UnknownName, match="did you mean 'leak'"):
        make(name, off=["leek"])
    with pytest.raises(UsageError, match=rf"^{name}: off='leak'; it must be a list, such as off=\[\"leak\"\]$"):
        make(name, off="leak")
    make(name, off=["leak", "duplicate"])


@pytest.mark.parametrize("name", ["opro", "optoprime", "sfs"])
def test_a_kind_that_does_not_exist_would_tune_nothing(name: str) -> None:
    with pytest.raises(UnknownName, match="did you mean 'text'"):
        make(name, kinds=["txt"])
    for kinds in ([], "text", 3):
        with pytest.raises(UsageError, match=f"^{name}: kinds"):
            make(name, kinds=kinds)


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("random", {"local": 2}), ("random", {"local": "x"}), ("random", {"scale": -0.1}),
        ("paraphrase", {"scale": "a"}),
        ("optoprime", {"memory": "x"}), ("optoprime", {"examples": 0}), ("optoprime", {"reasoning": "no"}),
        ("optoprime", {"max_prompt_tokens": 10}), ("genetic", {"islands": 0}), ("genetic", {"population": True}),
    ],
)  # fmt: skip
def test_what_is_out_of_range_says_what_it_may_be(name: str, options: dict[str, Any]) -> None:
    ((option, value),) = options.items()
    with pytest.raises(UsageError, match=f"^{name}: {option}={value!r}; it must be [^\n]+$"):
        make(name, **options)


@pytest.mark.parametrize("name", sorted(BUILTIN))
def test_the_defaults_pass(name: str) -> None:
    assert make(name).name == name


# -- options and parameters ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("command", [["optimize"], ["optimize", "--dry-run"]])
def test_a_style_without_words_for_the_parameters_is_refused_before_anything_is_paid(
    command: list[str], cli: Callable[..., tuple[int, str, str]], new_workspace: Path
) -> None:
    code, _, err = cli(
        *command, "line", "--task", "linear_regression", "--optimizer", "opro", "--optimizer-arg", "style=tags"
    )
    assert code == 2
    assert "style=tags has no part '=== numbers_entry'" in err
    assert not (new_workspace / "runs").exists()


@pytest.mark.parametrize(
    ("name", "kind", "value"),
    [("random", "code", "x"), ("paraphrase", "json", {}), ("optoprime", "demos", []), ("sfs", "demos", []),
     ("opro", "demos", []), ("demos", "text", "x")],
)  # fmt: skip
def test_an_optimizer_that_can_change_no_parameter_is_refused(name: str, kind: str, value: Any) -> None:
    made = make(name)
    assert isinstance(made, ChecksParameters)
    with pytest.raises(UsageError, match=f"optimizer {name}"):
        made.check_parameters({"it": ParameterSpec("it", kind, value)}, prompt_text)
    other = "demos" if name == "demos" else "text"
    made.check_parameters(
        {"it": ParameterSpec("it", kind, value), "more": ParameterSpec("more", other, "x")}, prompt_text
    )
