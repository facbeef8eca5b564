"""Which models the menu shows, which one it recommends, and what it says of their licences."""

from __future__ import annotations

from typing import Any

from nutshell.cli.menu_models import Other, entries, licence, recommended, runnable
from nutshell.pipeline.model_rows import Row
from nutshell.pipeline.outlook import NOT_YET, SLOWLY, TOO_LARGE, WELL, Outlook


def row(name: str, verdict: str = WELL, *, here: bool = False, commercial: bool | None = True, **more: Any) -> Row:
    facts = {"title": f"About {name}", "licence": "MIT", "download": "1.1 GB", "download_bytes": None, **more}
    return Row(name, commercial=commercial, installed=here, outlook=Outlook(verdict, 512, 512, 20), **facts)


def test_only_what_runs_here_is_shown() -> None:
    rows = [row("a"), row("b", SLOWLY), row("c", TOO_LARGE), row("d", NOT_YET)]
    assert [each.name for each in runnable(rows)] == ["a", "b"]
    assert [entry.value for entry in entries([])] == [Other.DOCTOR, Other.QUIT]


def test_what_is_recommended() -> None:
    def name(*rows: Row) -> str | None:
        best = recommended(rows)
        return best.name if best else None

    assert name(row("large"), row("artist", here=True)) == "artist"
    # A fetched one that draws better, unless it is slow or not for every use.
    assert name(row("large", here=True), row("artist", here=True)) == "large"
    assert name(row("slow", SLOWLY, here=True), row("artist", here=True)) == "artist"
    assert name(row("limited", here=True, commercial=False), row("artist", here=True)) == "artist"
    assert name(row("yours", here=True, commercial=None), row("artist", here=True)) == "yours"
    assert name(row("slow", SLOWLY, here=True), row("large")) == "slow"
    assert name(row("large")) is None
    assert name() is None


def test_it_is_marked_and_said() -> None:
    marked = [entry for entry in entries([row("large"), row("artist", here=True)]) if entry.mark]
    assert len(marked) == 1
    assert marked[0].cells[0] == "artist"
    assert "Recommended to begin with: it is here already." in marked[0].details


def test_licences() -> None:
    assert licence(row("a")) == "Licence: MIT."
    assert licence(row("a", commercial=False)) == "Licence: MIT, not for commercial use."
    assert licence(row("a", licence="")) is None
