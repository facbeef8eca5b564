"""Huawei's Ascend neural processors: `npu-smi info`."""

from __future__ import annotations

import re
from collections.abc import Sequence

from nutshell.language import tr
from nutshell.machine.facts import Gpu
from nutshell.machine.pci import PciDevice
from nutshell.machine.source import Notes, Source, Unreadable, brief, names_or_none, text_or

# It asks every card over its management channel.
_SECONDS = 1.3
_MEBIBYTE = 2**20

# Where the CANN toolkit says its version, newest layout first.
_TOOLKITS = ("/usr/local/Ascend/ascend-toolkit/latest", "/usr/local/Ascend/cann", "/usr/local/Ascend/nnrt/latest")
_CHIPS = {"d100": "310", "d500": "310P", "d801": "910", "d802": "910B", "d803": "910C"}


def read_ascend(source: Source, notes: Notes, cards: Sequence[PciDevice]) -> list[Gpu]:
    """All chips; asked only where one is on the bus or the driver has made its device."""
    driver_here = any(name.startswith("davinci") for name in names_or_none(source, "/dev"))
    if not cards and not driver_here:
        return []
    try:
        output = source.run("npu-smi", "info", timeout=_SECONDS)
        gpus = npu_smi(output.text, _cann(source))
        if gpus:
            return gpus
        last = brief((output.text.strip().splitlines() or [""])[-1]) or tr("nothing")
        notes.add("gpu.ascend", tr("npu-smi said (exit code {code}): {said}", code=output.code, said=last))
    except Unreadable as error:
        notes.add("gpu.ascend", error.reason)
    return [Gpu("ascend", f"Ascend {_CHIPS.get(card.device, card.device)}", "discrete") for card in cards]


def npu_smi(text: str, runtime: str) -> list[Gpu]:
    """The table of `npu-smi info`: two rows a chip.

        | NPU   Name    | Health        | Power(W)  Temp(C)           Hugepages-Usage(page) |
        | Chip  Device  | Bus-Id        | AICore(%) Memory-Usage(MB)  HBM-Usage(MB)         |

    The second row ends in one "used / total" pair, or two where the chip has HBM (the first is then the controller's,
    often 0 / 0). A chip after a card's first may have "-" for power.
    """
    version = re.search(r"npu-smi\s+(\S+)", text)
    driver = f"ascend {version[1]}" if version else "ascend"
    gpus: list[Gpu] = []
    name = ""
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip().strip("|").split("|")]
        if len(cells) != 3:
            continue
        left = cells[0].split()
        pairs = re.findall(r"(\d+)\s*/\s*(\d+)", cells[2])
        if len(left) >= 2 and left[0].isdigit() and re.search(r"[A-Za-z]", cells[1]) and ":" not in cells[1]:
            name = left[1].removeprefix("Ascend")
        elif name and left and left[0].isdigit() and ":" in cells[1] and pairs:
            used, total = max(pairs, key=lambda pair: int(pair[1]))
            size, free = int(total) * _MEBIBYTE, (int(total) - int(used)) * _MEBIBYTE
            gpus.append(Gpu("ascend", f"Ascend {name}", "discrete", size, free, None, driver, runtime))
            name = ""
    return gpus


def _cann(source: Source) -> str:
    for folder in _TOOLKITS:
        names = ("version.cfg", *(f"{name}/ascend_toolkit_install.info" for name in names_or_none(source, folder)))
        for name in names:
            # version.cfg: toolkit_installed_version=[8.0.RC2:...]; ..._install.info: version=8.0.RC2
            found = re.search(r"^\s*\w*version=\[?(?:[\w.]*?:)?(\d[\w.]*)", text_or(source, f"{folder}/{name}"), re.M)
            if found:
                return f"CANN {found[1]}"
    return ""
