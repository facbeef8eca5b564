"""Rules about engines and the network."""

from __future__ import annotations

from collections.abc import Iterator

from nutshell.language import Text
from nutshell.machine.examination import Examination
from nutshell.machine.rules.finding import Finding

TITLES = {"openvino": "OpenVINO", "onnx": "ONNX Runtime", "torch": "PyTorch"}


def engines(examination: Examination) -> Iterator[Finding]:
    """Engines that are missing or broken. PyTorch may be missing."""
    if not examination.engines:
        return
    for engine in examination.engines:
        if engine.installed and engine.error:
            # The library's own last words may end in a full stop, as the sentence does.
            reason = engine.error if isinstance(engine.error, Text) else engine.error.rstrip(".")
            values = {"engine": TITLES.get(engine.name, engine.name), "reason": reason}
            yield Finding("engine-broken", "limits", values)
    openvino, onnx = examination.engine("openvino"), examination.engine("onnx")
    works = [engine is not None and engine.installed and not engine.error for engine in (openvino, onnx)]
    if not any(works):
        yield Finding("no-engine", "stops")
    elif openvino is not None and not openvino.installed and "armv7" not in examination.machine.cpu.architecture:
        yield Finding("openvino-missing", "limits")


def hubs(examination: Examination) -> Iterator[Finding]:
    """Servers of models that do not answer."""
    if not examination.hubs:
        return
    silent = [hub for hub in examination.hubs if not hub.answers]
    others = [hub.name for hub in examination.hubs if hub.answers]
    if not others and any("SOCKS" in hub.reason for hub in silent):
        yield Finding("socks-proxy", "limits")
        return
    if not others:
        yield Finding("no-hub", "limits", {"reason": silent[0].reason})
        return
    for hub in silent:
        yield Finding("hub-silent", "note", {"hub": hub.name, "reason": hub.reason, "others": others[0]})
