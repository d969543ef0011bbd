"""This module renders the templates. Every value in them is escaped, because names come from strangers."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined, select_autoescape
from starlette.responses import HTMLResponse

from securechain_ingest import __version__
from securechain_ingest.times import in_words
from securechain_ingest.web.plots import number


def _moment(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"


def _short(text: str) -> str:
    """Return a time in ISO 8601 as people read it, and any other text as it is."""
    try:
        return _moment(datetime.fromisoformat(text))
    except ValueError:
        return text


def _bytes(size: float) -> str:
    for unit in ("bytes", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "bytes" or size >= 100 else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:,.1f} TB"


ENVIRONMENT: Final = Environment(
    loader=PackageLoader("securechain_ingest.web"),
    autoescape=select_autoescape(default=True, default_for_string=True),
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
ENVIRONMENT.filters |= {
    "age": in_words,
    "moment": _moment,
    "short": _short,
    "bytes": _bytes,
    "number": number,
    "count": lambda value: f"{value:,}",
    "words": lambda name: name.replace("_", " "),
}
ENVIRONMENT.globals["release"] = __version__


def compile_templates() -> None:
    """Compile all templates, which are kept for as long as the process lives. It takes a quarter of a second or so, and
    any thread may do it."""
    for template in ENVIRONMENT.list_templates():
        ENVIRONMENT.get_template(template)


def render(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """Return an answer that is made from one of the templates in this folder."""
    return HTMLResponse(rendered(template, **values), status)


def rendered(template: str, **values: Any) -> str:
    """Return the text that is made from one of the templates in this folder."""
    return ENVIRONMENT.get_template(template).render(**values)
