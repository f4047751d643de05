"""A tripwire: in a test, nothing leaves this machine."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from agentopt._offline import offline

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

    def refusal(attempt: str) -> NetworkForbidden:
        return NetworkForbidden(f"the network is forbidden in this test: {attempt}")

    with offline(loopback if callable(loopback) else lambda port: bool(loopback), refusal) as attempts:
        yield attempts
    if attempts:
        raise NetworkForbidden(f"the network was used {len(attempts)} times in this test: {', '.join(attempts[:5])}")
