"""Effective POMs: which POMs are needed for one, in what order, and what is kept for the next."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from securechain_ingest.errors import ArchiveRefused, UpstreamError
from securechain_ingest.registries.maven.cache import BoundedCache
from securechain_ingest.registries.maven.effective import (
    Management,
    Model,
    Texts,
    declared_dependencies,
    direct_dependencies,
    flattened,
    imports,
    inherit,
    need_imports,
    own_management,
    relocation_of,
)
from securechain_ingest.registries.maven.names import Coordinates, can_be_asked_for
from securechain_ingest.registries.maven.pom import Dependency, Pom
from securechain_ingest.registries.together import for_each

MAX_DEPTH: Final = 32
"""Parents of parents, or imports of imports; real ones have up to ten."""

MAX_POMS: Final = 1000
"""For one effective POM; the largest BOMs need some hundred."""

_KEPT_ENTRIES: Final = 200_000
"""Properties and dependencies of the kept models, and again of the kept BOMs: about 100 bytes each."""

Load = Callable[[Coordinates], Awaitable[Pom]]
"""The POM at the coordinates. Raises UpstreamError or ArchiveRefused; what is not transient leaves a gap."""


@dataclass(frozen=True, slots=True)
class Effective:
    """What the graph needs of an effective POM."""

    dependencies: tuple[Dependency, ...]
    """Direct ones of every scope."""
    relocation: Coordinates | None
    model: Model
    texts: Texts
    gaps: tuple[str, ...]
    """What was missing, in words; empty if this is what Maven would say."""


@dataclass(frozen=True, slots=True)
class _Bom:
    management: Management
    gaps: tuple[str, ...]


class Effectives:
    """Makes effective POMs. Models of parents and BOMs without gaps are kept, for they are shared and never change."""

    def __init__(self, load: Load) -> None:
        self._load = load
        self._models: BoundedCache[Coordinates, Model] = BoundedCache(_KEPT_ENTRIES)
        self._boms: BoundedCache[Coordinates, _Bom] = BoundedCache(_KEPT_ENTRIES)

    async def of(self, own: Coordinates, pom: Pom) -> Effective:
        """The effective POM of `pom`, which lies at the coordinates `own`. Raises transient errors of `load` only."""
        resolution = _Resolution(self._load, self._models, self._boms)
        model = await resolution.model(pom, (own,))
        texts = Texts(model)
        relocation = relocation_of(model, texts, own)
        if relocation is not None:
            return Effective((), relocation, model, texts, model.gaps)
        declared = declared_dependencies(model, texts)
        management = own_management(model, texts) if declared else {}
        wanted = imports(model, texts) if need_imports(declared, management) else ()
        boms = await resolution.boms(wanted, (own,))
        dependencies = direct_dependencies(declared, management, [bom.management for bom in boms], texts)
        gaps = (*model.gaps, *(gap for bom in boms for gap in bom.gaps))
        return Effective(dependencies, None, model, texts, tuple(dict.fromkeys(gaps)))


@dataclass(slots=True)
class _Resolution:
    """One effective POM on its way."""

    load: Load
    kept_models: BoundedCache[Coordinates, Model]
    kept_boms: BoundedCache[Coordinates, _Bom]
    made_boms: dict[Coordinates, _Bom] = field(default_factory=dict)
    poms: dict[Coordinates, Pom | str] = field(default_factory=dict)

    async def model(self, pom: Pom, lineage: tuple[Coordinates, ...]) -> Model:
        """The POM at the end of `lineage` with all it inherits."""
        if pom.parent is None:
            return inherit(pom, None)
        kept = self.kept_models.get(pom.parent)
        if kept is not None:
            return inherit(pom, kept)
        parent = await self._pom("parent", pom.parent, lineage)
        if isinstance(parent, str):
            return inherit(pom, None, (parent,))
        model = await self.model(parent, (*lineage, pom.parent))
        if not model.gaps:
            self.kept_models.put(pom.parent, model, model.weight)
        return inherit(pom, model)

    async def boms(self, wanted: tuple[Coordinates, ...], importing: tuple[Coordinates, ...]) -> list[_Bom]:
        unknown = [one for one in wanted if one not in self.made_boms and self.kept_boms.get(one) is None]
        if len(unknown) > 1:
            ask = partial(self._pom, "BOM", path=importing)
            await for_each(unknown, ask, at_once=len(unknown), name=f"boms-{importing[-1]}")
        return [await self._bom(one, importing) for one in wanted]

    async def _bom(self, own: Coordinates, importing: tuple[Coordinates, ...]) -> _Bom:
        made = self.kept_boms.get(own) or self.made_boms.get(own)
        if made is not None:
            return made
        pom = await self._pom("BOM", own, importing)
        if isinstance(pom, str):
            return _Bom({}, (pom,))
        model = await self.model(pom, (own,))
        texts = Texts(model)
        boms = await self.boms(imports(model, texts), (*importing, own))
        management = flattened(model, texts, [bom.management for bom in boms])
        bom = _Bom(management, (*model.gaps, *(gap for bom in boms for gap in bom.gaps)))
        self.made_boms[own] = bom
        if not bom.gaps:
            self.kept_boms.put(own, bom, len(management))
        return bom

    async def _pom(self, role: str, wanted: Coordinates, path: tuple[Coordinates, ...]) -> Pom | str:
        """The POM, or why there is none."""
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
