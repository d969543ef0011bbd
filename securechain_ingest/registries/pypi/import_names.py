"""This module reads what can be imported from a distribution: its packages and modules by their dotted names.

- Every file that Python imports counts: `.py`, byte code without source, native modules; a folder with one inside is a
  package, with `__init__.py` or (PEP 420) without. Stubs (`.pyi`) alone cannot be imported.
- Private modules (`_speedups`) count, since `import` finds them; `__main__` does not.
- Folders named test, tests, docs, example or examples do not count, wherever they lie, nor does what is no
  identifier: no `import` statement can name it.
- If the author declared names (Import-Name), those and what lies below them are the answer: the declared names are the
  shortest that cover what is public (PEP 794), so that most authors name the top package alone.
"""

from __future__ import annotations

import io
import keyword
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain, takewhile
from typing import BinaryIO, Final

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.archives.sparse import MissingBytes
from securechain_ingest.archives.zips import ZipListing, open_zip
from securechain_ingest.errors import ArchiveRefused
from securechain_ingest.model import ImportNames
from securechain_ingest.registries.kit.import_name_rules import MAX_NAMES, import_names
from securechain_ingest.registries.pypi.core_metadata import read_core_metadata
from securechain_ingest.registries.pypi.layout import folders_around, normal_path

MAX_PATH_LENGTH: Final = 1_000
"""This is in characters of a member's path; nobody writes the name of a module that lies deeper."""
_LONG_NAME: Final = 255
"""This is in characters; the packages around a module with a longer name are not spelled out."""
_FAR_MORE: Final = 20 * MAX_NAMES
"""So many names are collected, of which those nearest to the root are kept."""
_MAX_PATH_FILES: Final = 4
"""So many `.pth` files of one wheel are read; each may take a request."""
_MAX_PATH_FILE_BYTES: Final = 16 * 1024
EXCLUDED_FOLDERS: Final = frozenset({"test", "tests", "docs", "example", "examples", "__pycache__"})

_PYTHON_FILE: Final = re.compile(r"([^.]+)\.pyc?")
# PEP 3149: `name.cpython-311-x86_64-linux-gnu.so`, `name.abi3.so`, `name.cp311-win_amd64.pyd`, and plain ones. A plain
# `libname.so` is a library that native modules are linked to.
_NATIVE_FILE: Final = re.compile(r"(?:([^.]+)\.(?:cpython-|pypy|graalpy|abi3|cp3)[^/]*|(?!lib)([^.]+))\.(?:so|pyd)")
_METADATA: Final = re.compile(r"[^/]+\.dist-info/METADATA")
# The directory of a wheel with more members took a request of its own; a further one would be the third.
_MANY_MEMBERS: Final = 300
# With the end of the wheel that has been fetched at most 5 % of it, see `tail_window`.
_METADATA_BYTES: Final = 16 * 1024
_METADATA_SHARE: Final = 64


def read_wheel(file: BinaryIO, limits: ArchiveLimits, fallback: tuple[str, ...]) -> ImportNames:
    """Return the names in a wheel's directory. Without any they are `fallback`. It raises ArchiveRefused and
    MissingBytes."""
    listing = open_zip(file, limits)
    declared = _declared_in(listing, file.seek(0, io.SEEK_END))
    listed = listing.names()
    members = {_installed_path(name): name for name in listed if len(name) <= MAX_PATH_LENGTH}
    path_files = [name for path, name in members.items() if "/" not in path and path.endswith(".pth")]
    added = _added_folders(listing, path_files)
    paths = chain(members, (below for path in members for below in _below_added(path, added)) if added else ())
    modules = (module for path in paths if (module := module_of(path)) is not None)
    names = names_of(modules, declared, left_out=sum(len(name) > MAX_PATH_LENGTH for name in listed))
    return names if names.names else ImportNames(fallback, error=names.error)


def _installed_path(name: str) -> str:
    """Return where a member of a wheel is installed. Some members are packed below folders of their own."""
    folder, _, rest = name.partition("/")
    scheme, _, path = rest.partition("/")
    return path if path and folder.endswith(".data") and scheme in ("purelib", "platlib") else name


def _added_folders(listing: ZipListing, names: list[str]) -> frozenset[str]:
    """Return the folders, in lower case, that path files add to those that modules are imported from (Python's
    `site`)."""
    sizes = {member.name: member.size for member in listing.members()}
    folders = set()
    for name in names[:_MAX_PATH_FILES]:
        if sizes[name] > _MAX_PATH_FILE_BYTES:
            continue
        try:
            lines = listing.read(name).decode("utf-8-sig", "replace").splitlines()
        except ArchiveRefused:
            continue  # the others' names stand
        for line in lines:
            if line.strip() and not line.startswith(("#", "import ", "import\t")) and "\0" not in line:
                # Windows finds folders in any case.
                folders.add((normal_path(line.rstrip()) or "").lower())
    return frozenset(folders - {""})


def _below_added(path: str, added: frozenset[str]) -> Iterator[str]:
    """Yield the path below the innermost of the added folders that it lies in."""
    around = [folder for folder in folders_around(path) if folder.lower() in added]
    return (path[len(folder) + 1 :] for folder in around[-1:])


@dataclass(frozen=True, slots=True)
class DeclaredNames:
    """An author declared these names. A name in `public` or `private` stands for all below it, too."""

    public: frozenset[str]
    private: frozenset[str]
    namespaces: frozenset[str]

    def covers(self, name: str) -> bool:
        """Return whether a name is public: the nearest declared name around it is."""
        nearest = next((each for each in _with_parents(name) if each in self.public or each in self.private), None)
        return nearest in self.public


def declared_names(metadata: bytes) -> DeclaredNames | None:
    """Return what a core metadata file declares, and None without a declaration. An empty Import-Name declares that no
    name is public.

    The format is in PyPA's core metadata specification, "Import-Name" and "Import-Namespace".
    """
    try:
        found = read_core_metadata(metadata)
    except ValueError:
        return None
    if found.import_names is None:
        return None

    def named(lines: tuple[str, ...], *, private: bool) -> frozenset[str]:
        parts = (line.partition(";") for line in lines)
        return frozenset(name.strip() for name, _, qualifier in parts if (qualifier.strip() == "private") is private)

    return DeclaredNames(
        public=named(found.import_names, private=False),
        private=named(found.import_names, private=True),
        namespaces=named(found.import_namespaces, private=False),
    )


def module_of(path: str) -> str | None:
    """Return the dotted name by which a file is imported, or None if the file cannot be imported."""
    *folders, filename = path.split("/")
    match = _PYTHON_FILE.fullmatch(filename) or _NATIVE_FILE.fullmatch(filename)
    if match is None or not EXCLUDED_FOLDERS.isdisjoint(map(str.lower, folders)):
        return None
    stem = match[match.lastindex or 0]
    parts = folders if stem == "__init__" else [*folders, stem]
    return ".".join(parts) if parts and stem != "__main__" and all(map(is_importable, parts)) else None


def is_importable(name: str) -> bool:
    """Return whether an `import` statement can have the name."""
    return name.isidentifier() and not keyword.iskeyword(name)


def names_of(modules: Iterable[str], declared: DeclaredNames | None, *, left_out: int = 0) -> ImportNames:
    """Return the names of the modules and of the packages around them; if the author declared names, those and what
    they cover.

    `left_out` members had paths that were too long to be looked at, which the error says.
    """
    found: set[str] = set()
    for module in sorted(modules, key=lambda name: name.count(".")):
        around = _with_parents(module) if len(module) <= _LONG_NAME else (module,)
        # Around a known name all are known.
        found.update(takewhile(lambda name: name not in found, around))
        if len(found) > _FAR_MORE:
            break
    if declared is not None:
        found = {*filter(declared.covers, found), *declared.public, *declared.namespaces}
    names = import_names(found, separator=".")
    if not left_out:
        return names
    error = f"{left_out} members with paths longer than {MAX_PATH_LENGTH} characters are left out"
    return replace(names, error=f"{names.error}; {error}" if names.error else error)


def _with_parents(module: str) -> Iterator[str]:
    while module:
        yield module
        module = module.rpartition(".")[0]


def _declared_in(listing: ZipListing, size: int) -> DeclaredNames | None:
    """The wheel's metadata declares this; it is None, too, if the metadata is not among the fetched bytes and costs too
    much."""
    metadata = next((name for name in listing.names() if _METADATA.fullmatch(name)), None)
    if metadata is None:
        return None
    try:
        return declared_names(listing.read(metadata))
    except ArchiveRefused:
        return None  # compressed in a way of its own, or damaged: names need the directory alone
    except MissingBytes as missing:
        missing_bytes = missing.last - missing.first + 1
        if len(listing.members()) <= _MANY_MEMBERS and missing_bytes <= max(_METADATA_BYTES, size // _METADATA_SHARE):
            raise
        return None
