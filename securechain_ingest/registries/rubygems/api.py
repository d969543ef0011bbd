"""The registry's API adds to the index where a gem's source lies, and dates where the index has none.

The formats are in RubyGems' guide "API": `/api/v1/gems/NAME.json` is an object about the newest version,
`/api/v1/versions/NAME.json` is a list of all files, and `/api/v1/search.json` is a list of objects of the first kind.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any, Final

from securechain_ingest.errors import InvalidName, Malformed
from securechain_ingest.model import Package
from securechain_ingest.registries.kit.dates import utc_seconds
from securechain_ingest.registries.kit.json_documents import load_json
from securechain_ingest.registries.kit.licenses import license_of
from securechain_ingest.registries.kit.repository import vendor_of
from securechain_ingest.registries.rubygems.names import identify
from securechain_ingest.registries.rubygems.repository import repository_of

MAX_DOCUMENT_BYTES: Final = 16 * 1024 * 1024
"""This is in bytes; a gem with ten thousand files takes half of it."""


def document_for(package: Package) -> str:
    """Return the path of the document that has most of what the index lacks."""
    kind = "gems" if all(version.release_date for version in package.versions) else "versions"
    return f"api/v1/{kind}/{package.ref.registry_name}.json"


def completed(package: Package, body: bytes, url: str) -> Package:
    """Return the package, completed with what either document says. Malformed is raised for anything else."""
    document = load_json(body, url)
    entries = [entry for entry in (document if isinstance(document, list) else [document]) if isinstance(entry, dict)]
    if not entries:
        raise Malformed(f"the registry's answer about {package.ref.registry_name} is no gem's document", url=url)
    dates: dict[str, str] = {}
    for entry in entries:
        number, date = entry.get("number"), utc_seconds(entry.get("created_at"))
        if isinstance(number, str) and date:
            dates[number] = min(date, dates.get(number, date))
    repository = next(filter(None, map(repository_of, entries)), None)
    return replace(
        package,
        repository_url=repository,
        vendor=vendor_of(repository) if repository else None,
        license=license_of(*(entry.get("licenses") for entry in entries)),
        versions=tuple(
            replace(version, release_date=version.release_date or dates.get(version.name))
            for version in package.versions
        ),
    )


def found_names(body: bytes, url: str) -> tuple[str, ...]:
    """Return the names that a search found. Malformed is raised for an answer that is not a list."""
    document = load_json(body, url)
    if not isinstance(document, list):
        raise Malformed("the registry's search did not answer with a list", url=url)
    return tuple(_names(document))


def _names(found: list[Any]) -> Iterator[str]:
    for entry in found:
        try:
            yield identify(str(entry["name"])).registry_name
        except (InvalidName, KeyError, TypeError):
            continue
