"""This module finds where a gem says that its source lies."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from securechain_ingest.model import NOT_AVAILABLE
from securechain_ingest.registries.kit.repository import normalise_repository

_LINKS: Final = (
    "source_code_uri",
    "homepage_uri",
    "homepage",
    "bug_tracker_uri",
    "changelog_uri",
    "wiki_uri",
    "documentation_uri",
)


def repository_of(document: Mapping[str, Any]) -> str | None:
    """Return the normalised repository in the registry's answer about a gem or in a gemspec; both have the same names
    for links.

    Either may repeat them in a table `metadata`. The result is None if no link leads to a repository.
    """
    metadata = document.get("metadata")
    tables = [document, metadata] if isinstance(metadata, dict) else [document]
    repository = normalise_repository(table.get(link) for link in _LINKS for table in tables)
    return None if repository == NOT_AVAILABLE else repository
