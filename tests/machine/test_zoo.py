"""Every parser over every recorded machine; every fact that came out against what was expected by hand."""

from __future__ import annotations

import sys
from dataclasses import asdict
from typing import Any

import pytest

from nutshell.machine import FEATURES, Machine
from tests.machines import NAMES, ZOO, recorded

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib


def plain(value: Any) -> Any:
    """As TOML has it: sets and tuples as lists, and nothing for what is unknown, empty or false."""
    if isinstance(value, dict):
        kept = {key: one for key, one in value.items() if one is not None and one is not False}
        return {key: plain(one) for key, one in kept.items() if one != "" and one != frozenset()}
    if isinstance(value, (frozenset, set)):
        return sorted(value)
    if isinstance(value, (list, tuple)):
        return [plain(one) for one in value]
    return value


def found(machine: Machine) -> dict[str, Any]:
    whole = plain(asdict(machine))
    reasons = whole.pop("unknown")
    whole["machine"] = {"cores": machine.cores, "usable_bytes": machine.usable_bytes}
    whole["unknown"] = {item["fact"]: item["reason"] for item in reasons}
    return whole  # type: ignore[no-any-return]


def test_the_zoo_is_large() -> None:
    assert len(NAMES) >= 20


@pytest.mark.parametrize("name", NAMES)
def test_every_fact(name: str) -> None:
    expected = tomllib.loads((ZOO / name / "expected.toml").read_text(encoding="utf-8"))
    expected.pop("about")
    actual = found(recorded(name))
    for section in ("cpu", "memory", "disks", "gpus", "system", "machine"):
        assert actual[section] == expected.pop(section, []), section
    unknown = expected.pop("unknown", {})
    assert actual["unknown"].keys() == unknown.keys()
    for fact, part in unknown.items():
        assert part in actual["unknown"][fact]
    assert not expected


@pytest.mark.parametrize("name", NAMES)
def test_the_vocabulary_is_kept(name: str) -> None:
    machine = recorded(name)
    assert machine.cpu.features <= FEATURES
    assert 1 <= machine.cpu.cores <= machine.cpu.threads
    assert all("\n" not in item.reason for item in machine.unknown)
