"""`/api/jobs` over a real connection."""

from __future__ import annotations

import base64
import io
import json
import random
import tempfile
from collections.abc import Callable, Iterator
from typing import Any

import httpx2
import pytest
from PIL import Image

from nutshell.errors import NotEnoughMemory
from nutshell.language import tr
from tests.service.serving import Served
from tests.service.toy import ToyWorker

Serve = Callable[..., Served]


def png(size: tuple[int, int] = (64, 64)) -> bytes:
    file = io.BytesIO()
    Image.new("RGB", size, "red").save(file, "PNG")
    return file.getvalue()


def events(lines: Iterator[str]) -> Iterator[tuple[str, dict[str, Any], str]]:
    """(event, data, id) of each that the lines hold."""
    event = id = ""
    data: dict[str, Any] = {}
    for line in lines:
        name, _, value = line.partition(": ")
        if name == "event":
            event = value
        elif name == "id":
            id = value
        elif name == "data":
            data = json.loads(value)
        elif not line and data:
            yield event, data, id
            event, id, data = "", "", {}


def follow(client: httpx2.Client, id: str, **headers: str) -> list[tuple[str, dict[str, Any], str]]:
    with client.stream("GET", f"/api/jobs/{id}/events", headers=headers) as answer:
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        return list(events(answer.iter_lines()))


def test_a_job_is_taken_followed_and_its_picture_is_there(served: Served) -> None:
    with served.client() as client:
        answer = client.post("/api/jobs", json={"prompt": "a red apple", "steps": 3, "previews": True, "count": 2})
        assert answer.status_code == 202
        job = answer.json()
        assert answer.headers["location"] == job["links"]["self"] == f"/api/jobs/{job['id']}"
        told = follow(client, job["id"])
        kinds = [kind for kind, _, _ in told]
        assert kinds[0] == "job"
        assert kinds[-1] == "done"
        assert told[-1][2] == "end"
        after = client.get(job["links"]["self"]).json()
        assert after["state"] == "done"
        assert len(after["pictures"]) == 2
        assert after["request"]["prompt"] == "a red apple"
        assert after["request"]["seed"] is not None


def test_events_tell_steps_and_previews(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.05))
    with served.client() as client:
        job = client.post("/api/jobs", json={"prompt": "apple", "steps": 4, "previews": True}).json()
        told = {kind: data for kind, data, _ in follow(client, job["id"])}
    assert told["preview"]["total"] == 4
    assert told["preview"]["step"] > 0
    assert told["preview"]["seconds_left"] is not None
    head, _, body = told["preview"]["preview"].partition(",")
    assert head == "data:image/jpeg;base64"
    assert Image.open(io.BytesIO(base64.b64decode(body))).format == "JPEG"
    assert told["picture"]["url"].startswith("/api/gallery/")


def test_whoever_comes_again_gets_the_present_state_and_then_nothing_more(served: Served) -> None:
    with served.client() as client:
        job = client.post("/api/jobs", json={"prompt": "apple"}).json()
        follow(client, job["id"])
        again = follow(client, job["id"])
        assert [kind for kind, _, _ in again] == ["job", "picture", "done"]
        assert again[0][1]["state"] == "done"
        # A browser comes back by itself after the last event, and 204 is how it is told not to.
        last = client.get(f"/api/jobs/{job['id']}/events", headers={"Last-Event-ID": again[-1][2]})
        assert last.status_code == 204


def test_a_service_that_stops_ends_the_stream_and_keeps_the_job(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.05))
    with served.client() as client:
        job = client.post("/api/jobs", json={"prompt": "apple", "steps": 100}).json()
        with client.stream("GET", job["links"]["events"]) as answer:
            happens = events(answer.iter_lines())
            assert next(happens)[0] == "job"
            served.call(served.parts.queue.stop(10))
            kinds = [kind for kind, _, _ in happens]
        assert not {"done", "failed", "cancelled"} & set(kinds)
        assert client.get(job["links"]["self"]).json()["state"] == "queued"
        refused = client.post("/api/jobs", json={"prompt": "apple"})
        assert (refused.status_code, refused.json()["error"]["type"]) == (503, "stopping")


def test_cancel_stops_the_job_that_runs(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.1))
    with served.client() as client:
        job = client.post("/api/jobs", json={"prompt": "apple", "steps": 100}).json()
        assert client.delete(f"/api/jobs/{job['id']}").status_code == 200
        assert follow(client, job["id"])[-1][0] == "cancelled"
        assert client.get(f"/api/jobs/{job['id']}").json()["state"] == "cancelled"


def test_a_failed_job_says_why_in_the_readers_language(serve: Serve) -> None:
    fault = NotEnoughMemory(2_000_000_000, 1_000_000_000, tr("try again"))
    served = serve(ToyWorker(faults=[fault]))
    with served.client() as client:
        job = client.post("/api/jobs", json={"prompt": "apple"}).json()
        kind, data, _ = follow(client, job["id"])[-1]
        assert kind == "failed"
        assert data["error"]["type"] == "not_enough_memory"
        assert "2000 MB" in data["error"]["message"]
        chinese = client.get(f"/api/jobs/{job['id']}", headers={"Accept-Language": "zh-CN"}).json()["error"]["message"]
        assert "2000 MB" in chinese
        assert chinese != data["error"]["message"]


def test_pages_go_back_from_the_newest(serve: Serve) -> None:
    served = serve()
    with served.client() as client:
        ids = [client.post("/api/jobs", json={"prompt": str(place)}).json()["id"] for place in range(5)]
        follow(client, ids[-1])
        first = client.get("/api/jobs", params={"limit": 3}).json()
        rest = client.get("/api/jobs", params={"limit": 3, "before": first["next"]}).json()
        assert [job["id"] for job in (*first["jobs"], *rest["jobs"])] == ids[::-1]
        assert rest["next"] is None
        assert client.get("/api/jobs", params={"state": "queued"}).json()["jobs"] == []
        assert len(client.get("/api/jobs", params={"state": ["done", "failed"]}).json()["jobs"]) == 5


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "prompt"),
        ({"prompt": "x", "stepps": 3}, "stepps"),
        ({"prompt": "x", "steps": "many"}, "steps"),
        ({"prompt": "x", "width": 100}, "width"),
        ({"prompt": "x", "steps": 0}, "steps"),
        ({"prompt": "x", "count": 1000}, "count"),
        ({"prompt": "x", "sampler": "none such"}, "sampler"),
        ({"prompt": "x", "image": "%%%"}, "image"),
        ({"prompt": "x", "image": base64.b64encode(b"no picture").decode()}, "image"),
        ({"prompt": "x", "mask": base64.b64encode(png()).decode()}, "mask"),
        ({"prompt": "x" * 20_000}, "prompt"),
    ],
)
def test_what_is_wrong_is_named(served: Served, body: dict[str, Any], field: str) -> None:
    with served.client() as client:
        answer = client.post("/api/jobs", json=body)
    assert answer.status_code == 422
    error = answer.json()["error"]
    assert error["field"] == field
    assert error["type"]
    assert error["message"]


def test_an_unknown_model_and_an_unknown_job_are_not_found(served: Served) -> None:
    with served.client() as client:
        answer = client.post("/api/jobs", json={"prompt": "x", "model": "no-such"})
        assert (answer.status_code, answer.json()["error"]["field"]) == (404, "model")
        for call in (client.get, client.delete):
            assert call("/api/jobs/no-such").status_code == 404
        assert client.get("/api/jobs/no-such/events").status_code == 404
        answer = client.get("/nowhere")
        assert (answer.status_code, answer.json()["error"]["type"]) == (404, "not_found")


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b"\xff\xfe", b'"text"', b"[" * 100_000])
def test_what_is_no_json_object_is_refused(served: Served, body: bytes) -> None:
    with served.client() as client:
        answer = client.post("/api/jobs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code in (400, 422)
    assert answer.json()["error"]["message"]


def test_a_full_queue_says_when_to_come_again(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.2), queue=1)
    with served.client() as client:
        answers = [client.post("/api/jobs", json={"prompt": "x", "steps": 50}) for _ in range(5)]
        for answer in answers:
            if answer.status_code == 202:
                client.delete(answer.json()["links"]["self"])
    assert answers[-1].status_code == 429
    assert int(answers[-1].headers["retry-after"]) >= 1
    assert answers[-1].json()["error"]["type"] == "queue_full"


def test_pictures_are_sent_as_base64_or_as_files(served: Served) -> None:
    text = base64.b64encode(png()).decode()
    with served.client() as client:
        plain = client.post("/api/jobs", json={"prompt": "x", "image": f"data:image/png;base64,{text}", "mask": text})
        form = client.post(
            "/api/jobs",
            data={"prompt": "x", "steps": "3", "strength": "0.5"},
            files={"image": ("../../etc/passwd", png(), "image/png"), "mask": ("m.png", png(), "image/png")},
        )
        assert (plain.status_code, form.status_code) == (202, 202)
        follow(client, form.json()["id"])
    (first, _), (second, _) = served.worker.drawn
    assert first.image == first.mask == second.image == second.mask == png()
    assert (second.steps, second.strength) == (3, 0.5)


def test_what_is_left_out_is_asked_for_in_json_and_in_a_form(served: Served) -> None:
    asked: dict[str, Any] = {"prompt": "x", "fast": True, "reuse": 2, "int8_attention": True, "precision": "int8"}
    with served.client() as client:
        client.post("/api/jobs", json={**asked, "guidance_interval": [0.25, 1]})
        form = {name: str(value) for name, value in asked.items()}
        last = client.post("/api/jobs", data={**form, "guidance_interval": "0.25,1"}, files={"image": png()})
        follow(client, last.json()["id"])
        for wrong in ("half", [0.5], [0.1, 0.2, 0.3], 7):
            answer = client.post("/api/jobs", json={"prompt": "x", "guidance_interval": wrong})
            assert answer.status_code == 422
            assert "two numbers from 0 to 1" in answer.json()["error"]["message"]
        for field, value in (("precision", "int3"), ("guidance_interval", [0.9, 0.1])):
            answer = client.post("/api/jobs", json={"prompt": "x", field: value})
            assert (answer.status_code, answer.json()["error"]["field"]) == (422, field)
    for wish, _ in served.worker.drawn:
        assert (wish.fast, wish.reuse, wish.int8_attention, wish.precision) == (True, 2, True, "int8")
        assert wish.guidance_interval == (0.25, 1)
    assert len(served.worker.drawn) == 2


def test_a_large_picture_is_not_written_to_a_temporary_file(served: Served, monkeypatch: pytest.MonkeyPatch) -> None:
    noise = Image.frombytes("RGB", (1024, 1024), random.Random(7).randbytes(1024 * 1024 * 3))
    file = io.BytesIO()
    noise.save(file, "PNG")
    assert len(file.getvalue()) > 2_000_000
    written: list[str] = []
    monkeypatch.setattr(tempfile.SpooledTemporaryFile, "rollover", lambda self: written.append("a file"))
    with served.client() as client:
        job = client.post("/api/jobs", data={"prompt": "x"}, files={"image": file.getvalue()}).json()
        follow(client, job["id"])
    assert served.worker.drawn[0][0].image == file.getvalue()
    assert written == []


def test_a_body_that_is_too_large_is_refused(serve: Serve) -> None:
    from nutshell.service.wish import Limits

    served = serve(limits=Limits(input_bytes=1000))
    with served.client() as client:
        whole = client.post("/api/jobs", content=b"x" * 1_100_000, headers={"Content-Type": "application/json"})
        # Without a length that could be believed.
        parts = client.post("/api/jobs", content=(b"x" * 100_000 for _ in range(12)))
        form = client.post("/api/jobs", data={"prompt": "x"}, files={"image": b"x" * 1_100_000})
    for answer in (whole, parts, form):
        assert (answer.status_code, answer.json()["error"]["type"]) == (413, "too_large")
