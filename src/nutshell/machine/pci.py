"""Devices on the PCI bus of Linux that draw or compute: /sys/bus/pci/devices."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from nutshell.language import tr
from nutshell.machine.source import Source, Unreadable, names_or_none, text_or

DEVICES = "/sys/bus/pci/devices"

# Where distributions keep the list of https://pci-ids.ucw.cz.
_ID_FILES = ("/usr/share/hwdata/pci.ids", "/usr/share/misc/pci.ids", "/usr/share/pci.ids")

# Base classes of the PCI Code and ID Assignment Specification: display controllers, processing accelerators.
_DISPLAY, _ACCELERATOR = "03", "12"


@dataclass(frozen=True)
class PciDevice:
    """slot: "0000:01:00.0". vendor, device: four hexadecimal digits, small. driver: the kernel's, "" if none."""

    slot: str
    kind: str
    vendor: str
    device: str
    driver: str

    @property
    def path(self) -> str:
        return f"{DEVICES}/{self.slot}"

    @property
    def draws(self) -> bool:
        return self.kind.startswith(_DISPLAY)


def devices(source: Source) -> tuple[PciDevice, ...]:
    """Everything on the bus. Raises Unreadable where there is no /sys."""
    found: list[PciDevice] = []
    try:
        slots = source.list(DEVICES)
    except Unreadable:
        if names_or_none(source, "/sys/bus"):
            return ()  # A board without PCI.
        raise
    for slot in slots:
        # `pci_uevent` in drivers/pci/pci-driver.c: PCI_CLASS=30000, PCI_ID=8086:3EA0, DRIVER=i915.
        rows = dict(
            line.split("=", 1) for line in text_or(source, f"{DEVICES}/{slot}/uevent").splitlines() if "=" in line
        )
        vendor, _, device = rows.get("PCI_ID", "").lower().partition(":")
        kind = rows.get("PCI_CLASS", "").rjust(6, "0").lower()
        if device:
            found.append(PciDevice(slot, kind, vendor, device, rows.get("DRIVER", "")))
    return tuple(found)


def of_interest(found: tuple[PciDevice, ...]) -> Iterator[PciDevice]:
    """Display controllers and accelerators."""
    return (one for one in found if one.kind[:2] in (_DISPLAY, _ACCELERATOR))


def name_of(source: Source, device: PciDevice, maker: str) -> str:
    """What the card is sold as, if the system has a list of names; else a Text with its numbers."""
    for path in _ID_FILES:
        try:
            name = _look_up(source.read(path), device.vendor, device.device)
        except Unreadable:
            continue
        if name:
            # "TU117 [GeForce GTX 1650]": the chip, then what people know it by.
            inner = name[name.find("[") + 1 : name.rfind("]")] if "[" in name and "]" in name else name
            return f"{maker} {inner}"
    return tr("{maker} graphics ({device})", maker=maker, device=f"{device.vendor}:{device.device}")


def siblings(found: tuple[PciDevice, ...], device: PciDevice) -> Iterator[PciDevice]:
    """The other functions of the same chip."""
    stem = device.slot.rpartition(".")[0]
    return (one for one in found if one.slot != device.slot and one.slot.rpartition(".")[0] == stem)


def has_folder(source: Source, path: str) -> bool:
    """Whether a folder is there and not empty."""
    return bool(names_or_none(source, path))


def _look_up(text: str, vendor: str, device: str) -> str:
    """pci.ids: a vendor's line starts with its number, its devices follow after one tab, their boards after two."""
    start = text.find(f"\n{vendor}  ")
    if start < 0:
        return ""
    for line in text[start + 1 :].split("\n")[1:]:
        if line.startswith(f"\t{device}  "):
            return line[7:].strip()
        if line and not line.startswith(("\t", "#")):
            break
    return ""
