"""Disks: mounted file systems that a person may store something on."""

from __future__ import annotations

import posixpath
from collections.abc import Iterable, Sequence

from nutshell.language import tr
from nutshell.machine.facts import Disk
from nutshell.machine.mounts import RAM_FILESYSTEMS, Mount
from nutshell.machine.source import Notes, Source, Unreadable, names_or_none, number_or_none, text_or

_NETWORK = ("nfs", "cifs", "smb", "fuse.sshfs", "fuse.rclone", "ceph", "glusterfs", "afs", "davfs")
_WITHOUT_DEVICE = frozenset(("zfs", "9p", "drvfs", "virtiofs", "vboxsf", "fuse.mergerfs", "bcachefs", "overlay"))
_RAM_PLACES = ("/", "/tmp", "/var/tmp", "/home", "/root")
_NOT_FOR_PEOPLE = ("/boot", "/snap", "/var/lib/", "/proc", "/sys", "/dev/", "/etc/", "/run/credentials", "/usr/lib/")


def read_disks(source: Source, notes: Notes, mounts: Sequence[Mount], also: Iterable[str] = ()) -> tuple[Disk, ...]:
    """The mounts of use, with free space. also: folders whose file systems are wanted in any case."""
    wanted = {mount.path for path in also if (mount := mount_of(mounts, path))}
    return tuple(
        _disk(source, notes, mount, asked=mount.path in wanted)
        for mount in mounts
        if mount.path in wanted or _for_people(mount)
    )


def mount_of(mounts: Sequence[Mount], path: str) -> Mount | None:
    """The mount that an absolute path lies on."""
    above = [m for m in mounts if path == m.path or path.startswith(m.path.rstrip("/\\") + _separator(m.path))]
    return max(reversed(above), key=lambda mount: len(mount.path), default=None)


def _separator(path: str) -> str:
    return "\\" if ":" in path[:2] else "/"


def _for_people(mount: Mount) -> bool:
    if mount.path == "/":
        return True
    if mount.filesystem in RAM_FILESYSTEMS:
        return mount.path in _RAM_PLACES
    if mount.path.startswith(_NOT_FOR_PEOPLE) or mount.filesystem == "squashfs":
        return False
    known = mount.filesystem.startswith(_NETWORK) or mount.filesystem in _WITHOUT_DEVICE
    return known or mount.device.startswith("/dev/") or ":" in mount.device[:2]


def _disk(source: Source, notes: Notes, mount: Mount, asked: bool) -> Disk:
    # A dead server blocks the question, so it is put only where the answer is needed.
    if mount.filesystem.startswith(_NETWORK) and not asked:
        notes.add(f"disk {mount.path}", tr("it lies on the network, where nothing is asked that is not needed"))
        usage: dict[str, int] = {}
    else:
        usage = notes.attempt(f"disk {mount.path}", lambda: _usage(source, mount.path), {})
    name = _block_name(source, mount.device)
    return Disk(
        mount=mount.path,
        filesystem=mount.filesystem,
        device=mount.device,
        total_bytes=usage.get("total"),
        free_bytes=usage.get("free"),
        removable=_removable(source, name, mount),
        rotational=_flag(number_or_none(source, f"/sys/block/{name}/queue/rotational")) if name else None,
        read_only="ro" in mount.options,
        noexec="noexec" in mount.options,
    )


def _usage(source: Source, path: str) -> dict[str, int]:
    return {name: int(value) for name, value in source.ask("usage", path).items()}


def _block_name(source: Source, device: str) -> str:
    """The whole disk's name in /sys/block of "/dev/sda1", "/dev/nvme0n1p2", "/dev/mapper/root"; "" if none."""
    if not device.startswith("/dev/"):
        return ""
    disks = set(names_or_none(source, "/sys/block"))
    name = posixpath.basename(device)
    if device.startswith("/dev/mapper/"):
        # An encrypted disk or a logical volume: the disk below it tells.
        for mapped in sorted(disk for disk in disks if disk.startswith("dm-")):
            if text_or(source, f"/sys/block/{mapped}/dm/name") == name:
                below = list(names_or_none(source, f"/sys/block/{mapped}/slaves"))
                return _block_name(source, f"/dev/{below[0]}") if below else mapped
        return ""
    # The longest disk whose name the partition's begins with: sda1 is on sda, nvme0n1p2 on nvme0n1.
    return max((disk for disk in disks if name.startswith(disk)), key=len, default="")


def _removable(source: Source, name: str, mount: Mount) -> bool | None:
    if source.platform == "win32":
        return "removable" in mount.options or None
    if not name:
        return None
    if number_or_none(source, f"/sys/block/{name}/removable") == 1:
        return True
    # The kernel calls a USB disk fixed if its medium cannot be taken out of it; udev knows the bus.
    number = text_or(source, f"/sys/block/{name}/dev")
    try:
        if number and "E:ID_BUS=usb" in source.read(f"/run/udev/data/b{number}").splitlines():
            return True
    except Unreadable:
        pass
    return _flag(number_or_none(source, f"/sys/block/{name}/removable"))


def _flag(number: int | None) -> bool | None:
    return None if number is None else bool(number)
