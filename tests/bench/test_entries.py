"""Rows that are kept from one run to the next."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from bench.entries import Entry, Journal, ratio
from bench.process import NotMeasured
from nutshell.errors import ModelNotFound
from nutshell.language import tr


class Run:
    """A command that measures two rows; how often it did, and what it said."""

    def __init__(self, path: Path, **settings: int) -> None:
        self.said: list[str] = []
        self.written = 0
        self.journal = Journal(path, self.said.append, settings, self._write)

    def _write(self, journal: Journal) -> None:
        self.written += 1


def test_what_is_done_is_not_done_again(tmp_path: Path) -> None:
    path = tmp_path / "new" / "rows.json"
    first = Run(path, rounds=3)
    first.journal.row("a", lambda entry: entry.samples.update(pass_seconds=[1.0, 3.0, 2.0]))
    second = Run(path, rounds=3)
    kept = second.journal.row("a", lambda entry: pytest.fail("measured again"))
    assert kept.get("pass_seconds") == 2.0
    assert kept == first.journal.entries["a"]
    assert second.journal.about == first.journal.about
    assert (first.written, second.written) == (1, 0)


def test_a_row_that_failed_keeps_its_reason_and_is_tried_again(tmp_path: Path) -> None:
    path = tmp_path / "rows.json"

    def fail(entry: Entry) -> None:
        raise NotMeasured("no such engine")

    run = Run(path)
    assert run.journal.row("a", fail).reason == "no such engine"
    run.journal.row("b", lambda entry: entry.values.update(peak_bytes=2e6))
    assert run.said == ["a: not measured: no such engine", "b: peak 2 MB"]
    again = Run(path)
    assert again.journal.entries["a"].reason == "no such engine"
    assert again.journal.row("a", lambda entry: entry.values.update(seconds=1.0)).reason is None
    assert list(json.loads(path.read_text())["entries"]) == ["a", "b"]


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (ZeroDivisionError("by zero"), "ZeroDivisionError: by zero"),
        (ModelNotFound(tr("no model is called {name}", name="x")), "no model is called x"),
    ],
)
def test_whatever_goes_wrong_is_a_reason(tmp_path: Path, error: Exception, reason: str) -> None:
    def fail(fresh: dict[str, Entry]) -> None:
        fresh["a"].reason = "its own"
        raise error

    rows = Run(tmp_path / "rows.json").journal.rows(["a", "b"], fail)
    assert rows["a"].reason == "its own"
    assert rows["b"].reason is not None
    assert reason in rows["b"].reason


def test_rows_that_take_turns_are_measured_together(tmp_path: Path) -> None:
    run = Run(tmp_path / "rows.json")
    measured: list[list[str]] = []

    def measure(fresh: dict[str, Entry]) -> None:
        measured.append(list(fresh))
        if len(measured) == 1:
            fresh["b"].reason = "busy"

    run.journal.rows(["a", "b"], measure)
    run.journal.rows(["a", "b"], measure)
    run.journal.rows(["a", "b"], measure)
    assert measured == [["a", "b"], ["a", "b"]]


def test_rows_of_other_settings_are_not_mixed(tmp_path: Path) -> None:
    Run(tmp_path / "rows.json", rounds=3).journal.save()
    with pytest.raises(SystemExit, match="other settings"):
        Run(tmp_path / "rows.json", rounds=4)


def test_a_ratio_pairs_the_rounds() -> None:
    ours, theirs = Entry(samples={"s": [1.0, 4.0, 9.0]}), Entry(samples={"s": [1.0, 2.0, 3.0]})
    assert ratio(ours, theirs, "s") == 2.0
    assert ratio(ours, Entry(), "s") is None
    assert ratio(None, theirs, "s") is None


def test_rows_that_did_not_take_turns_have_no_ratio(tmp_path: Path) -> None:
    run = Run(tmp_path / "rows.json")

    def measure(fresh: dict[str, Entry]) -> None:
        for entry in fresh.values():
            entry.samples["s"] = [2.0]

    together = run.journal.rows(["a", "b"], measure)
    alone = run.journal.rows(["c"], measure)
    assert ratio(together["a"], together["b"], "s") == 1.0
    assert ratio(together["a"], alone["c"], "s") is None
