"""This module finds the package that was probably meant by a name that the registry lacks."""

from __future__ import annotations

from typing import Final

import structlog

from securechain_ingest.errors import UpstreamError
from securechain_ingest.graph.batch import GraphBatcher
from securechain_ingest.model import PackageRef
from securechain_ingest.registries.protocol import Registry

MAX_NEAR_NAMES: Final = 5
"""At most so many near names are shown to a user who asked for a package that does not exist."""

logger = structlog.get_logger(__name__)


async def meant(graph: GraphBatcher, registry: Registry, ref: PackageRef) -> tuple[PackageRef | None, tuple[str, ...]]:
    """Return the package that has the name in another case, or None, and names near to it if they were looked up.

    Some producers write names in lower case, and others do not. A name that is not in lower case may mean the same name
    in lower case. A lower-case name means the package that clients find under it in the graph. If there is none, it
    means one of the registry's near names that differs only in spelling. At most MAX_NEAR_NAMES near names are
    returned. StoreError and ConfigError are raised.
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
