"""`/api/gallery` and `/api/parameters` over a real connection."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator

import httpx2
import pytest
from PIL import Image, PngImagePlugin

from tests.service.serving import Served

Serve = Callable[..., Served]


@pytest.fixture
def client(serve: Serve) -> Iterator[httpx2.Client]:
    with serve().client() as client:
        yield client


def drawn(client: httpx2.Client, count: int = 1) -> list[str]:
    """The ids of new pictures."""
    job = client.post("/api/jobs", json={"prompt": "a red apple", "seed": 7, "count": count, "width": 128}).json()
    with client.stream("GET", job["links"]["events"]) as answer:
        answer.read()
    return [picture["id"] for picture in client.get(job["links"]["self"]).json()["pictures"]]


def test_pictures_are_listed_from_the_newest_in_pages(client: httpx2.Client) -> None:
    ids = drawn(client, 5)
    first = client.get("/api/gallery", params={"limit": 3}).json()
    rest = client.get("/api/gallery", params={"limit": 3, "before": first["next"]}).json()
    assert [item["id"] for item in (*first["items"], *rest["items"])] == ids[::-1]
    assert rest["next"] is None
    assert first["pictures"] == 5
    assert first["bytes"] == sum(item["bytes"] for item in (*first["items"], *rest["items"]))
    item = rest["items"][-1]
    assert (item["width"], item["parameters"]["prompt"], item["parameters"]["seed"]) == (128, "a red apple", 7)
    assert client.get(item["links"]["self"]).json() == item


def test_a_picture_is_had_as_it_was_drawn_and_in_other_forms(client: httpx2.Client) -> None:
    (id,) = drawn(client)
    png = client.get(f"/api/gallery/{id}.png")
    assert png.headers["content-type"] == "image/png"
    assert "immutable" in png.headers["cache-control"]
    assert "content-disposition" not in png.headers
    head = client.head(f"/api/gallery/{id}.png")
    assert (head.headers["content-length"], head.content) == (str(len(png.content)), b"")
    assert Image.open(io.BytesIO(png.content)).text["parameters"].startswith("a red apple")  # type: ignore[attr-defined]
    sizes = []
    for ending, form, quality in (("jpg", "JPEG", 95), ("jpeg", "JPEG", 1), ("webp", "WEBP", 80)):
        other = client.get(f"/api/gallery/{id}.{ending}", params={"quality": quality})
        assert other.headers["content-type"] == f"image/{form.lower()}"
        assert Image.open(io.BytesIO(other.content)).format == form
        sizes.append(len(other.content))
    assert sizes[1] < sizes[0]
    small = client.get(f"/api/gallery/{id}/thumbnail", params={"side": 32})
    assert max(Image.open(io.BytesIO(small.content)).size) == 32


def test_a_download_has_a_name_of_our_own(client: httpx2.Client) -> None:
    (id,) = drawn(client)
    answer = client.get(f"/api/gallery/{id}.png?download")
    assert answer.headers["content-disposition"] == f'attachment; filename="nutshell-{id}.png"'


def test_favourites(client: httpx2.Client) -> None:
    first, second = drawn(client, 2)
    answer = client.put(f"/api/gallery/{first}/favourite", json={"favourite": True})
    assert answer.json()["favourite"] is True
    listed = client.get("/api/gallery", params={"favourites": True}).json()["items"]
    assert [item["id"] for item in listed] == [first]
    client.put(f"/api/gallery/{first}/favourite", json={"favourite": False})
    assert client.get("/api/gallery", params={"favourites": "true"}).json()["items"] == []
    wrong = client.put(f"/api/gallery/{second}/favourite", json={"favourite": "perhaps"})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "favourite")


def test_what_is_deleted_is_gone(client: httpx2.Client) -> None:
    (id,) = drawn(client)
    assert client.delete(f"/api/gallery/{id}").status_code == 204
    for answer in (
        client.get(f"/api/gallery/{id}"),
        client.get(f"/api/gallery/{id}.png"),
        client.get(f"/api/gallery/{id}/thumbnail"),
        client.put(f"/api/gallery/{id}/favourite", json={"favourite": True}),
        client.delete(f"/api/gallery/{id}"),
    ):
        assert answer.status_code == 404
        assert answer.json()["error"]["hint"]


@pytest.mark.parametrize("id", ["../jobs", "..%2F..%2Fjobs.sqlite", "%2e%2e", "x" * 500, "a.b", "%00"])
def test_no_id_leads_out_of_the_gallery(client: httpx2.Client, id: str) -> None:
    assert client.get(f"/api/gallery/{id}.png").status_code == 404


def test_a_picture_tells_how_it_was_made(client: httpx2.Client) -> None:
    (id,) = drawn(client)
    png = client.get(f"/api/gallery/{id}.png").content
    webp = client.get(f"/api/gallery/{id}.webp").content
    plain = client.post("/api/parameters", content=png, headers={"Content-Type": "image/png"})
    form = client.post("/api/parameters", files={"image": ("x", webp)})
    assert plain.status_code == form.status_code == 200
    parameters = plain.json()["parameters"]
    assert (parameters["prompt"], parameters["seed"], parameters["width"]) == ("a red apple", 7, 128)
    assert form.json()["parameters"] == parameters


def test_any_picture_is_read_and_nothing_else(client: httpx2.Client) -> None:
    def png(**texts: str) -> bytes:
        file, chunks = io.BytesIO(), PngImagePlugin.PngInfo()
        for name, text in texts.items():
            chunks.add_text(name, text)
        Image.new("RGB", (8, 8)).save(file, "PNG", pnginfo=chunks)
        return file.getvalue()

    def parameters(data: bytes) -> httpx2.Response:
        return client.post("/api/parameters", content=data)

    assert parameters(png()).json() == {"parameters": {}}
    odd = parameters(png(parameters="x\nSteps: 4, CFG scale: nan, Seed: 99999999999999999999, Size: 8x8"))
    assert odd.json()["parameters"]["guidance"] == "nan"
    assert parameters(png(workflow="{}")).json()["parameters"]["tool"] == "ComfyUI"
    for data in (b"", b"no picture", png()[:40]):
        answer = parameters(data)
        assert (answer.status_code, answer.json()["error"]["field"]) == (422, "image")
    assert client.post("/api/parameters", data={"image": "text"}).status_code == 422
    assert client.post("/api/parameters", files={"other": b"x"}).status_code == 422
