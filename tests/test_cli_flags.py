"""Flags are made from the configuration's fields, and four places can set one: flag, environment, file, default."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import typer
from pydantic import Field, JsonValue
from typer.testing import CliRunner

from agentopt.cli.flags import configured, field_help, with_flags
from agentopt.core.values import Budget, Frozen
from agentopt.errors import UsageError
from agentopt.run.config import RunConfig


class Small(Frozen):
    """A configuration."""

    graph: str
    """What is run."""
    task: str = "t"
    budget: Budget = Budget()
    """What may be spent."""
    limit: int | None = Field(None, gt=0)
    """At most so many
    examples."""
    seed: int = 0
    """Where chance begins."""
    cache: bool = True
    """Whether answers are kept."""
    task_args: dict[str, JsonValue] = {}
    """Arguments."""
    parameters: tuple[str, ...] = ()
    """Only these."""
    temperature: float | None = 0.5
    """How warm."""


@pytest.fixture
def toml(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "agentopt.toml").write_text('[run]\ngraph = "from_file"\nseed = 1\nbudget = { calls = 7 }\n')
    monkeypatch.chdir(tmp_path)
    return tmp_path / "agentopt.toml"


def parse(*args: str) -> tuple[dict[str, Any], str]:
    app = typer.Typer(rich_markup_mode=None)
    got: dict[str, Any] = {}

    @app.command()
    @with_flags(Small)
    def command(flags: dict[str, Any], quiet: bool = False) -> None:
        got.update(flags, quiet=quiet)

    result = CliRunner().invoke(app, list(args))
    return got, result.output


def test_one_flag_a_field() -> None:
    got, _ = parse(
        "g", "--task", "x", "-b", "calls=3", "--limit", "5", "--no-cache", "--task-arg", "n=20", "--task-arg", "s=a",
        "--parameter", "p", "--temperature", "none", "--quiet",
    )  # fmt: skip
    assert got == {
        "graph": "g", "task": "x", "budget": "calls=3", "limit": "5", "cache": False, "task_args": ["n=20", "s=a"],
        "parameters": ["p"], "temperature": "none", "quiet": True,
    }  # fmt: skip
    config = configured(Small, {k: v for k, v in got.items() if k != "quiet"}, environ={})
    assert config.task_args == {"n": 20, "s": "a"}
    assert (config.budget, config.limit, config.cache, config.temperature) == (Budget(calls=3), 5, False, None)
    assert config.parameters == ("p",)


def test_what_is_not_given_is_not_there() -> None:
    assert parse()[0] == {"quiet": False}


def test_help_is_the_sentence_under_the_field() -> None:
    assert field_help(Small)["limit"] == "At most so many examples."
    out = parse("--help")[1]
    assert "Where chance begins. [default: 0]" in out
    assert "--task-arg KEY=VALUE" in out
    assert "--cache / --no-cache" in out


def test_every_field_of_a_run_has_words() -> None:
    words = field_help(RunConfig)
    assert [name for name in RunConfig.model_fields if len(words[name]) < 10] == []


def test_flag_beats_environment_beats_file_beats_default(toml: Path) -> None:
    assert configured(Small, {}, environ={}).seed == 1
    assert configured(Small, {}, environ={"AGENTOPT_SEED": "2"}).seed == 2
    assert configured(Small, {"seed": 3}, environ={"AGENTOPT_SEED": "2"}).seed == 3
    assert configured(Small, {}, environ={}).graph == "from_file"
    assert configured(Small, {}, environ={}).task == "t"
    assert configured(Small, {}, environ={}).budget == Budget(calls=7)


def test_environment_is_text_of_every_kind(toml: Path) -> None:
    environ = {
        "AGENTOPT_BUDGET": "usd=2", "AGENTOPT_CACHE": "false", "AGENTOPT_TASK_ARGS": "n=3,level=hard",
        "AGENTOPT_TEMPERATURE": "none", "AGENTOPT_PARAMETERS": "a,b",
    }  # fmt: skip
    config = configured(Small, {}, environ=environ)
    assert (config.budget, config.cache, config.task_args) == (Budget(usd=2), False, {"n": 3, "level": "hard"})
    assert (config.temperature, config.parameters) == (None, ("a", "b"))


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("[run]\nsede = 1\n", r"\[run\] has no field 'sede'; did you mean 'seed'\?"),
        ("run = 3\n", "`run` must be a table"),
        ("[run]\ngraph = 'g'\nseed = 'x'\n", "--seed: Input should be a valid integer"),
        ("", "a graph must be given"),
    ],
)
def test_a_wrong_file_is_one_line(toml: Path, text: str, says: str) -> None:
    toml.write_text(text)
    with pytest.raises(UsageError, match=says) as caught:
        configured(Small, {}, environ={})
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("command", ["optimize", "eval"])
def test_the_sandbox_has_flags_variables_and_keys(
    command: str, new_workspace: Path, cli: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "200")
    code, out, _ = cli(command, "--help")
    assert code == 0
    for flag, words in (
        ("--sandbox", "Where the code of candidates runs"),
        ("--allow-weak-sandbox", "Run the code of candidates also where the sandbox lacks a layer"),
        ("--code-timeout", "Seconds for one call of a function whose source is trained"),
    ):
        assert flag in out and words in " ".join(out.split()), (flag, out)


def test_the_sandbox_can_be_set_in_four_places(new_workspace: Path) -> None:
    given = {"graph": "solve", "task": "sums"}
    kept = configured(RunConfig, given, environ={})
    assert (kept.sandbox, kept.allow_weak_sandbox, kept.code_timeout) == ("auto", False, 10.0)
    toml = new_workspace / "agentopt.toml"
    toml.write_text('[run]\nsandbox = "bubblewrap"\nallow_weak_sandbox = true\ncode_timeout = 3\n')
    kept = configured(RunConfig, given, environ={})
    assert (kept.sandbox, kept.allow_weak_sandbox, kept.code_timeout) == ("bubblewrap", True, 3.0)
    kept = configured(
        RunConfig, given, environ={"AGENTOPT_CODE_TIMEOUT": "4.5", "AGENTOPT_ALLOW_WEAK_SANDBOX": "false"}
    )
    assert (kept.allow_weak_sandbox, kept.code_timeout) == (False, 4.5)
    assert configured(RunConfig, given | {"sandbox": "local", "code_timeout": 5.0}, environ={}).sandbox == "local"
    with pytest.raises(UsageError, match="--code-timeout"):
        configured(RunConfig, given | {"code_timeout": 0.0}, environ={})
