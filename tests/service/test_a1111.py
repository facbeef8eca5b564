"""The face for AUTOMATIC1111's clients, asked by one of them: the package `webuiapi`."""

from __future__ import annotations

import base64
import io
import json
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from urllib.parse import urlparse

import pytest
import webuiapi
from PIL import Image

from nutshell.errors import NotEnoughMemory, UsageError
from nutshell.language import tr
from nutshell.pipeline.parameters import encoded
from nutshell.service.http.a1111_request import ImageToImage
from nutshell.service.http.a1111_source import fitted
from nutshell.service.wish import Wish
from tests.service.serving import Served, serving
from tests.service.toy import ToyWorker

Serve = Callable[..., Served]


def api(served: Served) -> webuiapi.WebUIApi:
    address = urlparse(served.url)
    return webuiapi.WebUIApi(host=address.hostname, port=address.port, sampler="DDIM", steps=3)


def picture(colour: Any = "red", size: tuple[int, int] = (64, 64), mode: str = "RGB") -> Image.Image:
    return Image.new(mode, size, colour)


def in_base64(image: Image.Image) -> str:
    file = io.BytesIO()
    image.save(file, "PNG")
    return base64.b64encode(file.getvalue()).decode()


def until(condition: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 20
    while not (found := condition()):
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.005)
    return found


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """One service for the tests that leave nothing behind."""
    with serving(tmp_path_factory.mktemp("shared")) as served:
        yield served


# ---------------------------------------------------------------- webuiapi


def test_a_picture_from_words(shared: Served) -> None:
    result = api(shared).txt2img(
        prompt="a red apple", negative_prompt="blurry", seed=7, cfg_scale=4, width=128, height=64
    )
    assert result.image.size == (128, 64)
    assert result.image.info["parameters"].startswith("a red apple\nNegative prompt: blurry\nSteps: 3, Sampler: DDIM")
    assert result.info["seed"] == 7
    assert result.info["all_seeds"] == [7]
    assert result.info["infotexts"] == [result.image.info["parameters"]]
    assert result.info["sampler_name"] == "DDIM"
    assert result.parameters["prompt"] == "a red apple"
    assert result.parameters["cfg_scale"] == 4
    (wish, leaner) = shared.worker.drawn[-1]
    assert (wish.guidance, wish.steps, wish.sampler, wish.eta, leaner) == (4, 3, "ddim", 1.0, False)
    assert shared.parts.gallery.page()[0].parameters["seed"] == 7


def test_batches_count_and_their_seeds_rise(shared: Served) -> None:
    result = api(shared).txt2img(prompt="apples", batch_size=2, n_iter=2, seed=10)
    assert len(result.images) == 4
    assert result.info["all_seeds"] == [10, 11, 12, 13]
    assert len(result.info["infotexts"]) == len(result.info["all_prompts"]) == 4


def test_a_seed_of_minus_one_is_chosen_and_told(shared: Served) -> None:
    result = api(shared).txt2img(prompt="apples", seed=-1)
    assert result.info["seed"] == shared.worker.drawn[-1][0].seed != -1


def test_a_picture_over_a_picture_with_a_mask(shared: Served) -> None:
    image, mask = picture("red"), picture(0, mode="L")
    mask.paste(255, (16, 16, 48, 48))
    result = api(shared).img2img(
        images=[image], mask_image=mask, prompt="a plum", denoising_strength=0.5, mask_blur=2, inpainting_fill=1,
        width=64, height=64,
    )  # fmt: skip
    assert result.image.size == (64, 64)
    assert result.parameters["init_images"] is None  # not sent back unless asked for
    wish = shared.worker.drawn[-1][0]
    assert (wish.strength, wish.mask_blur) == (0.5, 2)
    assert Image.open(io.BytesIO(wish.mask)).getpixel((32, 32)) == 255
    assert Image.open(io.BytesIO(wish.mask)).getpixel((2, 2)) == 0
    assert Image.open(io.BytesIO(wish.image)).getpixel((32, 32)) == (255, 0, 0)


def test_the_lists_that_webuiapi_knows(shared: Served) -> None:
    client = api(shared)
    assert client.util_get_model_names() == ["artist", "castles"]
    assert {"DDIM", "Euler a", "DPM++ 2M"} <= set(client.util_get_sampler_names())
    assert {"automatic", "karras"} <= set(client.util_get_scheduler_names())
    assert client.get_upscalers()[0]["name"] == "None"
    assert client.get_loras() == client.get_sd_vae() == client.get_hypernetworks() == client.get_face_restorers() == []
    assert client.get_prompt_styles() == client.get_realesrgan_models() == client.get_latent_upscale_modes() == []
    assert client.get_embeddings() == {"loaded": {}, "skipped": {}}
    assert client.get_scripts() == {"txt2img": [], "img2img": []}
    assert client.get_memory()["ram"]["total"] > 0
    assert client.get_cmd_flags()["api"] is True
    assert client.refresh_checkpoints() == {}


def test_another_model_is_chosen_for_all_that_follows(serve: Serve) -> None:
    served = serve()
    client = api(served)
    assert client.util_get_current_model() == "artist"
    client.util_set_model("castle")
    assert client.util_get_current_model() == "castles"
    client.txt2img(prompt="a castle")
    client.txt2img(prompt="an apple", override_settings={"sd_model_checkpoint": "artist.safetensors [0123456789]"})
    client.txt2img(prompt="a castle")
    assert [wish.model for wish, _ in served.worker.drawn] == ["castles", "artist", "castles"]


def test_png_info_reads_what_was_written(shared: Served) -> None:
    client = api(shared)
    drawn = client.txt2img(prompt="a red apple", seed=5).image
    told = client.png_info(drawn)
    assert told.info == drawn.info["parameters"]
    assert told.json["parameters"]["seed"] == 5


def test_png_info_reads_jpeg_and_is_silent_about_nothing(shared: Served) -> None:
    parameters = {"prompt": "a plum", "steps": 4, "sampler": "DDIM", "seed": 3}
    with shared.client() as client:
        for data, wanted in ((encoded(picture(), parameters, "JPEG"), "a plum"), (encoded(picture(), {}, "PNG"), "")):
            told = client.post("/sdapi/v1/png-info", json={"image": base64.b64encode(data).decode()}).json()
            assert told["info"].partition("\n")[0].startswith(wanted)
        plain = client.post("/sdapi/v1/png-info", json={"image": in_base64(picture())}).json()
    assert plain == {"info": "", "items": {}, "parameters": {}}


def test_the_token_is_the_password(serve: Serve) -> None:
    """As with `webui --api-auth name:password`."""
    served = serve(token="t0ken")
    address = urlparse(served.url)
    client = webuiapi.WebUIApi(
        host=address.hostname, port=address.port, username="me", password="t0ken", sampler="DDIM"
    )
    assert client.txt2img(prompt="an apple", steps=1).image
    client.set_auth("me", "another")
    with pytest.raises(RuntimeError, match="401"):
        client.txt2img(prompt="an apple", steps=1)


def test_progress_tells_how_far_it_is_and_interrupt_stops_it(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.05))
    client = api(served)
    client.util_wait_for_ready()
    with ThreadPoolExecutor() as pool:
        drawing = pool.submit(client.txt2img, prompt="apples", n_iter=3, steps=8, seed=1)
        until(lambda: client.get_progress()["state"]["job_no"] == 1 and client.get_progress()["current_image"])
        told = client.get_progress()
        assert 1 / 3 < told["progress"] < 1
        assert told["eta_relative"] > 0
        assert told["state"]["sampling_steps"] == 8
        assert told["state"]["job_count"] == 3
        assert Image.open(io.BytesIO(base64.b64decode(told["current_image"]))).size == (64, 64)
        assert client.custom_get("progress?skip_current_image=true", baseurl=True)["current_image"] is None
        client.interrupt()
        result = drawing.result(20)
    assert result.info["all_seeds"] == [1]  # the picture that was done is kept
    idle = client.get_progress()
    assert (idle["progress"], idle["state"]["job_count"], idle["current_image"]) == (0, 0, None)


def test_skip_goes_on_with_the_next_picture(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.02))
    client = api(served)
    with ThreadPoolExecutor() as pool:
        drawing = pool.submit(client.txt2img, prompt="apples", n_iter=3, steps=8, seed=1)
        until(lambda: client.get_progress()["state"]["job_no"] == 1)
        client.skip()
        result = drawing.result(20)
    assert result.info["all_seeds"] == [1, 3]


def test_skip_keeps_the_picture_that_is_drawn_over(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.02))
    client = api(served)
    with ThreadPoolExecutor() as pool:
        drawing = pool.submit(client.img2img, images=[picture()], prompt="plums", n_iter=2, steps=8, seed=1)
        until(lambda: client.get_progress()["state"]["sampling_step"] > 0)
        client.skip()
        assert drawing.result(20).info["all_seeds"] == [2]
    assert [wish.image is not None for wish, _ in served.worker.drawn] == [True, True]


def test_identical_requests_share_a_drawing_and_are_both_interrupted(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.02))
    client = api(served)
    with ThreadPoolExecutor() as pool:
        ask = {"prompt": "apples", "steps": 100, "seed": 1}
        drawings = [pool.submit(api(served).txt2img, **ask) for _ in range(2)]
        until(lambda: len(served.call(served.parts.queue.page(states=["running"]))) == 2)
        for _ in drawings:
            until(lambda: client.get_progress()["state"]["sampling_step"] > 0)
            client.interrupt()
        assert [drawing.result(20).images for drawing in drawings] == [[], []]


def test_another_clients_drawing_is_not_interrupted(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.02))
    with ThreadPoolExecutor() as pool, served.client() as native:
        job = native.post("/api/jobs", json={"prompt": "apples", "steps": 8}).json()["id"]
        drawing = pool.submit(native.get, f"/api/jobs/{job}/events")
        until(lambda: api(served).get_progress()["state"]["sampling_step"] > 0)
        api(served).interrupt()
        assert "event: done" in drawing.result(20).text


# ---------------------------------------------------------------- the picture that is drawn over


def wished(
    image: Image.Image, mask: Image.Image | None = None, **fields: Any
) -> tuple[Image.Image, Image.Image | None]:
    """What is drawn over, of a request with these fields."""
    asked = ImageToImage(init_images=[in_base64(image)], mask=mask and in_base64(mask), **fields)
    sent, marked = asked.pictures()
    wish = fitted(asked, Wish("", "artist", width=asked.width, height=asked.height, image=sent, mask=marked))
    return tuple(data and Image.open(io.BytesIO(data)).convert("RGB") for data in (wish.image, wish.mask))


def halves() -> Image.Image:
    """64x32: red on the left, blue on the right."""
    image = picture("red", (64, 32))
    image.paste((0, 0, 255), (32, 0, 64, 32))
    return image


def test_cropping_keeps_the_shapes() -> None:
    image, _ = wished(halves(), resize_mode=1, width=32, height=32)
    assert image.size == (32, 32)
    assert (image.getpixel((2, 16)), image.getpixel((29, 16))) == ((255, 0, 0), (0, 0, 255))


def test_filling_the_sides_draws_the_edges_out() -> None:
    image, mask = wished(halves(), picture(255, (64, 32), "L"), resize_mode=2, width=64, height=64, inpainting_fill=1)
    assert image.size == mask.size == (64, 64)
    assert (image.getpixel((8, 1)), image.getpixel((56, 62))) == ((255, 0, 0), (0, 0, 255))


def test_a_mask_can_be_inverted_and_can_be_alpha() -> None:
    half = Image.new("L", (64, 32), 0)
    half.paste(255, (0, 0, 32, 32))
    _, mask = wished(halves(), half, inpainting_mask_invert=1, inpainting_fill=1)
    assert (mask.getpixel((8, 8)), mask.getpixel((56, 8))) == ((0, 0, 0), (255, 255, 255))
    clear = Image.new("RGBA", (64, 32), (9, 9, 9, 0))
    clear.paste((9, 9, 9, 255), (0, 0, 32, 32))
    _, mask = wished(halves(), clear, inpainting_fill=1)
    assert (mask.getpixel((8, 8)), mask.getpixel((56, 8))) == ((255, 255, 255), (0, 0, 0))


def test_what_is_masked_is_filled_from_its_surroundings() -> None:
    mask = Image.new("L", (64, 32), 0)
    mask.paste(255, (4, 4, 16, 28))
    spoilt = halves()
    spoilt.paste((0, 255, 0), (4, 4, 16, 28))
    image, _ = wished(spoilt, mask, inpainting_fill=0)
    red, green, blue = image.getpixel((10, 16))
    assert red > 150
    assert green < 20  # nothing of what was masked
    assert blue < 120
    assert image.getpixel((40, 16)) == (0, 0, 255)  # the rest is as it was
    all_masked, _ = wished(spoilt, picture(255, (64, 32), "L"), inpainting_fill=0)
    assert all_masked.getpixel((10, 16)) == all_masked.getpixel((60, 16))


# ---------------------------------------------------------------- requests as other tools send them


def test_open_webui(serve: Serve) -> None:
    """As its routers/images.py asks: no sampler, no guidance; the whole of the options is sent back."""
    served = serve()
    with served.client(headers={"authorization": "Basic Og=="}) as client:
        options = client.get("/sdapi/v1/options").json()
        options["sd_model_checkpoint"] = client.get("/sdapi/v1/sd-models").json()[1]["title"]
        assert client.post("/sdapi/v1/options", json=options).status_code == 200
        assert client.get("/sdapi/v1/options").json()["sd_model_checkpoint"] == "castles"
        answer = client.post(
            "/sdapi/v1/txt2img", json={"prompt": "a boat", "batch_size": 2, "width": 64, "height": 64, "steps": 2}
        ).json()
    assert [Image.open(io.BytesIO(base64.b64decode(image))).size for image in answer["images"]] == [(64, 64)] * 2
    wish = served.worker.drawn[0][0]
    assert (wish.sampler, wish.guidance, wish.schedule, wish.seed is not None) == (None, None, None, True)


def test_silly_tavern(shared: Served) -> None:
    """As its extension stable-diffusion asks, at its defaults."""
    asked = {
        "prompt": "a boat", "negative_prompt": "fog", "sampler_name": "DPM++ 2M", "scheduler": "Karras", "steps": 3,
        "cfg_scale": 7, "width": 64, "height": 64, "restore_faces": False, "enable_hr": False, "hr_upscaler": "None",
        "hr_scale": 2, "hr_additional_modules": [], "denoising_strength": 0.7, "hr_second_pass_steps": 0,
        "override_settings": {"CLIP_stop_at_last_layers": 2}, "override_settings_restore_afterwards": True,
        "clip_skip": 2, "save_images": True, "send_images": True, "do_not_save_grid": False,
        "do_not_save_samples": False,
    }  # fmt: skip
    with shared.client() as client:
        for path in ("options", "samplers", "schedulers", "upscalers", "latent-upscale-modes", "sd-vae", "sd-modules"):
            assert client.get(f"/sdapi/v1/{path}").status_code == 200
        assert len(client.post("/sdapi/v1/txt2img", json=asked).json()["images"]) == 1
    wish = shared.worker.drawn[-1][0]
    assert (wish.sampler, wish.schedule, wish.clip_skip) == ("dpmpp_2m", "karras", 1)


def test_a_client_that_hangs_up_cancels_its_job(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.05))
    with served.client() as client, pytest.raises(Exception, match="tim"):
        client.post("/sdapi/v1/txt2img", json={"prompt": "apples", "steps": 100}, timeout=0.5)
    until(lambda: served.call(served.parts.queue.page())[0].state == "cancelled")


@pytest.mark.parametrize(
    ("fields", "status", "named"),
    [
        ({"steps": "many"}, 422, "steps"),
        ({"steps": 0}, 422, "steps"),
        ({"width": 65}, 422, "width"),
        ({"width": 4096, "height": 4096}, 422, "width"),
        ({"cfg_scale": -1}, 422, "cfg_scale"),
        ({"cfg_scale": float("inf")}, 422, "cfg_scale"),
        ({"denoising_strength": float("nan")}, 422, "denoising_strength"),
        ({"batch_size": 1000}, 422, "batch_size"),
        ({"n_iter": 0}, 422, "batch_size"),
        ({"sampler_name": "DPM fast"}, 422, "sampler_name"),
        ({"scheduler": "Align Your Steps"}, 422, "scheduler"),
        ({"sampler_name": "Euler a", "eta": 0.5}, 422, "eta"),
        ({"enable_hr": True}, 422, "enable_hr"),
        ({"restore_faces": True}, 422, "restore_faces"),
        ({"tiling": True}, 422, "tiling"),
        ({"styles": ["oil"]}, 422, "styles"),
        ({"subseed_strength": 0.5}, 422, "subseed_strength"),
        ({"script_name": "x/y plot"}, 422, "script_name"),
        ({"alwayson_scripts": {"ADetailer": {"args": [True, {}]}}}, 422, "alwayson_scripts"),
        ({"override_settings": {"sd_vae": "other.pt"}}, 422, "override_settings.sd_vae"),
        ({"override_settings": {"sd_model_checkpoint": "nowhere"}}, 404, "sd_model_checkpoint"),
        ({"override_settings": {"sd_model_checkpoint": 3}}, 422, "override_settings.sd_model_checkpoint"),
        ({"override_settings": {"CLIP_stop_at_last_layers": 0}}, 422, "CLIP_stop_at_last_layers"),
        ({"seed": 2**70}, 422, "seed"),
    ],
)
def test_bad_input_is_refused_by_name(shared: Served, fields: dict[str, Any], status: int, named: str) -> None:
    drawn = len(shared.worker.drawn)
    with shared.client() as client:
        answer = client.post("/sdapi/v1/txt2img", content=json.dumps({"prompt": "an apple", **fields}))
    assert answer.status_code == status
    assert answer.json()["field"] == named
    assert {"error", "detail", "body", "errors", "hint"} <= set(answer.json())
    assert len(shared.worker.drawn) == drawn


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({}, "init_images"),
        ({"init_images": []}, "init_images"),
        ({"init_images": ["@@@"]}, "init_images"),
        ({"init_images": ["data:image/png;base64,AAAA"]}, "init_images"),
        ({"init_images": ["http://127.0.0.1/secret.png"]}, "init_images"),
        ({"init_images": [in_base64(picture())] * 2}, "init_images"),
        ({"init_images": [in_base64(picture())], "mask": "AAAA"}, "mask"),
        ({"init_images": [in_base64(picture())], "resize_mode": 3}, "resize_mode"),
        ({"init_images": [in_base64(picture())], "denoising_strength": 2}, "denoising_strength"),
        (
            {"init_images": [in_base64(picture())], "mask": in_base64(picture()), "inpainting_fill": 2},
            "inpainting_fill",
        ),
    ],
)
def test_bad_pictures_are_refused_by_name(shared: Served, fields: dict[str, Any], named: str) -> None:
    with shared.client() as client:
        answer = client.post("/sdapi/v1/img2img", json={"prompt": "an apple", **fields})
    assert (answer.status_code, answer.json()["field"]) == (422, named)


def test_a_full_queue_says_when_to_come_again(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.05), queue=1)
    with ThreadPoolExecutor() as pool, served.client() as client:
        ask = {"prompt": "an apple", "steps": 10}
        drawing = pool.submit(client.post, "/sdapi/v1/txt2img", json=ask)
        until(lambda: served.parts.queue.running)
        waiting = pool.submit(client.post, "/sdapi/v1/txt2img", json=ask)
        until(lambda: served.parts.queue.waiting == 1)
        refused = client.post("/sdapi/v1/txt2img", json=ask)
        assert refused.status_code == 429
        assert int(refused.headers["retry-after"]) > 0
        assert refused.json()["error"] == "queue_full"
        assert {drawing.result(20).status_code, waiting.result(20).status_code} == {200}


def test_a_service_that_stops_says_so(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.05))
    with ThreadPoolExecutor() as pool, served.client() as client:
        drawing = pool.submit(client.post, "/sdapi/v1/txt2img", json={"prompt": "an apple", "steps": 100})
        until(lambda: served.worker.drawn)
        served.call(served.parts.queue.stop(5.0))
        assert drawing.result(20).status_code == 503
        assert "stopping" in drawing.result().json()["detail"]
        assert client.post("/sdapi/v1/txt2img", json={"prompt": "an apple"}).status_code == 503


@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (NotEnoughMemory(2_000_000_000, 1_000_000_000, tr("try 384x384")), "not_enough_memory"),
        (UsageError(tr("a strength of 0 leaves none"), field="strength"), "usage_error"),
    ],
)
def test_a_job_that_fails_says_why(serve: Serve, fault: Exception, kind: str) -> None:
    with serve(ToyWorker(faults=[fault])).client() as client:
        answer = client.post("/sdapi/v1/txt2img", json={"prompt": "an apple"})
    assert answer.status_code == 422
    assert answer.json()["error"] == kind
    assert str(fault) in answer.json()["detail"]


@pytest.mark.parametrize(
    "options",
    [
        {"sd_model_checkpoint": "nowhere"},
        {"sd_model_checkpoint": 7},
        {"CLIP_stop_at_last_layers": "two"},
        {"live_previews_enable": "yes"},
        {"samples_format": "jpg"},
    ],
)
def test_wrong_options_change_nothing(shared: Served, options: dict[str, Any]) -> None:
    with shared.client() as client:
        before = client.get("/sdapi/v1/options").json()
        assert client.post("/sdapi/v1/options", json={"CLIP_stop_at_last_layers": 3} | options).status_code in (
            404,
            422,
        )
        assert client.get("/sdapi/v1/options").json() == before
        assert client.post("/sdapi/v1/options", json={"of_an_extension": 1}).status_code == 200


def test_the_model_is_closed_when_asked(serve: Serve) -> None:
    served = serve()
    with served.client() as client:
        client.post("/sdapi/v1/txt2img", json={"prompt": "an apple", "send_images": False})
        assert served.worker.loaded == "artist"
        assert client.post("/sdapi/v1/unload-checkpoint").json() == {}
        assert served.worker.loaded is None
        assert client.get("/internal/ping").status_code == 200


def test_what_is_not_wanted_is_not_sent(shared: Served) -> None:
    with shared.client() as client:
        answer = client.post("/sdapi/v1/txt2img", json={"prompt": "an apple", "send_images": False}).json()
    assert answer["images"] == []
    assert json.loads(answer["info"])["all_prompts"] == ["an apple"]
