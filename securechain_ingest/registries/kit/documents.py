"""This module asks for documents of registries, and says when one is too old to be believed."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

from securechain_ingest.errors import Stale
from securechain_ingest.model import KnownPackage

if TYPE_CHECKING:
    from securechain_ingest.archives.pool import ParserPool
    from securechain_ingest.http.client import HttpClient, Response

T = TypeVar("T")


async def read_document(
    http: HttpClient,
    pool: ParserPool,
    url: str,
    parse: Callable[..., T],
    *args: object,
    accept: str | None = None,
    limit_bytes: int | None = None,
) -> T:
    """Get the document at `url`, and return `parse(body, *args, url)`.

    It raises UpstreamError, which may come from `parse`, and ParserLost.
    """
    response = await http.get(url, accept=accept, limit_bytes=limit_bytes)
    return await pool.parse_document(parse, response.body, *args, url)


async def ask_for_package(
    http: HttpClient, url: str, known: KnownPackage | None, at_least: str | None, *, accept: str | None = None
) -> Response:
    """Return the registry's answer about a package, asked for conditionally if the graph has the package and no feed
    has announced more.

    What a feed has announced is not what the graph has: "not modified" would only mean that a cache holds an old copy.
    It raises UpstreamError.
    """
    validator = known.validator if known is not None and at_least is None else None
    return await http.get(url, accept=accept, validator=validator)


def stale(url: str, state: str, announced: str) -> Stale:
    """Return the error for a document that is older than its feed. `state` says what it is instead (`is of revision
    3-a`)."""
    return Stale(f"{url} {state}, and {announced} has been announced", url=url)
