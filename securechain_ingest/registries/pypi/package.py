"""This module puts a project's documents together as the model."""

from __future__ import annotations

from collections.abc import Mapping

from packaging.version import Version as Pep440Version

from securechain_ingest.model import NOT_AVAILABLE, Package, PackageRef, Requirement, Version
from securechain_ingest.registries.kit.identity import version_purl
from securechain_ingest.registries.kit.preferred_version import Preference, preference
from securechain_ingest.registries.kit.repository import vendor_of
from securechain_ingest.registries.pypi.documents import File, ProjectDocument
from securechain_ingest.registries.pypi.files import artifacts, can_be_taken
from securechain_ingest.registries.pypi.names import version_key


def assemble(
    project: ProjectDocument,
    releases: Mapping[str, tuple[File, ...]],
    requirements: Mapping[str, tuple[Requirement, ...] | None],
    validator: str | None,
) -> Package:
    """Return the package. `releases` must not be empty. The requirements of versions that `requirements` lacks are
    unknown."""
    default = default_version(project.latest, releases)
    return Package(
        ref=project.ref,
        vendor=vendor_of(project.repository_url) or NOT_AVAILABLE,
        repository_url=project.repository_url,
        license=project.license,
        versions=tuple(_version(project.ref, name, files, requirements.get(name)) for name, files in releases.items()),
        artifacts=artifacts(default, releases[default]),
        validator=validator,
        revision=None if project.serial is None else str(project.serial),
    )


def default_version(latest: str | None, releases: Mapping[str, tuple[File, ...]]) -> str:
    """Return the version that `pip install` takes: the newest release that has a file which is not yanked and is for
    this Python, and a pre-release only if there is nothing else. Without any such, PyPI's own latest version counts,
    and otherwise the highest of all."""
    return max(releases, key=lambda name: (*_preference(name, releases[name])[:2], name == latest, name))


def _preference(name: str, files: tuple[File, ...]) -> Preference[Pep440Version]:
    """Releases with files that can be taken come first, then those with files of other Pythons or yanked ones, then
    those without files."""
    can_be_had = any(not file.yanked for file in files)
    kinds = any(map(can_be_taken, files)), can_be_had, bool(files)
    return preference(name, version_key, lambda version: (*kinds, not version.is_prerelease))


def _version(
    ref: PackageRef, name: str, files: tuple[File, ...], requirements: tuple[Requirement, ...] | None
) -> Version:
    """The release's date is that of its first file; it is yanked if all of them are."""
    return Version(
        name=name,
        purl=version_purl(ref, name),
        release_date=min((file.uploaded for file in files if file.uploaded), default=None),
        requirements=requirements,
        yanked=bool(files) and all(file.yanked for file in files),
    )
