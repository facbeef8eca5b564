"""What instruction sets the libraries' own builds ask of an x86-64 processor: to be looked at before one is imported.

A library that uses an instruction which the processor does not have ends the process, and nothing can catch that.
Facts with their sources; what is not listed (ONNX Runtime, PyTorch, tokenizers) is built for any x86-64 processor and
looks for more by itself (ONNX Runtime: `onnxruntime/core/mlas/lib/platform.cpp` starts from SSE2).
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import metadata

from nutshell.language import Text, tr
from nutshell.machine.facts import Machine

Version = tuple[int, int]


@dataclass(frozen=True)
class LibraryNeed:
    """From version `since` on `package` needs the instruction set `feature`.

    must: it cannot run without. False: its makers no longer support that, and it may run all the same.
    older: what installs a version that does without, "" if there is none that we work with.
    """

    package: str
    title: str
    since: Version
    feature: str
    must: bool
    older: str
    source: str


# Of each package the hardest first.
LIBRARY_NEEDS = (
    LibraryNeed(
        "openvino",
        "OpenVINO",
        (0, 0),
        "sse4_2",
        True,
        "",
        "docs.openvino.ai, System Requirements, until 2025.4; oneDNN's kernels start at SSE4.1",
    ),
    LibraryNeed(
        "openvino",
        "OpenVINO",
        (2026, 0),
        "avx2",
        # The wheel of 2026.4.1 is compiled for any x86-64 and still has kernels from SSE4.1 on.
        False,
        "",
        "release notes of 2026.0, discontinued in 2026; github.com/openvinotoolkit/openvino/pull/38157",
    ),
    LibraryNeed(
        "numpy",
        "NumPy",
        (2, 4),
        "sse4_2",
        True,
        "pip install 'numpy<2.4'",
        "numpy._core._multiarray_umath.__cpu_baseline__ of the wheels: X86_V2, which its import insists on",
    ),
)

_TITLES = {"sse4_2": "SSE4.2", "avx2": "AVX2"}
_TRANSLATED = frozenset({"sse4_2"})
_LATER = frozenset({"avx", "avx2", "avx512f"})


@dataclass(frozen=True)
class Lack:
    """An instruction set that a library asks for and this processor does not have. version: "" for the newest."""

    need: LibraryNeed
    version: str

    @property
    def reason(self) -> Text:
        """Why it is not used here."""
        values = {
            "library": self.need.title,
            "version": self.version or tr("as it is offered today"),
            "feature": _TITLES[self.need.feature],
        }
        if self.need.must:
            return tr("{library} {version} needs {feature}, which this processor lacks", **values)
        return tr("{library} {version} is no longer made for processors without {feature}, such as this one", **values)


def lack(machine: Machine, package: str, version: str | None = None) -> Lack | None:
    """What `machine` lacks for `package`; None where it has all, or nothing is known of it.

    version: "" for the newest, None for the one that is installed in this Python.
    """
    cpu = machine.cpu
    if cpu.architecture != "x86_64" or not machine.knows("cpu.features"):
        return None
    # An x86 Python in translation (Rosetta) is told the features of the ARM processor; it has up to SSE4.2.
    features = _TRANSLATED if "neon" in cpu.features else cpu.features
    if features & _LATER:
        features |= {"sse4_2"}
    version = installed_version(package) if version is None else version
    for need in LIBRARY_NEEDS:
        if need.package == package and need.feature not in features and _number(version) >= need.since:
            return Lack(need, version)
    return None


def installed_version(package: str) -> str:
    """Of this Python; "" if it is not there."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return ""


def _number(version: str) -> Version:
    """Of the newest, and of one whose version says nothing, all is assumed that was ever asked for."""
    parts = version.split(".")
    try:
        return int(parts[0]), int(parts[1])
    except (ValueError, IndexError):
        return (9999, 0)
