"""This finds which pages there are: those that somebody who has logged in reaches by following links."""

from __future__ import annotations

from typing import Final
from urllib.parse import unquote, urlsplit

from tests.browser.visitor import PageVisitor

ASKED_ON_THE_PAGE: Final = "nuget:NLog"
"""Nobody has asked for it before."""

KNOWN: Final = (
    "/login",
    "/packages/pypi/jinja2",
    "/packages/pypi/requests@2.19.0",
    "/packages/npm/@babel/core",
    "/packages/npm/flatmap-stream",
)
"""These are pages that differ in what they show. The others are found, one of each kind."""

KINDS: Final = frozenset(
    {"", "login", "packages", "packages/…", "advisories", "advisories/…", "registries/…", "queue"}
    | {"dead-letters", "dead-letters/…", "schedules", "schedules/…", "runs/…"}
)

_LINKS = "[...document.links].map((each) => each.href)"


async def every_page(visitor: PageVisitor) -> list[str]:
    """Return the addresses, one of each kind and those in KNOWN."""
    found = dict.fromkeys(KNOWN)
    kinds = {kind_of(path) for path in KNOWN}
    waiting = ["/"]
    seen = set(waiting)
    while waiting:
        path = waiting.pop(0)
        if kind_of(path) in kinds:
            continue
        kinds.add(kind_of(path))
        found[path] = None
        await visitor.open(path)
        links = map(urlsplit, await visitor.page.evaluate(_LINKS))
        new = {each.path for each in links if f"{each.scheme}://{each.netloc}" == visitor.origin} - seen
        waiting += sorted(new)
        seen |= new
    assert kinds >= KINDS, f"no link leads to {KINDS - kinds}"
    return list(found)


def kind_of(path: str) -> str:
    """Return `dead-letters/…` for all dead letters."""
    first, slash, rest = unquote(path).strip("/").partition("/")
    return f"{first}/…" if slash and rest else first
