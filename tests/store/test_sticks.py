"""Removable drives, from recorded tables of three systems."""

from __future__ import annotations

from pathlib import Path

import pytest

from nutshell.store import sticks
from nutshell.store.sticks import linux_drives, mac_drives

MOUNTS = """\
sysfs /sys sysfs rw,nosuid 0 0
/dev/nvme0n1p2 / ext4 rw,relatime 0 0
/dev/sdb1 /media/anna/MY\\040STICK vfat rw,nosuid,nodev 0 0
/dev/sdc1 /media/anna/disk ext4 rw 0 0
/dev/mmcblk0p1 /media/anna/card exfat rw 0 0
//server/share /mnt/share cifs rw 0 0
server:/export /mnt/nfs nfs4 rw 0 0
/dev/sdd1 /mnt/raid ext4 rw 0 0
/dev/fuse /run/user/1000/doc fuse rw 0 0
broken
"""


@pytest.fixture
def blocks(tmp_path: Path) -> Path:
    """A /sys/class/block: sdb is a stick, sdc a disk in a USB case, mmcblk0 a card, the others are built in."""
    devices = {
        "nvme0n1/nvme0n1p2": ("pci0000:00/0000:00:1d.0", "0"),
        "sdb/sdb1": ("pci0000:00/0000:00:15.0", "1"),
        "sdc/sdc1": ("pci0000:00/0000:00:14.0/usb2/2-1", "0"),
        "mmcblk0/mmcblk0p1": ("pci0000:00/0000:00:1c.0", "1"),
        "sdd/sdd1": ("pci0000:00/0000:00:17.0", "0"),
    }
    folder = tmp_path / "class" / "block"
    folder.mkdir(parents=True)
    for names, (bus, removable) in devices.items():
        partition = tmp_path / "devices" / bus / "block" / names
        partition.mkdir(parents=True)
        (partition.parent / "removable").write_text(removable + "\n")
        (folder / partition.name).symlink_to(partition)
    return folder


def test_linux(tmp_path: Path, blocks: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    found = [path.as_posix() for path in linux_drives(mounts, blocks)]
    assert found == ["/media/anna/MY STICK", "/media/anna/disk", "/media/anna/card"]
    assert list(linux_drives(tmp_path / "none", blocks)) == []


def test_mac() -> None:
    table = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
/dev/disk4s1 on /Volumes/MY STICK (msdos, local, nodev, nosuid, noowners)
//anna@server/share on /Volumes/share (smbfs, nodev, nosuid, mounted by anna)
"""
    assert [path.as_posix() for path in mac_drives(lambda: table)] == ["/Volumes/MY STICK"]


def test_only_drives_with_the_folder_count(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "with" / "nutshell-models").mkdir(parents=True)
    monkeypatch.setattr(sticks, "linux_drives", lambda: [tmp_path / "with", tmp_path / "without"])
    monkeypatch.setattr(sticks.sys, "platform", "linux")
    assert sticks.sticks() == (tmp_path / "with" / "nutshell-models",)


def test_only_removable_drives_are_touched(tmp_path: Path, blocks: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A look at a dead network mount would hang, so nothing on any other drive is asked for."""
    asked: list[str] = []
    real = Path.is_dir
    monkeypatch.setattr(Path, "is_dir", lambda path: asked.append(path.as_posix()) or real(path))
    monkeypatch.setattr(sticks.sys, "platform", "linux")
    mounts = tmp_path / "mounts"
    mounts.write_text(MOUNTS)
    monkeypatch.setattr(sticks, "linux_drives", lambda: linux_drives(mounts, blocks))
    assert sticks.sticks() == ()
    assert asked == [f"/media/anna/{name}/nutshell-models" for name in ("MY STICK", "disk", "card")]
