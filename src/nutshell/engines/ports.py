"""Which engines are here, and what each can compute on.

Each is asked in a process of its own with a timeout: a library that crashes on this processor, or a driver that
hangs, takes nobody along. All are asked at once.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from nutshell.language import tr
from nutshell.machine.examination import EngineReport

SECONDS = 20.0
"""Long: PyTorch on a slow disk takes ten."""

# The name in `nutshell.engines`, the module, and what to ask it. The last line of standard output is the answer.
_QUESTIONS: Mapping[str, tuple[str, str]] = {
    "openvino": (
        "openvino",
        "from nutshell.engines.openvino_library import openvino\n"
        "core = openvino.Core()\n"
        "answer = dict(version=openvino.__version__.split('-')[0], devices=[f'{d} ({name(core, d)})' for d in "
        "core.available_devices])",
    ),
    "onnx": (
        "onnxruntime",
        # The Azure provider sends inputs to a server; it is no device.
        "from nutshell.engines.onnx_library import onnxruntime\n"
        "found = [p.removesuffix('ExecutionProvider') for p in onnxruntime.get_available_providers()]\n"
        "answer = dict(version=onnxruntime.__version__, devices=[p for p in found if p != 'Azure'])",
    ),
    "torch": (
        "torch",
        "import torch\n"
        "devices = ['cpu']\n"
        "for i in range(torch.cuda.device_count()): devices.append(f'cuda:{i} ({torch.cuda.get_device_name(i)})')\n"
        "devices += ['mps'] if torch.backends.mps.is_available() else []\n"
        "devices += ['xpu'] if hasattr(torch, 'xpu') and torch.xpu.is_available() else []\n"
        "if importlib.util.find_spec('torch_npu'):\n"
        "    import torch_npu; devices += ['npu'] if torch.npu.is_available() else []\n"
        "answer = dict(version=torch.__version__, devices=devices, architectures=torch.cuda.get_arch_list())",
    ),
}

_PROGRAM = """\
import importlib.util, json, sys
def name(core, device):
    try:
        return " ".join(core.get_property(device, "FULL_DEVICE_NAME").split())
    except Exception:
        return "?"
if importlib.util.find_spec({module!r}) is None:
    answer = None
else:
    {question}
print()
print(json.dumps(answer))
"""


def ask_engines(names: Sequence[str] = tuple(_QUESTIONS), seconds: float = SECONDS) -> tuple[EngineReport, ...]:
    """Ask the libraries of `names`. Never raises; a failure is the report's `error`."""
    with ThreadPoolExecutor(len(names)) as pool:
        return tuple(pool.map(lambda name: _ask(name, *_QUESTIONS[name], seconds), names))


def _ask(name: str, module: str, question: str, seconds: float) -> EngineReport:
    program = _PROGRAM.format(module=module, question=question.replace("\n", "\n    "))
    begun = time.monotonic()
    try:
        code, output, complaint = _python(program, seconds)
    except OSError as error:
        return EngineReport(name, False, error=tr("could not be asked: {reason}", reason=error))
    took = time.monotonic() - begun
    if code is None:
        return EngineReport(name, True, error=tr("did not answer within {seconds:g} s", seconds=seconds), seconds=took)
    if code != 0:
        return EngineReport(name, True, error=why_it_ended(code, complaint), seconds=took)
    try:
        answer: dict[str, Any] | None = json.loads(output.strip().splitlines()[-1])
    except (ValueError, IndexError):
        return EngineReport(name, True, error=tr("answered with nonsense"), seconds=took)
    if answer is None:
        return EngineReport(name, False, seconds=took)
    lists = {key: tuple(map(str, answer.get(key, ()))) for key in ("devices", "architectures")}
    return EngineReport(name, True, str(answer["version"]), lists["devices"], lists["architectures"], "", took)


def _python(program: str, seconds: float) -> tuple[int | None, str, str]:
    """Exit code (None: it did not end), standard output and error of a program run by this Python."""
    paths = [path for path in sys.path if path]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths), "HF_HUB_OFFLINE": "1"}
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    try:
        output, complaint = process.communicate(timeout=seconds)
    except subprocess.TimeoutExpired:
        # Not waited for: a process that hangs in a driver cannot be ended.
        process.kill()
        return None, "", ""
    return process.returncode, output.decode("utf-8", "replace"), complaint.decode("utf-8", "replace")


def why_it_ended(code: int, complaint: str) -> str:
    """Why a library's process ended badly: its last words, or a Text. A signal is -11 to subprocess; Windows has its
    codes of exceptions."""
    if code in (-4, 0xC000001D):
        return tr("it uses instructions that this processor does not have")
    if code in (-11, -6, 0xC0000005):
        return tr("it crashes when it is loaded (exit code {code})", code=code)
    last = complaint.strip().splitlines()[-1:]
    return last[0].strip()[:200] if last else tr("exit code {code}", code=code)
