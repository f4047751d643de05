"""``agentopt serve MODEL``: an OpenAI-compatible endpoint on this machine."""

from __future__ import annotations

import contextlib
import json
import signal
import threading
from collections.abc import Callable
from typing import Annotated, Literal

import typer

__all__ = ["serve"]


def serve(
    model: Annotated[
        str, typer.Argument(help="A local model (`agentopt models list`), a GGUF file, or for vLLM a hub name.")
    ],
    port: Annotated[int, typer.Option(help="Port; taken or 0: a free one.")] = 8000,
    host: Annotated[
        str, typer.Option(help="Address to bind to. Anything but loopback is open to the network.")
    ] = "127.0.0.1",
    engine: Annotated[
        Literal["auto", "openvino", "xllamacpp", "vllm"], typer.Option(help="What runs the model.")
    ] = "auto",
    api_key: Annotated[
        str, typer.Option("--api-key", envvar="AGENTOPT_SERVE_KEY", help="Key that requests must show.")
    ] = "",
    max_seqs: Annotated[int, typer.Option(help="Requests in the batch at once.")] = 16,
    context: Annotated[int, typer.Option(help="Tokens of prompt and answer at most; 0: the engine's default.")] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON line when ready.")] = False,
) -> None:
    """Serve a model on an OpenAI-compatible endpoint, until Ctrl-C or SIGTERM."""
    from agentopt.serve.supervise import free_port

    ending = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ending.set())

    def ready(url: str, what: str) -> None:
        if as_json:
            typer.echo(json.dumps({"url": url, "model": model, "engine": what}))
        else:
            typer.echo(f"{model} on {url} ({what}); use it as {url}#{model}; Ctrl-C ends it")

    chosen = free_port(port, host)
    if engine == "vllm":
        _vllm(model, chosen, host, api_key, max_seqs, context, ready, ending)
    else:
        _embedded(model, chosen, host, engine, api_key, max_seqs, context, ready, ending)


def _embedded(
    model: str,
    port: int,
    host: str,
    engine: str,
    api_key: str,
    max_seqs: int,
    context: int,
    ready: Callable[[str, str], None],
    ending: threading.Event,
) -> None:
    from agentopt.errors import LLMError
    from agentopt.serve.endpoint import Endpoint
    from agentopt.serve.engine import shared
    from agentopt.serve.options import parse, resolve

    asked = parse(model)
    given = {"max_seqs": max_seqs, **({"context": context} if context else {})}
    if engine != "auto":
        given["engine"] = engine  # type: ignore[assignment]
    loaded = resolve(asked.model_copy(update={k: v for k, v in given.items() if k not in asked.model_fields_set}))
    running = shared().acquire(loaded)
    endpoint = Endpoint(running, asked.name, host=host, port=port, api_key=api_key or None, fingerprint=loaded.endpoint)
    try:
        running.start()
        begun = threading.Event()
        running.when_ready(begun.set)
        while not begun.wait(0.2):
            if ending.is_set():
                return
        if running.info is None:
            raise LLMError(f"{model} could not be loaded: {running.last_failure}")
        threading.Thread(target=endpoint.serve_forever, daemon=True).start()
        ready(endpoint.url, f"{loaded.engine}, {loaded.endpoint}")
        ending.wait()
        endpoint.shutdown()
    finally:
        endpoint.server_close()
        running.close()


def _vllm(
    model: str,
    port: int,
    host: str,
    api_key: str,
    max_seqs: int,
    context: int,
    ready: Callable[[str, str], None],
    ending: threading.Event,
) -> None:
    from agentopt.serve.vllm import server

    arguments = ["--max-num-seqs", str(max_seqs), *(["--max-model-len", str(context)] if context else [])]
    running = server(
        model.removeprefix("local/"),
        port,
        host=host,
        api_key=api_key or None,
        arguments=arguments,
        on_line=lambda line: typer.echo(line, err=True),
    )
    with contextlib.ExitStack() as stack:
        stack.callback(running.stop)
        running.start()
        while not running.healthy():
            running.check()
            if ending.wait(0.5):
                return
        ready(f"http://{host}:{port}/v1", "vllm")
        while not ending.wait(1.0):
            running.check()
