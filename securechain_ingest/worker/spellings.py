"""What somebody means with a name that the registry lacks."""

from __future__ import annotations

from typing import Final

import structlog

from securechain_ingest.errors import UpstreamError
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.model import PackageRef
from securechain_ingest.registries.protocol import Registry

MAX_NEAR_NAMES: Final = 5
"""Shown to whoever asked for a package that there is not."""

logger = structlog.get_logger(__name__)


async def meant(graph: GraphBatcher, registry: Registry, ref: PackageRef) -> tuple[PackageRef | None, tuple[str, ...]]:
    """The package that a name which the registry lacks stands for in another case, or else names near to it.

    Producers lower-case names, or do not. A lower-case name is that of whichever package clients find under it, else of
    one that the registry calls near. Raises StoreError, ConfigError.
    """
    lower = registry.identify(ref.name)
    if lower.purl != ref.purl:
        return lower, ()
    if namesake := await graph.namesake(ref):
        return namesake, ()
    try:
        near_names = await registry.near_names(ref)
    except UpstreamError as error:
        logger.warning("near_names_failed", package=ref.purl, kind=error.kind, reason=str(error))
        near_names = ()
    name_key = ref.ecosystem.name_key
    alike = [registry.identify(name) for name in near_names if name_key(name.lower()) == name_key(ref.name)]
    other = next((other for other in alike if other.purl != ref.purl), None)
    return other, near_names[:MAX_NEAR_NAMES]
