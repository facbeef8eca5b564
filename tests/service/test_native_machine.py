"""`/api/models`, `/api/plan`, `/api/machine`, health, metrics and documentation over a real connection."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import httpx2
import psutil
import pytest

from nutshell import __version__
from nutshell.errors import EngineError
from nutshell.language import tr
from nutshell.service.http import native_answers as answers
from nutshell.service.http import native_machine, native_shapes
from nutshell.service.http.words import preferred
from tests.service.serving import Served
from tests.service.toy import ToyWorker

Serve = Callable[..., Served]


@pytest.fixture
def client(serve: Serve) -> Iterator[httpx2.Client]:
    with serve().client() as client:
        yield client


def draw(client: httpx2.Client, **given: Any) -> None:
    job = client.post("/api/jobs", json={"prompt": "apple", **given}).json()
    with client.stream("GET", job["links"]["events"]) as answer:
        answer.read()


def test_models_say_which_is_the_default_and_which_is_loaded(client: httpx2.Client) -> None:
    draw(client, model="castles")
    answer = client.get("/api/models").json()
    assert answer["default"] == "artist"
    first, second = answer["models"]
    assert (first["name"], first["default"], first["loaded"], first["verdict"]) == ("artist", True, False, "well")
    assert (second["name"], second["default"], second["loaded"]) == ("castles", False, True)


def test_a_plan_is_of_the_model_and_size_that_is_asked_about(client: httpx2.Client) -> None:
    assert client.get("/api/plan").json()["model"] == "artist"
    plan = client.get("/api/plan", params={"model": "castles", "width": 512, "height": 384, "steps": 5}).json()
    assert (plan["model"], plan["width"], plan["height"], plan["steps"]) == ("castles", 512, 384, 5)
    assert client.get("/api/plan", params={"model": "no-such"}).status_code == 404
    wrong = client.get("/api/plan", params={"steps": "many"})
    assert (wrong.status_code, wrong.json()["error"]["field"]) == (422, "steps")


def test_the_machine_says_how_it_is(client: httpx2.Client) -> None:
    before = client.get("/api/machine").json()
    assert before["worker"]["model"] is None
    draw(client)
    after = client.get("/api/machine").json()
    assert after["worker"] == {"model": "artist", "memory_bytes": 100_000_000, "keep_alive_seconds": 300.0}
    assert after["queue"] == {"waiting": 0, "running": None, "limit": 100}
    assert after["memory"]["total_bytes"] == psutil.virtual_memory().total
    assert 0 < after["memory"]["available_bytes"] <= after["memory"]["total_bytes"]
    assert after["version"] == __version__
    assert after["limits"]["count"] == 16


def test_the_temperature_is_the_processors(monkeypatch: pytest.MonkeyPatch) -> None:
    def sensors(**found: list[float]) -> None:
        entries = {name: [SimpleNamespace(current=degrees) for degrees in each] for name, each in found.items()}
        monkeypatch.setattr(psutil, "sensors_temperatures", lambda: entries, raising=False)

    sensors(nvme=[70.0], coretemp=[51.0, 55.04])
    assert native_machine.temperature() == 55.0
    sensors(acpitz=[0.0], nvme=[70.0])
    assert native_machine.temperature() is None
    monkeypatch.delattr(psutil, "sensors_temperatures")
    assert native_machine.temperature() is None


def test_health_and_readiness(serve: Serve) -> None:
    served = serve(ToyWorker(step_seconds=0.2), queue=1)
    with served.client() as client:
        assert client.get("/healthz").json() == {"status": "ok"}
        assert client.head("/healthz").status_code == client.head("/readyz").status_code == 200
        assert client.get("/readyz").json() == {"status": "ready", "model": "artist"}
        jobs = [client.post("/api/jobs", json={"prompt": "x", "steps": 100}) for _ in range(3)]
        full = client.get("/readyz")
        assert (full.status_code, full.json()["status"]) == (503, "full")
        for job in jobs:
            if job.status_code == 202:
                client.delete(job.json()["links"]["self"])


def figures(client: httpx2.Client) -> dict[str, float]:
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    found = {}
    for line in answer.text.splitlines():
        if line.startswith("#"):
            assert re.fullmatch(r"# (HELP [a-z_]+ .+|TYPE [a-z_]+ (counter|gauge|histogram))", line)
        else:
            name, value = re.fullmatch(r'([a-z_]+(?:\{[a-z]+="[^"]*"\})?) (\S+)', line).groups()  # type: ignore[union-attr]
            assert name not in found
            found[name] = float(value)
    return found


def test_metrics_count_jobs_pictures_and_seconds(serve: Serve) -> None:
    served = serve(ToyWorker(faults=[EngineError(tr("broken"))]))
    with served.client() as client:
        before = figures(client)
        assert before['nutshell_jobs_total{state="done"}'] == 0
        draw(client)
        draw(client, count=3)
        after = figures(client)
    assert after['nutshell_jobs_total{state="failed"}'] == 1
    assert after['nutshell_jobs_total{state="done"}'] == 1
    assert after["nutshell_pictures_total"] == after["nutshell_gallery_pictures"] == 3
    assert after["nutshell_job_seconds_count"] == after['nutshell_job_seconds_bucket{le="+Inf"}'] == 1
    assert after["nutshell_job_wait_seconds_count"] == 2
    assert after["nutshell_worker_memory_bytes"] == 100_000_000
    assert after['nutshell_model_loaded{model="artist"}'] == 1
    assert after["nutshell_web_memory_bytes"] > 10_000_000
    assert after["nutshell_queue_waiting"] == after["nutshell_jobs_running"] == 0


def test_a_histogram_counts_each_bucket_with_all_below_it() -> None:
    from nutshell.service.http.metrics import Histogram

    histogram = Histogram()
    for seconds in (-1.0, 0.2, 3.0, 5000.0):
        histogram.take(seconds)
    lines = list(histogram.lines("x", "help"))
    assert 'x_bucket{le="0.5"} 2' in lines
    assert 'x_bucket{le="5"} 3' in lines
    assert 'x_bucket{le="1000"} 3' in lines
    assert lines[-3:] == ['x_bucket{le="+Inf"} 4', "x_sum 5003.2", "x_count 4"]


def test_the_documentation_needs_no_other_host(client: httpx2.Client) -> None:
    page = client.get("/docs")
    assert page.headers["content-type"] == "text/html; charset=utf-8"
    assert not re.search(r"https?://|//|<script>|<style|style=", page.text.replace("<!doctype", ""))
    for name in re.findall(r'(?:src|href)="(docs/[^"]+)"', page.text):
        packed = client.get(f"/{name}")
        plain = client.get(f"/{name}", headers={"Accept-Encoding": "identity"})
        assert packed.status_code == plain.status_code == 200
        assert "content-encoding" not in plain.headers
        assert packed.content == plain.content
    assert client.get("/docs/../app.py").status_code == 404
    assert client.get("/docs/docs.html").status_code == 404


def test_the_description_knows_every_face(client: httpx2.Client) -> None:
    paths = client.get("/openapi.json").json()["paths"]
    for path in ("/api/jobs", "/api/gallery/{id}.{ending}", "/v1/images/edits", "/sdapi/v1/txt2img", "/metrics"):
        assert path in paths


def test_the_description_says_that_a_token_is_wanted(client: httpx2.Client, serve: Serve) -> None:
    assert "security" not in client.get("/openapi.json").json()
    with serve(token="a token of some length").client() as stranger:
        assert stranger.get("/openapi.json").status_code == 401
        described = stranger.get("/openapi.json", headers={"Authorization": "Bearer a token of some length"}).json()
    assert described["security"] == [{"token": []}]
    assert described["components"]["securitySchemes"]["token"]["scheme"] == "bearer"


def test_answers_are_as_they_are_described(client: httpx2.Client) -> None:
    draw(client)
    job = client.get("/api/jobs").json()["jobs"][0]
    item = client.get("/api/gallery").json()["items"][0]
    png = client.get(item["links"]["picture"]).content
    for shape, answer in (
        (answers.JobAnswer, client.get(job["links"]["self"])),
        (answers.JobAnswer, client.post("/api/jobs", json={"prompt": "apple"})),
        (answers.JobPage, client.get("/api/jobs")),
        (answers.ItemAnswer, client.get(item["links"]["self"])),
        (answers.GalleryPage, client.get("/api/gallery")),
        (answers.ParametersAnswer, client.post("/api/parameters", content=png)),
        (answers.ModelsAnswer, client.get("/api/models")),
        (answers.MachineAnswer, client.get("/api/machine")),
        (native_shapes.ErrorAnswer, client.get("/api/jobs/none")),
    ):
        shape.model_validate(answer.json(), strict=True)


@pytest.mark.parametrize(
    ("header", "language"),
    [
        ("", "en"),
        ("zh-CN,zh;q=0.9,en;q=0.8", "zh"),
        ("en-GB, zh;q=0.9", "en"),
        ("fr, zh;q=0.5", "zh"),
        ("fr;q=1.0", "en"),
        ("zh;q=0, en;q=0.1", "en"),
        ("zh;q=nonsense", "en"),
        ("*", "en"),
        ("," * 5000, "en"),
    ],
)
def test_the_language_that_is_liked_best(header: str, language: str) -> None:
    assert preferred(header) == language
