"""Which endpoint a URL belongs to, and whether it may be asked at all."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from urllib.parse import SplitResult, urljoin, urlsplit

from securechain_ingest.errors import ForbiddenHost, Malformed


class Routes:
    """Endpoints by base URL. A URL belongs to the longest base that it begins with, else to the first of its host."""

    def __init__(self, endpoints: Mapping[str, str], allowed_hosts: Iterable[str]) -> None:
        self._bases = sorted(((base, name) for name, base in endpoints.items()), key=lambda pair: -len(pair[0]))
        self._hosts = {host.lower(): host.lower() for host in allowed_hosts}
        self._hosts |= {_host(urlsplit(base)): name for name, base in reversed(tuple(endpoints.items()))}

    def endpoint_of(self, url: str) -> str:
        """The endpoint's name, or the host for one of `[http] allowed_hosts`. Raises ForbiddenHost."""
        for base, name in self._bases:
            if url.startswith(base) and url[len(base) : len(base) + 1] in ("", "/", "?"):
                return name
        try:
            parts = urlsplit(url)
            _ = parts.port  # raises for one that there cannot be
        except ValueError:
            raise ForbiddenHost(
                f"a registry's document leads to {shown(url)}, which is no URL", url=shown(url)
            ) from None
        host = _host(parts)
        if parts.scheme not in {"http", "https"} or parts.username is not None or host not in self._hosts:
            raise ForbiddenHost(
                f"a registry's document leads to {shown(url)}, whose host is neither an endpoint's nor in [http]"
                " allowed_hosts",
                url=shown(url),
            )
        return self._hosts[host]


def redirect_target(url: str, location: str | None) -> str:
    """Where an answer of `url` sends us. Raises Malformed if that is nowhere, ForbiddenHost if it is out of TLS."""
    try:
        target = urljoin(url, location) if location else ""
        encrypted = urlsplit(url).scheme == "https" and urlsplit(target).scheme != "https"
    except ValueError:
        target = ""
    if not target:
        raise Malformed(f"{shown(url)} redirects without saying where to", url=shown(url))
    if encrypted:
        raise ForbiddenHost(f"{shown(url)} redirects to {shown(target)}, which is not encrypted", url=shown(url))
    return target


def shown(url: str) -> str:
    """A URL as it may stand in a message: without user and password."""
    scheme, separator, rest = url.partition("://")
    authority, slash, path = rest.partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def _host(parts: SplitResult) -> str:
    return (parts.hostname or "").lower()
