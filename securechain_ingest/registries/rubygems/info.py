"""This module reads the compact index's file about one gem, `/info/NAME`, as the model.

Format: RubyGems' guide "Compact Index API". After the line `---` each line is one file of the gem:

    1.15.0-java racc:~> 1.4,other:< 2&>= 1.0|checksum:...,ruby:>= 2.7,created_at:2026-08-01T00:00:05Z

Runtime requirements only; yanked versions are absent. Files of one number are one version: what the platform-neutral
one requires counts, else what any of them does.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache
from typing import Final

from securechain_ingest.errors import InvalidName, Malformed, NotFound
from securechain_ingest.model import Artifact, Package, PackageRef, Requirement, Version
from securechain_ingest.registries.kit.dates import utc_seconds
from securechain_ingest.registries.kit.digests import sha256
from securechain_ingest.registries.kit.identity import version_purl
from securechain_ingest.registries.kit.lines import Lines
from securechain_ingest.registries.kit.preferred_version import preference
from securechain_ingest.registries.rubygems.constraints import constraints
from securechain_ingest.registries.rubygems.names import identify
from securechain_ingest.registries.rubygems.platforms import RUBY, split_platform
from securechain_ingest.registries.rubygems.versions import is_prerelease, version_key

_CREATED_AT: Final = "created_at:"
_CHECKSUM: Final = "checksum:"


@dataclass(frozen=True, slots=True)
class _InfoFile:
    """This is one line: the gem file of one number and one platform."""

    number: str
    platform: str
    dependencies: str
    created_at: str | None
    sha256: str | None


def parse_info(body: bytes, ref: PackageRef, url: str, files_url: str) -> Package:
    """Return the package, without validator, vendor and repository. Its artifacts lie below `files_url`.

    A line that cannot be read is reported and left out, and then a version that is not listed may exist all the same.
    Malformed is raised for a text that is not such a file or is cut off, and NotFound if no version is left.
    """
    lines = Lines(url)
    files = _files(body, lines, ref, url)
    if not files:
        raise NotFound(f"{ref.registry_name} has no versions (any more) in the RubyGems registry", url=url)
    versions = {
        number: _version(ref, number, [file for _, file in sorted(variants.items(), key=_neutral_first)])
        for number, variants in files.items()
    }
    default = default_version(versions)
    platform = min(files[default], key=lambda platform: platform != RUBY)
    return Package(
        ref=ref,
        vendor=None,
        repository_url=None,
        versions=tuple(versions.values()),
        artifacts=(_artifact(ref, default, platform, files[default][platform].sha256, files_url),),
        validator=None,
        revision=digest_of(body),
        lists_all_versions=not lines.left_out,
    )


def default_version(numbers: Iterable[str]) -> str:
    """Return the version that `gem install` takes: the highest release, otherwise the highest pre-release."""
    return max(numbers, key=lambda number: preference(number, version_key, lambda _: (not is_prerelease(number),)))


def digest_of(body: bytes) -> str:
    """Return the digest that the list of all gems has of the file."""
    return hashlib.md5(body, usedforsecurity=False).hexdigest()


def _files(body: bytes, lines: Lines, ref: PackageRef, url: str) -> dict[str, dict[str, _InfoFile]]:
    """The files are found by number and platform, in the order of their first lines; of a repeated one the last
    counts."""
    raw = body.replace(b"\r\n", b"\n").split(b"\n")
    start = raw.index(b"---") + 1 if b"---" in raw else 0
    if raw[-1] and b"|" not in raw[-1]:
        raise Malformed(f"the registry's file about {ref.registry_name} is damaged: it is cut off", url=url)
    files: dict[str, dict[str, _InfoFile]] = {}
    for file in lines.read(raw[start:], _file):
        files.setdefault(file.number, {})[file.platform] = file
    if not start and not files:
        raise Malformed(f"the registry's file about {ref.registry_name} is empty", url=url)
    return files


def _file(raw: bytes) -> _InfoFile | None:
    """The result is None for an empty line. ValueError is raised for a line without a version.

    Columns of later days may follow; a file may come without requirements on Ruby and without dates.
    """
    line = raw.decode()
    if not line.strip():
        return None
    token, _, rest = line.partition(" ")
    number, platform = split_platform(token)
    dependencies, *columns = rest.split("|")
    fields = [field for column in columns for field in column.split(",")]
    dates = [field.removeprefix(_CREATED_AT) for field in fields if field.startswith(_CREATED_AT)]
    digests = [field.removeprefix(_CHECKSUM) for field in fields if field.startswith(_CHECKSUM)]
    date, digest = utc_seconds(next(iter(dates), None)), sha256(next(iter(digests), None))
    return _InfoFile(number, platform, dependencies.strip(), date, digest)


def _neutral_first(item: tuple[str, _InfoFile]) -> bool:
    return item[0] != RUBY


def _version(ref: PackageRef, number: str, files: list[_InfoFile]) -> Version:
    """The files are those of one number; the platform-neutral one is the first if there is any."""
    deciding = files[:1] if files[0].platform == RUBY else files
    requirements: dict[str, Requirement] = {}
    for file in deciding:
        requirements = {need.target.purl: need for need in _requirements(file.dependencies)} | requirements
    return Version(
        name=number,
        purl=version_purl(ref, number),
        release_date=min((file.created_at for file in files if file.created_at), default=None),
        requirements=tuple(requirements.values()),
    )


@lru_cache(maxsize=65_536)
def _requirements(dependencies: str) -> tuple[Requirement, ...]:
    """Names that no gem can have are left out."""
    clauses: dict[PackageRef, list[str]] = {}
    for dependency in filter(None, dependencies.split(",")):
        name, _, declared = dependency.partition(":")
        try:
            clauses.setdefault(identify(name.strip()), []).extend(declared.split("&"))
        except InvalidName:
            continue
    return tuple(Requirement(target, constraints(tuple(declared))) for target, declared in clauses.items())


def _artifact(ref: PackageRef, number: str, platform: str, digest: str | None, files_url: str) -> Artifact:
    suffix = "" if platform == RUBY else f"-{platform}"
    filename = f"{ref.registry_name}-{number}{suffix}.gem"
    return Artifact(f"{files_url}/{filename}", filename, number, size=None, sha256=digest)
