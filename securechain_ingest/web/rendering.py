"""This module renders the templates. Every value in them is escaped, because names come from strangers."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from securechain_ingest import __version__
from securechain_ingest.times import in_words


def _moment(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M} UTC"


_ENVIRONMENT: Final = Environment(
    loader=PackageLoader("securechain_ingest.web"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_ENVIRONMENT.filters |= {"age": in_words, "moment": _moment, "count": lambda number: f"{number:,}"}
_ENVIRONMENT.globals["release"] = __version__


def render(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return an answer that is made from one of the templates in this folder."""
    return HTMLResponse(_ENVIRONMENT.get_template(template).render(**values), status)
