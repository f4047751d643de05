"""Requests and responses: what a ``Client`` takes and gives.

They are frozen and JSON-able, so that a request can be hashed, journaled and replayed.
"""

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable, Mapping
from functools import cached_property, lru_cache
from pathlib import Path, PurePath
from typing import Any, Literal, Protocol, Self
from urllib.parse import urlsplit

from pydantic import Field, JsonValue, field_validator

from agentopt.core.values import Frozen, digest
from agentopt.errors import UsageError

__all__ = [
    "Address",
    "Client",
    "Image",
    "Message",
    "Request",
    "Response",
    "Role",
    "Text",
    "Tool",
    "ToolCall",
    "Usage",
    "is_loopback",
    "model_identity",
    "whole",
    "without_key",
]

Role = Literal["agent", "optimizer", "judge"]

_ASIDE = frozenset({"address", "idempotency_key", "on_text", "role", "timeout"})
"""Fields of a request that are not part of what is asked."""
_NO_ARGUMENTS: dict[str, JsonValue] = {"type": "object", "properties": {}}
_SECRET = re.compile(r"(?i)(key|token|secret|password|signature|sig|code)$")
_PICTURES = {rb"\x89PNG": "png", rb"\xff\xd8\xff": "jpeg", rb"GIF8": "gif", rb"RIFF....WEBP": "webp"}


def whole(text: str) -> str:
    """The text with half characters (a server that cut a pair in two) joined, or replaced where a half is missing.

    >>> whole("\\ud83d\\ude00 and \\ud83d") == "\\U0001f600 and \\ufffd"
    True
    """
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


class Text(Frozen):
    """A piece of text in a message."""

    type: Literal["text"] = "text"
    text: str
    """The text."""


class Image(Frozen):
    """A picture in a message."""

    type: Literal["image"] = "image"
    url: str
    """An https URL or a ``data:image/png;base64,...`` URL."""

    @classmethod
    def of(cls, picture: Image | str | bytes | PurePath) -> Image:
        """A picture from an https or ``data:`` URL, the path of a file, or the bytes of a PNG, JPEG, GIF or WebP.

        Raises:
            UsageError: the file is missing, or is none of these formats.

        >>> Image.of(bytes.fromhex("89504e470d0a1a0a")).url
        'data:image/png;base64,iVBORw0KGgo='
        """
        if isinstance(picture, Image):
            return picture
        if isinstance(picture, str) and picture.startswith(("https://", "http://", "data:")):
            return cls(url=picture)
        where = "these bytes" if isinstance(picture, bytes) else str(picture)
        try:
            data = picture if isinstance(picture, bytes) else Path(picture).read_bytes()
        except OSError as error:
            raise UsageError(f"image {where} cannot be read: {error.strerror}") from None
        for magic, kind in _PICTURES.items():
            if re.match(magic, data, re.DOTALL):
                return cls(url=f"data:image/{kind};base64,{base64.b64encode(data).decode()}")
        raise UsageError(f"{where} hold no PNG, JPEG, GIF or WebP picture")


class ToolCall(Frozen):
    """A model's wish to call a tool."""

    id: str
    """The provider's id of this call; the tool's answer repeats it."""
    name: str
    """The tool's name."""
    arguments: str
    """The arguments, as the JSON text that the model wrote."""

    @field_validator("name", "arguments", mode="before")
    @classmethod
    def _whole(cls, text: Any) -> Any:
        return whole(text) if isinstance(text, str) else text


class Message(Frozen):
    """One turn of a conversation."""

    role: Literal["system", "user", "assistant", "tool"]
    """Who speaks."""
    content: str | tuple[Text | Image, ...] = ""
    """What is said."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Of an assistant's turn: the tools that it wants called."""
    tool_call_id: str | None = None
    """Of a tool's turn: which call it answers."""


class Tool(Frozen):
    """A function that a model may ask for."""

    name: str
    """Its name."""
    description: str = ""
    """What it does, for the model."""
    parameters: dict[str, JsonValue] = Field(default_factory=lambda: dict(_NO_ARGUMENTS))
    """JSON schema of its arguments."""


class Address(Frozen):
    """Where in a run a call stands: never when it came. Equal addresses are the same call.

    >>> str(Address(scope="cell/3f2a/ex7/0", path="solve/draft:0", ordinal=1))
    'cell/3f2a/ex7/0|solve/draft:0|1'
    """

    scope: str
    """``cell/<candidate>/<example>/<repeat>`` or ``ask/<step>``."""
    path: str = ""
    """Path of node calls, each with its ordinal within its parent."""
    ordinal: int = 0
    """0 for the first call within that path, 1 for the second, ..."""

    def __str__(self) -> str:
        return f"{self.scope}|{self.path}|{self.ordinal}"


class Request(Frozen):
    """One call of a model."""

    model: str
    """``local/...``, ``openai/...``, any litellm name, or ``http://host:port/v1[#name]``."""
    messages: tuple[Message, ...]
    """The conversation so far."""
    role: Role = "agent"
    """On whose account it is."""
    max_tokens: int = Field(512, gt=0)
    """Cap of the answer. Always a value: a budget reserves it."""
    temperature: float | None = None
    """None leaves it to the server."""
    top_p: float | None = None
    """Nucleus sampling; None leaves it to the server."""
    seed: int | None = None
    """Seed of the sampling, where the server has one."""
    stop: tuple[str, ...] = ()
    """Texts that end the answer."""
    tools: tuple[Tool, ...] = ()
    """Functions that the model may ask for."""
    tool_choice: str | None = None
    """auto, none, required, or a tool's name."""
    json_schema: dict[str, JsonValue] | None = None
    """The answer must be JSON of this schema (constrained by the server where it can)."""
    extra: dict[str, JsonValue] = Field(default_factory=dict)
    """Further fields, passed on as they are, in the body of the call."""
    repeat: int = 0
    """Which of several equal calls this is: the cache gives each its own answer."""
    timeout: float | None = None
    """Seconds for one attempt; None is the client's default. An embedded model is given up only after so many seconds
    in which its engine made no step."""
    address: Address | None = Field(None, exclude=True)
    """Where in the run it stands; not part of what is asked."""
    idempotency_key: str | None = Field(None, exclude=True)
    """Sent as ``Idempotency-Key``: the same for a call that is sent again after a crash. Not part of what is asked."""
    on_text: Callable[[str], None] | None = Field(None, exclude=True)
    """Called with each piece of the answer as it arrives: asks for streaming. Not part of what is asked."""

    def payload(self) -> dict[str, Any]:
        """What is asked, as JSON: everything but address, listener, key, role and timeout.

        The model is told by ``model_identity``, so that a question to the same model on another port is the same.
        """
        asked = self.model_dump(mode="json", exclude=set(_ASIDE))
        asked["model"] = model_identity(self.model)
        return asked

    @cached_property
    def hash(self) -> str:
        """sha256 of the payload. It is asked for a dozen times on the way of a call, and worked out once."""
        return digest(self.payload())

    def model_copy(self, *, update: Mapping[str, Any] | None = None, deep: bool = False) -> Self:
        """A copy with other fields; it keeps the hash only where nothing of the payload is another.

        >>> request = Request(model="m", messages=(Message(role="user", content="hi"),))
        >>> same = request.model_copy(update={"idempotency_key": "k"}).hash == request.hash
        >>> same, request.model_copy(update={"seed": 1}).hash == request.hash
        (True, False)
        """
        made = super().model_copy(update=update, deep=deep)
        if update and update.keys() <= _ASIDE and "hash" in self.__dict__:
            made.__dict__["hash"] = self.hash
        return made


class Usage(Frozen):
    """What a call used. ``reported`` False: the server did not say, and a budget counts the reservation."""

    input_tokens: int = 0
    """Tokens read, cached ones included."""
    output_tokens: int = 0
    """Tokens written, hidden reasoning included."""
    cached_tokens: int = 0
    """Of the input: tokens that the server's prefix cache had."""
    reasoning_tokens: int = 0
    """Of the output: hidden reasoning."""
    reported: bool = True
    """Whether the server gave these numbers."""


class Response(Frozen):
    """What a model answered."""

    text: str = ""
    """The answer."""
    tool_calls: tuple[ToolCall, ...] = ()
    """Tools that it wants called."""
    finish: Literal["stop", "length", "tool_calls", "content_filter", "unknown"] = "stop"
    """Why it ended; ``length`` means cut by the cap."""
    usage: Usage = Usage(reported=False)
    """Tokens."""
    usd: float | None = None
    """Price; None is unknown, which is not 0 (a local model costs 0.0)."""
    endpoint: str = ""
    """Identity of what answered: provider and model, or weights sha256 + engine + version. Never a port."""
    seconds: float = 0.0
    """Time of the attempt that succeeded."""
    cached: bool = False
    """Whether it came from the response cache."""

    @field_validator("text", mode="before")
    @classmethod
    def _whole(cls, text: Any) -> Any:
        return whole(text) if isinstance(text, str) else text

    @property
    def truncated(self) -> bool:
        """Whether the cap cut the answer."""
        return self.finish == "length"

    @property
    def unfinished(self) -> str:
        """What cut the answer, in words; empty for one that is all there."""
        return {"length": "at its cap of output tokens", "content_filter": "by a content filter"}.get(self.finish, "")


@lru_cache(maxsize=1024)
def model_identity(model: str) -> str:
    """What a model string says of identity: never a port, a loopback address, or a user name or key in a URL.

    >>> model_identity("http://127.0.0.1:8123/v1#qwen"), model_identity("https://key@llm.example.org/v1#qwen")
    ('loopback/qwen', 'llm.example.org/qwen')
    >>> model_identity("openai/gpt-5-mini")
    'openai/gpt-5-mini'
    """
    if not model.startswith(("http://", "https://")):
        return model
    parts = urlsplit(model)
    host = parts.hostname or ""
    return f"{'loopback' if is_loopback(host) else host}/{parts.fragment}".rstrip("/")


def without_key(model: str) -> str:
    """A model string without the user name or key of a URL, in its query too; what may be written down.

    >>> without_key("https://key@llm.example.org:8000/v1?v=2&api-key=abc#qwen")
    'https://llm.example.org:8000/v1?v=2#qwen'
    """
    if not model.startswith(("http://", "https://")):
        return model
    parts = urlsplit(model)
    asked = [pair for pair in parts.query.split("&") if not _SECRET.search(pair.partition("=")[0])]
    return parts._replace(netloc=parts.netloc.rpartition("@")[2], query="&".join(asked)).geturl()


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine itself.

    >>> is_loopback("localhost"), is_loopback("::1"), is_loopback("127.0.0.53"), is_loopback("10.0.0.1")
    (True, True, True, False)
    """
    try:
        address = ipaddress.ip_address(host.strip("[]"))
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")
    return address.is_loopback or address.is_unspecified


class Client(Protocol):
    """Something that answers requests. Providers and wrappers (journal, cache, budget, ...) have this one shape.

    ``complete`` may be called from many tasks of one event loop at once. It raises ``TransientLLMError`` for what may
    be tried again and ``LLMError`` for what may not; it never returns half an answer without ``finish="length"``.
    """

    async def complete(self, request: Request) -> Response:
        """Answer one request."""
        ...
