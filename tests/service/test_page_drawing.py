"""A picture is asked for in a browser: seen coming, stopped, found again, refused, failed."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Browser, expect

from nutshell.errors import EngineError
from nutshell.language import tr
from tests.service.browsing import browser, colour, draw, needs_chromium, until, visiting, wait_until_ready
from tests.service.serving import Served
from tests.service.toy import ToyWorker

pytestmark = needs_chromium
Serve = Callable[..., Served]

SLOW = 0.25  # seconds a step: with 20 of them long enough for a busy machine to look at it, and then it is stopped
CANVAS = "#stage canvas:not([hidden])"


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


def test_draw_and_see(serve: Serve, chromium: Browser) -> None:
    served = serve(ToyWorker(step_seconds=0.02))
    with visiting(chromium, served) as visit:
        page = visit.tab()
        expect(page.locator("#welcome")).to_be_visible()
        draw(page, "a red apple", steps="3", seed="7", guidance="2.5", negative_prompt="blur")
        picture = page.locator(".stage.done img")
        expect(picture).to_have_attribute("alt", "a red apple")
        until(page, "document.querySelector('.stage.done img').naturalWidth === 256")
        expect(page.locator("#gallery li")).to_have_count(1)
        expect(page.locator("#welcome")).to_be_hidden()
        expect(page.locator("#told")).to_have_text("Done. Pictures: 1.")
    wish = served.worker.drawn[0][0]
    assert (wish.prompt, wish.steps, wish.seed, wish.guidance) == ("a red apple", 3, 7, 2.5)
    assert (wish.negative_prompt, wish.model, wish.count, wish.previews) == ("blur", "artist", 1, True)
    # What was left empty is the model's to decide.
    assert (wish.width, wish.height, wish.sampler, wish.image, wish.mask) == (None, None, None, None, None)


def test_what_is_left_out_is_asked_for_by_name(serve: Serve, chromium: Browser) -> None:
    served = serve()
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.click("#more > summary")
        for name in ("fast", "int8_attention"):
            page.check(f"#{name}")
        page.select_option("#precision", "int8")
        draw(page, "a red apple", reuse="3", merge="0.25")
        expect(page.locator("#gallery li")).to_have_count(1)
        page.click("#reset")
        draw(page, "a green apple")
        expect(page.locator("#gallery li")).to_have_count(2)
    first, second = (drawn[0] for drawn in served.worker.drawn)
    assert (first.fast, first.reuse, first.merge, first.precision) == (True, 3, 0.25, "int8")
    # What is not ticked is as "fast" says.
    assert (first.fewer_keys, first.int8_attention) == (None, True)
    assert (second.fast, second.reuse, second.merge, second.precision) == (False, None, None, None)
    assert not second.int8_attention


def test_an_empty_field_draws_the_example_in_it(serve: Serve, chromium: Browser) -> None:
    served = serve()
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.click("#draw")
        page.wait_for_selector(".stage.done")
        assert page.input_value("#prompt") == "a cat wearing sunglasses"
    assert served.worker.drawn[0][0].prompt == "a cat wearing sunglasses"


def test_an_example_is_drawn_at_a_press(serve: Serve, chromium: Browser) -> None:
    served = serve()
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.click("#examples button:nth-child(2)")
        page.wait_for_selector(".stage.done")
    assert served.worker.drawn[0][0].prompt == "a rocket on a yellow background"


def test_a_preview_changes_and_the_job_is_stopped(serve: Serve, chromium: Browser) -> None:
    served = serve(ToyWorker(step_seconds=SLOW))
    with visiting(chromium, served) as visit:
        page = visit.tab()
        draw(page, "a sailboat", steps="100")
        page.wait_for_selector(CANVAS)
        first, step = colour(page, CANVAS), int(page.get_attribute(CANVAS, "data-step") or 0)
        expect(page.locator(".stage .state p")).to_contain_text("left")
        assert 0 < page.eval_on_selector(".stage progress", "bar => bar.value") < 1
        until(page, f"Number(document.querySelector('{CANVAS}').dataset.step) >= {step + 6}")
        assert colour(page, CANVAS) != first
        expect(page.locator("#machine-line")).to_have_text("Drawing")
        page.click("#cancel")
        expect(page.locator(".stage")).to_have_count(0)
        expect(page.locator("#toasts")).to_contain_text("Stopped.")
        expect(page.locator("#machine-line")).to_have_text("Ready")
    assert not served.parts.gallery.page()


def test_a_reload_finds_the_job_and_its_preview_again(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve(ToyWorker(step_seconds=SLOW))) as visit:
        page = visit.tab()
        draw(page, "an owl", steps="20")
        page.wait_for_selector(CANVAS)
        page.reload()
        page.wait_for_selector(CANVAS)
        expect(page.locator(".stage .words")).to_have_text("an owl")
        # It is still this tab's own: its end is shown here.
        page.wait_for_selector(".stage.done")


def test_two_tabs_see_the_same(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve(ToyWorker(step_seconds=SLOW))) as visit:
        one, two = visit.tab(), visit.tab()
        draw(one, "a penguin", steps="8")
        two.wait_for_selector(CANVAS)
        expect(two.locator(".stage .words")).to_have_text("a penguin")
        one.wait_for_selector(".stage.done")
        expect(two.locator("#gallery li")).to_have_count(1)
        # Who did not ask for it finds it in the gallery.
        expect(two.locator(".stage")).to_have_count(0)


def test_what_waits_is_in_line_and_can_be_stopped(serve: Serve, chromium: Browser) -> None:
    served = serve(ToyWorker(step_seconds=SLOW))
    with visiting(chromium, served) as visit:
        page = visit.tab()
        draw(page, "first", steps="100")
        page.wait_for_selector(CANVAS)
        draw(page, "second")
        line = page.locator("#line li")
        expect(line).to_have_count(1)
        expect(line).to_contain_text("second")
        expect(page.locator(".stage .words")).to_have_text("first")
        line.locator("button").click()
        expect(page.locator("#line")).to_be_hidden()
        page.keyboard.press("Escape")
        expect(page.locator(".stage")).to_have_count(0)
    assert [wish.prompt for wish, _ in served.worker.drawn] == ["first"]


def test_a_double_click_asks_once(serve: Serve, chromium: Browser) -> None:
    served = serve()
    with visiting(chromium, served) as visit:
        page = visit.tab()
        page.fill("#prompt", "a frog")
        page.dblclick("#draw")
        page.wait_for_selector(".stage.done")
        until(page, "fetch('api/jobs').then(r => r.json()).then(all => all.jobs.length === 1)")
    assert len(served.worker.drawn) == 1


def test_several_pictures_of_one_wish(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve()) as visit:
        page = visit.tab()
        draw(page, "a dog", count="3")
        expect(page.locator(".stage.done img")).to_have_count(3)
        expect(page.locator("#gallery li")).to_have_count(3)


def test_draw_another_takes_a_new_seed(serve: Serve, chromium: Browser) -> None:
    served = serve()
    with visiting(chromium, served) as visit:
        page = visit.tab()
        draw(page, "a lion", seed="11", steps="3")
        page.click(".stage.done .main")
        expect(page.locator("#gallery li")).to_have_count(2)
    first, second = (wish for wish, _ in served.worker.drawn)
    assert (second.prompt, second.steps) == (first.prompt, first.steps) == ("a lion", 3)
    assert first.seed == 11
    assert second.seed != 11


# ---------------------------------------------------------------- what goes wrong


def test_what_is_wrong_is_said_at_the_field(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve()) as visit:
        page = visit.tab()
        draw(page, "a heart", steps="500")
        fault = page.locator("#fault")
        expect(fault).to_contain_text("150")
        expect(page.locator("#steps")).to_have_attribute("aria-invalid", "true")
        expect(page.locator("#steps")).to_be_focused()
        page.fill("#steps", "5")
        expect(fault).to_be_hidden()
        expect(page.locator("[aria-invalid]")).to_have_count(0)
        page.click("#draw")
        page.wait_for_selector(".stage.done")


def test_a_width_that_is_none_is_said_at_the_width(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve()) as visit:
        page = visit.tab()
        page.click("#more > summary")
        page.select_option("#size", "custom")
        assert page.input_value("#width") == "256"
        draw(page, "a heart", width="257")
        expect(page.locator("#fault")).to_contain_text("256")
        expect(page.locator("#width")).to_be_focused()


def test_a_full_queue_says_when_to_come_again(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve(ToyWorker(step_seconds=SLOW), queue=1)) as visit:
        page = visit.tab()
        for prompt in ("one", "two", "three"):
            draw(page, prompt, steps="100")
            page.wait_for_selector(CANVAS)
        expect(page.locator("#fault")).to_contain_text("the queue is full")
        expect(page.locator("#fault")).to_contain_text("seconds")
        page.keyboard.press("Escape")
        page.keyboard.press("Escape")


def test_a_job_that_fails_says_why_and_what_next(serve: Serve, chromium: Browser) -> None:
    fault = EngineError(tr("there is no {thing}", thing="ink"), tr("buy some"))
    served = serve(ToyWorker(faults=[fault]))
    with visiting(chromium, served) as visit:
        page = visit.tab()
        draw(page, "a cactus")
        card = page.locator(".stage.failed")
        expect(card).to_contain_text("there is no ink")
        expect(card).to_contain_text("buy some")
        card.locator("button", has_text="Try again").click()
        page.wait_for_selector(".stage.done")


def test_blocked_storage_changes_only_what_is_remembered(serve: Serve, chromium: Browser) -> None:
    with visiting(chromium, serve()) as visit:
        visit.context.add_init_script(
            "for (const name of ['localStorage', 'sessionStorage'])"
            " Object.defineProperty(window, name, {get() { throw new DOMException('blocked', 'SecurityError'); }});"
        )
        page = visit.tab()
        draw(page, "a rose")
        page.wait_for_selector(".stage.done")
        page.click("#language")
        expect(page.locator("#draw")).to_have_text("画")
        page.reload()
        wait_until_ready(page)
        expect(page.locator("#draw")).to_have_text("Draw")
