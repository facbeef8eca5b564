"""The operating system, and what this process runs inside of."""

from __future__ import annotations

import re
from typing import Any

from nutshell.machine.facts import System
from nutshell.machine.mac import sysctl
from nutshell.machine.mounts import is_live
from nutshell.machine.source import Notes, Source, Unreadable, names_or_none, text_or

_NAMES = {"linux": "linux", "darwin": "macos", "win32": "windows"}
_DMI = "/sys/class/dmi/id/"

# What the firmware of virtual machines calls itself: maker, then product (systemd's detect-virt has the same list).
_VIRTUAL = (
    ("QEMU", "kvm"),
    ("KVM", "kvm"),
    ("VMware", "vmware"),
    ("VirtualBox", "virtualbox"),
    ("innotek", "virtualbox"),
    ("Xen", "xen"),
    ("Parallels", "parallels"),
    ("Amazon EC2", "kvm"),
    ("Google Compute Engine", "kvm"),
    ("Virtual Machine", "hyperv"),
)


def read_system(source: Source, notes: Notes) -> System:
    """The system of any machine."""
    told: dict[str, Any] = notes.attempt("system", lambda: dict(source.ask("system")), {})
    name = _NAMES.get(source.platform, source.platform)
    release, distribution, distribution_name = "", "", ""
    if name == "linux":
        rows: dict[str, str] = notes.attempt("system.distribution", lambda: os_release(_os_release_text(source)), {})
        release = rows.get("VERSION_ID", "")
        distribution, distribution_name = rows.get("ID", ""), rows.get("PRETTY_NAME", rows.get("NAME", ""))
    elif name == "macos":
        release = told.get("macos", "")
    elif name == "windows":
        release = _windows_release(told.get("version", ""))
    clock = told.get("clock_seconds")
    return System(
        os=name,
        release=release,
        distribution=distribution,
        distribution_name=distribution_name,
        kernel=told.get("kernel", ""),
        python=told.get("python", ""),
        python_bits=int(told.get("python_bits", 64)),
        virtualisation=_virtualisation(source) if name == "linux" else "",
        container=_container(source) if name == "linux" else "",
        live=is_live(source) if name == "linux" else False,
        translated=_translated(source) if name == "macos" else False,
        clock_seconds=float(clock) if clock is not None else None,
    )


def os_release(text: str) -> dict[str, str]:
    """/etc/os-release (man 5 os-release): NAME="value" a line, as a shell reads it."""
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {key.strip(): value.strip().strip("\"'") for key, equals, value in pairs if equals}


def _os_release_text(source: Source) -> str:
    try:
        return source.read("/etc/os-release")
    except Unreadable:
        return source.read("/usr/lib/os-release")


def _windows_release(version: str) -> str:
    """ "10.0.22631" is Windows 11: the first number stayed 10, builds from 22000 on are 11."""
    numbers = [int(part) for part in re.findall(r"\d+", version)]
    if len(numbers) >= 3 and numbers[0] == 10:
        return "11" if numbers[2] >= 22000 else "10"
    return version


def _virtualisation(source: Source) -> str:
    kernel = text_or(source, "/proc/version")
    if "microsoft" in kernel.lower():
        return "wsl2" if "WSL2" in kernel or "microsoft-standard" in kernel else "wsl1"
    firmware = " ".join(text_or(source, _DMI + name) for name in ("sys_vendor", "product_name"))
    for word, kind in _VIRTUAL:
        if word in firmware:
            return kind
    if re.search(r"^flags\s*:.*\bhypervisor\b", text_or(source, "/proc/cpuinfo"), re.MULTILINE):
        return "other"
    return ""


def _container(source: Source) -> str:
    # The file systemd writes, and the variable that podman, lxc and nspawn give to the first process.
    named = text_or(source, "/run/systemd/container")
    if not named:
        variables = text_or(source, "/proc/1/environ").split("\0")
        named = next((text[10:] for text in variables if text.startswith("container=")), "")
    if named:
        return named
    top = names_or_none(source, "/")
    if ".dockerenv" in top:
        return "docker"
    if text_or(source, "/run/.containerenv") or ".containerenv" in names_or_none(source, "/run"):
        return "podman"
    groups = text_or(source, "/proc/1/cgroup") + text_or(source, "/proc/self/cgroup")
    for word, kind in (("kubepods", "kubernetes"), ("docker", "docker"), ("/lxc", "lxc")):
        if word in groups:
            return kind
    return ""


def _translated(source: Source) -> bool:
    try:
        return sysctl(source).get("sysctl.proc_translated") == "1"
    except Unreadable:
        return False
