"""These are gems of a made registry and what the graph must hold of each."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal
from urllib.parse import quote

from tests.registry_server.declarations import ExpectedPackage, ExpectedVersion, Need, default_date, edges

Layout = Literal["modern", "2008", "unpacked"]
"""This says how a gem lies in its tar: metadata.gz first; data.tar.gz first, as old RubyGems wrote it; metadata not
packed.
"""


@dataclass(frozen=True, slots=True)
class GemVersion:
    number: str
    needs: tuple[Need, ...] = ()
    """They are written as in the compact index: `< 2&>= 1.0`."""
    date: str | None = None
    """This is a date such as `2021-05-11T14:05:36Z`; None means a month after the version before."""
    platforms: tuple[str, ...] = ("ruby",)
    """There is one file for each, in the order of the index."""
    platform_needs: Mapping[str, tuple[Need, ...]] = field(default_factory=dict)
    """This is what the files of some platforms require instead."""
    yanked: bool = False
    """This says whether it is taken back: the index no longer has it then, the graph keeps what it had."""
    files: tuple[str, ...] | None = None
    """These are the gem's files; None means `lib/<name>.rb`."""
    require_paths: tuple[str, ...] = ("lib",)
    lists_files: bool = True
    """This says whether the gemspec names the files."""
    layout: Layout = "modern"
    padding_bytes: int = 0
    """These are the bytes of a file that does not compress."""
    gem: bool = True
    """This says whether the file can be had."""


@dataclass(frozen=True, slots=True)
class Gem:
    """This is one gem; its `versions` are in ascending order."""

    name: str
    versions: tuple[GemVersion, ...]
    links: Mapping[str, str] = field(default_factory=dict)
    """These are `homepage_uri`, `source_code_uri`, ..., in the API's document and in every gemspec."""
    repository_url: str = "n/a"
    """This is what the graph must hold."""
    vendor: str | None = None
    """This is what the graph must hold; None means `n/a`."""
    import_names: tuple[str, ...] | None = None
    """This is what the graph must hold; None means that the author does not say."""
    api: bool = True
    """This says whether the API knows the gem."""
    index_has_dates: bool = True
    """False means that it is as before June 2026."""

    def date_of(self, version: GemVersion) -> str:
        return version.date or default_date(self.versions.index(version))

    def truth(self) -> ExpectedPackage:
        purl = purl_of(self.name)
        listed = [version for version in self.versions if not version.yanked]
        return ExpectedPackage(
            label="RubyGemsPackage",
            ecosystem="rubygems",
            name=self.name.lower(),
            purl=purl,
            registry_name=self.name,
            vendor=self.vendor or "n/a",
            repository_url=self.repository_url,
            versions=tuple(
                ExpectedVersion(
                    name=version.number,
                    purl=f"{purl}@{quote(version.number, safe='')}",
                    serial_number=serial_number,
                    release_date=self.date_of(version),
                    requirements=edges(version.needs, purl_of),
                    yanked=False,
                    deprecated=False,
                )
                for serial_number, version in enumerate(listed)
            ),
            import_names=self.import_names,
        )


def need(name: str, written: str = ">= 0", constraints: str | None = None) -> Need:
    """Return a plain requirement: `need("rack", "~> 1.2")`, with `constraints` where the graph's string differs."""
    return Need(written, name, constraints or ", ".join(written.split("&")))


def purl_of(name: str) -> str:
    return f"pkg:gem/{name}"
