"""The catalogue of models that agentopt can fetch: names, licences, sources, and the sha256 of every file.

The data is ``models.toml`` beside this file. A model comes from its hub page, or in parts from the package index; both
give the same bytes, which the sha256 proves.
"""

from __future__ import annotations

import functools
import tomllib
from importlib import resources

from pydantic import Field

from agentopt.core.values import Frozen
from agentopt.errors import UnknownName

__all__ = ["Hub", "Model", "Part", "catalogue", "find"]


class Hub(Frozen):
    """Where a hub has the file."""

    repo: str
    """``owner/name`` of the repository."""
    file: str
    """The file within it."""
    revision: str = "main"
    """Branch or commit; the sha256 decides whatever it says."""


class Part(Frozen):
    """A piece of the weights, inside a wheel of the package index. Pieces are joined in order."""

    package: str
    """Name of the package."""
    version: str
    """Its exact version."""
    member: str
    """The file inside the wheel."""
    bytes: int = Field(gt=0)
    """Size of the piece."""
    sha256: str
    """sha256 of the piece."""


class Model(Frozen):
    """One model of the catalogue."""

    name: str
    """How it is asked for: ``local/<name>``."""
    title: str
    """Its full name, for people."""
    license: str
    """SPDX identifier."""
    parameters: int
    """Number of weights, each counted once."""
    context: int
    """Tokens that it reads and writes at most."""
    file: str
    """Name of the weights file (GGUF)."""
    bytes: int = Field(gt=0)
    """Size of the weights file."""
    sha256: str
    """sha256 of the weights file."""
    tools: bool = False
    """Whether its chat template knows tools."""
    original: str = ""
    """Hub repository of the unquantized model, for engines that want safetensors."""
    hub: Hub | None = None
    """Where a hub has the file."""
    parts: tuple[Part, ...] = ()
    """Where the package index has it."""
    reencode: dict[str, str] = Field(default_factory=dict)
    """Engine to tensor type: engines that cannot read the file as it is get a copy in this type."""


@functools.cache
def catalogue() -> dict[str, Model]:
    """All models that can be pulled, by name.

    >>> sorted(catalogue())
    ['qwen2.5-coder-0.5b', 'qwen2.5-coder-1.5b', 'smollm2-135m']
    """
    data = tomllib.loads(resources.files("agentopt.serve").joinpath("models.toml").read_text("utf-8"))
    return {name: Model(name=name, **fields) for name, fields in data.items()}


def find(name: str) -> Model:
    """The model of that name.

    Raises:
        UnknownName: no such model; says which was meant.

    >>> find("smollm2-135m").license
    'Apache-2.0'
    """
    models = catalogue()
    if name not in models:
        raise UnknownName("local model", name, models, hint="`agentopt models list` shows all")
    return models[name]
