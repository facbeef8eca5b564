"""What is said of machines can be said in any language."""

from __future__ import annotations

from dataclasses import asdict
from string import Formatter
from typing import Any

import pytest

from nutshell.engines.ports import ask_engines
from nutshell.language import Text
from nutshell.machine.examination import Examination
from nutshell.machine.network import ask_hubs
from nutshell.machine.rules import Finding, findings
from nutshell.machine.rules.sentences import SENTENCES
from nutshell.machine.source import Notes, Unreadable
from nutshell.machine.this_computer import ThisComputer
from tests.language.brackets import brackets, forgotten
from tests.machines import NAMES, recorded


@pytest.mark.parametrize("name", NAMES)
def test_what_is_wrong_and_what_is_unknown(name: str) -> None:
    machine = recorded(name)
    names = [asdict(machine), "nvidia-smi", "was not recorded"]
    # What a maker's tool says is its own words, and its words are those of the recording.
    said = ("NVIDIA-SMI has failed", "Driver/library version mismatch")
    reasons = [item.reason for item in machine.unknown if not any(words in item.reason for words in said)]
    assert all(isinstance(item.reason, Text) for item in machine.unknown)
    assert forgotten(reasons, names) == []
    for finding in findings(Examination(machine)):
        if not any(words in finding.sentence for words in said):
            assert forgotten([finding.sentence, finding.remedy], names) == []


@pytest.mark.parametrize("key", SENTENCES)
def test_every_finding(key: str) -> None:
    places = (name for template in SENTENCES[key] for _, name, _, _ in Formatter().parse(template) if name)
    finding = Finding(key, "note", dict.fromkeys(places, "7"))
    assert forgotten([finding.sentence, finding.remedy]) == []


def test_what_this_machine_does_not_give_away() -> None:
    source = ThisComputer()
    reasons = []
    for attempt in (
        lambda: source.read("/no/such/file"),
        lambda: source.list("/no/such/folder"),
        lambda: source.run("no-such-command", timeout=1.0),
        lambda: source.run("sleep", "9", timeout=0.01),
        lambda: source.read("/"),
        lambda: source.ask("usage", "/no/such/disk"),
    ):
        with pytest.raises(Unreadable) as caught:
            attempt()
        reasons.append(caught.value.reason)
    assert forgotten(reasons, ["no-such-command", "sleep"]) == []
    notes = Notes()
    notes.attempt("cpu", lambda: int("x"), 0)
    assert brackets()(notes.unknown[0].reason).startswith("«not understood: »ValueError: ")


def test_silent_engines_and_hubs() -> None:
    [slow] = ask_engines(("openvino",), seconds=0.0)
    assert forgotten([slow.error]) == []
    assert "«did not answer within »" in brackets()(slow.error)

    def refuse(url: str, seconds: float) -> Any:
        raise TimeoutError("timed out")

    [hub] = ask_hubs({"a": "https://a"}, refuse)
    assert brackets()(hub.reason) == "«timed out»"
