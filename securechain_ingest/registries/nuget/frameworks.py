"""This module reads folders of a package as target frameworks (Microsoft Learn, "Target frameworks"), and chooses
one."""

from __future__ import annotations

import re
from typing import Final, TypeAlias

FrameworkPreference: TypeAlias = tuple[int, tuple[int, ...], str]

_MODERN_MAJOR = 5
_OTHER, _ANY, _FRAMEWORK, _MODERN_PLATFORM, _STANDARD, _CORE, _MODERN = range(7)
_FAMILIES: Final = {"netcoreapp": _CORE, "netstandard": _STANDARD}
# net8.0, net8.0-windows7.0, netcoreapp3.1, netstandard2.0, net472, net40-client, and old folders: 4.0, 35.
_FOLDER: Final = re.compile(r"(netcoreapp|netstandard|net|)((?:[0-9]{1,9}(?:\.[0-9]{1,9}){0,9})?)(?:-(.*))?", re.ASCII)


def preference(folder: str) -> FrameworkPreference:
    """Return a sort key, which is greater for what a project made today takes.

    The newest .NET without a platform comes first; then .NET Core, .NET Standard, .NET of one platform, the newest .NET
    Framework, a folder without framework, and last what no longer exists.
    """
    name = folder.lower()
    if not name:
        return _ANY, (), ""
    match = _FOLDER.fullmatch(name)
    if match is None:
        return _OTHER, (), name
    family, digits, platform = match.groups()
    version = tuple(map(int, digits.split(".") if "." in digits else digits))
    if family in _FAMILIES:
        return _FAMILIES[family], version, name
    if family == "net" and version >= (_MODERN_MAJOR,):
        return (_MODERN_PLATFORM if platform else _MODERN), version, name
    return _FRAMEWORK, version, name
