"""A real browser on the page: Chromium, driven by Playwright."""

from __future__ import annotations

import contextlib
import gzip
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, ConsoleMessage, Page, Request, expect, sync_playwright

from tests.service.serving import Served

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DESKTOP = {"viewport": {"width": 1280, "height": 800}}
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
# A machine at work on something else is slow; no test waits that long unless something is wrong.
_PATIENCE_MS = 60_000

needs_chromium = pytest.mark.skipif(CHROMIUM is None, reason="there is no Chromium on this machine")


@contextlib.contextmanager
def browser() -> Iterator[Browser]:
    """A browser of its own process."""
    expect.set_options(timeout=_PATIENCE_MS)
    with sync_playwright() as playwright:
        # Chromium's own sandbox does not start for root, who runs tests in containers.
        chromium = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        try:
            yield chromium
        finally:
            chromium.close()


class Visit:
    """Tabs of one browser profile on a service, and what went wrong in them.

    faults: what the page threw or wrote to the console as an error, but for answers of the service that say no, which
    the browser writes there by itself. strangers: addresses of other hosts that were asked for.
    """

    def __init__(self, chromium: Browser, url: str, **given: Any) -> None:
        self.url = url
        self.context = chromium.new_context(**{**DESKTOP, "locale": "en-GB", "reduced_motion": "reduce", **given})
        self.context.set_default_timeout(_PATIENCE_MS)
        self.faults: list[str] = []
        self.strangers: list[str] = []
        self.context.on("request", self._seen)

    def tab(self, *, ready: bool = True) -> Page:
        """Open the page, and wait until it has asked for its pictures."""
        page = self.context.new_page()
        page.on("pageerror", lambda error: self.faults.append(str(error)))
        page.on("console", self._said)
        page.goto(self.url)
        if ready:
            wait_until_ready(page)
        return page

    def _said(self, message: ConsoleMessage) -> None:
        if message.type == "error" and "Failed to load resource" not in message.text:
            self.faults.append(message.text)

    def _seen(self, request: Request) -> None:
        if not request.url.startswith((self.url, "data:", "blob:")):
            self.strangers.append(request.url)


@contextlib.contextmanager
def visiting(chromium: Browser, served: Served | str, **given: Any) -> Iterator[Visit]:
    """A visit that ends without a fault of the page and without a word to a stranger."""
    visit = Visit(chromium, served if isinstance(served, str) else served.url, **given)
    try:
        yield visit
        assert not visit.faults
        assert not visit.strangers
    finally:
        visit.context.close()


def until(page: Page, expression: str) -> None:
    """Wait until JavaScript is true. Playwright's own way to wait evaluates in the page, which its policy forbids."""
    deadline = time.monotonic() + _PATIENCE_MS / 1000
    while not page.evaluate(expression):
        assert time.monotonic() < deadline, expression
        page.wait_for_timeout(50)


def wait_until_ready(page: Page) -> None:
    """Until models and pictures have come."""
    page.wait_for_selector("#model option", state="attached")
    page.wait_for_selector("#welcome:not([hidden]), #gallery-part:not([hidden]), .stage")


def draw(page: Page, prompt: str, **fields: str) -> None:
    """Fill in what is given and press the button."""
    page.fill("#prompt", prompt)
    if fields and not page.evaluate("document.getElementById('more').open"):
        page.click("#more > summary")
    for name, value in fields.items():
        page.fill(f"#{name}", value)
    page.click("#draw")


def colour(page: Page, canvas: str) -> list[int]:
    """Red, green, blue in the middle of a canvas."""
    pixel: list[int] = page.eval_on_selector(
        canvas, "c => Array.from(c.getContext('2d').getImageData(c.width / 2, c.height / 2, 1, 1).data)"
    )
    return pixel[:3]


def axe_faults(page: Page) -> list[str]:
    """What axe-core finds serious or critical, in the page as it is."""
    packed = (Path(__file__).parent / "axe" / "axe.min.js.gz").read_bytes()
    # Through the debugger, which the Content-Security-Policy does not bind.
    page.evaluate(gzip.decompress(packed).decode())
    found = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    return [
        f"{fault['id']}: {node['html'][:200]} ({node['failureSummary'][:300]})"
        for fault in found["violations"]
        if fault["impact"] in ("serious", "critical")
        for node in fault["nodes"]
    ]
