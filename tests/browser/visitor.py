"""This is somebody before a browser, who opens pages, clicks and types; it also tells what the browser says of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from tests.waiting import PATIENCE_S

if TYPE_CHECKING:
    from playwright.async_api import Browser, BrowserContext, ConsoleMessage, Page, Request

PHONE, WIDE = 390, 1440
_HEIGHTS = {PHONE: 844, WIDE: 900}
_PATIENCE_MS = 1000 * PATIENCE_S
"""Nothing that comes at all fails for coming late; a busy machine takes long."""

_VIOLATIONS = """
document.addEventListener("securitypolicyviolation", (event) =>
  console.error(`policy violated: ${event.effectiveDirective} ${event.blockedURI} ${event.sample}`));
"""

_STILL = "window.EventSource = class extends EventTarget { close() {} };"


@dataclass
class PageVisitor:
    """This is one browser context with one page; `anew` gives another one without a memory."""

    browser: Browser
    address: str
    """This is the page's address, with the token."""
    page: Page = field(init=False)
    requests: list[str] = field(default_factory=list)
    """These are the addresses of all requests."""
    complaints: list[str] = field(default_factory=list)
    """This is what stood on the browser's console as an error or a warning, and exceptions of scripts."""

    @property
    def origin(self) -> str:
        return "{0.scheme}://{0.netloc}".format(urlsplit(self.address))

    @property
    def token(self) -> str:
        return parse_qs(urlsplit(self.address).query)["token"][0]

    @asynccontextmanager
    async def anew(
        self, width: int = WIDE, scheme: str = "light", *, is_still: bool = False
    ) -> AsyncIterator[PageVisitor]:
        """Yield a visitor whom the daemon has not seen.

        If `is_still`, a page stays as it was loaded, because no live figures come.
        """
        options: dict[str, Any] = {
            "viewport": {"width": width, "height": _HEIGHTS[width]},
            "color_scheme": scheme,
            "reduced_motion": "reduce",
        }
        context = await self.browser.new_context(**options)
        try:
            if is_still:
                await context.add_init_script(_STILL)
            yield await PageVisitor(self.browser, self.address)._watch(context)
        finally:
            await context.close()

    async def _watch(self, context: BrowserContext) -> PageVisitor:
        context.set_default_timeout(_PATIENCE_MS)
        await context.add_init_script(_VIOLATIONS)
        context.on("request", self._asked)
        self.page = await context.new_page()
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.complaints.append(f"exception: {error}"))
        self.page.on("dialog", self._asked_back)
        return self

    def _asked(self, request: Request) -> None:
        self.requests.append(request.url)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.type}: {message.text} ({message.location.get('url')})")

    async def _asked_back(self, dialog: Any) -> None:
        self.complaints.append(f"dialog: {dialog.message}")
        await dialog.dismiss()

    async def open(self, path: str, status: int = 200) -> None:
        """Go to a page of the daemon's."""
        answer = await self.page.goto(self.origin + path)
        assert answer is not None
        assert answer.status == status, f"{path}: {answer.status}"
        if status >= 400:
            self.forgive(status)

    def forgive(self, status: int) -> None:
        """Chromium puts an answer with such a status on the console; here it is what was wanted."""
        self.complaints[:] = [each for each in self.complaints if f"status of {status}" not in each]

    async def log_in(self) -> None:
        """Log in by the form, as a person does."""
        await self.open("/login")
        await self.page.get_by_label("Token").fill(self.token)
        await self.page.get_by_role("button", name="Log in").click()
        await self.page.wait_for_url(f"{self.origin}/")

    async def look(self, width: int, scheme: str) -> None:
        """Take another window or another colour scheme for the page that is open."""
        await self.page.set_viewport_size({"width": width, "height": _HEIGHTS[width]})
        await self.page.emulate_media(color_scheme="dark" if scheme == "dark" else "light")

    async def text(self) -> str:
        """Return all text that the page shows."""
        shown: str = await self.page.locator("body").inner_text()
        return shown

    def assert_clean(self) -> None:
        """No other host was asked, no policy was violated, and nothing failed."""
        assert {urlsplit(each).netloc for each in self.requests} <= {urlsplit(self.address).netloc}
        assert self.complaints == []


@asynccontextmanager
async def launched(executable: Path, address: str) -> AsyncIterator[PageVisitor]:
    """Yield a browser, and somebody who has no page yet."""
    from playwright.async_api import async_playwright  # A machine without it skips these tests.

    async with async_playwright() as playwright:
        # CI's user is root, for whom Chromium has no sandbox; it opens nothing but our own pages.
        browser = await playwright.chromium.launch(
            executable_path=executable, args=["--no-sandbox"], timeout=_PATIENCE_MS
        )
        try:
            yield PageVisitor(browser, address)
        finally:
            await browser.close()
