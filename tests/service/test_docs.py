"""The documentation of the interfaces in a real browser, under the policy that holds for all pages."""

from __future__ import annotations

import pytest

pytest.importorskip("playwright")

from tests.service.browsing import browser, needs_chromium, visiting
from tests.service.serving import Served


@needs_chromium
def test_every_face_is_shown_and_can_be_tried(served: Served) -> None:
    with browser() as chromium, visiting(chromium, served) as visit:
        page = visit.tab(ready=False)
        page.goto(f"{served.url}/docs")
        page.locator(".opblock").first.wait_for()
        for path in ("/api/jobs", "/v1/images/generations", "/sdapi/v1/txt2img"):
            assert page.locator(f'[data-path="{path}"]').count() >= 1
        page.locator('[data-path="/v1/images/generations"]').click()
        page.get_by_role("button", name="Try it out").click()
        with page.expect_response("**/v1/images/generations") as answered:
            page.get_by_role("button", name="Execute").click()
        assert answered.value.status == 200
    assert [wish.prompt for wish, _ in served.worker.drawn] == ["a red apple"]
