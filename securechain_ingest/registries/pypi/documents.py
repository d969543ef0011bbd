"""This module reads PyPI's JSON documents (PyPI's "JSON API" and "Index API" pages, PEP 691, 700 and 714).

Sixteen years of layouts and uploading tools have left every field in every shape. So each value is checked, and one of
a wrong type counts as missing.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final
from urllib.parse import urljoin

from securechain_ingest.errors import Malformed
from securechain_ingest.model import PackageRef
from securechain_ingest.registries.kit.dates import utc_seconds
from securechain_ingest.registries.kit.identity import own_spelling
from securechain_ingest.registries.kit.json_documents import as_list, as_table, as_text, load_object
from securechain_ingest.registries.kit.licenses import license_of
from securechain_ingest.registries.kit.repository import normalise_repository
from securechain_ingest.registries.pypi.filenames import comparable, version_in
from securechain_ingest.registries.pypi.names import identify
from securechain_ingest.registries.pypi.requirements import DeclaredRequirements, read_requirements

# PEP 753: labels are compared in lower case without punctuation; its own and those that were common before it.
_SOURCE_LABELS: Final = ("source", "repository", "sourcecode", "github", "code", "gitlab", "bitbucket", "git", "repo")
_HOME_LABELS: Final = ("homepage", "home")
_MAX_LICENSE_NAME: Final = 60
_MONEY_LABELS: Final = frozenset({"funding", "fund", "sponsor", "sponsors", "donate", "donation"})


@dataclass(frozen=True, slots=True)
class File:
    """This is a file of a release."""

    filename: str
    url: str
    size: int | None
    """The size is in bytes."""
    uploaded: str | None
    """The time is in UTC, to the second."""
    yanked: bool
    requires_python: str | None
    """The text is as declared; None means any Python."""
    has_metadata: bool
    """The registry serves the file's core metadata beside it; only the simple interface says so."""
    digest: str | None = None
    """This is the SHA-256 of the file."""


@dataclass(frozen=True, slots=True)
class ProjectDocument:
    """This is what the project's own document says."""

    ref: PackageRef
    releases: Mapping[str, tuple[File, ...]] | None
    """It is None if this document does not list the releases (any more)."""
    latest: str | None
    """The rest of the document is about this version."""
    requires: DeclaredRequirements | None
    """These are the requirements of `latest`; None means that they are unknown."""
    repository_url: str
    license: str | None
    """This is the licence of `latest`."""
    serial: int | None
    """This is the serial of the project's last event; it is None if the document does not say."""


@dataclass(frozen=True, slots=True)
class SimplePage:
    """This is the stable list of all files."""

    versions: tuple[str, ...]
    files: tuple[File, ...]
    status: str = "active"
    """If it is `quarantined`, PyPI hands nothing out at the moment (PEP 792)."""


def parse_project(body: bytes, ref: PackageRef, url: str) -> ProjectDocument:
    """Return what `/pypi/N/json` says. It raises Malformed if it is not such a document, or another project's."""
    document = load_object(body, url)
    info, releases = document.get("info"), document.get("releases")
    if not isinstance(info, dict) and not isinstance(releases, dict):
        raise Malformed(f"the registry's answer about {ref.registry_name} is not a project", url=url)
    info = as_table(info)
    latest = info.get("version")
    files = document.get("urls")
    serial, own_name = document.get("last_serial"), as_text(info.get("name"))
    return ProjectDocument(
        ref=ref if own_name is None else own_spelling(own_name, ref, identify, url),
        releases={name: _files(entries, url) for name, entries in releases.items() if name.strip()}
        if isinstance(releases, dict)
        else None,
        latest=as_text(latest),
        requires=_requires(info, files, ref),
        repository_url=normalise_repository(_repository_candidates(info)),
        license=license_of(*_licences(info)),
        serial=serial if type(serial) is int else None,
    )


def parse_version(body: bytes, ref: PackageRef, url: str) -> DeclaredRequirements | None:
    """Return the requirements in `/pypi/N/V/json`. The result is None if it does not say. It raises Malformed."""
    document = load_object(body, url)
    info = document.get("info")
    if not isinstance(info, dict):
        raise Malformed(f"the registry's answer about a version of {ref.registry_name} is none", url=url)
    return _requires(info, document.get("urls"), ref)


def parse_simple(body: bytes, ref: PackageRef, url: str) -> SimplePage:
    """Return what `/simple/N/` says in its JSON form. It raises Malformed."""
    document = load_object(body, url)
    if not isinstance(document.get("files"), list):
        raise Malformed(f"the registry's list of the files of {ref.registry_name} is none", url=url)
    return SimplePage(
        tuple(version for version in as_list(document.get("versions")) if isinstance(version, str)),
        _files(document["files"], url),
        str(as_table(document.get("project-status")).get("status") or "active"),
    )


def releases_of(page: SimplePage) -> dict[str, tuple[File, ...]]:
    """Return the page's files by the version in their names. Before PEP 700 a page does not list its versions."""
    spellings = {comparable(version): version for version in page.versions}
    listed = frozenset(spellings)
    releases: dict[str, list[File]] = {version: [] for version in page.versions}
    for file in page.files:
        version = version_in(file.filename, listed)
        if version is not None:
            key = comparable(version)
            releases.setdefault(spellings.setdefault(key, str(key)), []).append(file)
    return {version: tuple(files) for version, files in releases.items()}


def _requires(info: Mapping[str, Any], files: object, ref: PackageRef) -> DeclaredRequirements | None:
    """Read `requires_dist`. Null means none; where there are only sdists it also stands for what PyPI could not
    read."""
    lines = info.get("requires_dist")
    if isinstance(lines, list):
        return read_requirements(lines, ref)
    has_wheel = any(str(as_table(entry).get("filename")).endswith(".whl") for entry in as_list(files))
    return DeclaredRequirements() if has_wheel else None


def _files(entries: object, base: str) -> tuple[File, ...]:
    """The entries are those of either interface: `upload_time_iso_8601` in one is `upload-time` in the other."""
    return tuple(
        file for entry in as_list(entries) if isinstance(entry, dict) and (file := _file(entry, base)) is not None
    )


def _file(entry: Mapping[str, Any], base: str) -> File | None:
    filename, url, size, yanked = (entry.get(key) for key in ("filename", "url", "size", "yanked"))
    if not isinstance(filename, str) or not isinstance(url, str):
        return None
    try:
        address = urljoin(base, url).partition("#")[0]
    except ValueError:
        return None
    uploaded = entry.get("upload_time_iso_8601") or entry.get("upload_time") or entry.get("upload-time")
    metadata = entry.get("core-metadata", entry.get("data-dist-info-metadata"))
    requires_python = entry.get("requires_python") or entry.get("requires-python")
    digests = entry.get("digests") or entry.get("hashes")
    return File(
        filename=filename,
        url=address,
        size=size if isinstance(size, int) and size > 0 else None,
        uploaded=utc_seconds(uploaded),
        yanked=yanked is True or (isinstance(yanked, str) and yanked != ""),
        requires_python=as_text(requires_python),
        has_metadata=metadata is True or isinstance(metadata, dict),
        digest=as_text(as_table(digests).get("sha256")),
    )


def _repository_candidates(info: Mapping[str, Any]) -> Iterator[str]:
    """Yield the most telling addresses first: those labelled as the source, then the home page, then any other."""
    links = {re.sub(r"[^a-z]", "", label.lower()): link for label, link in as_table(info.get("project_urls")).items()}
    ordered = [links.get(label) for label in (*_SOURCE_LABELS, *_HOME_LABELS)]
    ordered.append(info.get("home_page"))
    ordered.extend(link for label, link in links.items() if label not in _MONEY_LABELS)
    ordered.extend((info.get("download_url"), info.get("bugtrack_url")))
    # npm's shorthand `owner/repo` means nothing here.
    return (
        link for link in ordered if isinstance(link, str) and "." in link.partition("/")[0] + link.partition("//")[2]
    )


def _licences(info: dict[str, Any]) -> Iterator[object]:
    """`License :: OSI Approved :: MIT License` names the MIT License, and says more than the text of a licence does."""
    yield info.get("license_expression")
    named = as_text(info.get("license"))
    yield named if named is not None and len(named) <= _MAX_LICENSE_NAME else None
    entries = as_list(info.get("classifiers"))
    names = (entry.split(" :: ") for entry in entries if isinstance(entry, str) and entry.startswith("License :: "))
    yield [name[-1] for name in names if name[-1] != "OSI Approved"]
    yield named
