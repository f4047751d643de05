"""A tripwire: in a test, nothing leaves this machine."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agentopt.llm.types import is_loopback

__all__ = ["NetworkForbidden", "forbid_network"]


class NetworkForbidden(AssertionError):
    """A program under test tried to use the network."""


@contextmanager
def forbid_network(*, loopback: bool | Callable[[Any], bool] = True) -> Iterator[list[str]]:
    """Forbid connections and name lookups, but for loopback and Unix sockets, in all threads of this process.

    An attempt raises ``NetworkForbidden`` where it is made, and once more at the end of the block, so that a program
    that swallows errors does not hide it. The list that it gives holds the attempts; clearing it forgives them.

    Args:
        loopback: whether loopback stays allowed, or which of its ports do.

    >>> import socket
    >>> with forbid_network() as attempts:
    ...     try:
    ...         socket.create_connection(("example.org", 80))
    ...     except NetworkForbidden as error:
    ...         print(error)
    ...     attempts.clear()
    the network is forbidden in this test: getaddrinfo('example.org')
    """
    attempts: list[str] = []

    def admit(what: str, host: Any, port: Any) -> None:
        name = host.decode() if isinstance(host, bytes) else host
        allowed = loopback(port) if callable(loopback) else loopback
        if allowed and (name in (None, "") or is_loopback(str(name))):
            return
        attempts.append(f"{what}({name!r})")
        raise NetworkForbidden(f"the network is forbidden in this test: {attempts[-1]}")

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
    if attempts:
        raise NetworkForbidden(f"the network was used {len(attempts)} times in this test: {', '.join(attempts[:5])}")
