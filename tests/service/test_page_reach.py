"""The page for everybody: two languages, two themes, small screens, keys alone, screen readers, a service that goes."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, Response, expect

from nutshell.errors import EngineError
from nutshell.language import tr
from tests.service.browsing import (
    DESKTOP,
    PHONE,
    axe_faults,
    browser,
    draw,
    needs_chromium,
    until,
    visiting,
    wait_until_ready,
)
from tests.service.forwarder import Forwarder
from tests.service.serving import Served, serving
from tests.service.test_page_gallery import drop, keep, png
from tests.service.toy import ToyWorker

pytestmark = needs_chromium
Serve = Callable[..., Served]

CANVAS = "#stage canvas:not([hidden])"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


# ---------------------------------------------------------------- languages, themes


def test_the_browser_s_language_is_spoken_and_another_is_remembered(serve: Serve, chromium: Browser) -> None:
    fault = EngineError(tr("check the path"))
    served = serve(ToyWorker(faults=[fault]))
    with visiting(chromium, served, locale="zh-CN") as visit:
        page = visit.tab()
        assert page.evaluate("document.documentElement.lang") == "zh-CN"
        expect(page.locator("#draw")).to_have_text("画")
        expect(page.locator("#theme")).to_have_attribute("aria-label", "切换浅色与深色")
        page.click("#language")
        expect(page.locator("#draw")).to_have_text("Draw")
        assert page.evaluate("document.documentElement.lang") == "en"
        page.reload()
        wait_until_ready(page)
        expect(page.locator("#draw")).to_have_text("Draw")
        page.click("#language")
        expect(page.locator("#draw")).to_have_text("画")
        # A browser that wants Chinese is told so by the service, too.
        page.fill("#prompt", "苹果")
        page.click("#draw")
        expect(page.locator(".stage.failed")).to_contain_text("请检查路径")
        page.click("#language")
        expect(page.locator(".stage.failed")).to_contain_text("check the path")


def test_the_system_s_theme_is_taken_until_one_is_chosen(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve(), color_scheme="dark") as visit:
        page = visit.tab()
        background = "getComputedStyle(document.body).backgroundColor"
        dark = page.evaluate(background)
        page.emulate_media(color_scheme="light")
        until(page, f"{background} !== '{dark}'")
        page.click("#theme")
        until(page, f"{background} === '{dark}'")
        page.reload()
        wait_until_ready(page)
        assert page.evaluate(background) == dark


# ---------------------------------------------------------------- small, slow, without a mouse


@pytest.mark.parametrize("language", ["en-GB", "zh-CN"])
def test_nothing_is_wider_than_a_narrow_screen(serve: Serve, chromium: Browser, language: str) -> None:
    served = serve(ToyWorker(step_seconds=0.2))
    keep(served, "one", "two", "a " + "very" * 60 + " long word")
    narrow = {**PHONE, "viewport": {"width": 320, "height": 640}, "locale": language}
    with visiting(chromium, served, **narrow) as visit:
        page = visit.tab()

        def fits(what: str = "html") -> bool:
            return bool(page.eval_on_selector(what, "e => e.scrollWidth <= e.clientWidth"))

        assert fits()
        page.click("#machine summary")
        page.wait_for_selector("#machine-facts dd")
        assert fits()
        box = page.locator(".sheet").bounding_box()
        assert box
        assert box["x"] >= 0
        assert box["x"] + box["width"] <= 320
        page.click("#machine summary")
        page.click("#more > summary")
        drop(page, "#start", png())
        expect(page.locator("#start-full")).to_be_visible()
        page.select_option("#size", "custom")
        assert fits()
        page.fill("#width", "257")
        page.click("#draw")
        expect(page.locator("#fault")).to_be_visible()
        assert fits()
        page.select_option("#size", "")
        draw(page, "verylongword" * 30, steps="100")
        page.wait_for_selector(CANVAS)
        assert fits()
        page.click("#cancel")
        expect(page.locator(".stage")).to_have_count(0)
        page.click("#gallery .tile")
        assert fits("#viewer")
        assert fits()


def test_the_keyboard_alone_draws_looks_and_closes(serve: Serve, chromium: Browser) -> None:
    served = serve(ToyWorker(step_seconds=0.2))
    with visiting(chromium, served) as visit:
        page = visit.tab()

        def tab_to(id: str) -> None:
            for _ in range(40):
                if page.evaluate("document.activeElement.id") == id:
                    return
                page.keyboard.press("Tab")
            pytest.fail(f"Tab does not lead to #{id}")

        expect(page.locator("#prompt")).to_be_focused()
        for _ in range(10):
            page.keyboard.press("Shift+Tab")
            if page.evaluate("document.activeElement.matches('.skip')"):
                break
        expect(page.locator(".skip")).to_be_in_viewport()
        page.keyboard.press("Enter")
        tab_to("prompt")
        page.keyboard.type("a star")
        # Long enough to be stopped on any machine.
        page.evaluate("document.getElementById('steps').value = 140")
        page.keyboard.press("Control+Enter")
        page.wait_for_selector(CANVAS)
        page.keyboard.press("Escape")
        expect(page.locator(".stage")).to_have_count(0)
        assert page.input_value("#prompt") == "a star"
        page.evaluate("document.getElementById('steps').value = ''")
        tab_to("draw")
        page.keyboard.press("Enter")
        page.wait_for_selector(".stage.done")
        for _ in range(40):
            page.keyboard.press("Tab")
            if page.evaluate("document.activeElement.matches('#gallery .tile')"):
                break
        # Whoever goes by keys sees where they are.
        assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
        page.keyboard.press("Enter")
        expect(page.locator("#viewer-prompt")).to_be_focused()
        page.keyboard.press("Escape")
        assert page.evaluate("document.activeElement.matches('#gallery .tile')")


def test_the_first_load_is_small_and_the_second_smaller(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve()) as visit:
        page = visit.context.new_page()
        sizes: list[Response] = []
        page.on("response", lambda answer: sizes.append(answer))
        page.goto(visit.url)
        wait_until_ready(page)
        parts = [answer.request.sizes() for answer in sizes]
        assert len(parts) > 10
        assert sum(part["responseBodySize"] + part["responseHeadersSize"] for part in parts) < 150_000


# ---------------------------------------------------------------- what axe-core finds


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("screen", [DESKTOP, PHONE], ids=["desktop", "phone"])
def test_axe_finds_no_serious_fault(serve: Serve, chromium: Browser, screen: dict, theme: str) -> None:  # type: ignore[type-arg]
    served = serve(ToyWorker(step_seconds=0.2))
    with visiting(chromium, served, color_scheme=theme, **screen) as visit:
        page = visit.tab()
        assert axe_faults(page) == [], "empty"
        keep(served, "one", "two")
        served.parts.gallery.favour(served.parts.gallery.page()[0].id, True)
        page.click("#more > summary")
        drop(page, "#start", png())
        page.click("#machine summary")
        page.wait_for_selector("#machine-facts dd")
        draw(page, "a sailboat", steps="100")
        page.wait_for_selector(CANVAS)
        page.wait_for_selector("#gallery li")
        assert axe_faults(page) == [], "drawing"
        page.click("#cancel")
        expect(page.locator(".stage")).to_have_count(0)
        draw(page, "a sailboat", steps="500")
        expect(page.locator("#fault")).to_be_visible()
        assert axe_faults(page) == [], "refused"
        served.worker.faults.append(EngineError(tr("no ink"), tr("buy some")))
        draw(page, "a sailboat", steps="2")
        page.wait_for_selector(".stage.failed")
        assert axe_faults(page) == [], "failed"
        page.click("#gallery .tile")
        page.click("#viewer-delete")
        assert axe_faults(page) == [], "large"


# ---------------------------------------------------------------- over a local network


def test_with_a_token_the_page_opens_by_its_link_and_works(serve: Serve, chromium: Browser) -> None:
    served = serve(lan=True, token="open-sesame")
    with visiting(chromium, served) as visit:
        page = visit.context.new_page()
        page.goto(f"{served.url}/?token=open-sesame")
        wait_until_ready(page)
        assert "token" not in page.url
        draw(page, "a star")
        until(page, "document.querySelector('.stage.done img')?.naturalWidth === 256")
        until(page, "document.querySelector('#gallery img').naturalWidth > 0")
        # Someone made a new token: this browser is asked for it, instead of being left with a page that does nothing.
        visit.context.clear_cookies()
        # The button leads there, if what the page asks by itself has not been quicker.
        page.evaluate("document.getElementById('draw')?.click()")
        page.wait_for_selector("input[name=token]")
    assert len(served.worker.drawn) == 1


# ---------------------------------------------------------------- the service goes and comes


def gone(page: Page) -> None:
    expect(page.locator("#banner")).to_be_visible()
    expect(page.locator("#machine-line")).to_have_text("Not connected")


def test_a_job_is_found_again_after_the_connection_was_lost(serve: Serve, chromium: Browser) -> None:
    served = serve(ToyWorker(step_seconds=0.25))
    with Forwarder(served.url) as way, visiting(chromium, way.url) as visit:
        page = visit.tab()
        draw(page, "a snowman", steps="20")
        page.wait_for_selector(CANVAS)
        way.cut()
        gone(page)
        page.click("#draw")
        expect(page.locator("#fault")).to_contain_text("does not answer")
        way.join()
        expect(page.locator("#banner")).to_be_hidden()
        page.wait_for_selector(".stage.done")
    assert len(served.worker.drawn) == 1


def test_a_job_is_found_again_after_the_service_was_stopped(tmp_path: Path, chromium: Browser) -> None:
    """It was running: it is drawn again from its beginning, and this page, never reloaded, shows it."""
    with contextlib.ExitStack() as first, contextlib.ExitStack() as others:
        served = first.enter_context(serving(tmp_path, ToyWorker(step_seconds=0.25), amnesia=False))
        way = others.enter_context(Forwarder(served.url))
        page = others.enter_context(visiting(chromium, way.url)).tab()
        draw(page, "a balloon", steps="40")
        page.wait_for_selector(CANVAS)
        way.cut()
        gone(page)
        first.close()
        served = others.enter_context(serving(tmp_path, amnesia=False))
        way.target = served.url
        way.join()
        expect(page.locator("#banner")).to_be_hidden()
        page.wait_for_selector(".stage.done")
        expect(page.locator("#gallery li")).to_have_count(1)
        assert [wish.prompt for wish, _ in served.worker.drawn] == ["a balloon"]


def test_a_job_that_nobody_knows_any_more_is_told_of(tmp_path: Path, chromium: Browser) -> None:
    """A service that keeps nothing on disk, started anew."""
    with contextlib.ExitStack() as first, contextlib.ExitStack() as others:
        served = first.enter_context(serving(tmp_path, ToyWorker(step_seconds=0.25)))
        way = others.enter_context(Forwarder(served.url))
        page = others.enter_context(visiting(chromium, way.url)).tab()
        draw(page, "a balloon", steps="100")
        page.wait_for_selector(CANVAS)
        way.cut()
        gone(page)
        # What cannot be stopped now can be later.
        page.click("#cancel")
        expect(page.locator("#toasts")).to_contain_text("does not answer")
        expect(page.locator("#cancel")).to_be_enabled()
        first.close()
        way.target = others.enter_context(serving(tmp_path)).url
        way.join()
        expect(page.locator("#toasts")).to_contain_text("no longer knows")
        expect(page.locator(".stage")).to_have_count(0)


def test_a_page_that_was_opened_too_early_fills_itself(serve: Serve, chromium: Browser) -> None:
    served = serve()
    with Forwarder(served.url) as way, visiting(chromium, way.url) as visit:
        page = visit.tab(ready=False)
        # The page's own files come, and nothing after them.
        page.route("**/api/**", lambda route: route.abort())
        page.reload()
        gone(page)
        page.unroute("**/api/**")
        expect(page.locator("#banner")).to_be_hidden()
        wait_until_ready(page)
        draw(page, "a cup of coffee")
        page.wait_for_selector(".stage.done")
