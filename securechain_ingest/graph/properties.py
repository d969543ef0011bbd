"""This module says what the nodes of a package and of its versions hold. Its functions are pure.

A value of None removes the property. Properties that are not named here belong to other programs and stay as they are.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from securechain_ingest.graph.identity import version_purl
from securechain_ingest.model import Artifact, Ecosystem, ImportNames, NamesChange, PackageWrite, Rating, Version

FORMAT = 2
"""This number goes up when packages that an earlier release has written have to be read from their registries again."""

Properties = dict[str, Any]


def package_properties(write: PackageWrite, name: str, *, has_names: bool, has_pending: bool = False) -> Properties:
    """Return what a package's node holds when all of the package has been written.

    `has_names` says that the node has import names already. `has_pending` says that the graph has pending versions
    about which the write says nothing.
    """
    package = write.package
    can_be_read = write.archive_pending or any(each.requirements_pending for each in package.versions)
    is_pending = can_be_read or has_pending
    # What the registry's document lacks cannot be read now, so that it is not asked for again at once.
    complete_at = write.checked_at + timedelta(days=0 if can_be_read else 1)
    properties: Properties = {
        **package.properties,
        "name": name,
        "purl": package.ref.purl,
        "registry_name": package.ref.registry_name,
        "moment": write.checked_at,
        "validator": package.validator,
        "revision": package.revision,
        "format": FORMAT,
        "tried_at": None,
        "removed_at": None,
        "writing": None,
        "archive_pending": write.archive_pending or None,
        "pending_archive": _pending_archive(write) if not has_pending else None,
        "complete_at": complete_at if is_pending else None,
        "complete_depth": write.complete_depth if is_pending else None,
    }
    if package.vendor is not None:
        properties["vendor"] = package.vendor
    if package.repository_url is not None:
        properties["repository_url"] = package.repository_url
    names = write.import_names
    if package.license is not None or (names is not None and names.version is not None):
        # Once the archive has been read whole, all has been read that could declare a licence.
        properties["license"] = package.license
    if write.import_names is not None:
        properties |= attempts_properties(write.import_names)
        if not (write.import_names.is_stopgap and has_names):
            properties |= names_properties(package.ref.ecosystem, write.import_names)
    return properties


def _pending_archive(write: PackageWrite) -> list[str] | None:
    """Return the archive if nothing else is left to be read."""
    package = write.package
    if not (write.archive_pending and package.ref.ecosystem.document_has_all_but_names and package.artifacts):
        return None
    if any(version.requirements_pending for version in package.versions):
        return None
    return archive_texts(package.artifacts[0])


def archive_texts(archive: Artifact) -> list[str]:
    """Return a pending archive as a package's node holds it."""
    return [archive.version, archive.url, archive.filename, archive.digest or ""]


def archive_of(texts: Sequence[str] | None) -> Artifact | None:
    """Return the pending archive that a package's node holds, or None if it holds none in this form."""
    match texts:
        case [str(version), str(url), str(filename), str(digest)]:
            return Artifact(url, filename, version, size=None, digest=digest or None)
    return None


def names_properties(ecosystem: Ecosystem, names: ImportNames) -> Properties:
    """Return what a package's node holds of its import names. They are not written if they are a stopgap and the node
    has names already."""
    return {
        "import_names": list(names.names),
        "import_names_parser": ecosystem.import_names_version,
        "import_names_of": names.version,
    }


def change_properties(change: NamesChange) -> Properties:
    """Return what a version's node holds of the difference between its import names and those of an older version."""
    return {
        "import_names_added": len(change.added),
        "import_names_removed": len(change.removed),
        "import_names_before": change.before,
    }


def attempts_properties(names: ImportNames) -> Properties:
    """Return what a package's node holds of the attempts to read its archive. All values are None when nothing is
    wrong."""
    failed = names.failed
    return {
        "import_names_error": names.error,
        "import_names_failed_version": failed.version if failed else None,
        "import_names_tries": failed.attempts if failed else None,
        "import_names_tried_at": failed.tried_at if failed else None,
        "import_names_retry_at": failed.retry_at if failed else None,
    }


def version_properties(
    package_purl: str, version: Version | None, name: str, serial: int, rating: Rating | None, held: Mapping[str, Any]
) -> Properties:
    """Return what a version's node holds, from what it `held` before. `version` is None if the registry lacks the
    version."""
    properties: Properties = {
        "name": name,
        "purl": version.purl if version else held.get("purl") or version_purl(package_purl, name),
        "serial_number": serial,
        "release_date": (version.release_date if version else None) or _iso_date(held.get("release_date")),
    }
    if version is not None:
        properties["yanked"] = version.yanked or None
        properties["deprecated"] = version.deprecated or None
        properties["requirements_pending"] = version.requirements_pending or None
    if rating is None and held.get("vulnerabilities") is None:
        rating = Rating()
    if rating is not None:
        properties |= rating_properties(rating)
    return properties


def rating_properties(rating: Rating) -> Properties:
    """Return what a version's node holds of its rating."""
    return {
        "mean": float(rating.mean),
        "weighted_mean": float(rating.weighted_mean),
        "vulnerabilities": list(rating.vulnerabilities),
    }


def _iso_date(held: Any) -> str | None:
    """Return the date in the form of the contract. Upstream writes milliseconds since the epoch for Maven (contract,
    section 1.2)."""
    if isinstance(held, int):
        try:
            return datetime.fromtimestamp(held / 1000, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        except (ValueError, OverflowError, OSError):
            return None  # the number is outside the range of dates
    return None if held is None else str(held)
