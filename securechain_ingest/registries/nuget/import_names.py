"""This module reads what can be imported from a package: the namespaces of public types in the assemblies of its nupkg.

Only one target framework's assemblies are read, because the others are the same for other runtimes: those in `lib`,
otherwise the reference assemblies in `ref`, otherwise those of a runtime. The resources of languages, native libraries,
and system libraries that lie beside the package's own are left out. An assembly that cannot be read stands for a
namespace of its name. Without any public type in a namespace the assemblies' names count, and without assemblies
(content, tools, analyzers, a package of dependencies alone) the package's id.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, Final
from urllib.parse import unquote

from securechain_ingest.archives.limits import ArchiveLimits, safe_name
from securechain_ingest.archives.zip_directory import ZipMember
from securechain_ingest.archives.zips import ZipListing, open_zip
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.kit.import_name_rules import clean, import_names
from securechain_ingest.registries.nuget.assemblies import Assembly, read_assembly
from securechain_ingest.registries.nuget.frameworks import FrameworkPreference, preference
from securechain_ingest.registries.nuget.nuspec import Nuspec, parse_nuspec

WINDOW_BYTES: Final = 128 * 1024
"""This is in bytes, and is fetched of a package first: most packages are smaller."""

SYSTEM_LIBRARIES: Final = ("System", "Microsoft.CSharp", "netstandard", "mscorlib")

# Folders of a source, best source first; group 1 is the framework.
_SOURCES: Final = tuple(
    re.compile(rf"{folders}/(?:([^/]+)/)?([^/]+)\.(?:dll|exe|winmd)", re.IGNORECASE)
    for folders in ("lib", "ref", "runtimes/[^/]+/lib")
)
_SATELLITE: Final = ".resources"
# How much of what lies between them may come along, when several members are fetched at once.
_MAX_GAP_SHARE = 2


def read_nupkg(file: BinaryIO, limits: ArchiveLimits, name: str | None) -> ImportNames:
    """Return the names of the package `name`, or, if that is None, of the id in its nuspec, and the repository in that
    nuspec.

    It raises ArchiveRefused for an archive that is damaged or beyond a limit, and MissingBytes over a SparseFile.
    """
    listing = open_zip(file, limits)
    listing.rename(_unescaped)
    nuspec = _nuspec(listing)
    package_id = name or nuspec.id
    if not package_id:
        raise ArchiveRefused("the archive has no nuspec that names the package", reason="no_name")
    assemblies, problems = _assemblies(file, listing, limits, package_id)
    found = import_names(_namespaces(assemblies) or [package_id], separator=".")
    return ImportNames(
        found.names, error=found.error or next(iter(problems), None), repository_url=nuspec.repository_url
    )


def _unescaped(name: str) -> str | None:
    """NuGet gives a member's name so (PackageArchiveReader): escapes as in URLs are replaced."""
    return safe_name(unquote(name)) if "%" in name else name


def _nuspec(listing: ZipListing) -> Nuspec:
    path = next((path for path in listing.names() if "/" not in path and path.lower().endswith(".nuspec")), None)
    return parse_nuspec(listing.read(path)) if path else Nuspec(None, None)


def _namespaces(assemblies: Iterable[Assembly]) -> list[str]:
    namespaces = {namespace for assembly in assemblies for namespace in assembly.namespaces}
    return clean(namespaces.difference(SYSTEM_LIBRARIES)) or clean(assembly.name or "" for assembly in assemblies)


def _assemblies(
    file: BinaryIO, listing: ZipListing, limits: ArchiveLimits, package_id: str
) -> tuple[list[Assembly], list[str]]:
    """Return the assemblies of the best framework that has any, and a sentence about each that could not be read."""
    for members in _frameworks(listing.members()):
        own = _own(members, package_id)
        _fetch_together(file, [member for member in own if member.size <= limits.max_member_bytes])
        problems: list[str] = []
        read = [_assembly(listing, member, limits, problems) for member in own]
        if assemblies := [assembly for assembly in read if assembly is not None]:
            return assemblies, problems
    return [], []


def _assembly(listing: ZipListing, member: ZipMember, limits: ArchiveLimits, problems: list[str]) -> Assembly | None:
    """Return what the member of the archive offers, or None for a native library. If the assembly cannot be read, the
    file's name is taken for its namespace, and `problems` gets a sentence that says why."""
    if member.size > limits.max_member_bytes:
        problems.append(f"{member.name}: {member.size} bytes, at most {limits.max_member_bytes} are read")
    else:
        try:
            return read_assembly(listing.read(member.name))
        except ArchiveRefused as error:
            if error.reason != "bad_assembly":
                raise
            problems.append(f"{member.name}: {error}")
    return Assembly(_stem(member), frozenset({_stem(member)}))


def _frameworks(members: Sequence[ZipMember]) -> Iterator[list[ZipMember]]:
    """Yield the assemblies of each framework, the best one first; a later one only counts if those are no
    assemblies."""
    for source in _SOURCES:
        found: dict[FrameworkPreference, list[ZipMember]] = {}
        for member in members:
            match = source.fullmatch(member.name) if member.is_file else None
            if match and not match[2].lower().endswith(_SATELLITE):
                found.setdefault(preference(match[1] or ""), []).append(member)
        yield from (found[key] for key in sorted(found, reverse=True))


def _own(members: list[ZipMember], package_id: str) -> list[ZipMember]:
    """System libraries that came along are left out; a package of nothing but `System.`-something is about those."""
    kept = [member for member in members if _stem(member) == package_id or _stem(member) not in SYSTEM_LIBRARIES]
    own = [member for member in kept if _stem(member) == package_id or not _stem(member).startswith("System.")]
    return own or kept


def _fetch_together(file: BinaryIO, members: Iterable[ZipMember]) -> None:
    """Touch all the members at once, so that over a SparseFile they cost one request, if they lie close together."""
    ends = [(member.offset, member.offset + member.compressed_size) for member in members]
    if len(ends) > 1:
        first, last = min(ends)[0], max(end for _, end in ends)
        if last - first <= _MAX_GAP_SHARE * sum(end - start for start, end in ends):
            file.seek(first)
            file.read(last - first)


def _stem(member: ZipMember) -> str:
    return member.name.rpartition("/")[2].rpartition(".")[0]
