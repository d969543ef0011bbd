"""This module says which coordinates Maven has, what a package's identity is, and where its files lie.

A package is a group and an artifact id, both case-sensitive (Maven's `DefaultModelValidator` allows letters, digits and
`-_.`). The repository's layout is documented at maven.apache.org, "Maven 2 & 3 repository layout".
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple
from urllib.parse import quote

from securechain_ingest.errors import InvalidName
from securechain_ingest.model import Ecosystem, PackageRef
from securechain_ingest.registries.maven.version_order import order_key
from securechain_ingest.registries.maven.versions import version_key


def join_announcements(earlier: str, later: str) -> str:
    """Return two announcements as one. They are versions, separated by spaces, each of which counts."""
    return " ".join(dict.fromkeys(f"{earlier} {later}".split()))


MAVEN: Final = Ecosystem(
    name="maven",
    label="MavenPackage",
    endpoint="maven_central",
    archives="maven_central",
    purl_type="maven",
    osv="Maven",
    version_key=version_key,
    range_key=order_key,
    namespace_separator=":",
    needs_namespace=True,
    node_properties=(
        ("group_id", "The group in the registry's spelling."),
        ("artifact_id", "The artifact in the registry's spelling."),
    ),
    listing_kept_s=7 * 86_400.0,
    join_announcements=join_announcements,
    import_names_version=3,
    announced=re.compile(r"[^\s\x00-\x1f\x7f]{1,1024}(?: [^\s\x00-\x1f\x7f]{1,1024})*"),
)

MAX_NAME_LENGTH: Final = 512

# Ids become folders: `.` and `..` are none, nor is what lies between two dots of a group.
_GROUP: Final = re.compile(r"[A-Za-z0-9_-]+(?:\.[A-Za-z0-9_-]+)*", re.ASCII)
_ARTIFACT: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9_.-]+", re.ASCII)
_SNAPSHOT: Final = re.compile(r".*snapshot|.*-[0-9]{8}\.[0-9]{6}-[0-9]+", re.ASCII | re.IGNORECASE | re.DOTALL)
_NO_FOLDER: Final = re.compile(r"[\s/\\\[\](){}$,;:]")


class Coordinates(NamedTuple):
    """Coordinates name one POM."""

    group_id: str
    artifact_id: str
    version: str

    def __str__(self) -> str:
        return ":".join(self)


def identify(name: str) -> PackageRef:
    """Return the identity behind `group:artifact`. It raises InvalidName."""
    group_id, separator, artifact_id = name.partition(":")
    if (
        len(name) > MAX_NAME_LENGTH
        or not separator
        or not _GROUP.fullmatch(group_id)
        or not _ARTIFACT.fullmatch(artifact_id)
    ):
        raise InvalidName(
            f"{name[:MAX_NAME_LENGTH]!r} is not a name that a Maven package can have: group:artifact with one colon, "
            "each of letters, digits, -, _ and ."
        )
    spelling = f"{group_id}:{artifact_id}"
    return PackageRef(MAVEN, spelling, spelling.lower(), f"pkg:maven/{group_id}/{artifact_id}")


def ids(ref: PackageRef) -> tuple[str, str]:
    """Return the group id and the artifact id in the registry's spelling."""
    group_id, _, artifact_id = ref.registry_name.partition(":")
    return group_id, artifact_id


def group_path(group_id: str) -> str:
    """Return the path below the repository's base URL, with a slash at the end."""
    return f"{_segment(group_id).replace('.', '/')}/"


def metadata_path(ref: PackageRef) -> str:
    """Return the path of the repository's list of a package's versions."""
    group_id, artifact_id = ids(ref)
    return f"{group_path(group_id)}{artifact_id}/maven-metadata.xml"


def file_path(coordinates: Coordinates, extension: str) -> str:
    """Return the path of the file without classifier, such as `.pom` or `.jar`."""
    artifact_id, version = _segment(coordinates.artifact_id), _segment(coordinates.version)
    return f"{group_path(coordinates.group_id)}{artifact_id}/{version}/{artifact_id}-{version}.{extension}"


def can_be_asked_for(coordinates: Coordinates) -> bool:
    """Return whether each part can be a folder: it is not empty, and has neither a property nor a range in it."""
    return all(part.strip(".") and not _NO_FOLDER.search(part) for part in coordinates)


def is_snapshot(version: str) -> bool:
    """Return whether the files of the version may be replaced by others (maven-artifact, `ArtifactUtils.isSnapshot`).
    Those of a release never are."""
    return _SNAPSHOT.fullmatch(version) is not None


def _segment(text: str) -> str:
    # A plus stays as Maven itself sends it.
    return quote(text, safe="+")
