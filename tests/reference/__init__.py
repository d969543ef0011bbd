"""The pages of docs/ that are made from the code, so that they cannot say anything else than it does."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tests.reference import configuration, metrics

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"

PAGES: Final[Mapping[Path, Callable[[], str]]] = {
    DOCS / "configuration.md": configuration.page,
    DOCS / "metrics.md": metrics.page,
}
