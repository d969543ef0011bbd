"""These are short ways to write POMs, and to say what comes of them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from securechain_ingest.errors import NotFound
from securechain_ingest.registries.maven.names import Coordinates
from securechain_ingest.registries.maven.pom import Dependency, Pom, parse_pom
from securechain_ingest.registries.maven.resolution import Effective, Effectives


def project(name: str, body: str = "", *, parent: str | None = None) -> tuple[Coordinates, bytes]:
    """Return a POM: `project("g:a:1", "<dependencies>…</dependencies>")` makes one."""
    coordinates = Coordinates(*name.split(":"))
    above = f"<parent>{ids(parent)}</parent>" if parent else ""
    return coordinates, f"<project>{above}{ids(name)}{body}</project>".encode()


def ids(name: str) -> str:
    """Return `g:a`, or `g:a:1`, as elements."""
    parts = zip(("groupId", "artifactId", "version"), name.split(":"), strict=False)
    return "".join(f"<{part}>{text}</{part}>" for part, text in parts)


def dependency(name: str, **more: str) -> str:
    return f"<dependency>{ids(name)}{''.join(f'<{key}>{text}</{key}>' for key, text in more.items())}</dependency>"


def dependencies(*entries: str) -> str:
    return f"<dependencies>{''.join(entries)}</dependencies>"


def management(*entries: str) -> str:
    return f"<dependencyManagement>{dependencies(*entries)}</dependencyManagement>"


def bom(name: str) -> str:
    """Return the import of a BOM."""
    return dependency(name, type="pom", scope="import")


def properties(**texts: str) -> str:
    """Return properties; `_` stands for a dot."""
    named = {key.replace("_", "."): text for key, text in texts.items()}
    return f"<properties>{''.join(f'<{name}>{text}</{name}>' for name, text in named.items())}</properties>"


def profile(activation: str, *parts: str) -> str:
    return f"<profile><id>x</id><activation>{activation}</activation>{''.join(parts)}</profile>"


def profiles(*entries: str) -> str:
    return f"<profiles>{''.join(entries)}</profiles>"


async def at_once(function: Callable[..., Any], *args: Any) -> Any:
    """This is what a parser pool does, here."""
    return function(*args)


class Shelf:
    """This holds POMs by coordinates, and how often each was taken."""

    def __init__(self, *projects: tuple[Coordinates, bytes]) -> None:
        self._bodies = dict(projects)
        self.loads: list[str] = []
        self.effectives = Effectives(self.load, self.versions, at_once)

    async def load(self, coordinates: Coordinates) -> Pom:
        self.loads.append(str(coordinates))
        if coordinates not in self._bodies:
            raise NotFound(f"{coordinates} is not here", url=str(coordinates))
        return parse_pom(self._bodies[coordinates], str(coordinates))

    async def versions(self, group_id: str, artifact_id: str) -> tuple[str, ...]:
        """Return those that are here, in no order."""
        self.loads.append(f"{group_id}:{artifact_id}")
        found = tuple(one.version for one in self._bodies if one[:2] == (group_id, artifact_id))
        if not found:
            raise NotFound("no such package", url=f"{group_id}:{artifact_id}")
        return found

    async def effective(self, name: str) -> Effective:
        coordinates = Coordinates(*name.split(":"))
        return await self.effectives.of(coordinates, parse_pom(self._bodies[coordinates], name))


async def effective(*projects: tuple[Coordinates, bytes]) -> Effective:
    """Return the effective POM of the first one, with the others at hand."""
    return await Shelf(*projects).effective(str(projects[0][0]))


def short(found: Dependency) -> str:
    """Return `g:a:version:scope`, with type and classifier where they say more."""
    kind = "" if found.type == "jar" else f":{found.type}"
    return f"{found.group_id}:{found.artifact_id}:{found.version}:{found.scope}{kind}" + (
        f":{found.classifier}" if found.classifier else ""
    )


async def direct(*projects: tuple[Coordinates, bytes]) -> list[str]:
    """Return the direct dependencies of the first one, in short."""
    return [short(found) for found in (await effective(*projects)).dependencies]
