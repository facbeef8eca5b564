"""The lock files belong to pyproject.toml and name public places only."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from urllib.parse import urlsplit

import pytest

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def test_every_dependency_is_locked_with_a_hash(repository: Path) -> None:
    project = tomllib.loads((repository / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    wanted = {plain(re.split(r"[^\w.-]", text)[0]) for text in project["dependencies"]}
    lock = (repository / "requirements.lock").read_text(encoding="utf-8")
    packages = re.split(r"\n(?=\w)", lock)[1:]
    assert wanted <= {plain(package.split("==")[0]) for package in packages}
    assert all("--hash=sha256:" in package for package in packages)


@pytest.mark.parametrize("name", ["uv.lock", "requirements.lock"])
def test_only_the_public_registry_is_named(repository: Path, name: str) -> None:
    found = re.findall(r"\w+://[^\s\"']+", (repository / name).read_text(encoding="utf-8"))
    assert {urlsplit(url).netloc for url in found} <= {"pypi.org", "files.pythonhosted.org"}
