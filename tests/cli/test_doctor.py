"""`nutshell doctor`: the report for people and for programs, on this machine and on recorded ones."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from nutshell.cli import doctor, doctor_text
from nutshell.cli.doctor_text import lines
from nutshell.cli.speech import COLUMNS, width
from nutshell.language import tr
from nutshell.machine.examination import EngineReport, Examination, FolderReport, HubReport
from nutshell.machine.folders import look_at, read_speed
from tests.cli.conftest import Run
from tests.machines import NAMES, recorded

ENGINES = (
    EngineReport("openvino", True, "2026.4.1", ("CPU (a processor)", "GPU (some graphics)")),
    EngineReport("onnx", True, "1.31.1", error=tr("it uses instructions that this processor does not have")),
    EngineReport("torch", False),
)
FOLDERS = (
    FolderReport("models", "/home/user/models", "/home", True, 10**11, 10**10, 4e8),
    FolderReport("temporary", "/tmp", "/tmp", False),
)
HUBS = (
    HubReport("huggingface.co", "https://huggingface.co", False, 2.0, tr("timed out")),
    HubReport("b", "u", True, 0.2),
)


def test_on_this_machine_for_people(nutshell: Run, work: Path) -> None:
    done = nutshell("doctor", "--offline", "--store", str(work / "new" / "models"), real=True)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(doctor_text.MACHINE)
    assert doctor_text.OFFLINE in done.stdout
    assert "OpenVINO 20" in done.stdout
    assert max(map(width, done.stdout.splitlines())) <= COLUMNS
    assert list(work.iterdir()) == []  # It changes nothing.


def test_on_this_machine_for_programs(nutshell: Run) -> None:
    done = nutshell("doctor", "--offline", "--json", real=True)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert report["schema"] == doctor.SCHEMA
    assert report["machine"]["cores"] >= 1
    assert report["machine"]["memory"]["total_bytes"] > 2**28
    assert [engine["name"] for engine in report["engines"]] == ["openvino", "onnx", "torch"]
    assert {folder["role"] for folder in report["folders"]} == {"models", "temporary"}
    assert report["network"] == {"offline": True, "hubs": None}
    assert set(report) == {"schema", "machine", "engines", "folders", "network", "findings", "unknown", "seconds"}


@pytest.mark.parametrize("name", NAMES)
def test_every_recorded_machine_can_be_told(name: str) -> None:
    machine = recorded(name)
    for examination in (
        Examination(machine),
        Examination(machine, ENGINES, FOLDERS, HUBS),
    ):
        told = list(lines(examination, machine.unknown, offline=False))
        assert all(len(line) <= COLUMNS and line.isprintable() for line in told)
        report = doctor.as_json(examination, machine.unknown, offline=False, seconds=1.0)
        assert json.loads(json.dumps(report)) == json.loads(json.dumps(report, sort_keys=True))


def test_the_worst_comes_first() -> None:
    told = list(lines(Examination(recorded("core-2-duo"), hubs=HUBS), (), offline=False))
    places = [told.index(sentence) for sentence in doctor_text.SEVERITIES.values()]
    assert places == sorted(places)
    assert doctor_text.FINE not in told
    assert doctor_text.LIMITED not in told


def test_a_section_that_fails_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any, **__: Any) -> Any:
        raise RuntimeError("a bad day")

    for name in ("engines.ports.ask_engines", "machine.network.ask_hubs", "machine.folders.look_at", "machine.probe"):
        monkeypatch.setattr(f"nutshell.{name}", fail)
    settings = doctor.settle(doctor.make_parser("doctor", tr("")).parse_args([]))
    examination, unknown = doctor.examine(settings)
    assert {item.fact for item in unknown} == {"machine", "folders", "engines", "network"}
    assert all("a bad day" in item.reason for item in unknown)
    assert list(lines(examination, unknown, offline=False))


def test_a_folder_is_looked_at_and_left_as_it_was(tmp_path: Path) -> None:
    report = look_at("models", tmp_path / "not" / "here", measure=True)
    assert report.existing == str(tmp_path)
    assert report.writable
    assert report.free_bytes is not None
    assert report.total_bytes is not None
    assert report.free_bytes <= report.total_bytes
    assert report.read_bytes_per_second is None or report.read_bytes_per_second > 0
    assert list(tmp_path.iterdir()) == []
    assert read_speed(tmp_path / "not" / "here") is None


def test_the_json_report_is_documented(repository: Path) -> None:
    page = (repository / "docs" / "reference" / "doctor.md").read_text(encoding="utf-8")
    machine = recorded("gtx-1650-4gb")
    report = doctor.as_json(Examination(machine, ENGINES, FOLDERS, HUBS), (), offline=False, seconds=1.0)

    def names(value: Any) -> set[str]:
        if isinstance(value, dict):
            return set(value).union(*map(names, value.values()))
        return set().union(*map(names, value)) if isinstance(value, (list, tuple)) else set()

    for finding in report["findings"]:
        del finding["values"]
    for name in names(report):
        assert f"`{name}`" in page, name
