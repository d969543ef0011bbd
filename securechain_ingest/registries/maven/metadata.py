"""This module reads what a repository lists: an artifact's versions (maven.apache.org, "Maven Metadata"), and folders.

The `release`, `latest` and `lastUpdated` of versions are not read: they repeat what some upload said, perhaps in 2003.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from difflib import get_close_matches
from typing import Final
from urllib.parse import unquote

from securechain_ingest.errors import Malformed, NotFound
from securechain_ingest.model import PackageRef
from securechain_ingest.registries.kit.preferred_version import Preference, preference
from securechain_ingest.registries.maven.versions import MavenKey, is_release, version_key
from securechain_ingest.registries.maven.xml import children, entries, parse_xml, text_of

_FOLDER: Final = re.compile(rb"""<a\s[^<>]*?href=["'](?:[^"'>]*/)?([^"'/?#>]+)/["']""", re.IGNORECASE)

_OTHER_LISTS: Final = frozenset({"plugins", "version"})
"""The metadata of a group and of one version have these elements."""

_DATE: Final = re.compile(r"(?:19|20)\d{6}(?!\d)", re.ASCII)


def parse_metadata(body: bytes, ref: PackageRef, url: str) -> tuple[str, ...]:
    """Return the versions, each once, as listed. Malformed is raised for a document that is not such a list, and for an
    empty one.

    NotFound is raised for a document that lists other things: a group's plugins, or the files of one snapshot.
    """
    contents = children(parse_xml(body, "metadata", url))
    versioning = children(contents.get("versioning"))
    listed = (text_of(element) for element in entries(versioning.get("versions"), "version"))
    versions = tuple(dict.fromkeys(version for version in listed if version.strip(".") and "/" not in version))
    if not versions:
        if contents.keys() & _OTHER_LISTS:
            raise NotFound(f"{ref.registry_name} has no versions in the Maven repository", url=url)
        raise Malformed(f"the repository's list of the versions of {ref.registry_name} is empty", url=url)
    return versions


def default_version(versions: Sequence[str]) -> str:
    """Return what a user takes who just wants the newest: the highest release, otherwise the highest of any kind.

    Beside releases with numbers the dates of long ago (commons-io's 20030203.000550) count less, high as they are.
    """
    return by_preference(versions)[0]


def by_preference(versions: Sequence[str]) -> list[str]:
    """Return the versions with the default version first; after it comes what would be the default without that one,
    and so on."""
    return sorted(versions, key=_preference, reverse=True)


def parse_listing(body: bytes) -> tuple[str, ...]:
    """Return the folders in a folder, read from the page that is shown of it. The page's form is nowhere promised."""
    names = (unquote(name.decode(errors="replace")) for name in _FOLDER.findall(body))
    return tuple(dict.fromkeys(name for name in names if name.strip(".")))


def near_folders(body: bytes, name: str, count: int) -> tuple[str, ...]:
    """Return, of the folders in a folder, at most `count` whose names are nearest to one, whatever their case.

    It takes some tens of microseconds for a folder, and a group may have a hundred thousand.
    """
    by_name = {folder.lower(): folder for folder in parse_listing(body)}
    return tuple(by_name[near] for near in get_close_matches(name.lower(), by_name, n=count))


def _preference(name: str) -> Preference[MavenKey]:
    released = is_release(name)
    return preference(name, version_key, lambda _: (released, released and not _DATE.match(name)))
