"""The protocol, the real machine, and tools that hang, fail or talk nonsense."""

from __future__ import annotations

import contextlib
import json
import shutil
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import psutil
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nutshell.machine import FEATURES, probe
from nutshell.machine.ascend import npu_smi
from nutshell.machine.cpu import cpuinfo_blocks
from nutshell.machine.main_memory import meminfo
from nutshell.machine.questions import QUESTIONS
from nutshell.machine.source import Notes, Output, Remembering, Unreadable
from nutshell.machine.this_computer import ThisComputer, within


def test_this_machine() -> None:
    machine = probe()
    assert machine.cores >= 1
    assert machine.memory.total_bytes == psutil.virtual_memory().total
    assert psutil.Process().memory_info().rss // 2 < machine.memory.own_bytes < machine.usable_bytes
    assert machine.cpu.features <= FEATURES
    if sys.platform == "linux":
        assert machine.disk_of("/") is not None
        assert machine.system.kernel


def test_numpy_and_the_kernel_agree_on_instruction_sets() -> None:
    """Two that looked on their own, where both can."""
    from nutshell.machine.cpu_names import NUMPY_NAMES

    ours = probe().cpu.features
    theirs = {NUMPY_NAMES[name] for name in QUESTIONS["numpy_features"]("") if name in NUMPY_NAMES}
    # Older ones do not look for all.
    assert theirs <= ours
    always = {"sse4_2", "avx", "avx2", "fma", "f16c", "avx512f", "neon"}
    assert ours & always == theirs & always


def test_every_question_answers_or_raises_in_time() -> None:
    computer = ThisComputer()
    for question in QUESTIONS:
        try:
            computer.ask(question, "1" if question == "nvml" else "/")
        except Unreadable:
            continue


def test_what_hangs_is_left_behind() -> None:
    begun = time.monotonic()
    with pytest.raises(Unreadable, match=r"did not answer within 0\.2 s"):
        ThisComputer().run(sys.executable, "-c", "import time; time.sleep(60)", timeout=0.2)
    with pytest.raises(Unreadable, match=r"dead did not answer within 0\.1 s"):
        within(0.1, "dead", lambda: time.sleep(60))
    assert time.monotonic() - begun < 30  # it did not wait for either


@pytest.mark.skipif(sys.platform == "win32", reason="process groups")
def test_what_a_hanging_tool_started_ends_with_it(tmp_path: Path) -> None:
    told = tmp_path / "pid"
    with pytest.raises(Unreadable):
        ThisComputer().run("sh", "-c", f'sleep 60 & echo $! > "{told}"; wait', timeout=1.0)
    number = int(told.read_text())
    until = time.monotonic() + 10
    while time.monotonic() < until and psutil.pid_exists(number):
        if psutil.Process(number).status() == psutil.STATUS_ZOMBIE:
            return
        time.sleep(0.05)
    assert not psutil.pid_exists(number)


def test_what_is_not_there_is_named() -> None:
    computer = ThisComputer()
    with pytest.raises(Unreadable, match="there is no nutshell-no-such-tool"):
        computer.run("nutshell-no-such-tool", timeout=1)
    with pytest.raises(Unreadable, match="there is no /no/such/file"):
        computer.read("/no/such/file")
    with pytest.raises(Unreadable, match="there is no /no/such"):
        computer.list("/no/such")
    with pytest.raises(Unreadable):
        computer.read("/nul\0")
    assert computer.run(sys.executable, "-c", "print('a'); exit(3)", timeout=30) == Output("a\n", 3)


def test_an_answer_is_asked_for_once() -> None:
    asked: list[str] = []

    class Counting(ThisComputer):
        def read(self, path: str) -> str:
            asked.append(path)
            return super().read(path)

    source = Remembering(Counting())
    for _ in range(2):
        assert "def probe" in source.read(str(Path(__file__).parents[2] / "src/nutshell/machine/probe.py"))
        with pytest.raises(Unreadable):
            source.read("/no/such/file")
    assert len(asked) == 2


def test_a_mistake_in_a_reader_spoils_one_fact() -> None:
    notes = Notes()
    assert notes.attempt("a", lambda: 1 // 0, 7) == 7
    assert notes.attempt("b", lambda: {}["x\ny"], 8) == 8
    assert [item.fact for item in notes.unknown] == ["a", "b"]
    assert "ZeroDivisionError" in notes.unknown[0].reason


class Nonsense:
    """A machine whose every answer is the same rubbish."""

    def __init__(self, platform: str, text: str, answer: Any) -> None:
        self.platform = platform
        self._text, self._answer = text, answer

    def read(self, path: str) -> str:
        return self._text

    def list(self, path: str) -> list[str]:
        return [self._text[:20], "davinci0", "sda"]

    def run(self, *command: str, timeout: float) -> Output:
        return Output(self._text, 0)

    def ask(self, question: str, about: str = "") -> Any:
        return self._answer


@given(
    st.sampled_from(["linux", "darwin", "win32", "sunos5"]),
    st.text() | st.text(alphabet=": \n\t0123456789/|,=[]+GMkB%-\\x", max_size=400),
    st.recursive(
        st.none() | st.integers(-5, 2**70) | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=3)
            | st.dictionaries(
                st.sampled_from(["total", "free", "devices", "name", "device", "options"]), inner, max_size=3
            )
        ),
        max_leaves=8,
    ),
)
def test_no_rubbish_raises(platform: str, text: str, answer: Any) -> None:
    machine = probe(Nonsense(platform, text, answer))
    assert machine.cores >= 1
    assert isinstance(machine.usable_bytes, int)


@given(st.text())
def test_parsers_raise_nothing_unforeseen(text: str) -> None:
    cpuinfo_blocks(text)
    npu_smi(text, "")
    with contextlib.suppress(Unreadable):
        meminfo(text)


FAKE_NVML = """
#include <string.h>
typedef struct { unsigned long long total, free, used; } memory;
int nvmlInit_v2(void) { return INIT; }
const char *nvmlErrorString(int code) { return "Driver/library version mismatch"; }
int nvmlSystemGetDriverVersion(char *text, unsigned size) { strcpy(text, "550.54.14"); return 0; }
int nvmlSystemGetCudaDriverVersion_v2(int *version) { *version = 12040; return 0; }
int nvmlDeviceGetCount_v2(unsigned *count) { *count = 2; return 0; }
int nvmlDeviceGetHandleByIndex_v2(unsigned index, void **device) { *device = (void *)(index + 1ul); return 0; }
int nvmlDeviceGetName(void *device, char *text, unsigned size) { strcpy(text, "Tesla T4"); return 0; }
int nvmlDeviceGetMemoryInfo(void *device, memory *found) {
    if (device == (void *)2) return 3;
    found->total = 16ull << 30; found->free = 15ull << 30; return 0;
}
int nvmlDeviceGetCudaComputeCapability(void *device, int *major, int *minor) { *major = 7; *minor = 5; return 0; }
"""


@pytest.mark.skipif(sys.platform != "linux" or not shutil.which("cc"), reason="needs a C compiler, on Linux")
@pytest.mark.parametrize("init", [0, 18])
def test_nvml_through_a_library_of_its_signatures(init: int, tmp_path: Path) -> None:
    """No card here: a library with the functions of nvml.h stands in for the driver's."""
    (tmp_path / "fake.c").write_text(FAKE_NVML)
    library = tmp_path / "libnvidia-ml.so.1"
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-w", f"-DINIT={init}", "-o", library, tmp_path / "fake.c"], check=True, timeout=60
    )
    script = Path(__file__).parents[2] / "src/nutshell/machine/nvml.py"
    command = [sys.executable, "-I", "-S", str(script)]
    done = subprocess.run(command, env={"LD_LIBRARY_PATH": str(tmp_path)}, capture_output=True, text=True, timeout=60)
    told = json.loads(done.stdout)
    if init:
        assert told == {"missing": False, "error": "Driver/library version mismatch"}
        return
    assert (told["driver"], told["cuda"]) == ("550.54.14", 12040)
    first = {"name": "Tesla T4", "total": 16 << 30, "free": 15 << 30, "capability": [7, 5]}
    assert told["devices"] == [first, {**first, "total": None, "free": None}]
