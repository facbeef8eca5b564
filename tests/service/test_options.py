"""Settings as the service understands them."""

from __future__ import annotations

from pathlib import Path

import pytest

from nutshell.errors import UsageError
from nutshell.service.options import ServiceOptions, service_options
from nutshell.settings import resolve


def options(folder: Path, **flags: str) -> ServiceOptions:
    return service_options(resolve({"service_folder": str(folder), **flags}, {"NUTSHELL_CONFIG": ""}))


def test_a_gallery_in_memory_is_small_unless_it_is_told_otherwise(tmp_path: Path) -> None:
    assert options(tmp_path).gallery_bytes == 2_000_000_000
    assert options(tmp_path, amnesia="yes").gallery_bytes == 200_000_000
    assert options(tmp_path, amnesia="yes", gallery_limit="1G").gallery_bytes == 1_000_000_000


@pytest.mark.parametrize("host", ["0.0.0.0", "192.168.1.20", "::", "somewhere.example"])
def test_other_machines_are_let_in_by_lan_alone(host: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="other machines can reach") as caught:
        options(tmp_path, host=host)
    assert "--lan" in caught.value.hint
    assert options(tmp_path, host=host, lan="yes").host == host


def test_lan_alone_listens_everywhere_and_nothing_alone_here(tmp_path: Path) -> None:
    assert options(tmp_path, lan="yes").host == "0.0.0.0"
    assert options(tmp_path).host == "127.0.0.1"
    assert options(tmp_path, host="[::1]").host == "::1"


@pytest.mark.parametrize("name", ["queue", "max_count", "max_steps", "max_pixels"])
def test_a_limit_of_nothing_is_refused(name: str, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="must be at least"):
        options(tmp_path, **{name: "0"})
