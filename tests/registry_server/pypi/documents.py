"""These are the documents of a made PyPI, with the fields that recorded responses have."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from tests.registry_server.pypi.archives import Built, Sdist, Wheel
from tests.registry_server.pypi.projects import Project, ProjectRelease, normal_name

Releases = Sequence[tuple[ProjectRelease, Sequence[Built]]]

RECENT_INFO = ("dynamic", "license_expression", "license_files", "provides_extra", "yanked", "yanked_reason")
RECENT_FILE = ("upload_time_iso_8601", "yanked", "yanked_reason")
"""These are fields that responses of 2018 did not have."""


def core_metadata(project: Project, release: ProjectRelease, file: Wheel | Sdist) -> bytes:
    """Return the METADATA of a wheel, the PKG-INFO of an sdist."""
    lines = ["Metadata-Version: 2.5", f"Name: {project.name}", f"Version: {release.version}", "Summary: Made."]
    if release.requires_python:
        lines.append(f"Requires-Python: {release.requires_python}")
    lines.extend(f"Requires-Dist: {need.written}" for need in release.needs)
    if isinstance(file, Wheel):
        lines.extend(f"Import-Name: {name}" for name in file.import_names)
        lines.extend(f"Import-Namespace: {name}" for name in file.import_namespaces)
    return ("\n".join(lines) + "\n\nA made project.\n").encode()


def project_json(project: Project, built: Releases, files_address: str) -> dict[str, Any]:
    """Return `/pypi/N/json`: everything about the project, with the info of its default release."""
    default, default_files = _default(built)
    releases = {
        release.version: [_file(project, release, position, files, files_address) for position in range(len(files))]
        for release, files in sorted(built, key=lambda pair: pair[0].version)
    }
    return {**version_json(project, default, default_files, files_address), "releases": releases}


def version_json(
    project: Project, release: ProjectRelease, files: Sequence[Built], files_address: str
) -> dict[str, Any]:
    """Return `/pypi/N/V/json`: one release."""
    recent = project.layout == "2025"
    info = _info(project, release)
    if not recent:
        info = {key: value for key, value in info.items() if key not in RECENT_INFO}
    urls = [_file(project, release, position, files, files_address) for position in range(len(files))]
    document = {"info": info, "last_serial": project.serial, "urls": urls}
    return document | ({"vulnerabilities": []} if recent else {})


def simple_json(project: Project, built: Releases, files_address: str) -> dict[str, Any]:
    """Return `/simple/N/` in JSON: files in the order of their upload, versions only where there are files."""
    files = [
        _simple_file(project, release, position, file, files_address)
        for release, release_files in built
        for position, file in enumerate(release_files)
        if project.status != "quarantined"
    ]
    return {
        "files": files,
        "meta": {"_last-serial": project.serial, "api-version": "1.4"},
        "name": normal_name(project.name),
        "project-status": {"status": project.status},
        "versions": [release.version for release, release_files in built if release_files],
    }


def _default(built: Releases) -> tuple[ProjectRelease, Sequence[Built]]:
    """Return the newest release that is neither yanked nor a pre-release, if there is one."""

    def rank(position: int) -> tuple[bool, bool, int]:
        release, _ = built[position]
        return not release.yanked, not any(letter in release.version.partition("+")[0] for letter in "abcd"), position

    if not built:
        return ProjectRelease("0", files=()), ()
    return built[max(range(len(built)), key=rank)]


def _info(project: Project, release: ProjectRelease) -> dict[str, Any]:
    page = f"https://index.invalid/project/{project.name}/"
    requirements = [need.written for need in release.needs]
    return {
        "author": "Somebody",
        "author_email": "somebody@example.org",
        "bugtrack_url": None,
        "classifiers": ["Development Status :: 5 - Production/Stable"],
        "description": "A made project. " * 40,
        "description_content_type": None,
        "docs_url": None,
        "download_url": None,
        "downloads": {"last_day": -1, "last_month": -1, "last_week": -1},
        "dynamic": None,
        "home_page": project.home_page,
        "keywords": None,
        "license": "MIT",
        "license_expression": None,
        "license_files": None,
        "maintainer": None,
        "maintainer_email": None,
        "name": project.name,
        "package_url": page,
        "platform": None,
        "project_url": page,
        "project_urls": dict(project.project_urls) or None,
        "provides_extra": None,
        "release_url": f"{page}{release.version}/",
        "requires_dist": requirements if requirements and release.requirements_known else None,
        "requires_python": release.requires_python,
        "summary": "Made.",
        "version": release.version,
        "yanked": release.yanked,
        "yanked_reason": release.yanked_reason,
    }


def _uploaded(project: Project, release: ProjectRelease, position: int) -> datetime:
    """Files of one release arrive a minute apart, the first at the release's date."""
    return datetime.fromisoformat(project.date_of(release)) + timedelta(minutes=position)


def _file(
    project: Project, release: ProjectRelease, position: int, files: Sequence[Built], files_address: str
) -> dict[str, Any]:
    file = files[position]
    uploaded = _uploaded(project, release, position)
    described = {
        "comment_text": None,
        "digests": {"blake2b_256": file.blake2b, "md5": file.md5, "sha256": file.sha256},
        "downloads": -1,
        "filename": file.filename,
        "has_sig": False,
        "md5_digest": file.md5,
        "packagetype": file.packagetype,
        "python_version": file.python_version,
        "requires_python": release.requires_python,
        "size": len(file.body),
        "upload_time": uploaded.strftime("%Y-%m-%dT%H:%M:%S"),
        "upload_time_iso_8601": uploaded.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "url": f"{files_address}{file.path}",
        "yanked": release.yanked,
        "yanked_reason": release.yanked_reason,
    }
    if project.layout == "2018":
        return {key: value for key, value in described.items() if key not in RECENT_FILE}
    return described


def _simple_file(
    project: Project, release: ProjectRelease, position: int, file: Built, files_address: str
) -> dict[str, Any]:
    metadata = False if file.metadata is None else {"sha256": hashlib.sha256(file.metadata).hexdigest()}
    return {
        "core-metadata": metadata,
        "data-dist-info-metadata": metadata,
        "filename": file.filename,
        "hashes": {"sha256": file.sha256},
        "provenance": None,
        "requires-python": release.requires_python,
        "size": len(file.body),
        "upload-time": _uploaded(project, release, position).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "url": f"{files_address}{file.path}",
        "yanked": (release.yanked_reason or True) if release.yanked else False,
    }
