"""Mounted file systems, and whether the root lies in RAM."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from nutshell.machine.source import Source, text_or

RAM_FILESYSTEMS = frozenset(("tmpfs", "ramfs", "rootfs"))

# What live systems write on the kernel's command line: Debian's live-boot, Ubuntu's casper, Fedora's dracut,
# Arch, openSUSE's kiwi, Alpine, Slax and their kin, Knoppix.
_LIVE_WORDS = re.compile(
    r"(^|\s)(boot=(live|casper)|(rd\.)?live\.|root=live:|archisobasedir=|kiwi\.live|rd\.kiwi\.live|modloop=|"
    r"slax\.|from=/slax|knoppix|nixos-live|rd\.live)"
)
_KEEPS_CHANGES = re.compile(r"(^|\s)(persistent|persistence|rd\.live\.overlay=|cow_(device|label)=)")


@dataclass(frozen=True)
class Mount:
    """A line of /proc/mounts (man 5 fstab): what, where, of which type, how."""

    device: str
    path: str
    filesystem: str
    options: tuple[str, ...]

    def option(self, name: str) -> str:
        """The value of "name=value"; "" without."""
        return next((text.partition("=")[2] for text in self.options if text.startswith(name + "=")), "")


def read_mounts(source: Source) -> tuple[Mount, ...]:
    """All mounts, in the order they were made. Raises Unreadable."""
    if source.platform != "linux":
        return tuple(
            Mount(part["device"], part["mount"], part["filesystem"].lower(), tuple(part["options"].split(",")))
            for part in source.ask("partitions")
        )
    mounts = []
    for line in source.read("/proc/mounts").splitlines():
        words = [_unescaped(word) for word in line.split()]
        if len(words) >= 4:
            mounts.append(Mount(words[0], words[1], words[2], tuple(words[3].split(","))))
    return tuple(mounts)


def root_is_in_ram(source: Source, mounts: Sequence[Mount]) -> bool:
    """Whether what is written to "/" takes memory: a RAM disk, or an overlay whose upper folder lies on one."""
    root = next((mount for mount in reversed(mounts) if mount.path == "/"), None)
    if root is None:
        return False
    if root.filesystem in RAM_FILESYSTEMS:
        return True
    if root.filesystem not in ("overlay", "aufs", "unionfs"):
        return False
    upper = root.option("upperdir")
    below = [mount for mount in mounts if mount.path != "/" and (upper + "/").startswith(mount.path.rstrip("/") + "/")]
    if below:
        return max(below, key=lambda mount: len(mount.path)).filesystem in RAM_FILESYSTEMS
    # The upper folder's mount was left behind in the initial RAM disk, as casper does.
    return is_live(source) and not _KEEPS_CHANGES.search(text_or(source, "/proc/cmdline"))


def is_live(source: Source) -> bool:
    """Whether the system was started from a live medium."""
    return bool(_LIVE_WORDS.search(text_or(source, "/proc/cmdline")))


def _unescaped(word: str) -> str:
    """Blanks and such in paths are written \\040."""
    return re.sub(r"\\([0-7]{3})", lambda match: chr(int(match[1], 8)), word)
