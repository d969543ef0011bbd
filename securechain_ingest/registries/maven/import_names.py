"""This module reads what can be imported from an artifact: the Java packages of its class files, from a jar's directory
alone.

Of a package and those below it only the shortest counts (`org.apache.commons.lang3`, not its `.builder`): the clients
look for `import` and the beginning of a name. What counts as a class of the artifact:

- every `.class` by its folder, also those that the build shaded in, whatever language they were written in; a
  package-info is a package's, a module-info nobody's, and a nested class (`A$B`) stands beside its outer one,
  which Scala's objects (`A$`, `package$`), definitions outside of any class (`file$package`) and operators (`$colon`,
  "Symbolic names" of its compiler) need not have;
- below META-INF/versions/N (JAR File Specification, "Multi-release JAR files"), WEB-INF/classes (a war) and
  BOOT-INF/classes (an executable jar) the folders begin anew;
- in an aar (Android's "AAR file" format) the classes lie in classes.jar and the jars below libs, and one of these that
  cannot be read costs its own classes; jars in any other archive are other artifacts or data.

Folders that no `import` can name (META-INF, `1.0`) are no packages, and the default package has no name.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import replace
from itertools import chain
from typing import BinaryIO, Final

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.zips import ZipListing, open_zip
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.kit.import_name_rules import import_names

_OPERATORS: Final = "tilde|eq|less|greater|bang|hash|percent|up|amp|bar|times|div|plus|minus|colon|bslash|qmark|at"
_CLASS: Final = re.compile(
    r"(?:META-INF/versions/\d+/|(?:WEB|BOOT)-INF/classes/)?((?:[A-Za-z_]\w*/)+)"
    rf"(?:[^/$]|\$(?:{_OPERATORS}))+(?:\$package)?\$?\.class",
    re.ASCII,
)
_AAR_MARK: Final = "AndroidManifest.xml"
_AAR_CLASSES: Final = re.compile(r"classes\.jar|libs/[^/]+\.jar")
_BEYOND_LIMITS: Final = frozenset({"too_many_members", "directory_too_large", "expanded_too_large", "member_too_large"})
"""All jars inside of an aar share its limits, and with these reasons the aar is beyond them."""
_MAX_BROKEN: Final = 4
"""With more broken jars inside than these an aar is refused: to read one may cost as much as an archive may."""


def read_jar(file: BinaryIO, limits: ArchiveLimits, fallback: tuple[str, ...]) -> ImportNames:
    """Return the shortest packages of a jar, war or aar. If it has none they are `fallback`. It raises ArchiveRefused
    and MissingBytes."""
    broken: list[ArchiveRefused] = []
    packages = _packages(open_zip(file, limits), broken)
    if broken and (len(broken) > _MAX_BROKEN or not packages):
        raise broken[0]
    found = import_names(shortest(packages), separator=".")
    if broken:
        found = replace(found, error="; ".join(filter(None, (found.error, *map(str, broken)))))
    return found if found.names else replace(found, names=fallback)


def shortest(packages: Iterable[str]) -> list[str]:
    """Return the packages that lie below no other of them."""
    kept: list[str] = []
    # With the dot at its end a package sorts right in front of all that lie below it.
    for package in sorted(f"{package}." for package in packages):
        if not kept or not package.startswith(kept[-1]):
            kept.append(package)
    return [package[:-1] for package in kept]


def _packages(listing: ZipListing, broken: list[ArchiveRefused]) -> set[str]:
    """The errors of jars inside that cannot be read are added to `broken`."""
    jars = chain([listing], _aar_jars(listing, broken))
    classes = (match for jar in jars for name in jar.names() if (match := _CLASS.fullmatch(name)))
    return {match[1].rstrip("/").replace("/", ".") for match in classes}


def _aar_jars(listing: ZipListing, broken: list[ArchiveRefused]) -> Iterator[ZipListing]:
    for name in listing.names() if _AAR_MARK in listing else ():
        if _AAR_CLASSES.fullmatch(name) and len(broken) <= _MAX_BROKEN:
            try:
                yield listing.inner(name)
            except ArchiveRefused as error:
                if error.reason in _BEYOND_LIMITS:
                    raise
                broken.append(ArchiveRefused(f"{name} cannot be read ({error})", reason=error.reason))
