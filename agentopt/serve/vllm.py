"""``vllm serve``, where vLLM is installed: the command, and the settings it needs to be polite on one machine."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from agentopt.errors import MissingDependency, UsageError
from agentopt.serve.entries import catalogue
from agentopt.serve.supervise import Server

__all__ = ["executable", "server"]


def executable() -> str:
    """Path of the ``vllm`` command: beside this interpreter, or on the path.

    Raises:
        MissingDependency: it is not installed.
    """
    beside = Path(sys.executable).with_name("vllm")
    found = str(beside) if os.access(beside, os.X_OK) else shutil.which("vllm")
    if not found:
        raise MissingDependency("vLLM is not installed: `pip install 'agentopt[vllm]'`, or take `--engine openvino`")
    return found


def server(
    model: str,
    port: int,
    *,
    host: str = "127.0.0.1",
    api_key: str | None = None,
    arguments: Sequence[str] = (),
    on_line: Callable[[str], None] | None = None,
) -> Server:
    """A vLLM server, not started yet.

    Args:
        model: a hub repository, a folder with safetensors, or a name of our catalogue (its unquantized original).
        port: where it listens.
        host: what it binds to.
        api_key: key that requests must show.
        arguments: further arguments of ``vllm serve``.
        on_line: called with each line of its log.

    Raises:
        MissingDependency: vLLM is not installed.
        UsageError: a GGUF file, which vLLM does not read.
    """
    if model.endswith(".gguf"):
        raise UsageError(f"vLLM reads no GGUF ({model}): name a hub repository or a folder with safetensors")
    known = catalogue().get(model)
    source = known.original if known else model
    command = [executable(), "serve", source, "--served-model-name", model, "--host", host, "--port", str(port)]
    command += ["--enable-prefix-caching", *arguments]
    env = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1"}
    if api_key:
        env["VLLM_API_KEY"] = api_key
    probe = "127.0.0.1" if host in ("0.0.0.0", "::", "") else host
    return Server(command, port, host=probe, env=env, on_line=on_line)
