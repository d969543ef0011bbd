"""`python -m tests.demo.pictures` takes the README's pictures of the page anew, from a demonstration of their own."""

from __future__ import annotations

import asyncio
import sys
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from tests.browser.conftest import CHROMIUM
from tests.browser.visitor import PHONE, WIDE, PageVisitor, launched
from tests.demo.__main__ import fill
from tests.demo.running import DemoFailed, demo
from tests.demo.world import names, world
from tests.registry_server.server import REPOSITORY

IMAGES: Final = REPOSITORY / "docs" / "images"
_LIVE_MS: Final = 20_000
"""So long the overview is left to itself, so that it has figures of more than one look."""


@dataclass(frozen=True, slots=True)
class Screenshot:
    name: str
    path: str
    width: int
    scheme: str


PICTURES: Final = (
    Screenshot("overview-wide", "/", WIDE, "light"),
    Screenshot("overview-phone", "/", PHONE, "dark"),
    Screenshot("package-wide", "/packages/npm/made-shop", WIDE, "dark"),
    Screenshot("package-phone", "/packages/pypi/jinja2", PHONE, "light"),
)


async def _take(address: str) -> None:
    assert CHROMIUM is not None
    async with launched(Path(CHROMIUM), address) as somebody:
        for picture in PICTURES:
            async with somebody.anew(picture.width, picture.scheme) as visitor:
                await _shot(visitor, picture)


async def _shot(visitor: PageVisitor, picture: Screenshot) -> None:
    await visitor.log_in()
    await visitor.open(picture.path)
    if picture.path == "/":
        await visitor.page.wait_for_timeout(_LIVE_MS)
    await visitor.page.screenshot(path=IMAGES / f"{picture.name}.png", scale="css")


def main() -> int:
    if CHROMIUM is None:
        print(
            "pictures: there is neither chromium-headless-shell nor chromium (Debian's packages) on this machine",
            file=sys.stderr,
        )
        return 3
    shown = world(packages=40)
    IMAGES.mkdir(exist_ok=True)
    with TemporaryDirectory() as folder:
        try:
            with demo(shown, Path(folder) / "state") as running:
                fill(running)
                running.command("submit", *names(shown.packages))
                running.command("pause", "nuget")
                for ecosystem in ("pypi", "cargo", "rubygems"):
                    running.command("schedules", "run", f"{ecosystem}_packages_updates")
                asyncio.run(_take(running.address))
        except DemoFailed as error:
            print(f"pictures: {error}", file=sys.stderr)
            return 3
    for picture in PICTURES:
        file = IMAGES / f"{picture.name}.png"
        print(f"{file.relative_to(REPOSITORY)}: {file.stat().st_size // 1000} KB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
