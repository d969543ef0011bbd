"""This module decides to which endpoint a URL belongs, how that endpoint is asked, and whether the URL may be asked at
all.

A link in a registry's document is foreign input. Only its path and its query are used. The scheme, the port and the
credentials are those of the endpoint.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import NoReturn
from urllib.parse import SplitResult, unquote, urljoin, urlsplit

from securechain_ingest.errors import ForbiddenHost, Malformed

_AUTHORITY = re.compile(r"(?:[A-Za-z][A-Za-z0-9+.-]*:)?//([^/?#]*)")
_CONTROLS = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_LONGEST_SHOWN = 500


@dataclass(frozen=True, slots=True)
class Address:
    """This is the address that a request is sent to."""

    endpoint: str
    """This is the endpoint's name, or the entry of `[http] allowed_hosts`."""
    url: str
    """The URL has the endpoint's scheme and port, and lies below its base URL."""


@dataclass(frozen=True, slots=True)
class _Base:
    endpoint: str
    url: str
    host: str
    origin: str
    """This is the scheme and the authority, credentials included."""
    path: str
    """The path has no slash at its end."""


class Routes:
    """This knows the endpoints' base URLs and the allowed hosts. Every request is checked here, and so is every
    redirect."""

    def __init__(self, endpoints: Mapping[str, str], allowed_hosts: Iterable[str]) -> None:
        bases = [_base(name, url.rstrip("/")) for name, url in endpoints.items()]
        # If a URL lies below two bases, the longer one is the more exact. Equal ones stay in their order.
        self._bases = sorted(bases, key=lambda base: -len(base.url))
        self._allowed = {_host(urlsplit(f"//{entry}")): entry.lower() for entry in allowed_hosts}

    def address(self, url: str) -> Address:
        """Return the address by which `url` is asked.

        A URL belongs to the longest base URL that it begins with. If there is none, it belongs to the longest base URL
        of the same host whose path it lies below; then it is asked with the scheme and port of that base URL. A host of
        `allowed_hosts` is asked by https at port 443. If its entry there has a port of its own, it is asked at that
        port, with the scheme of the link.

        Raise ForbiddenHost for any other host, and for a path with dot segments, because they could lead out of the
        base URL. Raise Malformed for control characters.
        """
        if _CONTROLS.search(url):
            raise Malformed(f"{shown(url)} is no URL that can be asked for (control characters)", url=shown(url))
        if "\\" in url:  # Some parsers take it for a slash, and so read another host than others do.
            _forbid(url, "which is no URL")
        for base in self._bases:
            if url.startswith(base.url) and url[len(base.url) : len(base.url) + 1] in ("", "/", "?"):
                _refuse_dot_segments(url, url[len(base.origin) :])
                return Address(base.endpoint, url)
        try:
            parts = urlsplit(url)
            _ = parts.port  # This raises ValueError for a port that cannot exist.
        except ValueError:
            _forbid(url, "which is no URL")
        if parts.scheme not in {"http", "https"} or parts.username is not None:
            _forbid(url, "whose host is neither an endpoint's nor in [http] allowed_hosts")
        _refuse_dot_segments(url, parts.path)
        return self._foreign(url, parts)

    def _foreign(self, url: str, parts: SplitResult) -> Address:
        host = _host(parts)
        target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
        of_host = [base for base in self._bases if base.host == host]
        for base in of_host:
            if parts.path == base.path or parts.path.startswith(f"{base.path}/"):
                return Address(base.endpoint, base.origin + target)
        if of_host:
            _forbid(url, f"which is not below {' or '.join(sorted({shown(base.url) for base in of_host}))}")
        entry = self._allowed.get(host)
        if entry is None:
            _forbid(url, "whose host is neither an endpoint's nor in [http] allowed_hosts")
        port = urlsplit(f"//{entry}").port
        scheme = "https" if port in (None, 443) else parts.scheme
        return Address(entry, f"{scheme}://{entry}{target}")


def redirect_target(url: str, location: str | None) -> str:
    """Return the URL that an answer of `url` redirects to. It still has to pass `Routes.address`. Raise Malformed if
    `location` gives no URL."""
    try:
        target = urljoin(url, location) if location else ""
    except ValueError:
        target = ""
    if not target:
        raise Malformed(f"{shown(url)} redirects without saying where to", url=shown(url))
    return target


def refuse_plain_text(url: str, target: str) -> None:
    """Raise ForbiddenHost if a redirect from `url` to `target` would leave TLS. Both are the URLs as they are asked."""
    if urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https":
        raise ForbiddenHost(f"{shown(url)} redirects to {shown(target)}, which is not encrypted", url=shown(url))


def shown(url: str) -> str:
    """Return a URL as it may stand in a message: without user and password, in one line, with the host that would be
    asked, and cut after 500 characters.

    The authority ends at the first `/`, `?` or `#` (RFC 3986, section 3.2), whatever follows.
    """
    match = _AUTHORITY.match(url)
    if match is None:
        head, at, tail = url.partition("/")[0].rpartition("@")
        text = tail + url[len(head + at + tail) :]
    else:
        authority = match.group(1)
        text = url[: match.start(1)] + authority.rpartition("@")[2] + url[match.end(1) :]
    text = _CONTROLS.sub(lambda character: f"\\x{ord(character.group()):02x}", text)
    return text if len(text) <= _LONGEST_SHOWN else f"{text[:_LONGEST_SHOWN]}…"


def _base(endpoint: str, url: str) -> _Base:
    parts = urlsplit(url)
    return _Base(endpoint, url, _host(parts), f"{parts.scheme}://{parts.netloc}", parts.path)


def _refuse_dot_segments(url: str, path: str) -> None:
    # Encoded dots count, too, because a proxy may decode them before it passes the request on.
    if "." in path or "%2e" in path.lower():
        segments = unquote(path.partition("?")[0]).split("/")
        if "." in segments or ".." in segments:
            _forbid(url, "whose path has dot segments")


def _forbid(url: str, why: str) -> NoReturn:
    raise ForbiddenHost(f"a link leads to {shown(url)}, {why}", url=shown(url))


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").lower()
