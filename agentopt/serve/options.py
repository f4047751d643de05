"""Model strings of local models: ``qwen2.5-coder-1.5b?engine=xllamacpp&max_seqs=8`` or ``path/to/file.gguf``."""

from __future__ import annotations

import importlib.metadata
import importlib.util
from pathlib import Path
from typing import Literal
from urllib.parse import parse_qsl

from pydantic import Field, ValidationError

from agentopt.core.values import Frozen
from agentopt.errors import MissingDependency, UnknownName, UsageError
from agentopt.serve import fetch, folder
from agentopt.serve.entries import find
from agentopt.serve.gguf_header import context_length

__all__ = ["ENGINES", "Engine", "Loaded", "Settings", "parse", "resolve"]

Engine = Literal["openvino", "xllamacpp"]

ENGINES: dict[str, tuple[str, str, str]] = {
    "openvino": ("openvino_genai", "openvino-genai", "agentopt.serve.engine_ov"),
    "xllamacpp": ("xllamacpp", "xllamacpp", "agentopt.serve.engine_xll"),
}
"""Engine to the package that it imports, its distribution, and its program; the first that is here is the default."""


class Settings(Frozen):
    """How a local model is run. Each field may stand in the model string."""

    name: str
    """Name in the catalogue, or path of a GGUF file."""
    engine: Engine | None = None
    """``openvino`` or ``xllamacpp``; None takes the first that is installed."""
    max_seqs: int = Field(16, ge=1, le=256)
    """Requests in the batch at once; more wait in the engine."""
    context: int = Field(0, ge=0)
    """Tokens of prompt and answer at most. 0: all the model has (OpenVINO), 4096 (xllamacpp, which reserves them)."""
    kv_gb: int = Field(1, ge=1)
    """OpenVINO: memory for the KV and prefix cache, in GB."""
    batch_tokens: int = Field(512, ge=16)
    """Tokens of one step."""
    threads: int = Field(0, ge=0)
    """CPU threads; 0 takes all cores."""
    exact: bool = False
    """OpenVINO: compute in 32 bits, so that an answer depends on its request alone, not on what else is in the batch or
    the prefix cache. Several times slower; without it (bf16, 8-bit KV cache) greedy answers may differ at times."""
    idle: float = Field(60.0, ge=0)
    """Seconds that the engine stays loaded after its last client was closed."""


class Loaded(Frozen):
    """Settings with everything found: which file, which engine, and who answers."""

    settings: Settings
    """What was asked for."""
    engine: Engine
    """The engine."""
    weights: Path
    """The file it reads."""
    context: int
    """Tokens of prompt and answer at most."""
    endpoint: str
    """Identity: weights, engine and its version, and what else changes answers."""


def parse(name: str) -> Settings:
    """Read a model string, with or without its ``local/``.

    Raises:
        UsageError: an unknown option, or a value that it does not admit.

    >>> parse("local/smollm2-135m?engine=xllamacpp&max_seqs=4").max_seqs
    4
    """
    plain, _, query = name.removeprefix("local/").partition("?")
    given: dict[str, str] = {}
    for key, value in parse_qsl(query, keep_blank_values=True):
        if key == "name" or key not in Settings.model_fields:
            known = [k for k in Settings.model_fields if k != "name"]
            raise UnknownName("option of a local model", key, known, hint=f"known: {', '.join(known)}")
        given[key] = value
    try:
        return Settings(name=plain, **given)
    except ValidationError as error:
        first = error.errors()[0]
        raise UsageError(
            f"local/{name.removeprefix('local/')}: {first['loc'][0]}={first['input']!r}: {first['msg']}"
        ) from None


def resolve(settings: Settings) -> Loaded:
    """Find the engine and the weights.

    Raises:
        UnknownName: no such model.
        MissingDependency: the engine or the weights are missing; names the command that brings them.
    """
    local_file = settings.name.endswith(".gguf")
    model = None if local_file else find(settings.name)
    engine = _engine(settings.engine)
    if model is None:
        weights = Path(settings.name).expanduser()
        if not weights.is_file():
            raise MissingDependency(f"no file {weights}: name a GGUF file, or a model of `agentopt models list`")
        weights, digest = weights.resolve(), fetch.sha256_of(weights)
    else:
        weights, digest = folder.path(model.name, engine), folder.weights(model.name, engine).sha256
    most = model.context if model else context_length(weights) or 0
    context = settings.context or ((most or 4096) if engine == "openvino" else min(most or 4096, 4096))
    version = importlib.metadata.version(ENGINES[engine][1])
    kind = "+exact" if settings.exact and engine == "openvino" else ""
    return Loaded(
        settings=settings,
        engine=engine,
        weights=weights,
        context=min(context, most) if most else context,
        endpoint=f"sha256:{digest[:16]}+{ENGINES[engine][1]}+{version}{kind}",
    )


def _engine(wanted: Engine | None) -> Engine:
    candidates: tuple[Engine, ...] = (wanted,) if wanted else ("openvino", "xllamacpp")
    for engine in candidates:
        if importlib.util.find_spec(ENGINES[engine][0]) is not None:
            return engine
    missing = f"the {ENGINES[wanted][1]} package is" if wanted else "no engine for local models is"
    raise MissingDependency(f"{missing} not installed: `pip install 'agentopt[local]'`")
