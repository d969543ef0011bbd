"""These are wheels and source archives made for a test, and the names that are read from them."""

from __future__ import annotations

import io
import tarfile
import zipfile
from collections.abc import Mapping

from securechain_ingest.archives.limits import ArchiveLimits
from securechain_ingest.registries.pypi.import_names import read_wheel
from securechain_ingest.registries.pypi.source_names import read_sdist

LIMITS = ArchiveLimits(max_members=100_000, max_expanded_bytes=100_000_000)
METADATA = b"Metadata-Version: 2.5\nName: own\nVersion: 1.0\n"


def zipped(members: Mapping[str, bytes], *, compression: int = zipfile.ZIP_STORED) -> io.BytesIO:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", compression) as archive:
        for name, contents in members.items():
            archive.writestr(name, contents)
    packed.seek(0)
    return packed


def tarred(members: Mapping[str, bytes]) -> io.BytesIO:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as archive:
        for name, contents in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(contents)
            archive.addfile(member, io.BytesIO(contents))
    packed.seek(0)
    return packed


def names_of_wheel(members: Mapping[str, str]) -> list[str]:
    contents = {name: text.encode() for name, text in members.items()}
    return list(read_wheel(zipped(contents | {"own-1.0.dist-info/METADATA": METADATA}), LIMITS, ("own",)).names)


def names_of_sdist(*paths: str, folder: str = "own-1.0/", **texts: str) -> list[str]:
    """Return the names of empty files, and of files with texts, whose dots are written as underscores: `setup_py`."""
    members = {f"{folder}{path}": b"" for path in ("PKG-INFO", *paths)}
    members |= {f"{folder}{name.replace('_', '.')}": text.encode() for name, text in texts.items()}
    found = read_sdist(tarred(members), LIMITS, "own-1.0.tar.gz", ("own",))
    assert found == read_sdist(zipped(members), LIMITS, "own-1.0.zip", ("own",))
    return list(found.names)
