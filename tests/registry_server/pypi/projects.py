"""These are projects of a made PyPI and what the graph must hold of each."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import quote

from tests.registry_server.declarations import ExpectedPackage, ExpectedVersion, Need, default_date, edges
from tests.registry_server.pypi.archives import Sdist, Wheel


@dataclass(frozen=True, slots=True)
class ProjectRelease:
    version: str
    needs: tuple[Need, ...] = ()
    files: tuple[Wheel | Sdist, ...] = (Wheel(),)
    date: str | None = None
    """This is the date of the first file, such as `2021-05-11T14:05:36Z`; None means a month after the release
    before.
    """
    yanked: bool = False
    yanked_reason: str | None = None
    requires_python: str | None = ">=3.8"
    requirements_known: bool = True
    """This says whether the JSON interface tells the requirements; of old sdists it does not."""


@dataclass(frozen=True, slots=True)
class Project:
    """This is one project; its `releases` are in ascending order of their versions."""

    name: str
    """This is the name as the registry spells it."""
    releases: tuple[ProjectRelease, ...]
    home_page: str | None = None
    project_urls: tuple[tuple[str, str], ...] = ()
    vendor: str = "n/a"
    repository_url: str = "n/a"
    """This is what the graph must hold; what the registry says is in `home_page` and `project_urls`."""
    import_names: tuple[str, ...] | None = None
    """This is what the graph must hold; None means that the author does not say."""
    serial: int = 0
    """This is the serial number of its last event; the site takes it from the history."""
    layout: Literal["2025", "2018"] = "2025"
    """This says which fields the JSON interface has: those of a response recorded in that year."""
    status: Literal["active", "quarantined"] = "active"
    """What is quarantined has no document, and a page without files."""

    def date_of(self, release: ProjectRelease) -> str:
        return release.date or default_date(self.releases.index(release))

    def truth(self) -> ExpectedPackage:
        purl = purl_of(self.name)
        return ExpectedPackage(
            label="PyPIPackage",
            ecosystem="pypi",
            name=self.name.lower(),
            purl=purl,
            registry_name=self.name,
            vendor=self.vendor,
            repository_url=self.repository_url,
            versions=tuple(
                ExpectedVersion(
                    name=release.version,
                    purl=f"{purl}@{quote(release.version, safe='')}",
                    serial_number=serial_number,
                    release_date=(release.date or default_date(serial_number)) if release.files else None,
                    requirements=edges(release.needs, purl_of) if release.requirements_known else {},
                    yanked=release.yanked,
                    deprecated=False,
                )
                for serial_number, release in enumerate(self.releases)
            ),
            import_names=self.import_names,
        )


def need(name: str, clauses: str = "") -> Need:
    """Return a plain requirement: `need("flask", ">=1.0, <2.0")`."""
    return Need(f"{name}{clauses.replace(' ', '')}", name, clauses or "any")


def purl_of(name: str) -> str:
    return f"pkg:pypi/{normal_name(name)}"


def normal_name(name: str) -> str:
    """Return the normal name by PEP 503."""
    return re.sub(r"[-_.]+", "-", name).lower()
