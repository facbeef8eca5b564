"""Asking engines what they see, and what happens when they crash, hang or are not there."""

from __future__ import annotations

import pytest

from nutshell.engines import ports
from nutshell.machine.examination import EngineReport


def test_the_engines_of_this_machine() -> None:
    found = {report.name: report for report in ports.ask_engines(("openvino", "onnx"))}
    assert found["openvino"].installed
    assert not found["openvino"].error
    assert any(device.startswith("CPU") for device in found["openvino"].devices)
    assert "CPU" in found["onnx"].devices
    assert found["onnx"].version.split(".")[0].isdigit()


def ask(monkeypatch: pytest.MonkeyPatch, module: str, code: str, seconds: float = 60) -> EngineReport:
    monkeypatch.setattr(ports, "_QUESTIONS", {"odd": (module, code)})
    return ports.ask_engines(("odd",), seconds)[0]


def test_one_that_is_not_there(monkeypatch: pytest.MonkeyPatch) -> None:
    report = ask(monkeypatch, "nutshell_no_such_engine", "import nutshell_no_such_engine")
    assert (report.installed, report.error) == (False, "")


@pytest.mark.parametrize(
    ("code", "reason"),
    [
        ("import os, signal\nos.kill(os.getpid(), signal.SIGILL)", "instructions that this processor does not have"),
        ("import os, signal\nos.kill(os.getpid(), signal.SIGSEGV)", "crashes when it is loaded"),
        ("import ctypes\nctypes.CDLL('libnutshell-none.so.9')", "libnutshell-none.so.9: cannot open shared object"),
        ("raise SystemExit(3)", "exit code 3"),
        ("print('x')\nimport os\nos._exit(0)", "answered with nonsense"),
    ],
)
def test_one_that_fails(code: str, reason: str, monkeypatch: pytest.MonkeyPatch) -> None:
    report = ask(monkeypatch, "json", code)
    assert report.installed
    assert reason in report.error
    assert "\n" not in report.error


def test_one_that_hangs(monkeypatch: pytest.MonkeyPatch) -> None:
    report = ask(monkeypatch, "json", "import time\ntime.sleep(60)", 0.5)
    assert report.error == "did not answer within 0.5 s"
    assert report.seconds < 30


def test_chatter_before_the_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    report = ask(monkeypatch, "json", "print('hello', flush=True)\nanswer = dict(version='1', devices=['a'])")
    assert (report.version, report.devices, report.error) == ("1", ("a",), "")
