"""Make a folder of wheels, from which a machine without a network starts.

    python3 tools/make_wheels.py                                  # for a machine like this one
    python3 tools/make_wheels.py --python 3.11 3.12 3.13          # for several versions of Python
    python3 tools/make_wheels.py --platform windows --output /media/stick/wheels

It holds all of requirements.lock for the chosen platform, checked against its hashes, a copy of that list, and
Nutshell's own wheel; `start.sh` (or `start.bat` and `start.ps1`) with that folder beside it is all that the other
machine needs, besides its Python. Running it again fetches what is missing only. Any Python from 3.10 on that has pip
runs this file.
"""

from __future__ import annotations

import argparse
import hashlib
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

try:
    from pip._vendor.packaging.markers import Marker
except ImportError:
    sys.exit("error: this Python has no pip\nhint: run  python3 -m ensurepip --user  or use another Python")

REPOSITORY = Path(__file__).resolve().parents[1]
# What a wheel may ask of the other machine's glibc, as 2.N; pip takes the first that there is, so the oldest machine's.
GLIBC = range(17, 40)

PLATFORMS: dict[str, tuple[dict[str, str], list[str]]] = {}


def _describe(name: str, system: str, machine: str, tags: list[str]) -> None:
    facts = {
        "sys_platform": {"Linux": "linux", "Windows": "win32", "Darwin": "darwin"}[system],
        "platform_system": system,
        "platform_machine": machine,
        "os_name": "nt" if system == "Windows" else "posix",
    }
    PLATFORMS[name] = facts, tags


for _machine, _name in (("x86_64", "linux"), ("aarch64", "linux-arm")):
    _tags = [f"manylinux_2_{minor}_{_machine}" for minor in GLIBC]
    _describe(_name, "Linux", _machine, [f"manylinux2014_{_machine}", *_tags])
_describe("windows", "Windows", "AMD64", ["win_amd64"])
_describe("mac", "Darwin", "arm64", [f"macosx_{major}_0_arm64" for major in (15, 14, 13, 12, 11)])


def this_platform() -> str:
    """The name of the platform that this program runs on, or "" if there are no wheels for it."""
    for name, (facts, _) in PLATFORMS.items():
        if (facts["platform_system"], facts["platform_machine"]) == (platform.system(), platform.machine()):
            return name
    return ""


def requirements(lock: str, facts: dict[str, str], version: str) -> Iterator[str]:
    """The entries of a lock file that a platform and version of Python need, without their markers.

    pip judges a marker by the machine it runs on, also when it fetches for another one.
    """
    target = facts | {
        "python_version": version,
        "python_full_version": f"{version}.99",
        "implementation_name": "cpython",
        "platform_python_implementation": "CPython",
        "extra": "",
    }
    plain = "\n".join(line for line in lock.splitlines() if not line.startswith("#"))
    for entry in re.split(r"\n(?=\S)", plain.strip()):
        head, *hashes = entry.split(" \\\n")
        requirement, _, marker = head.partition(";")
        if not marker or Marker(marker.strip()).evaluate(target):
            yield " \\\n".join([requirement.strip(), *hashes])


def pip(*words: str | Path) -> None:
    done = subprocess.run([sys.executable, "-m", "pip", "--disable-pip-version-check", *map(str, words)])
    if done.returncode:
        sys.exit("error: pip could not make the folder whole (see above)\nhint: mend what it says and run this again")


def fetch(output: Path, name: str, version: str) -> set[str]:
    """Fetch the wheels of one platform and Python; returns the names of all of them."""
    facts, tags = PLATFORMS[name]
    lock = (REPOSITORY / "requirements.lock").read_text(encoding="utf-8")
    wanted = list(requirements(lock, facts, version))
    listed = output / "fetching.txt"
    listed.write_text("\n".join(wanted) + "\n", encoding="utf-8")
    chosen = ["--python-version", version, "--implementation", "cp"]
    for tag in tags:
        chosen += ["--platform", tag]
    print(f"{len(wanted)} packages for {name}, Python {version}", flush=True)
    words = ["--quiet", "--no-deps", "--only-binary", ":all:", "--require-hashes", "--dest", output, "-r", listed]
    pip("download", *words, *chosen)
    listed.unlink()
    return set(re.findall(r"sha256:(\w+)", "\n".join(wanted)))


def remove_others(output: Path, hashes: set[str]) -> None:
    """Remove the wheels of an earlier lock: beside the new ones they only take up space."""
    for wheel in output.glob("*.whl"):
        if not wheel.name.startswith("nutshell-") and hashlib.sha256(wheel.read_bytes()).hexdigest() not in hashes:
            wheel.unlink()


def build(output: Path) -> None:
    """Nutshell's own wheel, the same for every platform."""
    made = output / "building"
    shutil.rmtree(made, ignore_errors=True)
    pip("wheel", "--quiet", "--no-deps", "--wheel-dir", made, REPOSITORY)
    for old in output.glob("nutshell-*.whl"):
        old.unlink()
    for wheel in made.glob("*.whl"):
        wheel.replace(output / wheel.name)
    made.rmdir()
    shutil.copyfile(REPOSITORY / "requirements.lock", output / "requirements.lock")


def main() -> None:
    parser = argparse.ArgumentParser(description="Make a folder of wheels for a machine without a network.")
    parser.add_argument("--output", type=Path, default=REPOSITORY / "wheels", help="default: wheels/ beside start.sh")
    parser.add_argument("--platform", choices=list(PLATFORMS), default=this_platform() or None)
    here = f"{sys.version_info[0]}.{sys.version_info[1]}"
    parser.add_argument("--python", nargs="+", default=[here], metavar="3.N", help=f"default: {here}")
    chosen = parser.parse_args()
    if chosen.platform is None:
        parser.error(f"there are no wheels for this machine; choose a --platform: {', '.join(PLATFORMS)}")
    for version in chosen.python:
        if not re.fullmatch(r"3\.\d\d", version) or int(version[2:]) < 10:
            parser.error(f"--python {version}: versions look like 3.12, and 3.10 is the oldest")
    chosen.output.mkdir(parents=True, exist_ok=True)
    build(chosen.output)
    hashes: set[str] = set()
    for version in chosen.python:
        hashes |= fetch(chosen.output, chosen.platform, version)
    remove_others(chosen.output, hashes)
    size_mb = sum(wheel.stat().st_size for wheel in chosen.output.glob("*.whl")) // 10**6
    print(f"{chosen.output}: {len(list(chosen.output.glob('*.whl')))} wheels, {size_mb} MB")


if __name__ == "__main__":
    main()
