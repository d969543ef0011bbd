"""A package's registration is an index of pages, which are inlined or documents of their own (Microsoft Learn, "NuGet
Server API", package metadata).

A version's date is `created` where a registry has it, and otherwise `published`, which nuget.org sets to 1900 when it
unlists a version. Such a version has no date here: the real one is only in its catalog leaf, which would cost a request
for each.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any, Final
from urllib.parse import quote, unquote, urldefrag, urljoin

from securechain_ingest.errors import InvalidName, Malformed, NotFound
from securechain_ingest.model import NOT_AVAILABLE, Artifact, Package, PackageRef, Requirement, Version
from securechain_ingest.registries.kit.dates import utc_seconds
from securechain_ingest.registries.kit.identity import own_spelling, version_purl
from securechain_ingest.registries.kit.json_documents import as_text, load_object
from securechain_ingest.registries.kit.licenses import license_of
from securechain_ingest.registries.kit.preferred_version import Preference, preference
from securechain_ingest.registries.kit.repository import normalise_repository, vendor_of
from securechain_ingest.registries.nuget.catalog import leaf_stamp, normal_stamp
from securechain_ingest.registries.nuget.constraints import constraints
from securechain_ingest.registries.nuget.names import identify
from securechain_ingest.registries.nuget.versions import NuGetKey, is_version, normal_version, version_key

_UNLISTED: Final = "1900-01-01"
_BEFORE_ANY: Final = "2000"
"""NuGet began in 2010; an earlier date stands for none, as 1900 and the year 1 do."""
_YEAR: Final = re.compile("[0-9]{4}-")

_ADDRESSES: Final = {
    "@id": re.compile(r"/([^/]+)\.json$"),
    "packageContent": re.compile(r"/([^/]+)/[^/]+\.nupkg$"),
}
"""A leaf has its version in these addresses, at these positions."""

_EXPLAINED: Final = re.compile(r"https?://licenses\.nuget\.[a-z]+/(.+)")

_MAX_WRAPPINGS: Final = 4

_HAS_GROUPS: Final = "\0has groups"
"""The registry has no such field: it says whether there was an entry that could name dependencies."""


@dataclass(frozen=True, slots=True)
class PreferredVersion:
    """This is what counts of the version that a user gets by default."""

    preference: Preference[NuGetKey]
    """A listed release comes before listed pre-releases, and these before what is unlisted; of equal ones the highest
    counts."""
    id: str
    version: str
    repository_url: str | None
    license: str | None
    content_url: str | None


@dataclass(frozen=True, slots=True)
class Registration:
    """This is one document of a registration."""

    versions: tuple[Version, ...]
    default: PreferredVersion | None
    """This is the best version of this document; it is None if the document lists no version itself."""
    pages: tuple[str, ...]
    """These are the URLs of the pages that are documents of their own."""
    revision: str | None
    """This is the time of the newest of the catalog's leaves that the document shows."""
    is_whole: bool
    """The document lists as many as it says; otherwise the versions that it lacks may exist."""
    unreadable: int
    """So many entries do not say which version they are about."""
    written: str | None
    """The newest of its parts was written at this time, in the form of `normal_stamp`. That says less: a part may be
    written again at any time, and without what the catalog got meanwhile."""


def parse_registration(body: bytes, ref: PackageRef, url: str) -> Registration:
    """Return what an index or a page says, which was found at `url`. It raises Malformed, also for an empty one: a
    package without versions has no registration."""
    document = load_object(body, url)
    items = document.get("items")
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise Malformed(f"the registry's answer about {ref.registry_name} is no registration", url=url)
    if not items:
        raise Malformed(f"the registry's answer about {ref.registry_name} is empty", url=url)
    is_whole = _is_whole(document, items)
    entries: list[tuple[dict[str, Any], object]] = []
    pages: list[str] = []
    unreadable = 0
    parts = [document, *items]
    for item in items:
        if inlined := _leaves(item):
            is_whole = is_whole and ("catalogEntry" in item or _is_whole(item, inlined))
            read = [(_entry(leaf), leaf.get("packageContent")) for leaf in inlined]
            entries += [(entry, content) for entry, content in read if entry is not None]
            unreadable += sum(entry is None for entry, _ in read)
            parts += inlined
        elif item.get("count") != 0:
            pages.append(_page_url(item, ref, url))
    if unreadable and not entries:
        raise Malformed(f"the registry lists something of {ref.registry_name} that is no version", url=url)
    return Registration(
        versions=tuple(_version(ref, entry) for entry, _ in entries),
        default=max((_release(ref, entry, content) for entry, content in entries), key=_preference, default=None),
        pages=tuple(dict.fromkeys(pages)),
        revision=newest(leaf_stamp(entry.get("@id")) for entry, _ in entries),
        is_whole=is_whole,
        unreadable=unreadable,
        written=newest(normal_stamp(part.get("commitTimeStamp")) for part in parts),
    )


def package_of(ref: PackageRef, documents: Sequence[Registration], contents: str | None, url: str) -> Package:
    """Return the package of all documents, without validator. `contents` is the flat container.

    It raises NotFound if no version is listed, and Malformed for another package's registration.
    """
    versions = {version.name: version for document in documents for version in document.versions}
    default = max((document.default for document in documents if document.default), key=_preference, default=None)
    if default is None:
        raise NotFound(f"{ref.registry_name} has no versions in the NuGet registry", url=url)
    repository = default.repository_url
    return Package(
        ref=own_spelling(default.id, ref, identify, url),
        vendor=vendor_of(repository) if repository else None,
        repository_url=repository,
        license=default.license,
        versions=tuple(versions.values()),
        artifacts=_artifacts(ref, default, contents),
        validator=None,
        revision=newest(document.revision for document in documents),
        lists_all_versions=all(document.is_whole and not document.unreadable for document in documents),
    )


def newest(stamps: Iterable[str | None]) -> str | None:
    """Return the latest of those that are known."""
    return max(filter(None, stamps), default=None)


def requirements(groups: object) -> tuple[Requirement, ...]:
    """Return the dependencies of all groups, whatever their framework. There is one for each package, which allows what
    any group allows.

    Ids that no package can have are left out.
    """
    spellings: dict[str, str] = {}
    ranges: dict[str, dict[str, None]] = {}
    for group in _list(groups):
        for dependency in _list(group.get("dependencies")):
            if name := _text(dependency.get("id")):
                spellings.setdefault(name.lower(), name)
                ranges.setdefault(name.lower(), {})[_text(dependency.get("range")) or ""] = None
    found = (_requirement(spellings[key], tuple(declared)) for key, declared in ranges.items())
    return tuple(requirement for requirement in found if requirement is not None)


@lru_cache(maxsize=65_536)
def _requirement(name: str, declared: tuple[str, ...]) -> Requirement | None:
    try:
        return Requirement(identify(name.strip()), constraints(declared))
    except InvalidName:
        return None


def _is_whole(document: dict[str, Any], listed: Sequence[object]) -> bool:
    """Return whether a part has all that it counts. Registrations are written part by part, so one may not be
    finished."""
    count = document.get("count")
    return type(count) is not int or count <= len(listed)


def _leaves(item: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the leaves that an entry lists if its page is inlined, or the entry if it is a leaf itself. The result is
    empty if its page is a document."""
    return [item] if "catalogEntry" in item else _list(item.get("items"))


def _entry(leaf: dict[str, Any]) -> dict[str, Any] | None:
    """This is what a leaf says of its version; the result is None if it does not even say which version that is.

    If a catalog entry is only linked, or is missing, the leaf's own addresses are left, which name the version.
    """
    entry = next(iter(_list(leaf.get("catalogEntry"))), None)
    fields: dict[str, Any] = {field: leaf[field] for field in ("listed", "published") if field in leaf}
    fields |= {_HAS_GROUPS: False} if entry is None else entry
    version = (_text(fields.get("version")) or _version_in_addresses(leaf) or "").strip()
    return {**fields, "version": version} if version else None


def _version_in_addresses(leaf: dict[str, Any]) -> str | None:
    for field, pattern in _ADDRESSES.items():
        match = pattern.search(address) if isinstance(address := leaf.get(field), str) else None
        if match and is_version(unquote(match[1])):
            return unquote(match[1])
    return None


def _page_url(item: dict[str, Any], ref: PackageRef, url: str) -> str:
    address = item.get("@id")
    target = urldefrag(urljoin(url, address))[0] if isinstance(address, str) else url
    if target == urldefrag(url)[0]:
        raise Malformed(f"a page of {ref.registry_name} in the registry is neither inlined nor linked", url=url)
    return target


def _version(ref: PackageRef, entry: dict[str, Any]) -> Version:
    name = entry["version"].strip()
    return Version(
        name=name,
        purl=version_purl(ref, name),
        release_date=_date(entry),
        requirements=requirements(entry.get("dependencyGroups")) if entry.get(_HAS_GROUPS, True) else None,
        yanked=not _is_listed(entry),
        deprecated=bool(entry.get("deprecation")),
    )


def _date(entry: dict[str, Any]) -> str | None:
    dates = (utc_seconds(entry.get(field)) for field in ("created", "published"))
    return next((date for date in dates if date and _YEAR.match(date) and date > _BEFORE_ANY), None)


def _is_listed(entry: dict[str, Any]) -> bool:
    """Return whether an entry is listed. One that does not say so is listed, unless its date says otherwise."""
    listed = entry.get("listed")
    if isinstance(listed, str) and listed.lower() in ("true", "false"):
        return listed.lower() == "true"
    return listed if isinstance(listed, bool) else not str(entry.get("published")).startswith(_UNLISTED)


def _release(ref: PackageRef, entry: dict[str, Any], content: object) -> PreferredVersion:
    spelling, name = entry.get("id"), entry["version"].strip()
    repository = normalise_repository(entry.get(field) for field in ("projectUrl", "repository", "repositoryUrl"))
    content_url = content or entry.get("packageContent")
    return PreferredVersion(
        preference=preference(name, version_key, partial(_rank, entry)),
        id=spelling.strip() if isinstance(spelling, str) else ref.registry_name,
        version=name,
        repository_url=repository if repository != NOT_AVAILABLE else None,
        license=license_of(entry.get("licenseExpression"), _named_by_link(entry.get("licenseUrl"))),
        content_url=as_text(content_url),
    )


def _named_by_link(link: object) -> str | None:
    """Return the expression in a link to the page of NuGet's that explains it, or else the link itself.

    Packages without an expression have links, and the registry makes such a link of an expression for its older
    clients (Microsoft Learn, ".nuspec reference", licenseUrl). The result is None if the link only says that older
    clients have nothing to read.
    """
    text = (as_text(link) or "").strip()
    if text.endswith("/deprecateLicenseUrl"):
        return None
    explained = _EXPLAINED.fullmatch(text)
    return unquote(explained[1]) if explained else text


def _rank(entry: dict[str, Any], key: NuGetKey) -> tuple[bool, bool]:
    _, is_release, _ = key
    return _is_listed(entry), is_release


def _preference(release: PreferredVersion) -> Preference[NuGetKey]:
    return release.preference


def _artifacts(ref: PackageRef, release: PreferredVersion, contents: str | None) -> tuple[Artifact, ...]:
    try:
        version = normal_version(release.version).lower()
    except ValueError:
        version = release.version.lower()
    filename = f"{ref.name}.{version}.nupkg"
    url = release.content_url
    if contents is not None:
        url = f"{contents}/{quote(ref.name, safe='')}/{quote(version, safe='')}/{quote(filename, safe='')}"
    return (Artifact(url, filename, release.version, size=None),) if url else ()


def _text(value: object) -> str | None:
    """Return the text, or the first of several: in JSON-LD any value may be a list, or an object around the value."""
    for _ in range(_MAX_WRAPPINGS):
        if isinstance(value, list):
            value = next(iter(value), None)
        elif isinstance(value, dict):
            value = value.get("@value")
    return as_text(value)


def _list(value: object) -> list[dict[str, Any]]:
    """Return the objects of a list; JSON-LD writes a list of one as the one."""
    entries: Iterable[Any] = value if isinstance(value, list) else (value,)
    return [entry for entry in entries if isinstance(entry, dict)]
