"""This module makes effective POMs: it says which POMs are needed for one, in what order, and what is kept for the
next.

Large POMs are worked out in a parsing process; the event loop only puts together what comes from there.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Any, Final, TypeVar

import anyio.lowlevel

from securechain_ingest.errors import ArchiveRefused, InvalidName, UpstreamError
from securechain_ingest.registries.kit.concurrency import for_each
from securechain_ingest.registries.maven.cache import BoundedCache
from securechain_ingest.registries.maven.effective import Management, Model, first_wins, inherit, joined
from securechain_ingest.registries.maven.names import Coordinates, can_be_asked_for
from securechain_ingest.registries.maven.pom import Dependency, Key, Pom
from securechain_ingest.registries.maven.reading import BomReading, PomReading, over, read_bom, read_pom
from securechain_ingest.registries.maven.version_ranges import highest_in, is_range

MAX_DEPTH: Final = 32
"""Parents of parents, or imports of imports, may go so deep; real ones go up to ten."""

MAX_POMS: Final = 1000
"""One effective POM may need so many; the largest BOMs need some hundred."""

MAX_IMPORTED: Final = 200_000
"""All BOMs that one effective POM imports may have so many managed dependencies together."""

LIGHT: Final = 4_000
"""So many entries of a POM and its ancestors are worked through on the event loop, in some milliseconds. More of
them go to a parsing process."""

_KEPT_ENTRIES: Final = 200_000
"""So many properties and dependencies of models are kept, and as many again of BOMs; each takes about 100 bytes."""

_AT_ONCE: Final = 16
"""So many BOMs are asked for at the same time."""

T = TypeVar("T")

Load = Callable[[Coordinates], Awaitable[Pom]]
"""This returns the POM at the coordinates. It raises UpstreamError or ArchiveRefused; an error that is not transient
leaves a gap."""

Listing = Callable[[str, str], Awaitable[tuple[str, ...]]]
"""The repository lists these versions of a group and an artifact id. It raises what Load raises."""

Run = Callable[..., Awaitable[Any]]
"""`await run(function, *args)` is `function(*args)`, worked out elsewhere."""


@dataclass(frozen=True, slots=True)
class Effective:
    """The graph needs this of an effective POM."""

    dependencies: tuple[Dependency, ...]
    """These are the direct ones of every scope."""
    relocation: Coordinates | None
    file: str | None
    """This is the extension of its main file; None means that it has none that could have classes in it."""
    repository: str
    """The repository is normalised, or NOT_AVAILABLE."""
    license: str | None
    gaps: tuple[str, ...]
    """These words say what was missing; there are none if this is what Maven would say."""


@dataclass(frozen=True, slots=True)
class _Lineage:
    """This is a POM and its ancestors, the POM first."""

    poms: tuple[Pom, ...]
    parent: Coordinates | None
    """The second of them lies here."""
    gaps: tuple[str, ...]

    @property
    def weight(self) -> int:
        return sum(pom.weight for pom in self.poms)


@dataclass(frozen=True, slots=True)
class _Bom:
    management: Management
    gaps: tuple[str, ...]


class Effectives:
    """This makes effective POMs. Models of parents, and BOMs without gaps, are kept, because they are shared and
    never change."""

    def __init__(self, load: Load, listing: Listing, run: Run) -> None:
        self._load = load
        self._listing = listing
        self._run = run
        self._models: BoundedCache[Coordinates, Model] = BoundedCache(_KEPT_ENTRIES)
        self._boms: BoundedCache[Coordinates, _Bom] = BoundedCache(_KEPT_ENTRIES)

    async def of(self, own: Coordinates, pom: Pom) -> Effective:
        """Return the effective POM of `pom`, which lies at the coordinates `own`.

        It raises transient errors of `load`, and Malformed for a POM beyond the limits.
        """
        resolution = _Resolution(self._load, self._listing, self._run, self._models, self._boms)
        lineage = await resolution.lineage(pom, own)
        reading: PomReading = await resolution.read(own, lineage, read_pom, own)
        boms = await resolution.boms(reading.imports, (own,))
        dependencies = reading.with_imported(await _said_of(reading.wanting, boms))
        gaps = (*lineage.gaps, *(gap for bom in boms for gap in bom.gaps))
        return Effective(
            dependencies,
            reading.relocation,
            reading.file,
            reading.repository,
            reading.license,
            tuple(dict.fromkeys(gaps)),
        )

    async def alone(self, own: Coordinates, pom: Pom) -> PomReading:
        """Return what a POM says without those that it inherits from. It raises Malformed."""
        resolution = _Resolution(self._load, self._listing, self._run, self._models, self._boms)
        return await resolution.read(own, _Lineage((pom,), None, ()), read_pom, own)


@dataclass(slots=True)
class _Resolution:
    """This is one effective POM while it is made."""

    load: Load
    listing: Listing
    run: Run
    kept_models: BoundedCache[Coordinates, Model]
    kept_boms: BoundedCache[Coordinates, _Bom]
    made_boms: dict[Coordinates, _Bom] = field(default_factory=dict)
    poms: dict[Coordinates, Pom | str] = field(default_factory=dict)
    imported: int = 0

    async def lineage(self, pom: Pom, own: Coordinates) -> _Lineage:
        """Return the POM at the coordinates `own` with all that it inherits from; what is missing of these is a gap."""
        poms, path = [pom], [own]
        gaps: tuple[str, ...] = ()
        while not gaps and poms[-1].parent is not None:
            parent = await self._parent(poms[-1].parent)
            if isinstance(parent, str):
                gaps = (parent,)
                continue
            kept = self.kept_models.get(parent)
            if kept is not None:
                return _Lineage((*poms, *kept.lineage), (*path, parent)[1], ())
            above = await self._pom("parent", parent, tuple(path))
            if isinstance(above, str):
                gaps = (above,)
                continue
            poms.append(above)
            path.append(parent)
        return _Lineage(tuple(poms), path[1] if len(path) > 1 else None, gaps)

    async def read(self, own: Coordinates, lineage: _Lineage, read: Callable[..., T], *args: object) -> T:
        """Return `read(model, *args)` of the model of a lineage. It raises Malformed."""
        if lineage.weight > LIGHT:
            answer: T = await self.run(over, str(own), lineage.poms, read, *args)
            return answer
        return read(self._model(lineage), *args)

    async def boms(self, wanted: tuple[Coordinates, ...], importing: tuple[Coordinates, ...]) -> list[_Bom]:
        unknown = [
            one for one in dict.fromkeys(wanted) if one not in self.made_boms and self.kept_boms.get(one) is None
        ]
        if len(unknown) > 1:
            ask = partial(self._pom, "BOM", path=importing)
            await for_each(unknown, ask, at_once=_AT_ONCE, name=f"boms-{importing[-1]}")
        return [await self._bom(one, importing) for one in wanted]

    async def _bom(self, own: Coordinates, importing: tuple[Coordinates, ...]) -> _Bom:
        made = self.kept_boms.get(own) or self.made_boms.get(own)
        if made is not None:
            return made
        pom = await self._pom("BOM", own, importing)
        if isinstance(pom, str):
            return _Bom({}, (pom,))
        lineage = await self.lineage(pom, own)
        try:
            reading: BomReading = await self.read(own, lineage, read_bom)
        except (UpstreamError, ArchiveRefused) as error:
            if error.transient:
                raise
            reading, lineage = BomReading({}, ()), _Lineage((), None, (f"BOM {own} cannot be read ({error})",))
        boms = await self.boms(reading.imports, (*importing, own))
        gaps = dict.fromkeys((*lineage.gaps, *(gap for bom in boms for gap in bom.gaps)))
        bom = _Bom(first_wins([reading.own, *(bom.management for bom in boms)]), tuple(gaps))
        self.imported += len(bom.management)
        if self.imported > MAX_IMPORTED:
            bom = _Bom({}, (f"BOM {own} is one too many: all together manage more than {MAX_IMPORTED}",))
        await anyio.lowlevel.checkpoint()
        self.made_boms[own] = bom
        if not bom.gaps:
            self.kept_boms.put(own, bom, len(bom.management))
        return bom

    def _model(self, lineage: _Lineage) -> Model:
        if lineage.parent is None:
            return joined(lineage.poms)
        kept = self.kept_models.get(lineage.parent)
        if kept is None:
            kept = joined(lineage.poms[1:])
            if not lineage.gaps:
                self.kept_models.put(lineage.parent, kept, kept.weight)
        return inherit(lineage.poms[0], kept)

    async def _parent(self, wanted: Coordinates) -> Coordinates | str:
        """The parent lies here; for a range it is the highest version inside. A text says why there is none."""
        if not is_range(wanted.version):
            return wanted
        group_id, artifact_id, versions = wanted
        if not can_be_asked_for(wanted._replace(version="any")):
            return f"parent {wanted} cannot be asked for"
        try:
            listed = await self.listing(group_id, artifact_id)
            highest = highest_in(versions, listed)
        except InvalidName:
            return f"parent {wanted} cannot be asked for"
        except ValueError as error:
            return f"parent {wanted}: {error}"
        except (UpstreamError, ArchiveRefused) as error:
            if error.transient:
                raise
            return f"parent {wanted}: its versions cannot be had ({error.kind})"
        return wanted._replace(version=highest)

    async def _pom(self, role: str, wanted: Coordinates, path: tuple[Coordinates, ...]) -> Pom | str:
        """Return the POM, or a text that says why there is none."""
        if wanted in path:
            return f"{role} {wanted} is its own: {' -> '.join(map(str, (*path, wanted)))}"
        if wanted not in self.poms:
            self.poms[wanted] = await self._loaded(role, wanted, path)
        return self.poms[wanted]

    async def _loaded(self, role: str, wanted: Coordinates, path: tuple[Coordinates, ...]) -> Pom | str:
        if not can_be_asked_for(wanted):
            return f"{role} {wanted} cannot be asked for"
        if len(path) > MAX_DEPTH or len(self.poms) >= MAX_POMS:
            return f"{role} {wanted} is one too many"
        try:
            return await self.load(wanted)
        except (UpstreamError, ArchiveRefused) as error:
            if error.transient:
                raise
            return f"{role} {wanted} cannot be had ({error.kind})"


async def _said_of(wanting: tuple[Key, ...], boms: list[_Bom]) -> dict[Key, Dependency]:
    """The first BOM that knows a key says this of it. It takes time that grows with the smaller of the two sides."""
    found: dict[Key, Dependency] = {}
    left = set(wanting)
    for bom in boms:
        if not left:
            break
        known = left & bom.management.keys()
        found |= {key: bom.management[key] for key in known}
        left -= known
        await anyio.lowlevel.checkpoint()
    return found
