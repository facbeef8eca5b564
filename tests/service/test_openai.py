"""The OpenAI face, by the official client over a real connection."""

from __future__ import annotations

import asyncio
import base64
import io
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx2
import openai
import pytest
from PIL import Image

from nutshell.errors import CorruptFile, EngineError, NotEnoughMemory
from nutshell.language import tr
from tests.service.serving import Served
from tests.service.toy import ToyWorker

Serve = Callable[..., Served]


@pytest.fixture
def client(served: Served) -> Iterator[openai.OpenAI]:
    with client_of(served) as client:
        yield client


def client_of(served: Served, **given: Any) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"{served.url}/v1", api_key="none needed", max_retries=0, **given)


def picture(data: str | None) -> Image.Image:
    image = Image.open(io.BytesIO(base64.b64decode(data or "")))
    image.load()
    return image


def file(image: Image.Image, form: str = "PNG") -> bytes:
    stream = io.BytesIO()
    image.save(stream, form)
    return stream.getvalue()


RED = Image.new("RGB", (64, 64), "red")


def wait_until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.01)


# ---------------------------------------------------------------- generations


def test_pictures_come_as_base64(served: Served, client: openai.OpenAI) -> None:
    answer = client.images.generate(prompt="a red apple", n=2, size="256x128")
    assert answer.data is not None
    assert len(answer.data) == 2
    assert answer.size == "256x128"
    assert answer.output_format == "png"
    assert answer.created > 1_600_000_000
    assert [picture(entry.b64_json).size for entry in answer.data] == [(256, 128)] * 2
    assert picture(answer.data[0].b64_json).text["parameters"].startswith("a red apple")  # type: ignore[attr-defined]


def test_every_field_reaches_the_wish(served: Served, client: openai.OpenAI) -> None:
    client.images.generate(
        prompt="apple", model="castles", n=1, size="512x384", quality="auto", style="vivid", background="opaque",
        moderation="low", user="somebody",
        extra_body={"negative_prompt": "blurry", "steps": 3, "guidance_scale": 2.5, "seed": 7, "sampler": "euler"},
    )  # fmt: skip
    wish, _ = served.worker.drawn[0]
    assert (wish.prompt, wish.model, wish.negative_prompt) == ("apple", "castles", "blurry")
    assert (wish.width, wish.height, wish.steps, wish.guidance) == (512, 384, 3, 2.5)
    assert (wish.seed, wish.sampler, wish.count) == (7, "euler", 1)


@pytest.mark.parametrize(("quality", "steps"), [("low", 4), ("medium", None), ("hd", 12), ("max", 20), ("auto", None)])
def test_quality_is_a_share_of_the_models_steps(
    served: Served, client: openai.OpenAI, quality: Any, steps: int | None
) -> None:
    client.images.generate(prompt="apple", quality=quality)
    assert served.worker.drawn[0][0].steps == steps


def test_names_of_hosted_models_mean_the_default(served: Served, client: openai.OpenAI) -> None:
    for name in ("gpt-image-2", "dall-e-3"):
        client.images.generate(prompt="apple", model=name, response_format="b64_json")
    assert [wish.model for wish, _ in served.worker.drawn] == ["artist", "artist"]


def test_an_address_is_of_this_server_and_holds_the_picture(served: Served, client: openai.OpenAI) -> None:
    answer = client.images.generate(prompt="apple", model="dall-e-3")
    assert answer.data is not None
    url = answer.data[0].url
    assert url is not None
    assert url.startswith(f"{served.url}/api/gallery/")
    assert Image.open(io.BytesIO(httpx2.get(url).raise_for_status().content)).format == "PNG"


@pytest.mark.parametrize("form", ["jpeg", "webp"])
@pytest.mark.parametrize("response_format", ["b64_json", "url"])
def test_other_formats(client: openai.OpenAI, form: Any, response_format: Any) -> None:
    answer = client.images.generate(
        prompt="apple", output_format=form, output_compression=50, response_format=response_format
    )
    assert answer.data is not None
    assert answer.output_format == form
    entry = answer.data[0]
    data = httpx2.get(entry.url).content if entry.url else base64.b64decode(entry.b64_json or "")
    assert Image.open(io.BytesIO(data)).format == form.upper()


# ---------------------------------------------------------------- streams


@pytest.fixture
def unhurried(serve: Serve) -> Iterator[openai.OpenAI]:
    """Of a service whose steps take long enough to be seen: who reads too slowly misses pictures of the way."""
    with client_of(serve(ToyWorker(step_seconds=0.1))) as client:
        yield client


@pytest.mark.parametrize("partials", [0, 1, 3])
def test_a_stream_holds_pictures_of_the_way_and_the_picture(unhurried: openai.OpenAI, partials: int) -> None:
    events = list(
        unhurried.images.generate(
            prompt="apple", stream=True, partial_images=partials, size="128x64", output_format="webp",
            extra_body={"steps": 8},
        )
    )  # fmt: skip
    *way, last = events
    assert [event.type for event in way] == ["image_generation.partial_image"] * partials
    assert [event.partial_image_index for event in way] == list(range(partials))  # type: ignore[union-attr]
    assert last.type == "image_generation.completed"
    assert last.usage.total_tokens == 0
    for event in events:
        assert (event.size, event.output_format, event.background, event.quality) == (
            "128x64",
            "webp",
            "opaque",
            "auto",
        )
        assert event.created_at > 1_600_000_000
        assert (picture(event.b64_json).format, picture(event.b64_json).size) == ("WEBP", (128, 64))


def test_a_stream_of_several_pictures_completes_each(unhurried: openai.OpenAI) -> None:
    stream = unhurried.images.generate(prompt="apple", stream=True, partial_images=1, n=2)
    kinds = [event.type.rpartition(".")[2] for event in stream]
    assert kinds == ["partial_image", "completed"] * 2


def test_the_asynchronous_client_streams_too(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.1))

    async def draw() -> list[str]:
        async with openai.AsyncOpenAI(base_url=f"{served.url}/v1", api_key="x", max_retries=0) as client:
            stream = await client.images.generate(prompt="apple", stream=True, partial_images=2)
            return [event.type async for event in stream]

    assert asyncio.run(draw()) == ["image_generation.partial_image"] * 2 + ["image_generation.completed"]


def test_a_fault_in_a_stream_is_raised_by_the_client(serve: Serve) -> None:
    served = serve(ToyWorker(faults=[NotEnoughMemory(2_000_000_000, 1_000_000_000, tr("ask for less"))]))
    with client_of(served) as client, pytest.raises(openai.APIError, match=r"2000 MB.*ask for less"):
        list(client.images.generate(prompt="apple", stream=True))


def test_a_client_that_goes_away_cancels_its_job(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.05))

    def states() -> list[str]:
        return [job.state for job in served.call(served.parts.queue.page())]

    with client_of(served) as client:
        stream = client.images.generate(
            prompt="apple", stream=True, partial_images=3, extra_body={"steps": 100, "seed": 1}
        )
        next(iter(stream))
        stream.close()
        wait_until(lambda: states() == ["cancelled"])
        with pytest.raises(openai.APITimeoutError):
            client.images.generate(prompt="apple", extra_body={"steps": 100}, timeout=0.5)
        wait_until(lambda: states() == ["cancelled"] * 2)


def test_a_service_that_stops_keeps_the_job_for_its_next_start(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.05))

    def draw(**given: Any) -> Any:
        return client.images.generate(prompt="apple", extra_body={"steps": 100}, **given)

    with client_of(served) as client, ThreadPoolExecutor() as threads:
        stream = draw(stream=True, partial_images=3)
        next(iter(stream))
        waiting = threads.submit(draw)
        wait_until(lambda: served.parts.queue.waiting == 1)
        served.call(served.parts.queue.stop(10))
        rest = [event.type for event in stream]
        with pytest.raises(openai.InternalServerError, match="stopping") as caught:
            waiting.result(30)
    assert "image_generation.completed" not in rest
    assert caught.value.status_code == 503
    assert int(caught.value.response.headers["retry-after"]) >= 1
    assert [job.state for job in served.call(served.parts.queue.page())] == ["queued"] * 2


# ---------------------------------------------------------------- edits and variations


def test_an_edit_may_be_sent_as_json(served: Served) -> None:
    body = {"prompt": "apple", "image": base64.b64encode(file(RED)).decode(), "strength": 0.5}
    answer = httpx2.post(f"{served.url}/v1/images/edits", json=body, timeout=30)
    assert answer.status_code == 200
    assert served.worker.drawn[0][0].image == file(RED)


def test_what_is_transparent_in_the_mask_is_redrawn(served: Served, client: openai.OpenAI) -> None:
    mask = Image.new("RGBA", (64, 64), (0, 0, 0, 255))
    mask.paste((0, 0, 0, 0), (0, 0, 32, 64))
    answer = client.images.edit(image=file(RED), mask=file(mask), prompt="a green apple", n=1, size="64x64")
    assert answer.data is not None
    assert picture(answer.data[0].b64_json).size == (64, 64)
    wish, _ = served.worker.drawn[0]
    ours = Image.open(io.BytesIO(wish.mask))
    assert (ours.getpixel((0, 0)), ours.getpixel((63, 0))) == (255, 0)
    assert (wish.prompt, wish.image, wish.strength) == ("a green apple", file(RED), 1.0)


def test_a_picture_with_holes_is_its_own_mask(served: Served, client: openai.OpenAI) -> None:
    holed = Image.new("RGBA", (64, 64), "red")
    holed.paste((0, 0, 0, 0), (32, 0, 64, 64))
    client.images.edit(image=[file(holed)], prompt="apple")
    ours = Image.open(io.BytesIO(served.worker.drawn[0][0].mask))
    assert (ours.getpixel((0, 0)), ours.getpixel((63, 0))) == (0, 255)


def test_without_a_mask_the_whole_picture_is_redrawn_in_part(served: Served, client: openai.OpenAI) -> None:
    client.images.edit(image=("x.webp", file(RED, "WEBP")), prompt="apple")
    client.images.edit(image=file(RED), prompt="apple", input_fidelity="high")
    client.images.edit(image=file(RED), prompt="apple", extra_body={"strength": 0.3})
    wishes = [wish for wish, _ in served.worker.drawn]
    assert [(wish.mask, wish.strength) for wish in wishes] == [(None, 0.8), (None, 0.6), (None, 0.3)]


def test_pictures_of_the_way_of_an_edit_have_the_shape_of_what_was_sent(unhurried: openai.OpenAI) -> None:
    """The pipeline draws over a picture in its own shape; the toy does not look at it."""
    wide = file(Image.new("RGB", (1024, 256), "red"))
    stream = unhurried.images.edit(image=wide, prompt="apple", stream=True, partial_images=1)
    assert next(iter(stream)).size == "512x128"
    stream.close()


def test_an_edit_streams(unhurried: openai.OpenAI) -> None:
    stream = unhurried.images.edit(image=file(RED), prompt="apple", stream=True, partial_images=1, size="64x64")
    partial, completed = list(stream)
    assert (partial.type, completed.type) == ("image_edit.partial_image", "image_edit.completed")
    assert completed.size == "64x64"


@pytest.mark.filterwarnings("ignore:deprecated:DeprecationWarning")
def test_variations_start_from_the_picture(served: Served, client: openai.OpenAI) -> None:
    answer = client.images.create_variation(image=file(RED), n=2, size="256x256")
    assert answer.data is not None
    assert len(answer.data) == 2
    wish, _ = served.worker.drawn[0]
    assert (wish.prompt, wish.image, wish.strength, wish.width) == ("", file(RED), 0.6, 256)


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"image": b"no picture"}, "image"),
        ({"image": [file(RED), file(RED)]}, "image"),
        ({"mask": file(RED)}, "mask"),
        ({"mask": b"no picture"}, "mask"),
        ({"extra_body": {"strength": 2}}, "strength"),
    ],
)
def test_pictures_that_cannot_be_used_are_named(client: openai.OpenAI, given: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.edit(**{"image": file(RED), "prompt": "apple", **given})
    assert caught.value.param == param


# ---------------------------------------------------------------- errors


@pytest.mark.parametrize(
    ("given", "param"),
    [
        ({"size": "huge"}, "size"),
        ({"size": "100x100"}, "size"),
        ({"size": "4096x4096"}, "size"),
        ({"n": 0}, "n"),
        ({"n": 1000}, "n"),
        ({"background": "transparent"}, "background"),
        ({"output_format": "gif"}, "output_format"),
        ({"output_compression": 10}, "output_compression"),
        ({"quality": "divine"}, "quality"),
        ({"partial_images": 9, "stream": True}, "partial_images"),
        ({"partial_images": 1}, "partial_images"),
        ({"extra_body": {"guidance_scale": -1}}, "guidance_scale"),
        ({"extra_body": {"steps": "many"}}, "steps"),
        ({"extra_body": {"no_such": 1}}, "no_such"),
        ({"extra_body": {"prompt": None}}, "prompt"),
    ],
)
def test_what_is_wrong_is_named(client: openai.OpenAI, given: dict[str, Any], param: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.images.generate(**{"prompt": "apple", **given})
    assert caught.value.param == param
    assert caught.value.type == "invalid_request_error"


def test_an_unknown_model_is_not_found(client: openai.OpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="no-such") as caught:
        client.images.generate(prompt="apple", model="no-such")
    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


def test_the_hint_follows_the_message(serve: Serve) -> None:
    served = serve(ToyWorker(faults=[CorruptFile(tr("the file is damaged"), tr("fetch it again"))]))
    with client_of(served) as client, pytest.raises(openai.BadRequestError, match="the file is damaged: fetch it agai"):
        client.images.generate(prompt="apple")


def test_what_failed_here_is_not_tried_again_by_the_client(serve: Serve) -> None:
    served = serve(ToyWorker(faults=[EngineError(tr("broken"))]))
    client = openai.OpenAI(base_url=f"{served.url}/v1", api_key="x", max_retries=2)
    with client, pytest.raises(openai.InternalServerError):
        client.images.generate(prompt="apple")
    assert len(served.worker.drawn) == 1


def test_a_full_queue_is_a_rate_limit(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.1), queue=0)
    with client_of(served) as client, pytest.raises(openai.RateLimitError) as caught:
        client.images.generate(prompt="apple")
    assert int(caught.value.response.headers["retry-after"]) >= 1


# ---------------------------------------------------------------- models


def test_models_are_listed_and_found(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["artist", "castles"]
    assert client.models.retrieve("castles").object == "model"
    with pytest.raises(openai.NotFoundError):
        client.models.retrieve("no/such")
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="artist", messages=[])
