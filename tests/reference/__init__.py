"""These are the pages of docs/ that are made from the code, so that they cannot say anything else than it does."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from securechain_ingest.schemas import graph_schema, message_schema
from tests.reference import commands, configuration, metrics

DOCS: Final = Path(__file__).resolve().parents[2] / "docs"


def _json(document: dict[str, Any]) -> str:
    return f"{json.dumps(document, indent=2)}\n"


PAGES: Final[Mapping[Path, Callable[[], str]]] = {
    DOCS / "commands.md": commands.page,
    DOCS / "configuration.md": configuration.page,
    DOCS / "metrics.md": metrics.page,
    DOCS / "schema" / "message.json": lambda: _json(message_schema()),
    DOCS / "schema" / "graph.json": lambda: _json(graph_schema()),
}
