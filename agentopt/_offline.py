"""A tripwire: connections and name lookups are stopped where they are made, in all threads of this process."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agentopt.llm.types import is_loopback

__all__ = ["offline"]


@contextmanager
def offline(allowed: Callable[[Any], bool], refusal: Callable[[str], BaseException]) -> Iterator[list[str]]:
    """Allow loopback (where ``allowed`` says so of the port) and Unix sockets; raise ``refusal(attempt)`` for the rest.

    The list that it gives holds the attempts, such as ``getaddrinfo('example.org')``.
    """
    attempts: list[str] = []

    def admit(what: str, host: Any, port: Any) -> None:
        name = host.decode() if isinstance(host, bytes) else host
        if allowed(port) and (name in (None, "") or is_loopback(str(name))):
            return
        attempts.append(f"{what}({name!r})")
        raise refusal(attempts[-1])

    def guarded(method: str) -> Any:
        original = getattr(socket.socket, method)

        def call(self: socket.socket, *args: Any) -> Any:
            if self.family in (socket.AF_INET, socket.AF_INET6):
                address = args[-1]
                admit(method, *(address[:2] if isinstance(address, tuple) else (address, None)))
            return original(self, *args)

        return call

    lookup = socket.getaddrinfo

    def getaddrinfo(host: Any, *args: Any, **kwargs: Any) -> Any:
        admit("getaddrinfo", host, args[0] if args else kwargs.get("port"))
        return lookup(host, *args, **kwargs)

    methods = ("connect", "connect_ex", "sendto")
    own = {m: vars(socket.socket).get(m) for m in methods}
    for method in methods:
        setattr(socket.socket, method, guarded(method))
    socket.getaddrinfo = getaddrinfo
    try:
        yield attempts
    finally:
        socket.getaddrinfo = lookup
        for method in methods:
            if own[method] is None:
                delattr(socket.socket, method)
            else:
                setattr(socket.socket, method, own[method])
