"""This module finds where a registry's resources lie, and reads its search (Microsoft Learn, "NuGet Server API")."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import urljoin

from securechain_ingest.errors import Malformed, NotFound
from securechain_ingest.registries.kit.json_documents import as_list, load_object

if TYPE_CHECKING:
    from securechain_ingest.archives.pool import ParserPool
    from securechain_ingest.http.client import HttpClient

PATH: Final = "v3/index.json"
NEAR_NAMES: Final = 5
MAX_BYTES: Final = 4 * 1024 * 1024
"""This is in bytes and bounds either document, which has some kilobytes."""

# Best first: with SemVer 2 versions and compressed, as nuget.org's own; then what smaller servers offer.
_REGISTRATIONS: Final = (
    "RegistrationsBaseUrl/3.6.0",
    "RegistrationsBaseUrl/Versioned",
    "RegistrationsBaseUrl/3.4.0",
    "RegistrationsBaseUrl",
    "RegistrationsBaseUrl/3.0.0-rc",
    "RegistrationsBaseUrl/3.0.0-beta",
)
_CATALOG: Final = "Catalog/3.0.0"
_CONTENTS: Final = ("PackageBaseAddress/3.0.0", "PackageBaseAddress")
_SEARCH: Final = tuple(
    f"{service}{version}"
    for service in ("SearchQueryService", "SearchAutocompleteService")
    for version in ("/3.5.0", "", "/3.0.0-rc", "/3.0.0-beta")
)


@dataclass(frozen=True, slots=True)
class Services:
    """These are base URLs, without a slash at the end."""

    registrations: str
    contents: str | None
    """This is the flat container; if it is None, only the packages' own links lead to their files."""
    search: str | None
    catalog: str | None = None
    """This is the URL of the catalog's index."""


def default_services(http: HttpClient) -> Services:
    """Return where nuget.org has its resources. A server without a service index is expected to have them there,
    too."""
    base = http.url("nuget_api", "").rstrip("/")
    return Services(
        f"{base}/v3/registration5-gz-semver2", f"{base}/v3-flatcontainer", None, f"{base}/v3/catalog0/index.json"
    )


async def find_services(http: HttpClient, pool: ParserPool) -> Services | None:
    """Return what the registry's service index says, or None if the server has none. It raises UpstreamError."""
    try:
        response = await http.get(http.url("nuget_api", PATH), limit_bytes=MAX_BYTES)
    except NotFound:
        return None
    services: Services = await pool.parse_document(parse_service_index, response.body, response.url)
    return services


def parse_service_index(body: bytes, url: str) -> Services:
    """Return where the registry's services are. It raises Malformed for a document that is not a service index, or
    names no package metadata."""
    resources = load_object(body, url).get("resources")
    found: dict[str, str] = {}
    for resource in as_list(resources):
        for kind, address in _entries(resource):
            found.setdefault(kind, urljoin(url, address).rstrip("/"))
    registrations = _first(found, _REGISTRATIONS)
    if registrations is None:
        raise Malformed(f"{url} names no RegistrationsBaseUrl", url=url)
    return Services(registrations, _first(found, _CONTENTS), _first(found, _SEARCH), found.get(_CATALOG))


def found_names(body: bytes, url: str) -> tuple[str, ...]:
    """Return the ids in an answer of the search service, which has an object for each, or of the autocomplete
    service."""
    hits = load_object(body, url).get("data")
    found = (hit.get("id") if isinstance(hit, dict) else hit for hit in as_list(hits))
    return tuple(name for name in found if isinstance(name, str))


def _entries(resource: Any) -> list[tuple[str, str]]:
    if not isinstance(resource, dict) or not isinstance(address := resource.get("@id"), str):
        return []
    kinds = resource.get("@type")
    return [(kind, address) for kind in (kinds if isinstance(kinds, list) else [kinds]) if isinstance(kind, str)]


def _first(found: dict[str, str], kinds: tuple[str, ...]) -> str | None:
    return next((found[kind] for kind in kinds if kind in found), None)
