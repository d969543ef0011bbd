"""This module takes out of the model of a POM what is needed: in one pass, and in a parsing process where there is
much."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Concatenate, ParamSpec, TypeVar

from securechain_ingest.registries.maven.effective import (
    Management,
    Model,
    Texts,
    flattened,
    imports,
    joined,
    managed_by,
    managed_dependencies,
    relocation_of,
)
from securechain_ingest.registries.maven.names import Coordinates
from securechain_ingest.registries.maven.package import extension, license_named, repository
from securechain_ingest.registries.maven.pom import Dependency, Key, Pom

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(frozen=True, slots=True)
class PomReading:
    """A POM says this with its ancestors, but without what it imports."""

    dependencies: tuple[Dependency, ...]
    """These are the direct ones of every scope; a scope of None is not known yet."""
    wanting: tuple[Key, ...]
    """Imported BOMs may say more of these dependencies; there are none if nothing is imported."""
    imports: tuple[Coordinates, ...]
    """These BOMs are imported; they are only given if there are such dependencies."""
    relocation: Coordinates | None
    file: str | None
    """This is the extension of its main file (see `package.extension`); it is None, too, if the artifact has moved."""
    repository: str
    """The repository is normalised, or NOT_AVAILABLE."""
    license: str | None

    def with_imported(self, managed: Mapping[Key, Dependency]) -> tuple[Dependency, ...]:
        """Return the dependencies of the effective POM. `managed` has what was found of those that lacked something."""
        if not self.wanting:
            return self.dependencies
        found = (managed_by(one, managed[one.key]) if one.key in managed else one for one in self.dependencies)
        return tuple(_with_scope(one) for one in found)


@dataclass(frozen=True, slots=True)
class BomReading:
    """A BOM manages this itself, and imports these."""

    own: Management
    imports: tuple[Coordinates, ...]


def read_pom(model: Model, own: Coordinates) -> PomReading:
    """Return what the POM at the coordinates `own` says. It raises Malformed for texts beyond the limit."""
    texts = Texts(model)
    relocation = relocation_of(model, texts, own)
    file, address, license_name = extension(texts), repository(model, texts), license_named(model, texts)
    if relocation is not None:
        return PomReading((), (), (), relocation, None, address, license_name)
    dependencies, wanting = managed_dependencies(model, texts)
    wanted = imports(model, texts) if wanting else ()
    if not wanted:
        return PomReading(tuple(map(_with_scope, dependencies)), (), (), None, file, address, license_name)
    return PomReading(tuple(dependencies), wanting, wanted, None, file, address, license_name)


def _with_scope(dependency: Dependency) -> Dependency:
    return dependency if dependency.scope else dependency._replace(scope="compile")


def read_bom(model: Model) -> BomReading:
    """Return what a BOM manages itself, and which BOMs it imports. It raises Malformed for texts beyond the limit."""
    texts = Texts(model)
    return BomReading(flattened(model, texts), imports(model, texts))


def over(
    url: str, lineage: Sequence[Pom], read: Callable[Concatenate[Model, P], R], *args: P.args, **more: P.kwargs
) -> R:
    """Return `read` of the model of a POM and its ancestors; `url` names it where that fails. It raises Malformed."""
    return read(joined(lineage), *args, **more)
