"""Opening an address with headers that only its own host may see: they do not go on to where it redirects to."""

from __future__ import annotations

import urllib.parse
import urllib.request
from collections.abc import Mapping
from email.message import Message
from http.client import HTTPResponse
from typing import IO

__all__ = ["open_url"]


def open_url(
    url: str, *, timeout: float, headers: Mapping[str, str] | None = None, private: Mapping[str, str] | None = None
) -> HTTPResponse:
    """Open ``url`` and what it redirects to.

    Args:
        url: an address.
        timeout: seconds without a byte until the connection counts as dead.
        headers: sent to every host.
        private: sent to the scheme, host and port of ``url``, and to others of no redirect.

    Raises:
        urllib.error.HTTPError: the answer is an error.
        OSError: there is no answer.
    """
    request = urllib.request.Request(url, headers={"User-Agent": "agentopt", **(headers or {})})
    for name, value in (private or {}).items():
        request.add_unredirected_header(name, value)
    answer: HTTPResponse = urllib.request.build_opener(_Redirects(frozenset(private or ()))).open(
        request, timeout=timeout
    )
    return answer


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Follows redirects; within its host, private headers go along."""

    def __init__(self, private: frozenset[str]) -> None:
        self._private = {name.capitalize() for name in private}  # as a request spells them

    def redirect_request(
        self, req: urllib.request.Request, fp: IO[bytes], code: int, msg: str, headers: Message, newurl: str
    ) -> urllib.request.Request | None:
        """The request that follows."""
        new = super().redirect_request(req, fp, code, msg, headers, newurl)  # type: ignore[arg-type]
        if new is not None and _origin(new.full_url) == _origin(req.full_url):
            for name, value in req.unredirected_hdrs.items():
                if name in self._private:
                    new.add_unredirected_header(name, value)
        return new


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urllib.parse.urlsplit(url)
    return parts.scheme, parts.hostname, parts.port
