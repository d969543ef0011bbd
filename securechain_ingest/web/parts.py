"""This module names the sources that the page reads from."""

from __future__ import annotations

from dataclasses import dataclass

from securechain_ingest.configuration import Settings
from securechain_ingest.progress import Progress
from securechain_ingest.stores import Stores


@dataclass(frozen=True, slots=True)
class Parts:
    """These are the sources that the page reads from, and the token of those who may act on it."""

    stores: Stores
    settings: Settings
    progress: Progress
    token: str
