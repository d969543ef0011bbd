"""This module chooses files of a release: a wheel for requirements; a wheel and then the source for import names."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

from packaging.specifiers import SpecifierSet

from securechain_ingest.model import Artifact
from securechain_ingest.registries.pypi.documents import File
from securechain_ingest.registries.pypi.filenames import SDIST_SUFFIXES, is_sdist, is_wheel
from securechain_ingest.registries.pypi.requirements import ENVIRONMENT

_UNKNOWN_SIZE: Final = 1 << 62
_PYTHON: Final = f"cp{ENVIRONMENT['python_version'].replace('.', '')}"
_PARTS_WITH_BUILD: Final = 6
_BUILD: Final = re.compile("[0-9]{1,18}")


def can_be_taken(file: File) -> bool:
    """Return whether pip takes the file where requirements are read for (see `ENVIRONMENT`), whatever the file's
    platform."""
    if file.yanked or not (is_wheel(file.filename) or is_sdist(file.filename)):
        return False
    try:
        wanted = SpecifierSet(file.requires_python or "")
        return wanted.contains(ENVIRONMENT["python_full_version"], prereleases=True)
    except ValueError:
        return True  # as pip does with what it cannot read


def best_wheel(files: Iterable[File]) -> File | None:
    """Return the wheel that a user of CPython 3 on Linux would get, as far as the tags of wheels say."""
    return min((file for file in files if is_wheel(file.filename)), key=_rank_of_wheel, default=None)


def artifacts(version: str, files: Iterable[File]) -> tuple[Artifact, ...]:
    """Return the best wheel and the best source archive, in this order."""
    files = [file for file in files if file.url.startswith(("https://", "http://"))]
    sdist = min((file for file in files if is_sdist(file.filename)), key=_rank_of_sdist, default=None)
    return tuple(
        Artifact(file.url, file.filename, version, file.size, digest=file.digest)
        for file in (best_wheel(files), sdist)
        if file is not None
    )


def _rank_of_wheel(file: File) -> tuple[int, bool, int, int, str]:
    parts = file.filename[: -len(".whl")].split("-")
    python, abi, platform = parts[-3:] if len(parts) > 3 else ("", "", "")
    pythons = python.split(".")
    for_python_3 = any(tag.startswith(("cp3", "py3")) for tag in pythons)
    if platform == "any" and for_python_3:
        rank = 0
    elif for_python_3 and "linux" in platform:
        rank = (1 if abi == "abi3" else 2) if platform.endswith("x86_64") else 3
    else:
        rank = 4 if for_python_3 else 5
    # A later build replaces an earlier one of the same version.
    build = _BUILD.match(parts[2]) if len(parts) == _PARTS_WITH_BUILD else None
    return rank, _PYTHON not in pythons, -int(build[0]) if build else 0, file.size or _UNKNOWN_SIZE, file.filename


def _rank_of_sdist(file: File) -> tuple[int, int, str]:
    suffix = next(index for index, suffix in enumerate(SDIST_SUFFIXES) if file.filename.lower().endswith(suffix))
    # `dumb` binary archives have a platform in their name and thus a longer one.
    return len(file.filename.split("-")), suffix, file.filename
