"""This module collects from the graph and the advisories what an analyst asks about one package, without its
registry."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from securechain_ingest.advisories.store import AdvisoryStore
from securechain_ingest.errors import NotFound
from securechain_ingest.graph.view import GraphReader, PackageView, RequirementView, RequiringVersions, VersionView
from securechain_ingest.jobs.advisory_sync import never_read
from securechain_ingest.jobs.cursors import Cursors
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.registries import named_package
from securechain_ingest.reports.vulnerabilities import Vulnerability, vulnerabilities
from securechain_ingest.times import iso
from securechain_ingest.worker.release_changes import KeptNames, ReleaseChanges

FIRST_REQUIRING: Final = 10


@dataclass(frozen=True, slots=True)
class ReleaseChange:
    """This is how the import names of a version differ from those of an older one, whose archive was read before it."""

    version: str
    before: str
    added_count: int
    removed_count: int
    names: KeptNames | None
    """These are the names; MongoDB keeps a limited number of each kind. None means that it does not have them."""

    def as_dict(self) -> dict[str, Any]:
        return {
            "version": self.version,
            "before": self.before,
            "added_count": self.added_count,
            "removed_count": self.removed_count,
            "added": list(self.names.added) if self.names else None,
            "removed": list(self.names.removed) if self.names else None,
        }


@dataclass(frozen=True, slots=True)
class PackageReport:
    """This is the report on one package, or on one version of it."""

    ecosystem: Ecosystem
    package: PackageView
    version: VersionView
    """This is the version that was asked for, or else the last in order of those that are neither removed nor
    yanked."""
    is_asked: bool
    """This says whether the version was asked for by name; then only its own vulnerabilities are reported."""
    vulnerabilities: tuple[Vulnerability, ...] | None
    """The worst vulnerability comes first. None means that nothing is known, because the ecosystem's advisories
    have not been read or because OSV does not have the ecosystem (`Ecosystem.osv`)."""
    vulnerability_counts: Mapping[str, int]
    """This maps the name of each version of the package that is known to be affected to its number of vulnerabilities.
    Records that are connected by aliases count once."""
    requires: tuple[RequirementView, ...] | None
    """These are the requirements of that version; None means that they have not been read yet."""
    required_by: RequiringVersions
    release_change: ReleaseChange | None
    """This is what the version that was asked for changes, or else the newest version that was compared. None means
    that it was not compared."""

    def as_dict(self) -> dict[str, Any]:
        """Return the report as programs read it (`show --json`)."""
        package, is_known = self.package, self.vulnerabilities is not None
        shown = [self.version] if self.is_asked else list(reversed(package.versions))
        return {
            "purl": self.version.purl if self.is_asked else package.purl,
            "name": package.name,
            "checked_at": iso(package.checked_at),
            "removed_at": iso(package.removed_at) if package.removed_at else None,
            "license": package.license,
            "vendor": package.vendor,
            "repository_url": package.repository_url,
            "versions": [
                {
                    "name": version.name,
                    "release_date": version.release_date,
                    "yanked": version.yanked,
                    "deprecated": version.deprecated,
                    "removed": version.removed,
                    "vulnerabilities": list(version.vulnerabilities) if is_known else None,
                }
                for version in shown
            ],
            "vulnerabilities": None
            if self.vulnerabilities is None
            else [
                {
                    "ids": list(each.ids),
                    "severity": each.severity,
                    "score": each.score,
                    "affected_versions": list(each.affected_versions),
                    "fixed_in": list(each.fixed_in),
                    "summary": each.summary,
                }
                for each in self.vulnerabilities
            ],
            "requiring_version": self.version.name,
            "requires": None
            if self.requires is None
            else [
                {"purl": each.purl, "constraints": each.constraints, "in_graph": each.present} for each in self.requires
            ],
            "required_by": {"count": self.required_by.count, "first": list(self.required_by.first)},
            "import_names": list(package.import_names),
            "import_names_error": package.import_names_error,
            "import_names_changes": self.release_change.as_dict() if self.release_change else None,
        }


async def report_on(
    reader: GraphReader,
    advisories: AdvisoryStore,
    changes: ReleaseChanges,
    cursors: Cursors,
    ref: PackageRef,
    version: str | None,
) -> PackageReport:
    """Return what `read_package` returns, rated if the advisories of the ecosystem have been read. It raises what
    `read_package` raises."""
    osv = ref.ecosystem.osv
    is_rated = osv is not None and not await never_read(cursors, advisories, [osv])
    return await read_package(reader, advisories, changes, ref, version, is_rated=is_rated)


async def read_package(
    reader: GraphReader,
    advisories: AdvisoryStore,
    changes: ReleaseChanges,
    ref: PackageRef,
    version: str | None,
    *,
    is_rated: bool,
) -> PackageReport:
    """Return what is known of a package, or of one version of it. The case of the name's letters does not matter.

    `is_rated` says whether the advisories of its ecosystem have been read. It raises NotFound if the graph lacks the
    package or the version, and StoreError.
    """
    package = await reader.package(ref.ecosystem, ref.purl)
    if package is None and (purl := await reader.purl_of(ref.ecosystem, ref.name)):
        # Most registries have one package for all spellings of a name, and people do not know its letters' case.
        ref = named_package(purl)
        package = await reader.package(ref.ecosystem, purl)
    if package is None or not package.versions:
        raise NotFound(f"{ref.purl} is not in the graph; `securechain-ingest submit` asks for it", url=ref.purl)
    shown = _shown_version(package, version)
    only = shown if version else None
    found, counts = await _vulnerabilities(advisories, ref, package, only) if is_rated else (None, {})
    return PackageReport(
        ecosystem=ref.ecosystem,
        package=package,
        version=shown,
        is_asked=version is not None,
        vulnerabilities=found,
        vulnerability_counts=counts,
        requires=None if shown.requirements_pending else await reader.requirements(shown.purl),
        required_by=await reader.required_by(ref.ecosystem, ref.purl, FIRST_REQUIRING),
        release_change=await _release_change(changes, [shown] if version else package.versions),
    )


def _shown_version(package: PackageView, name: str | None) -> VersionView:
    if name is None:
        there = [version for version in package.versions if not (version.removed or version.yanked)]
        return (there or package.versions)[-1]
    for version in package.versions:
        if version.name == name:
            return version
    newest = ", ".join(version.name for version in package.versions[:-6:-1])
    raise NotFound(f"{package.purl} has no version {name} in the graph; the newest are {newest}", url=package.purl)


async def _release_change(changes: ReleaseChanges, versions: Sequence[VersionView]) -> ReleaseChange | None:
    """Return what the last of the versions that was compared changes, or None if none was."""
    for version in reversed(versions):
        if version.names_before is not None:
            kept = await changes.get(version.purl)
            names = kept if kept and kept.before == version.names_before else None
            return ReleaseChange(version.name, version.names_before, version.names_added, version.names_removed, names)
    return None


async def _vulnerabilities(
    advisories: AdvisoryStore, ref: PackageRef, package: PackageView, only: VersionView | None
) -> tuple[tuple[Vulnerability, ...], Mapping[str, int]]:
    """Return the vulnerabilities of the package, or of one version, and how many each affected version has."""
    affected = _affected(package.versions)
    if not affected:
        return (), {}
    documents = (await advisories.of_packages([ref]))[ref.purl]
    told = _affected([only]) if only else affected
    texts = await advisories.texts(told.keys())
    found = vulnerabilities(ref, told, documents, texts, above=only.name if only else None)
    all_found = vulnerabilities(ref, affected, documents, {}) if only else found
    return tuple(found), Counter(name for each in all_found for name in each.affected_versions)


def _affected(versions: Sequence[VersionView]) -> dict[str, list[str]]:
    """Return for each advisory the names of the versions that it affects."""
    affected: dict[str, list[str]] = {}
    for version in versions:
        for identifier in version.vulnerabilities:
            affected.setdefault(identifier, []).append(version.name)
    return affected


def vulnerable_versions(found: Sequence[Vulnerability]) -> set[str]:
    """Return the versions that at least one of the vulnerabilities affects."""
    return {name for each in found for name in each.affected_versions}
