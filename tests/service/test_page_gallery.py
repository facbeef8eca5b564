"""Finished pictures in a browser: looked at, kept, thrown away, started from, restored."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import pytest
from PIL import Image
from playwright.sync_api import Browser, Locator, Page, expect

from nutshell.pipeline.parameters import encoded
from tests.service.browsing import browser, draw, needs_chromium, until, visiting, wait_until_ready
from tests.service.serving import Served

pytestmark = needs_chromium
Serve = Callable[..., Served]

PARAMETERS = {
    "prompt": "a castle, at dawn", "negative_prompt": "people", "steps": 12, "sampler": "dpmpp_2m", "guidance": 3.5,
    "seed": 18446744073709551557, "width": 192, "height": 256, "model": "artist",
}  # fmt: skip


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


def keep(served: Served, *prompts: str) -> None:
    """Put pictures into the gallery, the last one newest."""
    for place, prompt in enumerate(prompts):
        parameters = {**PARAMETERS, "prompt": prompt, "seed": place}
        served.parts.gallery.add("job", encoded(Image.new("RGB", (192, 256), "teal"), parameters), parameters)


def png(parameters: dict[str, object] | None = None, size: tuple[int, int] = (192, 256)) -> bytes:
    image = Image.new("RGB", size, (200, 40, 40))
    if parameters is not None:
        return encoded(image, parameters)
    file = io.BytesIO()
    image.save(file, "PNG")
    return file.getvalue()


def drop(page: Page, selector: str, data: bytes) -> None:
    """Let go of a file over an element, as a file manager does."""
    page.evaluate(
        """([selector, bytes]) => {
            const carried = new DataTransfer();
            carried.items.add(new File([new Uint8Array(bytes)], "picture.png", {type: "image/png"}));
            const target = document.querySelector(selector);
            for (const kind of ["dragenter", "dragover", "drop"]) {
                target.dispatchEvent(new DragEvent(kind, {dataTransfer: carried, bubbles: true, cancelable: true}));
            }
        }""",
        [selector, list(data)],
    )


def at(place: Locator, right: float, below: float) -> tuple[float, float]:
    """A point of an element by its shares of width and height, where it is on the screen now."""
    place.scroll_into_view_if_needed()
    box = place.bounding_box()
    assert box
    return box["x"] + right * box["width"], box["y"] + below * box["height"]


def fields(page: Page) -> dict[str, str]:
    return {name: page.input_value(f"#{name}") for name in ("prompt", "negative_prompt", "steps", "guidance", "seed")}


# ---------------------------------------------------------------- looking


def test_a_picture_is_looked_at_large_and_so_are_its_neighbours(serve: Serve, chromium: Browser) -> None:
    served = serve()
    keep(served, "one", "two", "three")
    with visiting(chromium, served) as visit:
        page = visit.tab()
        tiles = page.locator("#gallery .tile")
        expect(tiles).to_have_count(3)
        tiles.nth(1).click()
        title = page.locator("#viewer-prompt")
        expect(title).to_have_text("two")
        expect(page.locator("#viewer-facts")).to_contain_text("dpmpp_2m")
        expect(page.locator("#viewer-facts")).to_contain_text("192 × 256")
        page.keyboard.press("ArrowRight")
        expect(title).to_have_text("one")
        expect(page.locator("#viewer-after")).to_be_hidden()
        page.click("#viewer-before")
        page.keyboard.press("ArrowLeft")
        expect(title).to_have_text("three")
        page.keyboard.press("Escape")
        expect(page.locator("#viewer")).to_be_hidden()
        # Where one was before.
        expect(tiles.nth(1)).to_be_focused()


def test_a_picture_is_downloaded_as_it_was_kept(serve: Serve, chromium: Browser) -> None:
    served = serve()
    keep(served, "a kite")
    item = served.parts.gallery.page()[0]
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.click("#gallery .tile")
        with page.expect_download() as download:
            page.click("#viewer-download")
        assert download.value.suggested_filename.endswith(".png")
        assert download.value.path().read_bytes() == served.parts.gallery.read(item.id)


def test_the_words_are_copied(serve: Serve, chromium: Browser) -> None:
    served = serve()
    keep(served, "a kite over a field")
    with visiting(chromium, served) as visit:
        visit.context.grant_permissions(["clipboard-read", "clipboard-write"])
        page = visit.tab()
        page.click("#gallery .tile")
        page.click("#viewer-copy")
        # Over the dialog, not behind it.
        expect(page.locator("#viewer #toasts")).to_contain_text("Copied.")
        assert page.evaluate("navigator.clipboard.readText()") == "a kite over a field"


def test_favourites_are_kept_apart(serve: Serve, chromium: Browser) -> None:
    served = serve()
    keep(served, "one", "two")
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.hover("#gallery li:nth-child(2)")
        page.click("#gallery li:nth-child(2) .heart")
        expect(page.locator("#gallery li:nth-child(2) .heart")).to_have_attribute("aria-pressed", "true")
        page.click("#favourites")
        expect(page.locator("#gallery li")).to_have_count(1)
        expect(page.locator("#gallery img")).to_have_attribute("alt", "one")
        page.click("#gallery .tile")
        page.click("#viewer-favourite")
        expect(page.locator("#viewer-favourite")).to_have_attribute("aria-pressed", "false")
        page.keyboard.press("Escape")
        expect(page.locator("#gallery li")).to_have_count(0)
        expect(page.locator("#gallery-none")).to_be_visible()
        page.click("#all")
        expect(page.locator("#gallery li")).to_have_count(2)


def test_a_deletion_is_taken_back_or_not(serve: Serve, chromium: Browser) -> None:
    served = serve()
    keep(served, "one", "two", "three")
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.click("#gallery .tile")
        page.click("#viewer-delete")
        # The next one is shown in its place.
        expect(page.locator("#viewer-prompt")).to_have_text("two")
        page.keyboard.press("Escape")
        expect(page.locator("#gallery li")).to_have_count(2)
        page.click("#toasts button")
        expect(page.locator("#gallery img").first).to_have_attribute("alt", "three")
        assert len(served.parts.gallery.page()) == 3

        page.click("#gallery .tile")
        page.click("#viewer-delete")
        page.click("#viewer-delete")
        page.keyboard.press("Escape")
        # The tile it was opened by is gone.
        until(page, "document.activeElement.matches('#gallery .tile')")
        # Whoever leaves has not taken it back.
        page.reload()
        wait_until_ready(page)
        expect(page.locator("#gallery li")).to_have_count(1)
    assert [item.parameters["prompt"] for item in served.parts.gallery.page()] == ["one"]


def test_a_long_gallery_comes_in_pages(serve: Serve, chromium: Browser) -> None:
    served = serve()
    keep(served, *(f"picture {number}" for number in range(65)))
    with visiting(chromium, served) as visit:
        page = visit.tab()
        tiles = page.locator("#gallery li")
        expect(tiles).to_have_count(30)
        page.click("#gallery-more")
        expect(tiles).to_have_count(60)
        expect(tiles.nth(30).locator(".tile")).to_be_focused()
        page.click("#gallery-more")
        expect(tiles).to_have_count(65)
        expect(page.locator("#gallery-more")).to_be_hidden()
        # A new one does not fold the list up again.
        draw(page, "one more")
        expect(tiles).to_have_count(66)
        expect(tiles.first.locator("img")).to_have_attribute("alt", "one more")


# ---------------------------------------------------------------- restoring


def test_a_dropped_picture_brings_its_settings_back(serve: Serve, chromium: Browser) -> None:
    served = serve()
    with visiting(chromium, served) as visit:
        page = visit.tab()
        drop(page, "h1", png(PARAMETERS))
        expect(page.locator("#prompt")).to_have_value("a castle, at dawn")
        assert fields(page) == {
            "prompt": "a castle, at dawn", "negative_prompt": "people", "steps": "12", "guidance": "3.5",
            "seed": "18446744073709551557",
        }  # fmt: skip
        assert page.input_value("#sampler") == "dpmpp_2m"
        assert page.input_value("#size") == "192x256"
        page.click("#draw")
        page.wait_for_selector(".stage.done")
    wish = served.worker.drawn[0][0]
    assert {name: getattr(wish, name) for name in PARAMETERS} == PARAMETERS


def test_a_picture_without_settings_is_offered_to_start_from(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve()) as visit:
        page = visit.tab()
        drop(page, "h1", png())
        expect(page.locator("#toasts")).to_contain_text("no settings")
        page.click("#toasts button")
        expect(page.locator("#attached")).to_be_visible()
        # From there to where it is painted on.
        page.click("#attached-edit")
        expect(page.locator("#mask")).to_be_focused()
        expect(page.locator("#mask")).to_be_in_viewport()


def test_settings_come_back_from_the_gallery(serve: Serve, chromium: Browser) -> None:
    served = serve()
    keep(served, "a kite")
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.click("#gallery .tile")
        page.click("#viewer-settings")
        assert fields(page)["prompt"] == "a kite"
        assert fields(page)["steps"] == "12"
        page.click("#more > summary")
        page.click("#reset")
        assert fields(page) == {"prompt": "a kite", "negative_prompt": "", "steps": "", "guidance": "", "seed": ""}


# ---------------------------------------------------------------- a picture to start from


def test_start_from_a_picture_with_a_mask(serve: Serve, chromium: Browser) -> None:
    served = serve()
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.click("#more > summary")
        page.set_input_files("#start-file", {"name": "red.png", "mimeType": "image/png", "buffer": png()})
        mask = page.locator("#mask")
        expect(mask).to_be_visible()
        page.mouse.move(*at(mask, 0.25, 0.5))
        page.mouse.down()
        page.mouse.move(*at(mask, 0.45, 0.5), steps=4)
        page.mouse.up()
        # A stroke too many, and the end of the first one rubbed out again.
        page.mouse.click(*at(mask, 0.5, 0.1))
        page.click("#mask-undo")
        page.click("#mask-erase")
        page.mouse.click(*at(mask, 0.25, 0.5))
        page.fill("#strength", "0.6")
        draw(page, "a green apple")
        page.wait_for_selector(".stage.done")
    wish = served.worker.drawn[0][0]
    assert wish.strength == 0.6
    image = Image.open(io.BytesIO(wish.image))
    mask_image = Image.open(io.BytesIO(wish.mask)).convert("L")
    assert image.size == mask_image.size == (192, 256)
    assert image.convert("RGB").getpixel((96, 128)) == (200, 40, 40)
    assert mask_image.getpixel((84, 128)) == 255  # painted
    assert mask_image.getpixel((48, 128)) == 0  # rubbed out
    assert mask_image.getpixel((96, 26)) == 0  # undone
    assert mask_image.getpixel((150, 220)) == 0  # never touched


def test_a_mask_is_painted_with_the_keyboard(serve: Serve, chromium: Browser) -> None:
    served = serve()
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.click("#more > summary")
        drop(page, "#start", png(size=(128, 128)))
        page.focus("#mask")
        page.keyboard.press(" ")
        expect(page.locator("#told")).to_have_text("Brush down")
        for _ in range(8):
            page.keyboard.press("ArrowRight")
        page.keyboard.press(" ")
        expect(page.locator("#told")).to_have_text("Brush up")
        page.keyboard.press("Shift+ArrowDown")
        draw(page, "a hat")
        page.wait_for_selector(".stage.done")
    mask = Image.open(io.BytesIO(served.worker.drawn[0][0].mask)).convert("L")
    assert [mask.getpixel((x, 64)) for x in (40, 64, 90, 120)] == [0, 255, 255, 0]


def test_a_finished_picture_is_where_the_next_begins(serve: Serve, chromium: Browser) -> None:
    served = serve()
    keep(served, "a kite")
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.click("#gallery .tile")
        page.click("#viewer-start")
        expect(page.locator("#attached")).to_be_visible()
        expect(page.locator("#viewer")).to_be_hidden()
        expect(page.locator("#prompt")).to_be_focused()
        expect(page.locator("#size option").first).to_have_text("Like the picture")
        draw(page, "the same in blue")
        page.wait_for_selector(".stage.done")
        wish = served.worker.drawn[0][0]
        assert Image.open(io.BytesIO(wish.image)).size == (192, 256)
        assert wish.mask is None
        page.click("#attached-remove")
        expect(page.locator("#attached")).to_be_hidden()
        draw(page, "without it")
        until(page, "document.querySelectorAll('#gallery li').length === 3")
    assert served.worker.drawn[1][0].image is None


def test_a_large_photograph_is_brought_to_a_bearable_size(serve: Serve, chromium: Browser) -> None:
    served = serve()
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.click("#more > summary")
        photograph = png(size=(4000, 3000))
        page.set_input_files("#start-file", {"name": "p.png", "mimeType": "image/png", "buffer": photograph})
        expect(page.locator("#start-full")).to_be_visible()
        draw(page, "the sea")
        page.wait_for_selector(".stage.done")
    assert Image.open(io.BytesIO(served.worker.drawn[0][0].image)).size == (1024, 768)


def test_what_is_no_picture_is_refused(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve()) as visit:
        page = visit.tab()
        page.click("#more > summary")
        page.set_input_files("#start-file", {"name": "p.png", "mimeType": "image/png", "buffer": b"no picture"})
        expect(page.locator("#toasts")).to_contain_text("not a picture")
        expect(page.locator("#start-empty")).to_be_visible()
