"""The log: one JSON object a line, in files that rotate, with neither prompts nor tokens in it."""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nutshell.cli.serve_manage import log_line
from nutshell.errors import OutputError, UsageError
from nutshell.language import tr
from nutshell.service import logs
from nutshell.service.logs import FILE_NAME, OLD_FILES, Follower, JsonLines, last_lines, logging_to
from tests.service.started import PATIENCE_SECONDS, Started, home, run, state

SECRET = "a zebra that nobody may hear of"
TOKEN = "zebra-token-0123456789"


@pytest.fixture(autouse=True)
def as_it_was() -> Iterator[None]:
    """The root logger belongs to all tests."""
    root = logging.getLogger()
    level, handlers = root.level, list(root.handlers)
    yield
    assert root.handlers == handlers
    assert root.level == level


def lines(folder: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in (folder / FILE_NAME).read_text(encoding="utf-8").splitlines()]


def request(path: str, status: int = 200) -> None:
    """As uvicorn logs one."""
    logging.getLogger("uvicorn.access").info('%s - "%s %s HTTP/%s" %d', "127.0.0.1:5", "GET", path, "1.1", status)


def test_lines(tmp_path: Path) -> None:
    with logging_to(tmp_path):
        logging.getLogger("nutshell.service.x").warning(
            tr("{count} lost", count=2), extra={"fields": {"job": "j1", "prompt": SECRET, "message": "x"}}
        )
        request(f"/api/jobs?token={TOKEN}&prompt=zebra")
        request("/healthz")
        request("/healthz", 500)
        logging.getLogger("nutshell").debug("below what is wanted")
    first, second, third = lines(tmp_path)
    assert (first["level"], first["logger"], first["message"]) == ("warning", "nutshell.service.x", "2 lost")
    assert first["job"] == "j1"
    assert first["time"].endswith("Z")
    asked = {"message": "GET /api/jobs", "method": "GET", "path": "/api/jobs", "status": 200, "peer": "127.0.0.1:5"}
    assert {name: second[name] for name in asked} == asked
    assert (third["path"], third["status"]) == ("/healthz", 500)
    assert "zebra" not in (tmp_path / FILE_NAME).read_text(encoding="utf-8")
    assert (tmp_path / FILE_NAME).stat().st_mode & 0o077 == 0


def fail(error: Exception) -> None:
    try:
        raise ValueError(SECRET)
    except ValueError as cause:
        raise error from cause


def test_errors_are_told_without_what_was_asked_for(tmp_path: Path) -> None:
    for prompts in (False, True):
        folder = tmp_path / str(prompts)
        with logging_to(folder, prompts=prompts):
            for error in (RuntimeError(SECRET), UsageError(tr("steps must be at least 1"))):
                try:
                    fail(error)
                except Exception:
                    logging.getLogger("nutshell.x").exception("failed")
            # As asyncio tells of a task that nobody waited for.
            logging.getLogger("asyncio").error("Task exception was never retrieved\nfuture: <Task %r>", SECRET)
        bug, ours, task = lines(folder)
        assert (bug["error"]["kind"], bug["error"]["cause"]["kind"]) == ("RuntimeError", "ValueError")
        assert any("test_logs.py" in place and place.endswith(" fail") for place in bug["error"]["where"])
        assert ours["error"]["message"] == "steps must be at least 1"
        assert task["message"].startswith("Task exception was never retrieved")
        text = (folder / FILE_NAME).read_text(encoding="utf-8")
        assert text.count(SECRET) == (4 if prompts else 0)


def test_a_message_cannot_begin_a_line(tmp_path: Path) -> None:
    with logging_to(tmp_path):
        logging.getLogger("nutshell.x").info('one\n{"time": "forged"}')
    (only,) = lines(tmp_path)
    assert only["message"].startswith("one\n")
    assert "\n" not in log_line(json.dumps(only))


def test_it_rotates_within_its_limit(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    with logging_to(tmp_path):
        for number in range(200):
            logging.getLogger("nutshell.x").info("line %d", number)
    files = sorted(path.name for path in tmp_path.iterdir())
    assert files == [FILE_NAME, *(f"{FILE_NAME}.{number}" for number in range(1, OLD_FILES + 1))]
    assert all(path.stat().st_size <= 2000 for path in tmp_path.iterdir())
    assert all(path.stat().st_mode & 0o077 == 0 for path in tmp_path.iterdir())
    # The last lines are found in as many files as it takes.
    newest = [json.loads(line)["message"] for line in last_lines(tmp_path, 40)]
    assert newest == [f"line {number}" for number in range(160, 200)]
    assert last_lines(tmp_path, 0) == []
    assert last_lines(tmp_path / "none", 5) == []


def test_following_across_rotation(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logs, "FILE_BYTES", 2000)
    seen: list[str] = []
    follower = Follower(tmp_path)
    assert follower.read() == []
    logger = logging.getLogger("nutshell.x")
    logger.setLevel("INFO")
    handler = logs._open(tmp_path)
    handler.setFormatter(JsonLines())
    logger.addHandler(handler)
    try:
        for number in range(100):
            logger.info("line %d", number)
            # Not after each line: what came before a rotation must not be lost.
            if number % 3 == 0:
                seen += follower.read()
        seen += follower.read()
    finally:
        logger.removeHandler(handler)
        handler.close()
        follower.close()
    assert (tmp_path / f"{FILE_NAME}.1").exists()
    assert [json.loads(line)["message"] for line in seen] == [f"line {number}" for number in range(100)]


def test_half_a_line_waits_for_the_rest(tmp_path: Path) -> None:
    path = tmp_path / FILE_NAME
    path.write_text("before\n")
    follower = Follower(tmp_path)
    with open(path, "a") as file:
        file.write("one\ntw")
        file.flush()
        assert follower.read() == ["one"]
        file.write("o\n")
        file.flush()
        assert follower.read() == ["two"]
    follower.close()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError) as caught, logging_to(tmp_path / "file"):
        pass
    assert "--service-folder" in caught.value.hint


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="no /dev/full here")
def test_a_full_disk_costs_lines_only(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / FILE_NAME).symlink_to("/dev/full")
    with logging_to(tmp_path):
        logging.getLogger("nutshell.x").info("lost")
    assert capfd.readouterr().err == ""


def test_standard_error_says_no_more_than_it_was_asked_for(tmp_path: Path) -> None:
    said: list[str] = []

    class Kept(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            said.append(record.getMessage())

    root, handler = logging.getLogger(), Kept()
    kept = root.level
    root.addHandler(handler)
    root.setLevel("WARNING")
    try:
        with logging_to(tmp_path):
            logging.getLogger("nutshell.x").info("for the file")
            logging.getLogger("nutshell.x").warning("for both")
            root.handlers[-2].setLevel("INFO")
            request(f"/?token={TOKEN}")
    finally:
        root.removeHandler(handler)
        root.setLevel(kept)
    assert said[0] == "for both"
    assert TOKEN not in "".join(said)
    assert [line["message"] for line in lines(tmp_path)] == ["for the file", "for both", "GET /"]


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
@pytest.mark.parametrize("words", [(), ("--log-prompts",)])
def test_no_prompt_reaches_the_log(tmp_path: Path, words: tuple[str, ...]) -> None:
    env = home(tmp_path)
    with Started(env, *words, "--token", TOKEN) as service:
        service.client.headers["Authorization"] = f"Bearer {TOKEN}"
        job = service.wait(service.ask(SECRET, negative_prompt=f"not {SECRET}", steps=2), "done")
        assert job["request"]["prompt"] == SECRET
        for body in ({"prompt": SECRET * 1000}, {"prompt": SECRET, "steps": SECRET}, {SECRET: 1}):
            assert service.client.post("/api/jobs", json=body).status_code in (400, 422)
        service.client.post("/v1/images/generations", json={"prompt": SECRET, "size": SECRET})
        service.client.post("/sdapi/v1/txt2img", json={"prompt": SECRET, "steps": -1})
        service.client.get("/", params={"token": TOKEN, "prompt": SECRET})
        service.client.get("/api/jobs", params={"state": SECRET})
        assert service.stop()[0] == 0
    text = (state(tmp_path) / FILE_NAME).read_text(encoding="utf-8")
    assert "POST /api/jobs" in text
    assert TOKEN not in text
    ended = next(line for line in lines(state(tmp_path)) if line["message"] == "job done")
    assert (ended["job"], ended["pictures"], ended.get("prompt")) == (job["id"], 1, SECRET if words else None)
    if not words:
        assert "zebra" not in text


@pytest.mark.skipif(os.name != "posix", reason="POSIX signals")
def test_logs_are_followed_until_told_otherwise(tmp_path: Path) -> None:
    import signal
    import subprocess

    from tests.cli.conftest import REAL

    env = home(tmp_path)
    with Started(env) as service:
        service.client.get("/before")
        end = time.monotonic() + PATIENCE_SECONDS
        while "/before" not in run(env, "logs").stdout:
            assert time.monotonic() < end
        with subprocess.Popen(
            [*REAL, "serve", "logs", "-f", "-n", "1"], env=env, stdout=subprocess.PIPE, encoding="utf-8"
        ) as follower:
            assert follower.stdout is not None
            first = follower.stdout.readline()
            assert "GET /before  status=404" in first
            service.client.get("/afterwards")
            assert "GET /afterwards  status=404" in follower.stdout.readline()
            follower.send_signal(signal.SIGINT)
            follower.communicate(timeout=PATIENCE_SECONDS)
